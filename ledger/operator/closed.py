"""A ledger that was closed: everything it proved can still be read, and nothing be appended.

It needs no private keys and asks no guard: what it published is checked against its public keys.
"""

from collections.abc import Callable, Sequence

from ledger.doors.client import Stamp
from ledger.errors import ConflictError, NotFoundError, VerificationError
from ledger.operator.capture import Capture, Reasons
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND
from ledger.operator.store.protocol import Store
from ledger.proof.revocation import Answer
from ledger.tlog.checkpoint import check_signatures
from ledger.tlog.merkle import MAX_SIZE
from ledger.tlog.note import NoteKey, parse_note
from ledger.tlog.tile import Tile


class ClosedLedger:
    """The ``Ledger`` in ``store``, to read. ``keys``: its public keys, of one name.

    ``closed``: what ``append`` and ``stamp`` raise. ``capture``: over the same store; what may
    still be had for its stamps. ``kept``: gives the signed file of a size that a restored store
    has lost and somebody else kept; NotFoundError.
    """

    def __init__(
        self,
        store: Store,
        keys: Sequence[NoteKey],
        capture: Capture,
        closed: ConflictError,
        kept: Callable[[int], bytes],
    ) -> None:
        self._store = store
        self._keys = tuple(keys)
        self._capture = capture
        self._kept = kept
        self.closed = closed

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self._keys[0].name

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signed with."""
        return self._keys

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:  # noqa: ARG002 - the protocol's
        """Raises the ConflictError that ``closed`` tells."""
        raise self.closed

    def checkpoint(self) -> bytes:
        """The newest signed file it published; NotFoundError, VerificationError as below."""
        published = self._store.attachments(CHECKPOINT, 1, MAX_SIZE)
        if not published:
            raise NotFoundError("nothing was appended to this ledger")
        return self.signed_file(published[-1].size)

    def signed_file(self, size: int) -> bytes:
        """The signed file of tree ``size`` that it published; NotFoundError.

        VerificationError unless every key signed it.
        """
        published = self._store.attachments(CHECKPOINT, size, size + 1)
        if not published:
            return self._kept(size)
        content = published[0].content
        if len(check_signatures(parse_note(content), self._keys)) != len(self._keys):
            raise VerificationError(f"the checkpoint of size {size} is not signed by the ledger")
        return content

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles from the store; NotFoundError."""
        return self._store.tiles(coordinates)

    def stamp(self) -> None:
        """Raises the ConflictError that ``closed`` tells."""
        raise self.closed

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every kept stamp over trees of ``start`` entries or more, smallest tree first."""
        kept = self._store.attachments(KIND, start, MAX_SIZE)
        return tuple(Stamp(one.size, one.name, one.content) for one in kept)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates at hand and of those captured."""
        return self._capture.certificates()

    def material(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers captured for the stamps."""
        return self._capture.answers()

    def recapture(self) -> Reasons:
        """Fetch what can be had by now for the stamps; what could not be, by TSA, and why."""
        return self._capture.recapture()
