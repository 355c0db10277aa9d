r"""Parts: the pieces of one file as one tree, of which single pieces can be shown.

Pieces cover a file in order, without gap or overlap: one after the other they are the file. A line
has the form of an SD-JWT disclosure (RFC 9901 §4.2.1), the index of its piece, from 0, for a name,

    base64url([salt, index, {"offset": bytes, "sha256": hex, "size": bytes}])

and leaf i of an RFC 6962 tree is the ASCII of line i. Scheme, root and count stand in the record.
One line shown proves these bytes at this place of the file, and nothing about the other pieces. How
a file is cut:

    lines         UTF-8 text without NUL: a piece ends with LF, which it includes; the last may not
    ipynb-cells   a Jupyter notebook (nbformat 4): piece i begins at the first byte of element i of
                  the array ``cells`` and ends where piece i + 1 begins; so what stands between two
                  cells belongs to the first of them; piece 0 begins with the file, the last ends
                  with it
    bytes-64k     any bytes: pieces of 65,536, the last of what is left

An empty file has no parts.

>>> parts = list(split_lines([b"a,b\n1", b",2\n"]))
>>> [(part.offset, part.size) for part in parts]
[(0, 4), (4, 4)]
>>> lines = make_part_lines(parts, bytes)
>>> shown = sealed.show_lines(lines, [1])
>>> check_part_line(shown[0], *sealed.lines_root(lines)) == parts[1]
True

Reading the files, and choosing a scheme by content, is left to ``ledger.doors.pieces``.
"""

import codecs
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from typing import Any, Final, NoReturn

from ledger.errors import MalformedError, VerificationError
from ledger.record import shown as sealed
from ledger.record.sdjwt import RandomBytes, parse_triple
from ledger.record.shown import MAX_LINE_CHARS, ShownLine, check_included, draw_salts, seal_lines
from ledger.record.strict_json import MAX_INTEGER, JsonValue
from ledger.tlog.merkle import Hash

SHOWN_HEADER: Final = "tallystick/part-lines/v1"

LINES: Final = "lines"
CELLS: Final = "ipynb-cells"
BYTES: Final = "bytes-64k"

PIECE_BYTES: Final = 1 << 16
"""Size of a piece under ``bytes-64k``."""

MAX_PARTS: Final = 1 << 18
"""Pieces of one file: their lines take 52 MB in the vault, their hashes 40 MB when some are shown,
and a path 18 hashes in the bundle. A text of more lines is cut by ``bytes-64k`` instead."""

MAX_NOTEBOOK_BYTES: Final = 8 << 20
"""A notebook is read as JSON in memory, in up to three copies of it."""

_HEX32 = re.compile(r"[0-9a-f]{64}")
_SPACE = re.compile(r"[ \t\n\r]*")  # RFC 8259 §2


@dataclass(frozen=True, slots=True)
class Part:
    """Piece ``index`` (from 0) of a file: where it begins, its size in bytes (≥ 1), its SHA-256."""

    index: int
    offset: int
    size: int
    sha256: bytes

    @property
    def stop(self) -> int:
        """Where the next piece begins."""
        return self.offset + self.size


def split_lines(blocks: Iterable[bytes]) -> Iterator[Part]:
    """The pieces of a file under ``lines``, as its ``blocks`` come in; constant memory.

    Raises MalformedError, as soon as it is seen, for a file that is not UTF-8 or has a NUL.
    """
    index = offset = size = 0
    digest = sha256()
    for block in _text(blocks):
        *ends, rest = block.split(b"\n")
        for end in ends:
            digest.update(end + b"\n")
            size += len(end) + 1
            yield Part(index, offset, size, digest.digest())
            index, offset, size, digest = index + 1, offset + size, 0, sha256()
        digest.update(rest)
        size += len(rest)
    if size:
        yield Part(index, offset, size, digest.digest())


def count_lines(blocks: Iterable[bytes]) -> int:
    """How many pieces ``split_lines`` makes of ``blocks``, and the same errors; much cheaper."""
    count, last = 0, b"\n"
    for block in _text(blocks):
        count += block.count(b"\n")
        last = block[-1:] or last
    return count + (last != b"\n")


def split_bytes(blocks: Iterable[bytes]) -> Iterator[Part]:
    """The pieces of a file under ``bytes-64k``, as its ``blocks`` come in; constant memory."""
    index = size = 0
    digest = sha256()
    for block in blocks:
        start = 0
        while start < len(block):
            taken = block[start : start + PIECE_BYTES - size]
            digest.update(taken)
            start, size = start + len(taken), size + len(taken)
            if size == PIECE_BYTES:
                yield Part(index, index * PIECE_BYTES, size, digest.digest())
                index, size, digest = index + 1, 0, sha256()
    if size:
        yield Part(index, index * PIECE_BYTES, size, digest.digest())


def split_cells(content: bytes) -> tuple[Part, ...]:
    """The pieces of the notebook ``content`` under ``ipynb-cells``.

    Raises MalformedError unless it is, in at most MAX_NOTEBOOK_BYTES, one JSON object (RFC 8259,
    UTF-8, no key twice, no NaN) with ``nbformat`` 4 and at least one cell, each an object with a
    ``cell_type``.
    """
    if len(content) > MAX_NOTEBOOK_BYTES:
        raise MalformedError(
            f"notebook has {len(content)} bytes, want {MAX_NOTEBOOK_BYTES} at most"
        )
    try:
        content.decode("utf-8")
        # One character for each byte: where JSON stands is ASCII, and positions are those of bytes.
        starts = _cell_starts(content.decode("latin-1"))
    except (ValueError, RecursionError):
        raise MalformedError("notebook is not JSON in UTF-8") from None
    cuts = [0, *starts[1:], len(content)]
    return tuple(
        Part(index, start, stop - start, sha256(content[start:stop]).digest())
        for index, (start, stop) in enumerate(pairwise(cuts))
    )


def make_part_lines(parts: Sequence[Part], random_bytes: RandomBytes) -> list[str]:
    """The lines of ``parts``, each with 128 bits of salt (one draw for all).

    Raises ValueError for what Part does not allow.
    """
    for one in parts:
        if len(one.sha256) != 32 or one.size < 1 or min(one.index, one.offset) < 0:
            raise ValueError("part has a size below 1, a place below 0, or no digest of 32 bytes")
        if max(one.index, one.stop) > MAX_INTEGER:
            raise ValueError("part is out of range")
    tails = [
        f'{one.index},{{"offset":{one.offset},"sha256":"{one.sha256.hex()}","size":{one.size}}}'
        for one in parts
    ]
    return seal_lines(tails, draw_salts(len(parts), random_bytes))


def parse_part_line(text: str) -> Part:
    """The piece that the line ``text`` names; the salt is not kept.

    Raises MalformedError for anything that is not a line.
    """
    if len(text) > MAX_LINE_CHARS:
        raise MalformedError(f"line has {len(text)} characters, want at most {MAX_LINE_CHARS}")
    _, number, value = parse_triple(text)
    index = _integer(number, 0, "an index")
    if not isinstance(value, dict) or value.keys() != {"offset", "sha256", "size"}:
        raise MalformedError("line is not exactly offset, sha256 and size")
    digest = value["sha256"]
    if not isinstance(digest, str) or not _HEX32.fullmatch(digest):
        raise MalformedError("line has a digest that is not 64 lower-case hex digits")
    offset, size = _integer(value["offset"], 0, "an offset"), _integer(value["size"], 1, "a size")
    if offset + size > MAX_INTEGER:
        raise MalformedError("line has a place beyond 2^53 - 1")
    return Part(index, offset, size, bytes.fromhex(digest))


def check_part_line(shown: ShownLine, root: Hash, count: int) -> Part:
    """The piece that ``shown`` names, being line ``shown.index`` of ``count`` under ``root``.

    Raises MalformedError when its text is no line, VerificationError when it is not in the tree, or
    names another index than the one at which it stands.
    """
    part = parse_part_line(shown.text)
    check_included(shown, root, count)
    if part.index != shown.index:
        raise VerificationError(f"line {shown.index} names itself piece {part.index}")
    return part


def check_cover(parts: Sequence[Part], scheme: str, count: int, size: int | None) -> None:
    """Returns when ``parts``, ascending, can be pieces of one file of ``count`` under ``scheme``.

    Neighbours touch, others leave a byte for each piece between them; piece 0 begins at 0, the last
    ends at ``size`` (bytes of the file, None if not known). Raises VerificationError.
    """
    place, stop = -1, 0
    for one in parts:
        between = one.index - place - 1
        if one.offset < stop + between or (not between and one.offset != stop):
            raise VerificationError(f"piece {one.index} begins at {one.offset}, not where it can")
        if scheme == BYTES and not _is_64k(one, count):
            raise VerificationError(f"piece {one.index} is not one of 64 KiB")
        place, stop = one.index, one.stop
    after = count - place - 1
    if size is not None and (stop + after > size or (not after and stop != size)):
        raise VerificationError(f"piece {place} ends at {stop} of {size}, not where it can")


def parse_shown_parts(b: bytes) -> tuple[ShownLine, ...]:
    """The shown lines of parts in ``b``; whether a line names a piece, ``check_part_line`` says.

    Raises MalformedError for anything but the format of ``ledger.record.shown``.
    """
    return sealed.parse_shown_lines(b, SHOWN_HEADER)


def format_shown_parts(lines: Sequence[ShownLine]) -> bytes:
    """``lines`` as a file: ``parse_shown_parts(format_shown_parts(lines)) == tuple(lines)``.

    Raises ValueError for no lines, or for lines whose indexes do not ascend.
    """
    return sealed.format_shown_lines(lines, SHOWN_HEADER)


def _text(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """``blocks`` as they are, while they are UTF-8 without NUL; else MalformedError."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for block in blocks:
            decoder.decode(block)
            if b"\0" in block:
                raise MalformedError("file has a NUL, so it is no text")
            yield block
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise MalformedError("file is not UTF-8, so it is no text") from None


def _is_64k(one: Part, count: int) -> bool:
    whole = one.size == PIECE_BYTES or (one.index == count - 1 and one.size < PIECE_BYTES)
    return whole and one.offset == one.index * PIECE_BYTES


def _integer(value: JsonValue, minimum: int, name: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < minimum:
        raise MalformedError(f"line has {name} that is no integer of at least {minimum}")
    return value


# Notebooks are foreign JSON: with fractions, and nested as deep as the interpreter goes.


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:  # Any: foreign JSON
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key twice")
    return value


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_constant)


def _cell_starts(text: str) -> list[int]:
    """Where each cell begins; ValueError or RecursionError if it is no notebook."""
    place = _after(text, 0, "{")
    names: list[str] = []
    starts: list[int] = []
    version: object = None
    while True:
        name, place = _DECODER.raw_decode(text, _skip(text, place))
        if not isinstance(name, str):
            raise ValueError("a key that is no string")
        names.append(name)
        place = _skip(text, _after(text, place, ":"))
        if name == "cells":
            starts, place = _cells(text, place)
        else:
            value, place = _DECODER.raw_decode(text, place)
            version = value if name == "nbformat" else version
        place = _skip(text, place)
        if text[place : place + 1] != ",":
            break
        place += 1
    if _skip(text, _after(text, place, "}")) != len(text) or len(set(names)) != len(names):
        raise ValueError("something behind the object, or a key twice")
    if not starts or type(version) is not int or version != 4:
        raise ValueError("no cells, or another version")
    return starts


def _cells(text: str, place: int) -> tuple[list[int], int]:
    """Where each element of the array at ``place`` begins, and where the array ends."""
    place = _after(text, place, "[")
    starts: list[int] = []
    while True:
        place = _skip(text, place)
        starts.append(place)
        cell, place = _DECODER.raw_decode(text, place)
        if not isinstance(cell, dict) or not isinstance(cell.get("cell_type"), str):
            raise ValueError("an element that is no cell")
        place = _skip(text, place)
        if text[place : place + 1] != ",":
            return starts, _after(text, place, "]")
        place += 1


def _skip(text: str, place: int) -> int:
    """The first place from ``place`` on that is not white space."""
    match = _SPACE.match(text, place)
    return place if match is None else match.end()


def _after(text: str, place: int, mark: str) -> int:
    """The place behind ``mark``, which must come next, white space aside."""
    place = _skip(text, place)
    if text[place : place + 1] != mark:
        raise ValueError(f"no {mark}")
    return place + 1
