"""Proofs computed from a ledger's tiles.

They are computed here rather than asked for, so that asking reveals nothing about which entry is
meant.
"""

from ledger.doors.client import Ledger
from ledger.proof.bundle import format_consistency
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.merkle import (
    Hash,
    HashReader,
    TreeHead,
    check_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
)
from ledger.tlog.note import parse_note
from ledger.tlog.tile import tile_hash_reader


def checkpoint_of(signed_file: bytes) -> Checkpoint:
    """The checkpoint in a signed file."""
    return parse_checkpoint(parse_note(signed_file).text)


class Prover:
    """Makes proofs from one ledger's tiles; what those of one tree size share is read once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._heads: dict[int, TreeHead] = {}
        self._readers: dict[int, HashReader] = {}

    def inclusion(self, entry: bytes, index: int, size: int) -> tuple[Hash, ...]:
        """The path from ``entry`` to the signed tree of ``size``, checked before it is given.

        VerificationError if the ledger's tiles do not lead to its own checkpoint.
        """
        if size not in self._heads:
            self._heads[size] = checkpoint_of(self._ledger.signed_file(size)).head
        proof = prove_inclusion(index, size, self._reader(size))
        check_inclusion(proof, leaf_hash(entry), self._heads[size])
        return proof.path

    def consistency(self, old: int, new: int) -> bytes:
        """A consistency file from tree size ``old`` to ``new``."""
        return format_consistency(prove_consistency(old, new, self._reader(new)).path)

    def _reader(self, size: int) -> HashReader:
        if size not in self._readers:
            self._readers[size] = tile_hash_reader(size, self._ledger.tiles)
        return self._readers[size]
