"""The ledger in the holder's own process: ``doors.client.Ledger`` without a network.

Several processes may have it open; the holder sees to it that one at a time appends. One that
finds the store moved by another opens it anew, with every check of a start.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from ledger.doors.client import Stamp, StampReport
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.operator.capture import Capture, Reasons
from ledger.operator.guard import Guard
from ledger.operator.sequencer import CHECKPOINT, LedgerKeys, Sequencer
from ledger.operator.stamper import Stamper
from ledger.operator.store.protocol import Store
from ledger.proof.revocation import Answer
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import NoteKey, parse_note
from ledger.tlog.tile import Tile

LOW_DISK_BYTES = 32 << 20
"""Less than this free, and nothing is appended. An append of a full batch writes some 2 MiB to
store and guard, its tokens and their revocation lists some more; and what else fills the disk does
not wait for us to finish."""


GUARD_MISSING = "is the disk mounted on which it lies? If it is lost, none takes its place"


class LocalLedger:
    """A sequencer, its store and its stamper, as one ``Ledger``.

    Construction recovers from a crash; a store that must not be continued (restored, copied, its
    guard lost) is not refused but closed: it can be read, for its proofs still hold, and ``append``
    and ``stamp`` raise the ConflictError that ``closed`` tells.

    ``guard``: None if it is not there; then the ledger is closed.
    ``capture``: what the stamper hands its tokens on to, over the same store; None: nothing is
    fetched for them, and ``certificates`` are all there are. ``free_bytes``: asked before each
    append for what is free where store and guard lie; None: nobody asks.
    """

    def __init__(
        self,
        store: Store,
        guard: Guard | None,
        keys: LedgerKeys,
        stamper: Stamper,
        certificates: Sequence[bytes],
        capture: Capture | None = None,
        free_bytes: Callable[[], int] | None = None,
    ) -> None:
        self._store = store
        self._guard = guard
        self._ledger_keys = keys
        self._stamper = stamper
        self._certificates = tuple(certificates)
        self._capture = capture
        self._free_bytes = free_bytes
        self._closed: ConflictError | None = None
        self._sequencer: Sequencer | None = None
        try:
            self._open()
        except ConflictError as error:
            self._closed = error

    def _open(self) -> Sequencer:
        if self._guard is None:
            raise ConflictError("its guard is not there", hint=GUARD_MISSING)
        self._sequencer = Sequencer(self._store, self._guard, self._ledger_keys)
        self._head = self._store.head()
        return self._sequencer

    @property
    def closed(self) -> ConflictError | None:
        """Why nothing can be appended any more, or None."""
        return self._closed

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self._ledger_keys.origin

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signs with: Ed25519, ML-DSA-44."""
        return self._ledger_keys.public_keys()

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append, sign, guard and publish; see ``Sequencer.append``.

        If we die at any step, the next start goes on from there; nobody was told an index. With
        less than ``LOW_DISK_BYTES`` free, UnavailableError before anything is written.
        """
        if self._closed is not None:
            raise self._closed
        self._require_room()
        sequencer = self._sequencer
        if sequencer is None or self._store.head() != self._head:
            # Another process had its turn since, or an append of ours did not finish.
            sequencer = self._open()
        self._sequencer = None
        indexes = sequencer.append(entries)
        self._sequencer, self._head = sequencer, self._store.head()
        return indexes

    def _require_room(self) -> None:
        free = LOW_DISK_BYTES if self._free_bytes is None else self._free_bytes()
        if free < LOW_DISK_BYTES:
            raise UnavailableError(
                f"the disk has {free >> 20} MiB free, want {LOW_DISK_BYTES >> 20} to append",
                hint="make room; what is queued stays queued, and all that is there can be read",
            )

    def checkpoint(self) -> bytes:
        """The newest published signed file; NotFoundError before the first append."""
        size = self._store.head().size
        # Usually the first; the second while another process is between commit and publication.
        published = self._store.attachments(CHECKPOINT, size, size + 1) or (
            self._store.attachments(CHECKPOINT, 0, size)
        )
        if not published or published[-1].size == 0:
            raise NotFoundError("nothing was appended yet")
        return self.signed_file(published[-1].size)

    def signed_file(self, size: int) -> bytes:
        """The one signed file of tree ``size``: the bytes in the guard; NotFoundError.

        Of a closed ledger, what it published: its guard is lost, or another history's.
        """
        guard = self._guard if self._closed is None else None
        signed_file = None if guard is None else guard.file(size)
        if signed_file is not None:
            return signed_file
        published = self._store.attachments(CHECKPOINT, size, size + 1)
        if not published:
            raise NotFoundError(f"no checkpoint of size {size} was signed")
        return published[0].content

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles from the store; NotFoundError."""
        return self._store.tiles(coordinates)

    def stamp(self) -> StampReport | None:
        """Ask for stamps over the newest checkpoint; None before the first append."""
        if self._closed is not None:
            raise self._closed
        try:
            signed_file = self.checkpoint()
        except NotFoundError:
            return None
        size = parse_checkpoint(parse_note(signed_file).text).size
        report = self._stamper.stamp(size, signed_file, self.signed_file)
        # The tokens are kept: whatever comes of this, none is lost.
        return report if self._capture is None else replace(report, material=self._capture.run())

    def recapture(self) -> Reasons:
        """Fetch what can be had by now for every stamp; what could not be, by TSA, and why."""
        if self._closed is not None:
            raise self._closed
        return () if self._capture is None else self._capture.recapture()

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every kept stamp over trees of ``start`` entries or more, smallest tree first."""
        return self._stamper.stamps(start)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of roots and intermediates of this ledger's TSAs: those given, those captured."""
        captured = () if self._capture is None else self._capture.certificates()
        return tuple(dict.fromkeys((*self._certificates, *captured)))

    def material(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers captured for the stamps."""
        return () if self._capture is None else self._capture.answers()
