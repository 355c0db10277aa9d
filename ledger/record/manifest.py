"""A manifest: a folder as one tree, of which single lines can be shown.

A line is an SD-JWT disclosure (RFC 9901 §4.2.1) of one file, whatever its name,

    base64url([salt, path, {"mtime": µs, "sha256": hex, "size": bytes, "sm3": hex}])    sm3 optional
    base64url([salt, path, {"skipped": reason}])                 a file that was not read, and why

Lines stand in the order of the UTF-8 bytes of their paths, each path once; leaf i of an RFC 6962
tree is the ASCII of line i. Root and count stand in the record. The salt keeps every other line
sealed: one line shown proves that line i of n names this path and this digest, and nothing about
the rest, not even that no other line names the same path.

>>> lines = make_lines([FileEntry("a.txt", 3, bytes(32), 0)], bytes)
>>> root, count = sealed.lines_root(lines)
>>> shown = ShownLine(0, lines[0], sealed.prove_line(lines, 0).path)
>>> check_line(shown, root, count).path
'a.txt'

Reading the files is left to ``ledger.doors.carrier``.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final

from ledger.errors import MalformedError
from ledger.record import shown as sealed
from ledger.record.sdjwt import SALT_BYTES, RandomBytes, parse_salted
from ledger.record.shown import MAX_LINE_CHARS, ShownLine, check_included, draw_salts, seal_lines
from ledger.record.strict_json import MAX_INTEGER, JsonValue
from ledger.tlog.merkle import Hash

SHOWN_HEADER: Final = "tallystick/manifest-lines/v1"
MAX_PATH_BYTES: Final = 4096  # PATH_MAX of Linux; longer ones cannot be opened there

_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # UAX #9 §2: every explicit formatting one
_BAD_CHARACTER = re.compile(f"[\\x00-\\x1f\\x7f-\\x9f\\\\\ud800-\udfff{_BIDI}]")
_BAD_PATH = re.compile(_BAD_CHARACTER.pattern + r"|(?:^|/)\.{0,2}(?:/|\Z)")
_REASON = re.compile(r"[a-z0-9][a-z0-9 -]{0,63}")
_HEX32 = re.compile(r"[0-9a-f]{64}")
_BAD_PARTS = ("//", "/./", "/../", "\\")
_BATCH = 1024  # lines encoded at once: their copies stay in the cache and out of the peak memory


@dataclass(frozen=True, slots=True)
class FileEntry:
    """One file of a folder. ``size`` in bytes, ``mtime`` in microseconds of Unix, digests 32 bytes.

    ``path``: relative, POSIX. ``skipped``: why it was not read (1 to 64 of ``a-z0-9 -``); then
    ``size`` and ``mtime`` are 0, ``sha256`` is empty and ``sm3`` None. What a path may hold is
    checked by ``make_lines`` and ``parse_line``.
    """

    path: str
    size: int
    sha256: bytes
    mtime: int
    sm3: bytes | None = None
    skipped: str | None = None


def make_lines(files: Sequence[FileEntry], random_bytes: RandomBytes) -> list[str]:
    """The lines of ``files``, sorted by path, each with 128 bits of salt (one draw for all).

    Raises MalformedError, naming the path, for a path that is not relative POSIX (empty, ``.`` or
    ``..`` parts, a leading or last ``/``, backslash, control, bidi or surrogate characters, over
    4096 bytes) and for two paths equal under NFC; ValueError for no files or for sizes, times,
    digests or reasons that FileEntry does not allow. Cost: some 2 µs a file.
    """
    if not files:
        raise ValueError("manifest has no files")
    ordered = sorted(files, key=attrgetter("path"))  # code points, so the order of UTF-8 bytes
    _check_paths([one.path for one in ordered])
    salts = draw_salts(len(ordered), random_bytes)
    lines: list[str] = []
    for start in range(0, len(ordered), _BATCH):
        part = ordered[start : start + _BATCH]
        lines += _format_lines(part, salts[SALT_BYTES * start : SALT_BYTES * (start + len(part))])
    return lines


def parse_line(text: str) -> FileEntry:
    """The file that the line ``text`` names; the salt is not kept.

    Raises MalformedError for anything that is not a line, bad paths included.
    """
    if len(text) > MAX_LINE_CHARS:
        raise MalformedError(f"line has {len(text)} characters, want at most {MAX_LINE_CHARS}")
    disclosure = parse_salted(text)
    _check_path(disclosure.name)
    value = disclosure.value
    if not isinstance(value, dict):
        raise MalformedError("line has a value that is no object")
    if value.keys() == {"skipped"}:
        reason = value["skipped"]
        if not isinstance(reason, str) or not _REASON.fullmatch(reason):
            raise MalformedError("line has no proper reason for skipping")
        return FileEntry(disclosure.name, 0, b"", 0, None, reason)
    if value.keys() - {"sm3"} != {"mtime", "sha256", "size"}:
        raise MalformedError("line is not exactly mtime, sha256, size and perhaps sm3")
    size, mtime = _integer(value["size"], "size"), _integer(value["mtime"], "mtime")
    if size < 0:
        raise MalformedError("line has a negative size")
    sm3 = _digest(value["sm3"]) if "sm3" in value else None
    return FileEntry(disclosure.name, size, _digest(value["sha256"]), mtime, sm3)


def check_line(shown: ShownLine, root: Hash, count: int) -> FileEntry:
    """The file that ``shown`` names, being line ``shown.index`` of ``count`` under ``root``.

    Raises MalformedError when its text is no line, VerificationError when it is not in the tree.
    """
    entry = parse_line(shown.text)
    check_included(shown, root, count)
    return entry


def parse_shown_lines(b: bytes) -> tuple[ShownLine, ...]:
    """The shown lines of a manifest in ``b``; whether a line names a file, ``check_line`` says.

    Raises MalformedError for anything but the format of ``ledger.record.shown``.
    """
    return sealed.parse_shown_lines(b, SHOWN_HEADER)


def format_shown_lines(lines: Sequence[ShownLine]) -> bytes:
    """``lines`` as a file: ``parse_shown_lines(format_shown_lines(lines)) == tuple(lines)``.

    Raises ValueError for no lines, or for lines whose indexes do not ascend.
    """
    return sealed.format_shown_lines(lines, SHOWN_HEADER)


def _format_lines(files: Sequence[FileEntry], salts: bytes) -> list[str]:
    """The lines of ``files``, whose paths are good; equal to those of ``make_disclosure``."""
    # Nothing but the quote is escaped in the JSON of a good path.
    names = (one.path.replace('"', '\\"') for one in files)
    tails = [f'"{name}",{_format_value(one)}' for name, one in zip(names, files, strict=True)]
    return seal_lines(tails, salts)


def _format_value(one: FileEntry) -> str:
    """The third element of a line, in canonical JSON."""
    if one.skipped is not None:
        if not _REASON.fullmatch(one.skipped) or one.sha256 or one.sm3 or one.size or one.mtime:
            raise ValueError("skipped file has a digest, a size, a time or no proper reason")
        return f'{{"skipped":"{one.skipped}"}}'
    size, mtime, sha256_digest, sm3_digest = one.size, one.mtime, one.sha256, one.sm3
    if len(sha256_digest) != 32 or (sm3_digest is not None and len(sm3_digest) != 32):
        raise ValueError("file has a digest that is not 32 bytes")
    if not (0 <= size <= MAX_INTEGER and -MAX_INTEGER <= mtime <= MAX_INTEGER):
        raise ValueError("file has a size or a time out of range")
    sm3 = "" if sm3_digest is None else f',"sm3":"{sm3_digest.hex()}"'
    return f'{{"mtime":{mtime},"sha256":"{sha256_digest.hex()}","size":{size}{sm3}}}'


def _check_paths(paths: Sequence[str]) -> None:
    """Each of ``paths`` good, and none like another under NFC (UAX #15)."""
    # All at once first. Every character refused is one that is not printable, or a backslash.
    joined = f"/{'/:/'.join(paths)}/"
    quick = joined.isprintable() and not any(part in joined for part in _BAD_PARTS)
    if not quick or max(map(len, paths)) > MAX_PATH_BYTES // 4:
        for path in paths:
            _check_path(path)
    names = paths
    if not unicodedata.is_normalized("NFC", joined):
        names = [unicodedata.normalize("NFC", path) for path in paths]
    if len(set(names)) != len(names):
        seen: set[str] = set()
        for name in names:
            if name in seen:
                raise MalformedError(f"path {_shown(name)} is there twice under NFC")
            seen.add(name)


def _check_path(path: str) -> None:
    if _BAD_CHARACTER.search(path):
        raise MalformedError(f"path {_shown(path)} has a control, bidi, surrogate or \\ character")
    if _BAD_PATH.search(path):
        raise MalformedError(f"path {_shown(path)} is not relative with proper parts")
    if len(path.encode("utf-8")) > MAX_PATH_BYTES:
        raise MalformedError(f"path {_shown(path)} has more than {MAX_PATH_BYTES} bytes")


def _shown(path: str) -> str:
    """``path`` fit for a message: what could deceive a reader is escaped."""
    return "'" + _BAD_CHARACTER.sub(lambda bad: f"\\u{ord(bad.group()):04x}", path[:200]) + "'"


def _integer(value: JsonValue, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise MalformedError(f"line has a {name} that is no integer")
    return value


def _digest(value: JsonValue) -> bytes:
    if not isinstance(value, str) or not _HEX32.fullmatch(value):
        raise MalformedError("line has a digest that is not 64 lower-case hex digits")
    return bytes.fromhex(value)
