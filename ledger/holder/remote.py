"""A ledger elsewhere as ``doors.client.Ledger``: everything it says is checked, nothing believed.

A checkpoint counts if every pinned key signed it and its tree begins with the last one seen, which
is computed from its tiles; only then is it the last one seen. Tiles are checked up to it. Of an
append the entries are found in the tree, where the answer says that they are.

What is signed and contradicts what was signed before is kept as evidence (``seen``). After a fork
nothing is sent any more; what it proved before, holds.
"""

from collections.abc import Sequence
from typing import NoReturn

from ledger.doors.client import Stamp, StampReport
from ledger.errors import ConflictError, NotFoundError, VerificationError
from ledger.holder.prover import checkpoint_of
from ledger.holder.receipts import Receipts
from ledger.holder.seen import FORK, ROLLBACK, Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.wire import Stamped, Wire
from ledger.proof.revocation import Answer
from ledger.tlog.authentic import authentic_tiles
from ledger.tlog.checkpoint import Checkpoint, check_signatures
from ledger.tlog.merkle import Hash, TreeHead, leaf_hashes, tree_root
from ledger.tlog.note import NoteKey, parse_note
from ledger.tlog.tile import Tile, TileReader, format_tile_path, tile_hash_reader

Pending = tuple[tuple[str, str], ...]

MAX_TREES = 16
"""Stamped trees asked for about one record: if one of two TSAs is away for long, the other's stamps
are enough to go on with."""

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
        self._offered: dict[int, Stamped] = {}
        self._files: dict[int, bytes] = {}
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
            offered = self._offered.get(size) or self._wire.stamps(size)
        signed_file = offered.signed_file
        checkpoint = self._open(signed_file)
        if checkpoint.size != size:
            raise VerificationError(f"a checkpoint of size {checkpoint.size}, want {size}")
        if size > seen.size:
            raise NotFoundError(f"size {size} is beyond what was seen", hint="tally sync")
        if self._root(size, seen.head) != checkpoint.root:
            self._refuse_fork(newest, signed_file, seen.head, size)
        return signed_file

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """Tiles of the tree that was seen, each checked up to its checkpoint; NotFoundError."""
        return tuple(self._reader(checkpoint_of(self.checkpoint()).head)(coordinates))

    def stamp(self) -> StampReport | None:
        """Ask for the newest checkpoint, and for the stamps that records still lack.

        The ledger's operator has its trees stamped, when it does; None if nothing was appended. The
        report is of the newest record's tree; errors as in ``append``.
        """
        try:
            newest = self.refresh()
        except NotFoundError:
            return None
        lacking = self._receipts.lacking_indexes(self.origin, self._wanted)
        if not lacking:
            # What the next record names as its lower bound.
            names, _, _ = self._gather(newest.size, newest.size)
            return StampReport(newest.size, 0, tuple(sorted(names)), ())
        tsas: frozenset[str] = frozenset()
        pending: Pending = ()
        covered = 0
        for index in lacking:
            if index >= covered:
                tsas, pending, covered = self._gather(index + 1, newest.size)
        if len(tsas) < self._wanted and not pending:
            pending = (("the ledger", "interval: it has this tree stamped when its turn comes"),)
        return StampReport(lacking[-1] + 1, self._wanted, tuple(sorted(tsas)), pending)

    def _gather(self, size: int, newest: int) -> tuple[frozenset[str], Pending, int]:
        """Ask for stamps over trees from ``size`` on until as many TSAs as wanted are among them.

        Their names, what is pending, and below which index entries have these stamps.
        """
        tsas: frozenset[str] = frozenset()
        pending: Pending = ()
        for _ in range(MAX_TREES):
            try:
                given = self._wire.stamps(size)
            except NotFoundError:
                break
            if given.size > newest:
                # Of a tree that was not seen yet; the next time it was.
                break
            self._offered[given.size] = given
            tsas |= {stamp.tsa for stamp in given.stamps}
            pending, size = given.pending, given.size + 1
            if len(tsas) >= self._wanted or size > newest:
                break
        return tsas, pending, size - 1

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """The stamps over trees of ``start`` entries or more that ``stamp`` was given."""
        offered = [self._offered[size] for size in sorted(self._offered) if size >= start]
        return tuple(stamp for one in offered for stamp in one.stamps)

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates of the ledger's TSAs: those kept, those given now."""
        given = (der for one in self._offered.values() for der in one.certificates)
        return tuple(dict.fromkeys((*self._receipts.certificates(), *given)))

    def material(self) -> tuple[Answer, ...]:
        """None: nobody gives them yet."""
        return ()

    def recapture(self) -> tuple[tuple[str, str], ...]:
        """None: nobody gives them yet."""
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
        if newest is None:
            self._root(shown.size, shown.head)
        else:
            seen = checkpoint_of(newest)
            if shown.size < seen.size:
                self._refuse_rollback(newest, signed_file, seen, shown)
            if shown.size == seen.size:
                if shown.root != seen.root:
                    self._refuse_fork(newest, signed_file, None, seen.size)
                # One signed file per size: the first that was seen.
                return
            if self._root(seen.size, shown.head) != seen.root:
                self._refuse_fork(newest, signed_file, shown.head, seen.size)
        if not self._seen.replace(newest, signed_file):
            raise ConflictError("another process saw a checkpoint just now", hint="again")

    def _check_stale(self, newest: bytes, signed_file: bytes, shown: Checkpoint) -> None:
        """Nothing, if the tree that was seen is still there and begins with the one shown."""
        seen = checkpoint_of(newest)
        # A reader of its own: what is on the right edge is asked for anew.
        reader = authentic_tiles(seen.head, self._fetch, self._cache.keep)
        try:
            reader([Tile(0, 0, 1)])
        except (NotFoundError, VerificationError):
            self._refuse_rollback(newest, signed_file, seen, shown)
        if tree_root(shown.size, tile_hash_reader(shown.size, reader)) != shown.root:
            self._refuse_fork(newest, signed_file, seen.head, shown.size)

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
        return [self._cache.get(tile) or self._wire.tile(tile) for tile in tiles]

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
        self, newest: bytes, signed_file: bytes, head: TreeHead | None, size: int
    ) -> NoReturn:
        """``head``: of the larger tree, the first ``size`` entries of which are the difference.

        None: both are of one size.
        """
        tiles = {} if head is None else self._tiles_under(head, size)
        text = f"The trees over the first {size} entries differ."
        folder = self._evidence.save(FORK, newest, signed_file, tiles, text)
        text = f"the ledger showed two histories: they differ in the first {size} entries"
        raise ConflictError(f"{text}; evidence: {folder}", hint=HINT)

    def _tiles_under(self, head: TreeHead, size: int) -> dict[str, bytes]:
        """By path, the tiles that lead from ``head`` to the root over the first ``size``."""
        found: dict[str, bytes] = {}

        def fetch(tiles: Sequence[Tile]) -> list[bytes]:
            contents = self._fetch(tiles)
            found.update(zip(map(format_tile_path, tiles), contents, strict=True))
            return contents

        tree_root(size, tile_hash_reader(size, authentic_tiles(head, fetch)))
        return found
