"""The ledger as a holder sees it: the same few calls in process or over HTTP."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from ledger.proof.revocation import Answer
from ledger.tlog.note import NoteKey
from ledger.tlog.tile import Tile


@dataclass(frozen=True, slots=True)
class Stamp:
    """One TSA's response over the signed checkpoint file of tree ``size``, as received."""

    size: int
    tsa: str
    response: bytes


@dataclass(frozen=True, slots=True)
class StampReport:
    """What came of asking for a stamp: who answered, and who did not with the reason.

    A reason begins with a short stable word. ``lacking``: why it is not complete although as many
    have answered as are wanted; None if nothing more is lacking. ``material``: what could not be
    had yet of certificates and revocation, by TSA; no stamp waits for it.
    """

    size: int
    wanted: int
    answered: tuple[str, ...]
    pending: tuple[tuple[str, str], ...]
    lacking: str | None = None
    material: tuple[tuple[str, str], ...] = ()

    @property
    def complete(self) -> bool:
        """As many TSAs have answered for this size as the ledger wants, with tokens that do."""
        return len(self.answered) >= self.wanted and self.lacking is None


class Ledger(Protocol):
    """An append-only Merkle ledger of 64-byte entries."""

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signs with."""

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append durably, publish a checkpoint that covers them, and give their indexes.

        An entry that is there already keeps its first index. UnavailableError, ConflictError.
        """

    def checkpoint(self) -> bytes:
        """The newest published signed file; NotFoundError before the first append."""

    def signed_file(self, size: int) -> bytes:
        """The one signed file of tree ``size``; NotFoundError."""

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles by coordinate, in the order asked; NotFoundError."""

    def stamp(self) -> StampReport | None:
        """Give pending stamps one try; None if nothing was ever appended."""

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every stamp over a tree of ``start`` entries or more, smallest tree first."""

    def certificates(self) -> tuple[bytes, ...]:
        """DER of roots and intermediates of the ledger's TSAs, for bundles."""

    def material(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers that were captured for the stamps, for bundles."""

    def recapture(self) -> tuple[tuple[str, str], ...]:
        """Fetch what can be had by now for the stamps; what could not be, by TSA, and why."""
