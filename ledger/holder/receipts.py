"""Receipts: an entry's place, the stamps over it, and its proofs, computed from tiles.

Proofs are computed here from tiles rather than asked for, so that asking reveals nothing about
which entry is meant.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

from ledger.doors.client import Ledger, Stamp
from ledger.proof.bundle import format_consistency
from ledger.record.claims import MAX_NOT_BEFORE
from ledger.timestamp.token import parse_token
from ledger.tlog.checkpoint import Checkpoint, parse_checkpoint
from ledger.tlog.merkle import (
    HashReader,
    TreeHead,
    check_inclusion,
    leaf_hash,
    prove_consistency,
    prove_inclusion,
)
from ledger.tlog.note import parse_note
from ledger.tlog.proof import ProofFile, format_proof_file
from ledger.tlog.tile import tile_hash_reader


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an entry stands and what covers it: the first stamp of each TSA, by size."""

    entry: bytes
    index: int
    stamps: tuple[Stamp, ...]

    @property
    def sizes(self) -> tuple[int, ...]:
        """The stamped tree sizes, ascending, each once."""
        return tuple(sorted({stamp.size for stamp in self.stamps}))

    @property
    def tsas(self) -> tuple[str, ...]:
        """Names of the TSAs that stamped it."""
        return tuple(sorted({stamp.tsa for stamp in self.stamps}))


def first_stamps(entry: bytes, index: int, stamps: Sequence[Stamp]) -> Receipt:
    """The receipt for an entry: of every TSA the stamp over the smallest tree that covers it."""
    first: dict[str, Stamp] = {}
    for stamp in stamps:
        if stamp.size > index:
            first.setdefault(stamp.tsa, stamp)
    return Receipt(entry, index, tuple(first.values()))


def newest_tokens(stamps: Sequence[Stamp]) -> dict[str, bytes]:
    """The newest bare token of each TSA, as received: what ``not_before`` names.

    Of more TSAs than ``not_before`` holds, those with the newest.
    """
    newest = {stamp.tsa: stamp for stamp in stamps}
    latest = sorted(newest.values(), key=lambda stamp: stamp.size)[-MAX_NOT_BEFORE:]
    return {stamp.tsa: parse_token(stamp.response).raw for stamp in latest}


def token_digest(token: bytes) -> str:
    """What ``not_before`` holds for a bare token: hex SHA-256 over its bytes as received."""
    return hashlib.sha256(token).hexdigest()


def checkpoint_of(signed_file: bytes) -> Checkpoint:
    """The checkpoint in a signed file."""
    return parse_checkpoint(parse_note(signed_file).text)


class Prover:
    """Makes proofs from one ledger's tiles; what those of one tree size share is read once."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._signed: dict[int, tuple[bytes, TreeHead]] = {}
        self._readers: dict[int, HashReader] = {}

    def inclusion(self, entry: bytes, index: int, size: int) -> bytes:
        """A proof file for ``entry`` under the signed file of ``size``, checked before it is given.

        VerificationError if the ledger's tiles do not lead to its own checkpoint.
        """
        if size not in self._signed:
            signed_file = self._ledger.signed_file(size)
            self._signed[size] = signed_file, checkpoint_of(signed_file).head
        signed_file, head = self._signed[size]
        proof = prove_inclusion(index, size, self._reader(size))
        check_inclusion(proof, leaf_hash(entry), head)
        return format_proof_file(ProofFile(index, proof.path, signed_file))

    def consistency(self, old: int, new: int) -> bytes:
        """A consistency file from tree size ``old`` to ``new``."""
        return format_consistency(prove_consistency(old, new, self._reader(new)).path)

    def _reader(self, size: int) -> HashReader:
        if size not in self._readers:
            self._readers[size] = tile_hash_reader(size, self._ledger.tiles)
        return self._readers[size]
