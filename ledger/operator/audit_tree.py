"""The tree of a ledger computed anew from its entries, and compared with every tile that is kept.

One pass over the entries, 256 at a time, beside one over the tiles of each level: what is held is
one tile a level and the frontier, O(log n).

Where an entry and its hash in the tile do not fit each other, the level above tells which is true:
the tile's hash there, or for the last, partial tile the signed root. If it is the tile, the pass
goes on with its hashes. So one wrong entry is one fault, and the checkpoints still tell whether all
the rest is what was signed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ledger.operator.faults import ANY_CHANGE, Fault, Faults, mended
from ledger.operator.sequencer import ENTRY_BYTES
from ledger.operator.store.protocol import Snapshot
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    HASH_SIZE,
    Hash,
    fold,
    leaf_hash,
    leaf_hashes,
    leaf_reader,
    perfect_nodes,
    root_of_leaves,
)
from ledger.tlog.tile import MAX_LEVEL, TILE_WIDTH, Tile, format_tile_path

Entries = Sequence[bytes | None]
"""Entries in order; None: missing."""

_PREFIX = ENTRY_BYTES.to_bytes(2, "big")
_STEP = len(_PREFIX) + ENTRY_BYTES


@dataclass(frozen=True, slots=True)
class Block:
    """The leaves ``start`` to ``stop`` under one tile, and the tree before them.

    ``entries``: as they are kept; the leaves are the log's, if that could be told.
    """

    start: int
    entries: Entries
    leaves: Sequence[Hash]
    before: Frontier

    @property
    def stop(self) -> int:
        """The index after the last leaf."""
        return self.start + len(self.leaves)

    def root(self, size: int) -> Hash:
        """The root of the tree of ``size`` leaves, ``start <= size <= stop``."""
        nodes = perfect_nodes(0, size - self.start)
        within = leaf_reader(self.leaves)(nodes) if nodes else ()
        hashes = (*self.before.nodes, *within)
        return fold(hashes) if hashes else EMPTY_ROOT


class TreeAudit:
    """The pass over the first ``size`` entries of ``snapshot``; faults go to ``faults``.

    ``signed_root``: of that size, as far as it is known otherwise; it judges the last tile.
    """

    def __init__(self, snapshot: Snapshot, size: int, signed_root: Hash, faults: Faults) -> None:
        self._snapshot = snapshot
        self._size = size
        self._signed_root = signed_root
        self._faults = faults
        self._levels = [_Level(level, snapshot, faults) for level in range(MAX_LEVEL + 1)]
        self.size = 0

    def blocks(self) -> Iterator[Block]:
        """Each block, once it was compared; ``size`` then counts its leaves.

        Ends before the log does if entries and their tile are missing: what comes after cannot be
        computed.
        """
        before = Frontier()
        for entries in self._entries():
            index = self.size // TILE_WIDTH
            stored = self._levels[0].take(index)
            leaves = self._leaves(entries, stored, before)
            if leaves is None:
                return
            block = Block(self.size, entries, leaves, before)
            self.size = block.stop
            if len(leaves) == TILE_WIDTH:
                root = root_of_leaves(leaves)
                before = before.append(root)
                self._levels[1].grow(root, self._levels[2:])
            yield block
        for level in self._levels:
            level.end()

    def _leaves(
        self, entries: Entries, stored: bytes | None, before: Frontier
    ) -> Sequence[Hash] | None:
        """The leaf hashes to go on with; None if nobody knows them."""
        present = [entry for entry in entries if entry is not None]
        hashed = leaf_hashes(present)
        tile = Tile(0, before.size, len(entries))
        if len(present) == len(entries) and stored == b"".join(hashed):
            return hashed
        if stored is None or len(stored) < tile.size_bytes:
            if len(present) < len(entries):
                self._levels[0].missing(tile)
                return None
            self._levels[0].compare(tile, stored, b"".join(hashed))
            return hashed
        told = [stored[at : at + HASH_SIZE] for at in range(0, tile.size_bytes, HASH_SIZE)]
        own = iter(hashed)
        leaves = [told[i] if entry is None else next(own) for i, entry in enumerate(entries)]
        if leaves != told and self._is_true(told, before):
            for place, entry in enumerate(entries):
                if entry is not None and leaves[place] != told[place]:
                    self._wrong_entry(self.size + place, entry, told[place])
            leaves = told
        self._levels[0].compare(tile, stored, b"".join(leaves))
        return leaves

    def _is_true(self, leaves: Sequence[Hash], before: Frontier) -> bool:
        """Whether the level above, or the signed root, has what these leaves give."""
        root = root_of_leaves(leaves)
        if len(leaves) == TILE_WIDTH:
            above, place = divmod(before.size, TILE_WIDTH)
            content = self._snapshot.tile(1, above) or b""
            return content[place * HASH_SIZE : (place + 1) * HASH_SIZE] == root
        return Block(self.size, (), leaves, before).root(self._size) == self._signed_root

    def _wrong_entry(self, index: int, entry: bytes, leaf: Hash) -> None:
        byte = None
        if not self._faults.has("entry", "wrong"):
            byte = mended(entry, lambda trial: leaf_hash(trial) == leaf, ANY_CHANGE)
        offset, want = byte or (None, None)
        self._faults.add(
            Fault(
                "entry",
                "wrong",
                f"entry {index}",
                "not the entry that its tile has the hash of",
                index=index,
                offset=offset,
                want=want,
                found=None if offset is None else entry[offset],
            )
        )

    def _entries(self) -> Iterator[Entries]:
        """All entries to ``size``, 256 at a time, None where one is missing."""
        waiting: list[bytes | None] = []
        for run in self._runs():
            waiting += run
            while len(waiting) >= TILE_WIDTH:
                yield waiting[:TILE_WIDTH]
                del waiting[:TILE_WIDTH]
        if waiting:
            yield waiting

    def _runs(self) -> Iterator[Entries]:
        """The entries of each bundle, cut to what it should hold; gaps as runs of None."""
        rows = self._snapshot.bundles()
        position = 0
        row = next(rows, None)
        while row is not None and row[0] < self._size:
            start, content = row
            row = next(rows, None)
            if start < position:
                text = "entries at places that others have"
                self._faults.add(Fault("entry", "extra", f"bundle at {start}", text, start))
                continue
            yield from self._gap(position, start)
            stop = self._size if row is None else min(max(row[0], start), self._size)
            run = self._cut(start, content, stop - start)
            yield run
            position = start + len(run)
        yield from self._gap(position, self._size)
        while row is not None:
            count = max(1, len(row[1]) // _STEP)
            text = f"beyond the head's {self._size} entries"
            place = f"bundle at {row[0]}"
            self._faults.add(Fault("entry", "extra", place, text, row[0], offset=0), count)
            row = next(rows, None)

    def _gap(self, start: int, stop: int) -> Iterator[Entries]:
        if start < stop:
            text = f"entries {start} to {stop - 1} are not there"
            fault = Fault("entry", "missing", f"entry {start}", text, start)
            self._faults.add(fault, stop - start)
        while start < stop:
            count = min(TILE_WIDTH, stop - start)
            yield [None] * count
            start += count

    def _cut(self, start: int, content: bytes, room: int) -> Entries:
        """The entries in a bundle's content, at most ``room``; its layout is looked at."""
        count = min(len(content) // _STEP, room)
        lengths = content[: count * _STEP]
        straight = lengths[::_STEP] == _PREFIX[:1] * count and (
            lengths[1::_STEP] == _PREFIX[1:] * count
        )
        if not straight or len(content) != count * _STEP:
            self._layout(start, content, count, room)
        return [content[at : at + ENTRY_BYTES] for at in range(2, count * _STEP, _STEP)]

    def _layout(self, start: int, content: bytes, count: int, room: int) -> None:
        """Add the faults of a bundle that is not ``count`` entries of 64 bytes, one by one."""
        place = f"bundle at {start}"
        for number in range(count):
            text = f"length of entry {start + number}"
            for at in range(number * _STEP, number * _STEP + len(_PREFIX)):
                want, found = _PREFIX[at % _STEP], content[at]
                if want != found:
                    index = start + number
                    self._faults.add(
                        Fault("entry", "wrong", place, text, index, None, at, want, found)
                    )
        rest = content[count * _STEP :]
        index, at = start + count, count * _STEP
        if rest and count < room:
            text = f"ends inside entry {index}"
            # Not counted here: the gap that this leaves is.
            self._faults.add(
                Fault("entry", "missing", place, text, index, offset=len(content)), count=0
            )
        elif rest:
            text = f"{len(rest)} bytes where nothing or another bundle is to follow"
            self._faults.add(
                Fault("entry", "extra", place, text, index, offset=at, found=rest[0]),
                max(1, len(rest) // _STEP),
            )


class _Level:
    """The tiles that are kept of one level, met in order by those that should be there."""

    def __init__(self, level: int, snapshot: Snapshot, faults: Faults) -> None:
        self._level = level
        self._faults = faults
        self._rows = snapshot.tiles(level)
        self._row = next(self._rows, None)
        self._index = 0
        self._hashes: list[Hash] = []

    def take(self, index: int) -> bytes | None:
        """The kept content of tile ``index``, the next that should be there; None if it is not."""
        while self._row is not None and self._row[0] < index:
            self._extra(self._row[0])
        if self._row is None or self._row[0] > index:
            return None
        content = self._row[1]
        self._row = next(self._rows, None)
        return content

    def compare(self, tile: Tile, stored: bytes | None, want: bytes) -> None:
        """Add the fault of ``tile`` unless it is kept as ``want``."""
        if stored is None:
            self.missing(tile)
        elif stored != want:
            place = format_tile_path(tile)
            self._faults.compare("tile", stored, want, place, "", index=tile.index)

    def missing(self, tile: Tile) -> None:
        """Add the fault of ``tile`` that is not there."""
        place = format_tile_path(tile)
        self._faults.add(Fault("tile", "missing", place, "not there", tile.index, offset=0))

    def grow(self, root: Hash, above: "Sequence[_Level]") -> None:
        """Add the root of a full tile below; a tile that is full is compared, and goes on up."""
        self._hashes.append(root)
        if len(self._hashes) == TILE_WIDTH:
            full = root_of_leaves(self._hashes)
            self._meet()
            above[0].grow(full, above[1:])

    def end(self) -> None:
        """Compare the last, partial tile; what is kept beyond it is extra."""
        if self._hashes:
            self._meet()
        while self._row is not None:
            self._extra(self._row[0])

    def _meet(self) -> None:
        tile = Tile(self._level, self._index, len(self._hashes))
        self.compare(tile, self.take(self._index), b"".join(self._hashes))
        self._index += 1
        self._hashes = []

    def _extra(self, index: int) -> None:
        try:
            place = format_tile_path(Tile(self._level, index, TILE_WIDTH))
        except ValueError:
            place = f"tile {index} of level {self._level}"
        self._faults.add(Fault("tile", "extra", place, "no such tile in the log", index, offset=0))
        self._row = next(self._rows, None)
