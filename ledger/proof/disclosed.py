"""What a bundle discloses, as far as whoever reads files for it must know beforehand."""

from contextlib import suppress
from itertools import pairwise

from ledger.errors import MalformedError
from ledger.proof.bundle import Bundle
from ledger.record.manifest import parse_line, parse_shown_lines
from ledger.record.parts import parse_part_line, parse_shown_parts
from ledger.record.sdjwt import parse_sdjwt


def names_sm3(bundle: Bundle) -> bool:
    """Whether a record of ``bundle`` discloses an SM3 of a file: then carriers need theirs too.

    Nothing is judged here: what is malformed, or not of its record, discloses none.
    """
    for path, _ in bundle.of_kind("record"):
        with suppress(MalformedError):
            shown = parse_sdjwt(bundle.files[path]).disclosures
            if any(one.name == "sm3" for one in shown):
                return True
    for path, _ in bundle.of_kind("lines"):
        with suppress(MalformedError):
            lines = parse_shown_lines(bundle.files[path])
            if any(parse_line(line.text).sm3 is not None for line in lines):
                return True
    return False


def shown_places(bundle: Bundle) -> tuple[tuple[int, int], ...]:
    """Offset and size of each piece that ``bundle`` shows: a file given is read there, too.

    Nothing is judged here either; but pieces of one file that lie over one another are left out,
    so that no bundle has a file read more often than it shows records.
    """
    places: list[tuple[int, int]] = []
    for path, _ in bundle.of_kind("part-lines"):
        with suppress(MalformedError):
            lines = parse_shown_parts(bundle.files[path])
            parts = [parse_part_line(line.text) for line in lines]
            if all(one.stop <= other.offset for one, other in pairwise(parts)):
                places += [(part.offset, part.size) for part in parts]
    return tuple(dict.fromkeys(places))
