"""The ledger in the holder's own process: ``doors.client.Ledger`` without a network."""

from collections.abc import Sequence

from ledger.doors.client import Stamp, StampReport
from ledger.errors import NotFoundError
from ledger.operator.guard import Guard
from ledger.operator.sequencer import LedgerKeys, Sequencer
from ledger.operator.stamper import Stamper
from ledger.operator.store.protocol import Store
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import COSIGNATURE_ML_DSA_44, ED25519, NoteKey, parse_note
from ledger.tlog.tile import Tile


class LocalLedger:
    """A sequencer, its store and its stamper, as one ``Ledger``."""

    def __init__(
        self,
        store: Store,
        guard: Guard,
        keys: LedgerKeys,
        stamper: Stamper,
        certificates: Sequence[bytes],
    ) -> None:
        self._store = store
        self._guard = guard
        self._sequencer = Sequencer(store, guard, keys)
        self._stamper = stamper
        self._certificates = tuple(certificates)
        self._origin = keys.origin
        ed25519, ml_dsa_44 = keys.ed25519.public_key(), keys.ml_dsa_44.public_key()
        self._keys = (
            NoteKey(keys.origin, ED25519, ed25519.public_bytes_raw()),
            NoteKey(keys.origin, COSIGNATURE_ML_DSA_44, ml_dsa_44.public_bytes_raw()),
        )

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self._origin

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signs with: Ed25519, ML-DSA-44."""
        return self._keys

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append, sign, guard and publish; see ``Sequencer.append``."""
        return self._sequencer.append(entries)

    def checkpoint(self) -> bytes:
        """The newest published signed file; NotFoundError before the first append."""
        return self._sequencer.checkpoint()

    def signed_file(self, size: int) -> bytes:
        """The one signed file of tree ``size``: the bytes in the guard; NotFoundError."""
        signed_file = self._guard.file(size)
        if signed_file is None:
            raise NotFoundError(f"no checkpoint of size {size} was signed")
        return signed_file

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles from the store; NotFoundError."""
        return self._store.tiles(coordinates)

    def stamp(self) -> StampReport | None:
        """Ask for stamps over the newest checkpoint; None before the first append."""
        try:
            signed_file = self.checkpoint()
        except NotFoundError:
            return None
        size = parse_checkpoint(parse_note(signed_file).text).size
        return self._stamper.stamp(size, signed_file)

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every kept stamp over trees of ``start`` entries or more, smallest tree first."""
        return self._stamper.stamps(start)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of roots and intermediates of this ledger's TSAs."""
        return self._certificates
