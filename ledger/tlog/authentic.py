"""Tiles from whoever has them, each checked up to the root of a tree head before it is used.

The head is authentic already (its checkpoint was checked); the tiles may come from anybody. Those
on the right edge give the root; every full one hashes to what its parent tile has in its place.

>>> from ledger.tlog.frontier import Frontier
>>> from ledger.tlog.merkle import leaf_hashes
>>> from ledger.tlog.tile import extend_tiles
>>> tiles, log = extend_tiles(Frontier(), leaf_hashes([b"a", b"b", b"c"]), lambda tiles: ())
>>> read = authentic_tiles(log.head(), lambda wanted: [tiles[tile] for tile in wanted])
>>> read([Tile(0, 0, 2)]) == [tiles[Tile(0, 0, 3)][:64]]
True
"""

from collections.abc import Callable, Collection, Sequence

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.merkle import HASH_SIZE, TreeHead, root_of_leaves, tree_root
from ledger.tlog.tile import TILE_HEIGHT, TILE_WIDTH, Tile, TileReader, tile_hash_reader

Keep = Callable[[Tile, bytes], None]

MAX_KEPT = 1 << 12
"""Parent tiles held in memory: 32 MiB, above 268 million leaves."""


def authentic_tiles(head: TreeHead, read_tiles: TileReader, keep: Keep | None = None) -> TileReader:
    """A reader of the tiles of ``head``'s tree, which believes ``read_tiles`` nothing.

    ``read_tiles`` is asked for tiles at their width in this tree, once for the right edge and then
    at most once in each call; a narrower tile is answered with the beginning of that.
    ``keep``: told each full tile when it was checked.

    The reader raises VerificationError for a tile that is not of this tree, MalformedError for one
    of a wrong length, ValueError for one beyond the tree.
    """
    known: dict[Tile, bytes] = {}
    edge: dict[Tile, bytes] = {}

    def read(tiles: Sequence[Tile]) -> Sequence[bytes]:
        whole = [_whole(tile, head.size) for tile in tiles]
        if not edge:
            edge.update(_right_edge(head, read_tiles))
        if len(known) >= MAX_KEPT:
            known.clear()
        here = {**edge, **known}
        missing = _lineage([tile for tile in whole if tile not in here], head.size, here)
        for tile, content in _asked(missing, read_tiles).items():
            parent = here[_parent(tile, head.size)]
            start = tile.index % TILE_WIDTH * HASH_SIZE
            if root_of_leaves(_hashes(content)) != parent[start : start + HASH_SIZE]:
                raise VerificationError(f"{tile} is not of the tree of size {head.size}")
            here[tile] = content
            if keep is not None:
                keep(tile, content)
            if tile.level:
                known[tile] = content
        pairs = zip(tiles, whole, strict=True)
        return [here[all_of_it][: tile.width * HASH_SIZE] for tile, all_of_it in pairs]

    return read


def _right_edge(head: TreeHead, read_tiles: TileReader) -> dict[Tile, bytes]:
    """The partial tiles of the tree, every hash of which went into its root."""
    found: dict[Tile, bytes] = {}

    def take(tiles: Sequence[Tile]) -> Sequence[bytes]:
        found.update(_asked(tiles, read_tiles))
        return [found[tile] for tile in tiles]

    if tree_root(head.size, tile_hash_reader(head.size, take)) != head.root:
        raise VerificationError(f"tiles do not give the root of size {head.size}")
    return found


def _whole(tile: Tile, size: int) -> Tile:
    """``tile`` at its width in a tree of ``size``; ValueError if it reaches beyond."""
    width = min(TILE_WIDTH, (size >> TILE_HEIGHT * tile.level) - tile.index * TILE_WIDTH)
    if tile.width > width:
        raise ValueError(f"{tile} is beyond the size {size}")
    return Tile(tile.level, tile.index, width)


def _parent(tile: Tile, size: int) -> Tile:
    """The tile that has the root of a full ``tile``."""
    return _whole(Tile(tile.level + 1, tile.index // TILE_WIDTH, 1), size)


def _lineage(tiles: Collection[Tile], size: int, here: Collection[Tile]) -> list[Tile]:
    """``tiles`` and those above them up to what is ``here``, parents first.

    A partial tile is on the right edge, and here.
    """
    missing: set[Tile] = set()
    for one in tiles:
        tile = one
        while tile not in here and tile not in missing:
            missing.add(tile)
            tile = _parent(tile, size)
    return sorted(missing, key=lambda tile: (-tile.level, tile.index))


def _asked(tiles: Sequence[Tile], read_tiles: TileReader) -> dict[Tile, bytes]:
    if not tiles:
        return {}
    contents = read_tiles(tiles)
    if len(contents) != len(tiles):
        raise MalformedError(f"{len(contents)} tiles were answered, want {len(tiles)}")
    found = dict(zip(tiles, contents, strict=True))
    for tile, content in found.items():
        if len(content) != tile.width * HASH_SIZE:
            raise MalformedError(f"{tile} has {len(content)} bytes, want {tile.width * HASH_SIZE}")
    return found


def _hashes(content: bytes) -> list[bytes]:
    return [content[at : at + HASH_SIZE] for at in range(0, len(content), HASH_SIZE)]
