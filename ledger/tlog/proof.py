r"""Proof files: one entry's inclusion with the checkpoint it leads to (c2sp.org/tlog-proof).

>>> file = ProofFile(index=0, path=(), checkpoint=b"example.com/log\n1\n...\n")
>>> print(format_proof_file(file).decode(), end="")
c2sp.org/tlog-proof@v1
index 0
<BLANKLINE>
example.com/log
1
...

The file is an envelope and proves nothing by being well formed. A verifier computes the leaf from
the entry itself, checks the checkpoint's signatures, and takes size and root from the checkpoint;
the ``extra`` line is authenticated by nothing. We write none and ignore it.
"""

from dataclasses import dataclass

from ledger.errors import MalformedError
from ledger.tlog.merkle import HASH_SIZE, MAX_PATH, MAX_SIZE, Hash
from ledger.tlog.note import MAX_NOTE_BYTES
from ledger.tlog.text import format_base64, parse_base64, parse_decimal

HEADER = "c2sp.org/tlog-proof@v1"

MAX_EXTRA_BYTES = 1 << 16
"""Opaque data that we ignore: bounded, so that a proof file stays small enough to read whole."""

MAX_PROOF_FILE_BYTES = MAX_NOTE_BYTES + 4 * MAX_EXTRA_BYTES // 3 + 45 * MAX_PATH + 256
"""The largest checkpoint, extra data and path, and the fixed words around them."""


@dataclass(frozen=True, slots=True)
class ProofFile:
    """Entry ``index``, its ``path`` (sibling first), and the ``checkpoint`` file verbatim.

    ``checkpoint`` is not parsed here. ``extra`` is None when there is no such line. ValueError
    for an index out of range, a path that is too long or not of hashes, an empty or too large
    checkpoint or extra. That the path fits index and size is for ``check_inclusion``.
    """

    index: int
    path: tuple[Hash, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.index < MAX_SIZE:
            raise ValueError(f"index is {self.index}, want 0 to 2^63 - 2")
        if len(self.path) > MAX_PATH:
            raise ValueError(f"path has {len(self.path)} hashes, want at most {MAX_PATH}")
        if any(len(value) != HASH_SIZE for value in self.path):
            raise ValueError(f"path has a hash that is not of {HASH_SIZE} bytes")
        if not 1 <= len(self.checkpoint) <= MAX_NOTE_BYTES:
            raise ValueError(f"checkpoint has {len(self.checkpoint)} bytes")
        if self.extra is not None and not 1 <= len(self.extra) <= MAX_EXTRA_BYTES:
            raise ValueError(f"extra has {len(self.extra)} bytes, want 1 to {MAX_EXTRA_BYTES}")


def parse_proof_file(content: bytes) -> ProofFile:
    """The proof file in ``content``; nothing in it is checked to be true. Raises MalformedError."""
    if len(content) > MAX_PROOF_FILE_BYTES:
        raise MalformedError(
            f"proof file has {len(content)} bytes, want at most {MAX_PROOF_FILE_BYTES}"
        )
    head, blank, checkpoint = content.partition(b"\n\n")
    if not blank:
        raise MalformedError("proof file has no blank line before its checkpoint")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise MalformedError("proof file is not ASCII before its checkpoint") from error
    if lines[0] != HEADER:
        raise MalformedError(f"proof file does not begin with {HEADER}")
    rest = lines[1:]
    extra = None
    if rest and rest[0].startswith("extra "):
        extra = parse_base64(rest.pop(0).removeprefix("extra "), "extra")
    if not rest or not rest[0].startswith("index "):
        raise MalformedError("proof file has no index line")
    index = parse_decimal(rest.pop(0).removeprefix("index "), "index")
    try:
        return ProofFile(index, tuple(parse_base64(x, "hash") for x in rest), checkpoint, extra)
    except ValueError as error:
        raise MalformedError(f"proof file: {error}") from error


def format_proof_file(proof: ProofFile) -> bytes:
    """``proof`` as a file, by convention named ``….tlog-proof``."""
    lines = [HEADER]
    if proof.extra is not None:
        lines.append(f"extra {format_base64(proof.extra)}")
    lines.append(f"index {proof.index}")
    lines += [format_base64(value) for value in proof.path]
    return "\n".join([*lines, "", ""]).encode("ascii") + proof.checkpoint
