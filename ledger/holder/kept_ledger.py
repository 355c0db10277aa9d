"""A ledger that cannot be read any more, as far as the vault's receipts stand for it."""

from collections.abc import Sequence
from typing import NoReturn

from ledger.doors.client import Stamp, StampReport
from ledger.errors import LedgerError, NotFoundError, UnavailableError
from ledger.holder.receipts import Receipts
from ledger.proof.revocation import Answer
from ledger.tlog.note import NoteKey
from ledger.tlog.tile import Tile

LEDGER_LOST = "put it back: tally ledger restore DIR, from tally ledger backup"


class KeptLedger:
    """``doors.client.Ledger`` over receipts: it can be read as far as they go, never written.

    ``fault``: why the ledger itself cannot be read; raised again if no receipt was ever kept.
    UnavailableError for what only the ledger could tell: tiles, and everything new.
    """

    def __init__(self, receipts: Receipts, fault: LedgerError) -> None:
        ledgers = list(receipts.ledgers().items())
        if not ledgers:
            raise fault
        self._receipts = receipts
        self._fault = fault
        self._origin, self._keys = ledgers[-1]

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self._origin

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signed with."""
        return self._keys

    def append(self, entries: Sequence[bytes]) -> NoReturn:  # noqa: ARG002 - the protocol's
        """UnavailableError."""
        self._refuse()

    def checkpoint(self) -> bytes:
        """The newest signed file that was stamped; NotFoundError if there is none."""
        newest = self._receipts.reach(self._origin).newest
        if not newest:
            raise NotFoundError("no checkpoint is kept in the vault")
        return self.signed_file(max(newest.values()))

    def signed_file(self, size: int) -> bytes:
        """The signed file of tree ``size``, if it was stamped; NotFoundError."""
        return self._receipts.signed_file(self._origin, size)

    def tiles(self, coordinates: Sequence[Tile]) -> NoReturn:  # noqa: ARG002 - the protocol's
        """UnavailableError."""
        self._refuse()

    def stamp(self) -> StampReport | None:
        """UnavailableError."""
        self._refuse()

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:  # noqa: ARG002 - the protocol's
        """None: those there are, are kept already."""
        return ()

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates that came with the tokens."""
        return self._receipts.certificates()

    def material(self) -> tuple[Answer, ...]:
        """None: revocation answers lie in the ledger alone."""
        return ()

    def recapture(self) -> NoReturn:
        """UnavailableError."""
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise UnavailableError(f"the ledger cannot be read: {self._fault}", hint=LEDGER_LOST)
