"""The bundle: a folder or ZIP of native files, each checkable with public tools.

    bundle.json                        path, size, SHA-256 of every other file; each record's entry
    SHA256SUMS                         for ``sha256sum -c``
    README.txt                         every intermediate value and the commands, for people
    records/<e>.sd-jwt                 <e>: the first 16 hex digits of the record's entry
    manifests/<e>.lines                shown manifest lines with their proofs
    parts/<e>.lines                    shown lines of a file's pieces with their proofs
    proofs/<e>-<size>.tlog-proof       inclusion under checkpoints/<size>
    checkpoints/<size>                 the signed file, as stamped
    checkpoints/<size>.cosignatures    signature lines of witnesses
    consistency/<old>-<new>            base64 hashes, one a line
    stamps/<size>/<tsa>-<hash8>.tsr    responses over checkpoints/<size>, as received
    stamps/not-before/<hash>.tst       bare tokens that records name in ``not_before``
    material/<hash16>.pem              certificates; never roots by themselves
    material/<hash16>.crl              CRLs, DER; hash16 is of their SHA-256
    material/<hash16>.ocsp             OCSP answers, DER
    material/ledger.vkey               the ledger's keys, one vkey a line
    carriers/<e>/<path>                disclosed carriers
    excerpts/<e>/<first>-<last>        disclosed pieces of a file, counted from 1

Here are the names and the index; what the files mean is checked in ``verify``. Carriers may be
bigger than memory, so they are known here by size and digest only.
"""

import base64
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from ledger.errors import MalformedError
from ledger.record.strict_json import JsonValue, format_json, parse_json
from ledger.tlog.merkle import MAX_PATH, MAX_SIZE, Hash

INDEX = "bundle.json"
SUMS = "SHA256SUMS"
README = "README.txt"
VKEYS = "material/ledger.vkey"

MAX_FILES = 100_000
"""Files in a bundle: far above a dossier, far below what makes a reader crawl."""
MAX_FILE_BYTES = 64 << 20
"""Size of one file that is not a carrier: a manifest with all 100,000 lines shown fits."""
MAX_TOTAL_BYTES = 256 << 20
"""All files but carriers, since they are held in memory."""
MAX_PATH_BYTES = 1024
"""Length of a path: what common file systems still can hold."""
MAX_INDEX_BYTES = 32 << 20

_NUMBER = r"(?:0|[1-9][0-9]{0,18})"
_KINDS = {
    "record": re.compile(r"records/(?P<entry>[0-9a-f]{16})\.sd-jwt"),
    "lines": re.compile(r"manifests/(?P<entry>[0-9a-f]{16})\.lines"),
    "part-lines": re.compile(r"parts/(?P<entry>[0-9a-f]{16})\.lines"),
    "proof": re.compile(rf"proofs/(?P<entry>[0-9a-f]{{16}})-(?P<size>{_NUMBER})\.tlog-proof"),
    "checkpoint": re.compile(rf"checkpoints/(?P<size>{_NUMBER})"),
    "cosignatures": re.compile(rf"checkpoints/(?P<size>{_NUMBER})\.cosignatures"),
    "consistency": re.compile(rf"consistency/(?P<old>{_NUMBER})-(?P<new>{_NUMBER})"),
    "stamp": re.compile(
        rf"stamps/(?P<size>{_NUMBER})/(?P<tsa>[a-z0-9][a-z0-9.-]{{0,39}})-(?P<hash>[0-9a-f]{{8}})\.tsr"
    ),
    "not-before": re.compile(r"stamps/not-before/(?P<hash>[0-9a-f]{64})\.tst"),
    "certificate": re.compile(r"material/(?P<hash>[0-9a-f]{16})\.pem"),
    "crl": re.compile(r"material/(?P<hash>[0-9a-f]{16})\.crl"),
    "ocsp": re.compile(r"material/(?P<hash>[0-9a-f]{16})\.ocsp"),
    "vkeys": re.compile(re.escape(VKEYS)),
    "readme": re.compile(re.escape(README)),
    "sums": re.compile(re.escape(SUMS)),
    "index": re.compile(re.escape(INDEX)),
    "excerpt": re.compile(
        r"excerpts/(?P<entry>[0-9a-f]{16})/(?P<first>[1-9][0-9]{0,15})-(?P<last>[1-9][0-9]{0,15})"
    ),
    "carrier": re.compile(r"carriers/(?P<entry>[0-9a-f]{16})/(?P<path>.+)"),
}
_BAD_CHARACTER = re.compile("[\\\\\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")


KEPT_PLACES = 8192
"""Paths whose place is kept: a verdict asks for each some ten times."""


@dataclass(frozen=True, slots=True)
class Digest:
    """What is known of a file too big to hold: its size in bytes and its SHA-256.

    ``sm3``: made where a record discloses one to compare it with, else None. ``pieces``: offset,
    size and SHA-256 of stretches of it, made where a bundle shows pieces that may stand there.
    """

    size: int
    sha256: bytes
    sm3: bytes | None = None
    pieces: frozenset[tuple[int, int, bytes]] = frozenset()


@dataclass(frozen=True, slots=True)
class Place:
    """What a path in a bundle is: its kind and the fields of its name."""

    kind: str
    fields: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Listed:
    """One row of ``bundle.json``: a file as the index says it should be."""

    path: str
    size: int
    sha256: bytes


@dataclass(frozen=True, slots=True)
class Index:
    """``bundle.json``: every other file, and each record's entry in chain order."""

    files: tuple[Listed, ...]
    records: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class Bundle:
    """The files of a bundle: ``files`` path to bytes, ``carriers`` path to size and digest."""

    files: Mapping[str, bytes]
    carriers: Mapping[str, Digest]

    def of_kind(self, kind: str) -> list[tuple[str, Mapping[str, str]]]:
        """Paths of one kind with the fields of their names, sorted by path.

        A path that no bundle has is of no kind: the check of the index is what refuses it.
        """
        found = []
        for path in sorted(self.files):
            try:
                place = place_of(path)
            except MalformedError:
                continue
            if place.kind == kind:
                found.append((path, place.fields))
        return found


@lru_cache(maxsize=KEPT_PLACES)
def place_of(path: str) -> Place:
    """What ``path`` is in a bundle; MalformedError if no bundle has such a path."""
    check_path_name(path)
    for kind, pattern in _KINDS.items():
        if match := pattern.fullmatch(path):
            sizes = [match[name] for name in ("size", "old", "new") if name in match.groupdict()]
            if any(int(size) > MAX_SIZE for size in sizes):
                raise MalformedError(f"path names a size above 2^63-1: {path!r}")
            return Place(kind, match.groupdict())
    raise MalformedError(f"no bundle has a file named {path!r}")


def check_path_name(path: str) -> None:
    """Refuse a path that could leave its folder or deceive a reader: MalformedError."""
    parts = path.split("/")
    if len(path.encode("utf-8", "surrogatepass")) > MAX_PATH_BYTES:
        raise MalformedError(f"path has more than {MAX_PATH_BYTES} bytes")
    if any(part in {"", ".", ".."} for part in parts) or _BAD_CHARACTER.search(path):
        raise MalformedError(f"unsafe path {path!r}")
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise MalformedError("path is not UTF-8") from error


def make_index(bundle: Bundle, records: Mapping[str, bytes]) -> Bundle:
    """``bundle`` with bundle.json and SHA256SUMS made anew; ``records``: path to 64-byte entry."""
    files = {path: held for path, held in bundle.files.items() if path not in {INDEX, SUMS}}
    listed = sorted(
        [Listed(path, len(held), hashlib.sha256(held).digest()) for path, held in files.items()]
        + [Listed(path, digest.size, digest.sha256) for path, digest in bundle.carriers.items()],
        key=lambda row: row.path.encode(),
    )
    files[INDEX] = format_index(Index(tuple(listed), tuple(records.items())))
    rows = [*listed, Listed(INDEX, len(files[INDEX]), hashlib.sha256(files[INDEX]).digest())]
    files[SUMS] = format_sums(rows)
    return Bundle(files, bundle.carriers)


def format_index(index: Index) -> bytes:
    """``bundle.json``, canonical."""
    files: list[JsonValue] = [
        {"path": row.path, "sha256": row.sha256.hex(), "size": row.size} for row in index.files
    ]
    records: list[JsonValue] = [
        {"entry": entry.hex(), "path": path} for path, entry in index.records
    ]
    return format_json({"files": files, "records": records, "v": 1}) + b"\n"


def parse_index(content: bytes) -> Index:
    """The index in ``content``; MalformedError unless it is exactly what we would write."""
    value = parse_json(content, limit_bytes=MAX_INDEX_BYTES)
    if not isinstance(value, dict) or set(value) != {"files", "records", "v"} or value["v"] != 1:
        raise MalformedError("bundle.json is not version 1 of the index")
    files, records = value["files"], value["records"]
    if not isinstance(files, list) or not isinstance(records, list) or len(files) > MAX_FILES:
        raise MalformedError("bundle.json: files and records are not lists within the limits")
    index = Index(tuple(map(_listed, files)), tuple(map(_entry, records)))
    paths = [row.path.encode() for row in index.files]
    if any(left >= right for left, right in pairwise(paths)):
        raise MalformedError("bundle.json: files are not in order, each once")
    if not {row.path for row in index.files}.isdisjoint({INDEX, SUMS}):
        raise MalformedError(f"bundle.json lists {INDEX} or {SUMS}, which are not its files")
    if len({path for path, _ in index.records}) != len(index.records):
        raise MalformedError("bundle.json: a record is there twice")
    if format_index(index) != content:
        raise MalformedError("bundle.json is not canonical")
    return index


def _listed(row: JsonValue) -> Listed:
    match row:
        case {"path": str(path), "sha256": str(sha256), "size": int(size), **rest} if not rest:
            place_of(path)
            number = type(size) is int and size >= 0  # a JSON true is an int to Python
            if number and re.fullmatch(r"[0-9a-f]{64}", sha256):
                return Listed(path, size, bytes.fromhex(sha256))
    raise MalformedError("bundle.json: a file is not {path, sha256, size}")


def _entry(row: JsonValue) -> tuple[str, bytes]:
    match row:
        case {"path": str(path), "entry": str(entry), **rest} if not rest:
            if place_of(path).kind == "record" and re.fullmatch(r"[0-9a-f]{128}", entry):
                return path, bytes.fromhex(entry)
    raise MalformedError("bundle.json: a record is not {entry, path}")


def format_sums(rows: list[Listed]) -> bytes:
    """``SHA256SUMS`` as coreutils writes it, sorted by path."""
    lines = sorted(rows, key=lambda row: row.path.encode())
    return "".join(f"{row.sha256.hex()}  {row.path}\n" for row in lines).encode()


def format_consistency(path: tuple[Hash, ...]) -> bytes:
    """A consistency file: one base64 hash a line."""
    return b"".join(base64.b64encode(node) + b"\n" for node in path)


def parse_consistency(content: bytes) -> tuple[Hash, ...]:
    """The hashes of a consistency file (at most MAX_PATH, RFC 6962 §2.1.2); MalformedError."""
    if content and not content.endswith(b"\n"):
        raise MalformedError("consistency file does not end in a newline")
    lines = content.split(b"\n")[:-1]
    if len(lines) > MAX_PATH or any(len(line) != 44 for line in lines):
        raise MalformedError(f"consistency file is not at most {MAX_PATH} lines of one hash")
    try:
        path = tuple(base64.b64decode(line, validate=True) for line in lines)
    except ValueError as error:
        raise MalformedError("consistency file is not base64") from error
    if any(len(node) != 32 for node in path) or format_consistency(path) != content:
        raise MalformedError("consistency file does not hold hashes of 32 bytes")
    return path
