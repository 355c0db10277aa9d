"""A ledger elsewhere as ``doors.client.Ledger``: everything it says is checked, nothing believed.

A checkpoint counts if every pinned key signed it and its tree begins with the last one seen, which
is computed from its tiles; only then is it the last one seen. Tiles are checked up to it. Of an
append the entries are found in the tree, where the answer says that they are.

What is signed and contradicts what was signed before is kept as evidence (``seen``). After a fork
nothing is sent any more; what it proved before, holds.
"""

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import NoReturn

from ledger.doors.client import Stamp, StampReport
from ledger.errors import (
    ConflictError,
    LedgerError,
    NotFoundError,
    VerificationError,
)
from ledger.holder.material import Material
from ledger.holder.prover import checkpoint_of
from ledger.holder.receipts import Receipts
from ledger.holder.seen import FORK, ROLLBACK, Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.wire import Wire
from ledger.proof.revocation import Answer
from ledger.tlog.authentic import authentic_tiles
from ledger.tlog.checkpoint import Checkpoint, check_signatures
from ledger.tlog.merkle import Hash, TreeHead, leaf_hashes, tree_root
from ledger.tlog.note import NoteKey, parse_note
from ledger.tlog.tile import TILE_WIDTH, Tile, TileReader, format_tile_path, tile_hash_reader

NO_STAMP_YET = (("the ledger", "interval: it has this tree stamped when its turn comes"),)

MAX_PAGES = 8
"""Of a hundred stamps, asked for about one record: if one of two TSAs is away for longer than that,
the others' stamps are enough to go on with."""

FURTHER = 16
"""How much further each step looks back for a stamp: four steps for a minute of a busy ledger."""

HINT = "keep the evidence, and ask the ledger's operator; what was proven before still holds"


class RemoteLedger:
    """The ledger that ``wire`` speaks to; ``keys``: its public keys, of one name.

    ``receipts``: what the vault has of it; ``wanted``: TSAs that a receipt is to name.

    ``append``, ``stamp`` and ``recapture`` ask the network, and the caller holds the vault's turn;
    what is read comes from what was seen and kept, as far as it is there. UnavailableError if the
    ledger cannot be asked or what it says cannot be kept; MalformedError for answers in no format.
    """

    def __init__(
        self,
        wire: Wire,
        keys: Sequence[NoteKey],
        seen: Seen,
        evidence: Evidence,
        cache: TileCache,
        material: Material,
        receipts: Receipts,
        wanted: int,
    ) -> None:
        self._wire = wire
        self._keys = tuple(keys)
        self._seen = seen
        self._evidence = evidence
        self._cache = cache
        self._receipts = receipts
        self._wanted = wanted
        self._material = material
        self._stamps: dict[Stamp, None] = {}
        self._files: dict[int, bytes] = {}
        self._fetched: dict[Tile, bytes] = {}
        self._readers: dict[TreeHead, TileReader] = {}

    @property
    def closed(self) -> ConflictError | None:
        """Why nothing is sent any more: it showed two histories. Else None."""
        folder = self._evidence.fork()
        if folder is None:
            return None
        return ConflictError(f"the ledger showed two histories: {folder}", hint=HINT)

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self._keys[0].name

    @property
    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys it signs with, as pinned."""
        return self._keys

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append; the index of each, where it was found under a checkpoint that is now seen.

        If we die at any point, the same entries are sent again, and the ledger gives the same
        indexes. ConflictError, with evidence kept, if it went back or forked; VerificationError if
        what it answers does not hold.
        """
        self._require_open()
        indexes, signed_file = self._wire.append(entries)
        # If we die here, the ledger has the entries and the vault does not know: sent again.
        checkpoint = self._open(signed_file)
        self._advance(signed_file, checkpoint)
        if len(indexes) != len(entries):
            raise VerificationError(f"{len(indexes)} indexes were given, want {len(entries)}")
        if not all(0 <= index < checkpoint.size for index in indexes):
            raise VerificationError(f"an index is not below the checkpoint's {checkpoint.size}")
        nodes = [(0, index) for index in indexes]
        leaves = tile_hash_reader(checkpoint.size, self._reader(checkpoint.head))(nodes)
        if list(leaves) != leaf_hashes(entries):
            raise VerificationError("an entry is not where the ledger says that it is")
        return indexes

    def checkpoint(self) -> bytes:
        """The newest signed file that was seen; NotFoundError before the first."""
        newest = self._seen.newest()
        if newest is None:
            raise NotFoundError("nothing was seen of the ledger yet", hint="tally sync")
        return newest

    def refresh(self) -> Checkpoint:
        """Ask for the newest checkpoint; the newest that is seen. Errors as in ``append``.

        An older one than seen is what a cache may give, if the tree that was seen can still be had.
        """
        self._require_open()
        signed_file = self._wire.checkpoint()
        checkpoint = self._open(signed_file)
        newest = self._seen.newest()
        if newest is None and checkpoint.size == 0:
            return checkpoint
        if newest is not None and checkpoint.size < checkpoint_of(newest).size:
            self._check_stale(newest, signed_file, checkpoint)
        else:
            self._advance(signed_file, checkpoint)
        return checkpoint_of(self.checkpoint())

    def signed_file(self, size: int) -> bytes:
        """The signed file of tree ``size``, a beginning of the tree that was seen; NotFoundError.

        ConflictError, with evidence kept, if it is another tree.
        """
        if size not in self._files:
            self._files[size] = self._find_file(size)
        return self._files[size]

    def _find_file(self, size: int) -> bytes:
        newest = self.checkpoint()
        seen = checkpoint_of(newest)
        if size == seen.size:
            return newest
        try:
            return self._receipts.signed_file(self.origin, size)
        except NotFoundError:
            signed_file = self._wire.signed_file(size)
        checkpoint = self._open(signed_file)
        if checkpoint.size != size:
            raise VerificationError(f"a checkpoint of size {checkpoint.size}, want {size}")
        if size > seen.size:
            raise NotFoundError(f"size {size} is beyond what was seen", hint="tally sync")
        if self._root(size, seen.head) != checkpoint.root:
            self._refuse_fork(newest, signed_file, self._tiles_under(seen.head, size), size)
        return signed_file

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles of the tree that was seen, each checked up to its checkpoint; NotFoundError."""
        return tuple(self._reader(checkpoint_of(self.checkpoint()).head)(coordinates))

    def stamp(self) -> StampReport | None:
        """Ask for the newest checkpoint, and for the stamps that records still lack.

        The ledger's operator has its trees stamped, when it does; None if nothing was appended. The
        report is of the newest record's tree; errors as in ``append``.
        """
        newest = self.refresh()
        if newest.size == 0:
            return None
        lacking = self._receipts.lacking_indexes(self.origin, self._wanted)
        if not lacking:
            self._stamps |= dict.fromkeys(self._newest_stamps(newest.size))
            names = {stamp.tsa for stamp in self._stamps}
            return StampReport(newest.size, 0, tuple(sorted(names)), ())
        covered = 0
        for index in lacking:
            if index >= covered:
                covered = self._gather(index, newest.size)
        tsas = {stamp.tsa for stamp in self._stamps if stamp.size > lacking[-1]}
        tsas |= set(self._receipts.reach(self.origin).tsas(lacking[-1]))
        pending: tuple[tuple[str, str], ...] = ()
        if len(tsas) < self._wanted:
            pending = self._wire.waiting(newest.size) or NO_STAMP_YET
        return StampReport(lacking[-1] + 1, self._wanted, tuple(sorted(tsas)), pending)

    def _gather(self, index: int, newest: int) -> int:
        """Ask for stamps over entry ``index`` until as many TSAs as wanted are among them.

        Below which index entries have these stamps, or as many as there are.
        """
        tsas: set[str] = set()
        # From its tile on, and not from itself: nobody is told which entry of it is meant.
        start: int | None = index - index % TILE_WIDTH + 1
        for _ in range(MAX_PAGES):
            if start is None:
                break
            page = self._wire.stamps(start)
            over = [stamp for stamp in page.stamps if index < stamp.size <= newest]
            for size, stamps in groupby(over, _size):
                given = tuple(stamps)
                self._stamps |= dict.fromkeys(given)
                tsas |= {stamp.tsa for stamp in given}
                if len(tsas) >= self._wanted:
                    return size
            start = page.next
        return newest

    def _newest_stamps(self, newest: int) -> tuple[Stamp, ...]:
        """Those of a tree near the head: what the next record names as its lower bound."""
        start, step = newest, 1
        while True:
            stamps = [one for one in self._wire.stamps(start).stamps if one.size <= newest]
            if stamps or start == 1:
                return tuple(one for one in stamps if one.size == stamps[-1].size)
            start, step = max(1, start - step), step * FURTHER

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """The stamps over trees of ``start`` entries or more that ``stamp`` was given."""
        return tuple(sorted((one for one in self._stamps if one.size >= start), key=_size))

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates of the ledger's TSAs, as far as they are kept."""
        kept = self._material.certificates()
        return tuple(dict.fromkeys((*self._receipts.certificates(), *kept)))

    def material(self) -> tuple[Answer, ...]:
        """The CRLs and OCSP answers that the ledger captured, as far as they are kept."""
        return self._material.answers()

    def recapture(self) -> tuple[tuple[str, str], ...]:
        """Keep what the ledger captured by now; why not, if it cannot be had."""
        try:
            for kind, sha256 in self._material.lacking(self._wire.material()):
                self._material.keep(kind, self._wire.piece(sha256))
        except LedgerError as error:
            return (("the ledger", str(error)),)
        return ()

    def _open(self, signed_file: bytes) -> Checkpoint:
        """The checkpoint in it; VerificationError unless it is this ledger's, by every key."""
        note, checkpoint = parse_note(signed_file), checkpoint_of(signed_file)
        if checkpoint.origin != self.origin:
            raise VerificationError(f"a checkpoint of {checkpoint.origin}, want {self.origin}")
        if len(check_signatures(note, self._keys)) != len(self._keys):
            raise VerificationError("the checkpoint is not signed by every key of the ledger")
        return checkpoint

    def _advance(self, signed_file: bytes, shown: Checkpoint) -> None:
        """See ``signed_file``, if its tree begins with that seen last."""
        newest = self._seen.newest()
        # Not from the cache: that has the tiles of what was seen.
        fetched: dict[Tile, bytes] = {}
        reader = authentic_tiles(shown.head, self._recording(self._ask_tiles, fetched))
        if newest is None or shown.size > checkpoint_of(newest).size:
            # What is not shown is not seen.
            self._require_tree(reader, shown)
        if newest is not None:
            seen = checkpoint_of(newest)
            if shown.size < seen.size:
                self._refuse_rollback(newest, signed_file, seen, shown)
            if shown.size == seen.size:
                if shown.root != seen.root:
                    self._refuse_fork(newest, signed_file, {}, seen.size)
                # One signed file per size: the first that was seen.
                return
            if tree_root(seen.size, tile_hash_reader(seen.size, reader)) != seen.root:
                self._refuse_fork(newest, signed_file, fetched, seen.size)
        if not self._seen.replace(newest, signed_file):
            raise ConflictError("another process saw a checkpoint just now", hint="again")
        self._fetched = fetched

    def _require_tree(self, reader: TileReader, shown: Checkpoint) -> None:
        try:
            reader([Tile(0, 0, 1)])
        except NotFoundError as error:
            text = f"the ledger does not have the tree of size {shown.size} that it signed"
            raise VerificationError(f"{text}: {error}") from error

    def _check_stale(self, newest: bytes, signed_file: bytes, shown: Checkpoint) -> None:
        """Nothing, if the tree that was seen is still there and begins with the one shown."""
        seen = checkpoint_of(newest)
        # A reader of its own: what is on the right edge is asked for anew.
        reader = authentic_tiles(seen.head, self._ask_tiles)
        try:
            reader([Tile(0, 0, 1)])
        except (NotFoundError, VerificationError):
            self._refuse_rollback(newest, signed_file, seen, shown)
        if tree_root(shown.size, tile_hash_reader(shown.size, reader)) != shown.root:
            tiles = self._tiles_under(seen.head, shown.size)
            self._refuse_fork(newest, signed_file, tiles, shown.size)

    def _require_open(self) -> None:
        if (closed := self.closed) is not None:
            raise closed

    def _root(self, size: int, head: TreeHead) -> Hash:
        """The root over the first ``size`` entries of ``head``'s tree, from its tiles."""
        return tree_root(size, tile_hash_reader(size, self._reader(head)))

    def _reader(self, head: TreeHead) -> TileReader:
        if head not in self._readers:
            self._readers[head] = authentic_tiles(head, self._fetch, self._cache.keep)
        return self._readers[head]

    def _fetch(self, tiles: Sequence[Tile]) -> list[bytes]:
        return [
            self._fetched.get(tile) or self._cache.get(tile) or self._wire.tile(tile)
            for tile in tiles
        ]

    def _ask_tiles(self, tiles: Sequence[Tile]) -> list[bytes]:
        return [self._wire.tile(tile) for tile in tiles]

    def _recording(self, read_tiles: TileReader, found: dict[Tile, bytes]) -> TileReader:
        """``read_tiles``, with what it gave in ``found``."""

        def read(tiles: Sequence[Tile]) -> Sequence[bytes]:
            contents = read_tiles(tiles)
            found.update(zip(tiles, contents, strict=True))
            return contents

        return read

    def _refuse_rollback(
        self, newest: bytes, signed_file: bytes, seen: Checkpoint, shown: Checkpoint
    ) -> NoReturn:
        text = f"It had {seen.size} entries before, and has {shown.size} now."
        folder = self._evidence.save(ROLLBACK, newest, signed_file, {}, text)
        raise ConflictError(
            f"the ledger went back from {seen.size} to {shown.size} entries; evidence: {folder}",
            hint=HINT,
        )

    def _refuse_fork(
        self, newest: bytes, signed_file: bytes, tiles: Mapping[Tile, bytes], size: int
    ) -> NoReturn:
        """``tiles``: of the larger tree, for the root over its first ``size`` entries."""
        text = f"The trees over the first {size} entries differ."
        paths = {format_tile_path(tile): content for tile, content in tiles.items()}
        folder = self._evidence.save(FORK, newest, signed_file, paths, text)
        text = f"the ledger showed two histories: they differ in the first {size} entries"
        raise ConflictError(f"{text}; evidence: {folder}", hint=HINT)

    def _tiles_under(self, head: TreeHead, size: int) -> dict[Tile, bytes]:
        """The tiles that lead from ``head`` to the root over its first ``size`` entries."""
        found: dict[Tile, bytes] = {}
        reader = authentic_tiles(head, self._recording(self._fetch, found))
        reader([Tile(0, 0, 1)])
        tree_root(size, tile_hash_reader(size, reader))
        return found


def _size(stamp: Stamp) -> int:
    return stamp.size
