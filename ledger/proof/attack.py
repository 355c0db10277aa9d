"""Attacks on a bundle: one byte changed in one place, and the step that must catch it.

For anyone who wants to see the verdict fail: each change is made to a copy whose index is rebuilt,
so that it is not the list of files that notices but the broken link itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.proof.bundle import Bundle
from ledger.tlog.note import parse_note


@dataclass(frozen=True, slots=True)
class Flip:
    """One byte at ``offset`` of the file at ``path`` becomes ``byte``; ``step`` must be refuted."""

    what: str
    path: str
    offset: int
    byte: int
    step: str


def apply_flip(content: bytes, flip: Flip) -> bytes:
    """``content`` with the one byte changed."""
    return content[: flip.offset] + bytes([flip.byte]) + content[flip.offset + 1 :]


def choose_flips(bundle: Bundle, carriers: Mapping[str, bytes]) -> tuple[Flip, ...]:
    """One flip for each link that ``bundle`` has: carrier, excerpt, line, record, proof, and on.

    ``carriers``: the bytes of carriers by their path in the bundle; empty ones are passed over.
    """
    flips: list[Flip] = []
    for path, content in sorted(carriers.items()):
        if content and not any(flip.step == "carrier" for flip in flips):
            middle = len(content) // 2
            flips.append(Flip("carrier", path, middle, content[middle] ^ 1, "carrier"))
    if excerpt := _last(bundle, "excerpt"):
        content = bundle.files[excerpt]
        middle = len(content) // 2
        flips.append(Flip("excerpt", excerpt, middle, content[middle] ^ 1, "carrier"))
    if pieces := _last(bundle, "part-lines"):
        header, row, *_ = bundle.files[pieces].split(b"\n")
        number, line, _ = row.split(b" ")
        middle = len(header) + len(number) + 2 + len(line) // 2
        flips.append(_letter("line of a piece", bundle, pieces, middle, "manifest"))
    if record := _last(bundle, "record"):
        jwt = bundle.files[record].split(b"~")[0]
        signature = jwt.rindex(b".") + 1 + (len(jwt) - jwt.rindex(b".")) // 2
        flips.append(_letter("record's signature", bundle, record, signature, "record.signature"))
    if proof := _last(bundle, "proof"):
        lines = bundle.files[proof].split(b"\n")
        start = len(lines[0]) + len(lines[1]) + 2
        flips.append(_letter("path to the root", bundle, proof, start + 20, "inclusion"))
    if checkpoint := _last(bundle, "checkpoint"):
        body = parse_note(bundle.files[checkpoint]).text.encode("utf-8")
        first = bundle.files[checkpoint].index(b" ", len(body) + 5) + 40
        flips.append(_letter("checkpoint", bundle, checkpoint, first, "checkpoint.ledger"))
    if stamp := _last(bundle, "stamp"):
        content = bundle.files[stamp]
        end = len(content) - 1
        flips.append(Flip("time stamp", stamp, end, content[end] ^ 1, "stamp"))
    return tuple(flips)


def _last(bundle: Bundle, kind: str) -> str | None:
    """The last file of a kind, None if the bundle has none."""
    paths = [path for path, _ in bundle.of_kind(kind)]
    return paths[-1] if paths else None


def _letter(what: str, bundle: Bundle, path: str, offset: int, step: str) -> Flip:
    """A flip inside base64 text that leaves it base64, so that only its meaning changes."""
    byte = ord("B") if bundle.files[path][offset] == ord("A") else ord("A")
    return Flip(what, path, offset, byte, step)
