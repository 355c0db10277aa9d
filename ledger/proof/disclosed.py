"""What a bundle discloses, as far as whoever reads files for it must know beforehand."""

from contextlib import suppress

from ledger.errors import MalformedError
from ledger.proof.bundle import Bundle
from ledger.record.manifest import parse_line, parse_shown_lines
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
