"""Excerpts: chosen pieces of a file, as a person names them, with their lines and their bytes."""

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.doors.files import unavailable
from ledger.errors import ConflictError, MalformedError, NotFoundError, VerificationError
from ledger.holder.manifests import Manifests
from ledger.holder.records import StoredRecord
from ledger.proof.bundle import MAX_FILE_BYTES
from ledger.record.parts import Part, check_part_line, format_shown_parts
from ledger.record.record import parse_record
from ledger.record.shown import ShownLine, show_lines

_PIECES = re.compile(r"([1-9][0-9]{0,15})(?:-([1-9][0-9]{0,15}))?")


@dataclass(frozen=True, slots=True)
class ChosenParts:
    """Pieces of one record's file: the ``lines`` to show, what they say, and of how many."""

    scheme: str
    count: int
    lines: tuple[ShownLine, ...]
    parts: tuple[Part, ...]

    def runs(self) -> Iterator[tuple[Part, ...]]:
        """Pieces that stand one after another, together."""
        begin = 0
        for at, part in enumerate(self.parts, 1):
            if at == len(self.parts) or self.parts[at].index != part.index + 1:
                yield self.parts[begin:at]
                begin = at


def parse_pieces(text: str) -> tuple[range, ...]:
    """The pieces, from 0, that ``text`` names from 1: ``120-140,150``. Raises MalformedError."""
    found = []
    for one in text.split(","):
        match = _PIECES.fullmatch(one)
        first = int(match[1]) if match else 0
        last = int(match[2] or match[1]) if match else 0
        if not 0 < first <= last:
            hint = "pieces are counted from 1: 120, 120-140, or 120-140,150"
            raise MalformedError(f"{text!r} names no pieces", hint=hint)
        found.append(range(first - 1, last))
    return tuple(found)


def find_parts(manifests: Manifests, record: StoredRecord, wanted: Sequence[range]) -> ChosenParts:
    """The pieces ``wanted`` of the file of ``record``, each checked against the record's root.

    NotFoundError if the record has no parts, or no such piece, or its lines are not in the vault;
    MalformedError if the lines are damaged, or more than a bundle can hold.
    """
    match parse_record(record.sdjwt).carrier.get("parts"):
        case {"scheme": str(scheme), "root": str(root), "count": int(count)}:
            pass
        case _ if record.manifest is not None:
            text = f"record {record.number} is of a folder: parts are of one file"
            raise NotFoundError(text, hint="anchor that file by itself: its record has parts")
        case _:
            hint = "texts and notebooks have them: `tally anchor --again`, with --parts for others"
            raise NotFoundError(f"record {record.number} has no parts", hint=hint)
    if beyond := [pieces.stop for pieces in wanted if pieces.stop > count]:
        raise NotFoundError(
            f"record {record.number} has no piece {max(beyond)}",
            hint=f"it has {count} ({scheme}), counted from 1",
        )
    try:
        lines = show_lines(manifests.each(root), set().union(*wanted))
        parts = tuple(check_part_line(line, bytes.fromhex(root), count) for line in lines)
    except (MalformedError, VerificationError, ValueError) as error:
        hint = "restore it from a backup of the vault"
        text = f"the lines {root[:16]} of the vault are damaged"
        raise MalformedError(text, hint=hint) from error
    return ChosenParts(scheme, count, lines, parts)


def format_lines(chosen: ChosenParts) -> bytes:
    """The file of shown lines; MalformedError if no bundle can hold it."""
    content = format_shown_parts(chosen.lines)
    _check_size(len(content))
    return content


def read_run(source: Path, run: Sequence[Part]) -> bytes:
    """The bytes of the pieces of ``run``, which follow one another, from the file at ``source``.

    MalformedError if no bundle can hold them; ConflictError if they are not the pieces' any more;
    UnavailableError.
    """
    start, stop = run[0].offset, run[-1].stop
    _check_size(stop - start)
    try:
        with source.open("rb") as file:
            file.seek(start)
            content = file.read(stop - start)
    except OSError as error:
        raise unavailable("read", source, error) from error
    for part in run:
        piece = content[part.offset - start : part.stop - start]
        if hashlib.sha256(piece).digest() != part.sha256:
            raise ConflictError(f"{source} changed while the bundle was made")
    return content


def _check_size(size: int) -> None:
    if size > MAX_FILE_BYTES:
        hint = "choose fewer pieces, or disclose the whole: --disclose carrier --with-carriers"
        text = f"the pieces make a file of {size} bytes, want {MAX_FILE_BYTES} at most"
        raise MalformedError(text, hint=hint)
