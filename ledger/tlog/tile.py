"""The tree cut into tiles, and entries in bundles (c2sp.org/tlog-tiles).

>>> format_tile_path(Tile(level=0, index=1234, width=5))
'tile/0/x001/234.p/5'
>>> parse_entry_bundle(format_entry_bundle([b"a", b"bc"]))
(b'a', b'bc')

A tile of level l holds up to 256 neighbouring hashes of subtrees over 256^l leaves; the hash of a
full tile is one hash in a tile of the level above. A tile grows only at its end and never changes
otherwise, so a narrower tile is a prefix of a wider one.

Nothing here checks that tiles are true: a proof made from wrong tiles does not verify, and who
signs a root computes it from the tiles that were stored.
"""

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from ledger.errors import MalformedError
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import (
    HASH_SIZE,
    MAX_SIZE,
    Hash,
    HashReader,
    Node,
    root_of_leaves,
)

TILE_HEIGHT = 8
TILE_WIDTH = 256
"""The one height of c2sp.org/tlog-tiles, and its width, 2^8."""

MAX_LEVEL = 7
"""A hash at level 8 would stand for 2^64 leaves. The path's grammar goes to 63, no log does."""

MAX_ENTRY_BYTES = 0xFFFF
"""An entry's length in a bundle is a uint16."""

MAX_BUNDLE_BYTES = TILE_WIDTH * (2 + MAX_ENTRY_BYTES)
"""A full bundle of the longest entries."""

UPPER_HEIGHT = 4
"""Of a tile at level 0 a reader keeps the nodes this high, 30 of 254: the lower ones that a proof
needs cost it 11 hashes."""

KEPT_TILES = 1 << 16
"""Tiles of which a reader keeps nodes, then it begins anew: 80 MB. A log of 16 million entries has
as many."""

_INDEX = r"(?P<index>(?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
_TILE_PATH = re.compile(rf"tile/(?P<level>[0-9])/{_INDEX}")
_ENTRIES_PATH = re.compile(rf"tile/entries/{_INDEX}")


@dataclass(frozen=True, slots=True, order=True)
class Tile:
    """The hashes [index * 256, index * 256 + width) of the subtrees over 256^level leaves.

    ``width`` is 1 to 256; 256 is a full tile. ValueError if no log of MAX_SIZE leaves has it.
    """

    level: int
    index: int
    width: int

    def __post_init__(self) -> None:
        if not (0 <= self.level <= MAX_LEVEL and self.index >= 0 < self.width <= TILE_WIDTH):
            raise ValueError(f"there is no {self}")
        if (self.index * TILE_WIDTH + self.width) << TILE_HEIGHT * self.level > MAX_SIZE:
            raise ValueError(f"{self} is beyond the largest tree")

    @property
    def size_bytes(self) -> int:
        """The length of the tile's content."""
        return self.width * HASH_SIZE


TileReader: TypeAlias = Callable[[Sequence[Tile]], Sequence[bytes]]
"""Answers the contents of the tiles asked for, in that order, each of ``tile.size_bytes``."""


def format_tile_path(tile: Tile) -> str:
    """The path of ``tile`` below a log's prefix: ``tile/<L>/<N>[.p/<W>]``."""
    return f"tile/{tile.level}/{_format_index(tile.index, tile.width)}"


def parse_tile_path(text: str) -> Tile:
    """The tile that ``text`` names. Raises MalformedError, also for tiles no log can have."""
    match = _TILE_PATH.fullmatch(text)
    if match is None:
        raise MalformedError(f"{text[:80]!r} is not a tile path")
    try:
        tile = Tile(int(match["level"]), *_parse_index(match))
    except ValueError as error:
        raise MalformedError(f"{text!r} names no tile") from error
    if format_tile_path(tile) != text:
        raise MalformedError(f"{text!r} is not written as {format_tile_path(tile)!r}")
    return tile


def format_entries_path(index: int, width: int) -> str:
    """The path of entry bundle ``index`` with ``width`` entries, 256 for a full one.

    ValueError if no log has it.
    """
    tile = Tile(0, index, width)
    return f"tile/entries/{_format_index(tile.index, tile.width)}"


def parse_entries_path(text: str) -> tuple[int, int]:
    """Index and width of the entry bundle that ``text`` names. Raises MalformedError."""
    match = _ENTRIES_PATH.fullmatch(text)
    if match is None:
        raise MalformedError(f"{text[:80]!r} is not an entry bundle path")
    index, width = _parse_index(match)
    try:
        canonical = format_entries_path(index, width)
    except ValueError as error:
        raise MalformedError(f"{text!r} names no entry bundle") from error
    if canonical != text:
        raise MalformedError(f"{text!r} is not written as {canonical!r}")
    return index, width


def format_entry_bundle(entries: Sequence[bytes]) -> bytes:
    """1 to 256 ``entries`` as a bundle: each after its length, a big-endian uint16.

    ValueError for no entries, too many, or one longer than 65535 bytes.
    """
    if not 1 <= len(entries) <= TILE_WIDTH:
        raise ValueError(f"bundle of {len(entries)} entries, want 1 to {TILE_WIDTH}")
    parts: list[bytes] = []
    for entry in entries:
        if len(entry) > MAX_ENTRY_BYTES:
            raise ValueError(f"entry has {len(entry)} bytes, want at most {MAX_ENTRY_BYTES}")
        parts += (len(entry).to_bytes(2, "big"), entry)
    return b"".join(parts)


def parse_entry_bundle(content: bytes) -> tuple[bytes, ...]:
    """The 1 to 256 entries of a bundle. Raises MalformedError."""
    entries: list[bytes] = []
    position = 0
    while position < len(content):
        if len(entries) == TILE_WIDTH:
            raise MalformedError(f"entry bundle goes on after {TILE_WIDTH} entries")
        start = position + 2
        stop = start + int.from_bytes(content[position:start], "big")
        if stop > len(content):  # so too where the length itself is cut
            raise MalformedError(f"entry bundle ends inside entry {len(entries)}")
        entries.append(content[start:stop])
        position = stop
    if not entries:
        raise MalformedError("entry bundle is empty")
    return tuple(entries)


def tiles_of(size: int) -> Iterator[Tile]:
    """Every tile of a log of ``size`` leaves, level by level from the leaves, left to right.

    ValueError if ``size`` is out of range.
    """
    _require_size(size)
    level = 0
    while size >> TILE_HEIGHT * level:
        full, partial = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
        for index in range(full):
            yield Tile(level, index, TILE_WIDTH)
        if partial:
            yield Tile(level, full, partial)
        level += 1


def tile_hash_reader(size: int, read_tiles: TileReader) -> HashReader:
    """A reader over the tiles of a log of ``size`` leaves.

    Each read makes at most one call to ``read_tiles`` for all tiles needed, each at its width in a
    log of this size, in order and without repeats. The first read of a tile costs up to 255
    hashes. Then of a tile at level 0 one kilobyte is kept (see UPPER_HEIGHT and KEPT_TILES) and
    it is read again for what lies below; of the few above, everything.
    ValueError for a node beyond ``size``; MalformedError if a tile is answered with a wrong length.
    """
    _require_size(size)
    kept: dict[tuple[int, int], bytes] = {}

    def read(nodes: Sequence[Node]) -> Sequence[Hash]:
        if len(kept) >= KEPT_TILES:
            kept.clear()
        hashes: list[Hash] = []
        missing: list[tuple[int, tuple[int, int]]] = []
        for level, index in nodes:
            if level < 0 or not 0 <= index < size >> level:
                raise ValueError(f"node {index} of level {level} is beyond the size {size}")
            width = TILE_WIDTH >> level % TILE_HEIGHT
            key = (level // TILE_HEIGHT, index // width)
            heap = kept.get(key)
            if heap is None or level < UPPER_HEIGHT:
                missing.append((len(hashes), key))
                hashes.append(b"")
            else:
                start = (width + index % width) * HASH_SIZE
                hashes.append(heap[start : start + HASH_SIZE])
        contents = _read_keys({key for _, key in missing}, size, read_tiles)
        for place, key in missing:
            level, index = nodes[place]
            width = TILE_WIDTH >> level % TILE_HEIGHT
            if level < UPPER_HEIGHT:
                hashes[place] = _low_node(contents[key], index % width, level)
                continue
            if key not in kept:
                kept[key] = _heap(contents[key], 0 if key[0] else UPPER_HEIGHT)
            start = (width + index % width) * HASH_SIZE
            hashes[place] = kept[key][start : start + HASH_SIZE]
        return hashes

    return read


def right_edge(size: int) -> list[Tile]:
    """The partial tiles of a log of ``size`` leaves, from the leaves up: its frontier is in them.

    A level whose tiles are all full has none. ValueError if ``size`` is out of range.
    """
    _require_size(size)
    edge: list[Tile] = []
    level = 0
    while size >> TILE_HEIGHT * level:
        index, width = divmod(size >> TILE_HEIGHT * level, TILE_WIDTH)
        if width:
            edge.append(Tile(level, index, width))
        level += 1
    return edge


def extend_tiles(
    old: Frontier, leaves: Sequence[Hash], read_tiles: TileReader
) -> tuple[dict[Tile, bytes], Frontier]:
    """Append ``leaves`` (hashes) to the log of ``old``: the tiles to write, and the new frontier.

    Makes one call to ``read_tiles`` for the partial tiles on the right edge of the old tree, none
    if there are none. Returns every tile that is new or wider than before, at its new width. That
    the tiles read are those of ``old`` is NOT checked: they must be those it was read from.
    Costs about one hash per leaf, and the memory of the tiles returned.
    ValueError if the tree would be too large; MalformedError if a tile has a wrong length.
    """
    new_size = old.size + len(leaves)
    _require_size(new_size)
    if any(len(leaf) != HASH_SIZE for leaf in leaves):
        raise ValueError(f"a leaf is not a hash of {HASH_SIZE} bytes")
    tiles = right_edge(old.size)
    contents = _read_checked(tiles, read_tiles)
    edge = {(t.level, t.index): content for t, content in zip(tiles, contents, strict=True)}
    written: dict[Tile, bytes] = {}
    nodes = list(old.nodes)
    new_nodes: list[Hash] = []
    grown: Sequence[Hash] = leaves
    level = 0
    while grown:
        first, width = divmod(old.size >> TILE_HEIGHT * level, TILE_WIDTH)
        hashes = [*_hashes(edge.get((level, first), b"")), *grown]
        above: list[Hash] = []
        for offset in range(0, len(hashes), TILE_WIDTH):
            part = hashes[offset : offset + TILE_WIDTH]
            tile = Tile(level, first + offset // TILE_WIDTH, len(part))
            written[tile] = b"".join(part)
            if tile.width == TILE_WIDTH:
                above.append(root_of_leaves(part))
        # What of the frontier is in this level's last tile: grown from the old, if it is the same.
        kept = len(nodes) - width.bit_count()
        within = Frontier(width, tuple(nodes[kept:]))
        del nodes[kept:]
        last = hashes[len(above) * TILE_WIDTH :]
        within = Frontier().extend(last) if above else within.extend(grown)
        new_nodes[:0] = within.nodes
        grown = above
        level += 1
    return written, Frontier(new_size, (*nodes, *new_nodes))


def _format_index(index: int, width: int) -> str:
    groups = [f"{index % 1000:03d}"]
    while index := index // 1000:
        groups.insert(0, f"x{index % 1000:03d}")
    suffix = "" if width == TILE_WIDTH else f".p/{width}"
    return "/".join(groups) + suffix


def _parse_index(match: re.Match[str]) -> tuple[int, int]:
    index = int(match["index"].replace("x", "").replace("/", ""))
    return index, TILE_WIDTH if match["width"] is None else int(match["width"])


def _read_keys(
    keys: Collection[tuple[int, int]], size: int, read_tiles: TileReader
) -> dict[tuple[int, int], bytes]:
    ordered = sorted(keys)
    tiles = [Tile(level, index, _width(level, index, size)) for level, index in ordered]
    return dict(zip(ordered, _read_checked(tiles, read_tiles), strict=True))


def _width(level: int, index: int, size: int) -> int:
    # How wide a tile is in a log of this size.
    return min(TILE_WIDTH, (size >> TILE_HEIGHT * level) - index * TILE_WIDTH)


def _low_node(content: bytes, position: int, height: int) -> Hash:
    # The node at this height of a tile: the root over 1 << height of its hashes.
    size = HASH_SIZE << height
    part = content[position * size : position * size + size]
    while len(part) > 2 * HASH_SIZE:
        part = _level_above(part)
    # What lies side by side is already left || right.
    return sha256(b"\x01" + part).digest() if height else part


def _heap(content: bytes, lowest: int) -> bytes:
    # The nodes of a tile from the height lowest up, hash by hash as a binary heap: at the height h
    # the first is the (256 >> h)th, after nothing and a place for the root. Zeros where none is.
    levels = [content]
    while len(levels) < TILE_HEIGHT:
        levels.append(_level_above(levels[-1]))
    rows = [
        levels[height].ljust((TILE_WIDTH >> height) * HASH_SIZE, b"\x00")
        for height in range(TILE_HEIGHT - 1, lowest - 1, -1)
    ]
    return b"".join([bytes(2 * HASH_SIZE), *rows])


def _level_above(level: bytes) -> bytes:
    # The parents of hashes that lie side by side. A last one without sibling has none.
    pair = 2 * HASH_SIZE
    starts = range(0, len(level) - pair + 1, pair)
    return b"".join([sha256(b"\x01" + level[i : i + pair]).digest() for i in starts])


def _read_checked(tiles: Sequence[Tile], read_tiles: TileReader) -> Sequence[bytes]:
    if not tiles:
        return ()
    contents = read_tiles(tiles)
    if len(contents) != len(tiles):
        raise ValueError(f"reader gave {len(contents)} tiles, want {len(tiles)}")
    for tile, content in zip(tiles, contents, strict=True):
        if len(content) != tile.size_bytes:
            raise MalformedError(
                f"{format_tile_path(tile)} has {len(content)} bytes, want {tile.size_bytes}"
            )
    return contents


def _hashes(content: bytes) -> list[Hash]:
    return [content[i : i + HASH_SIZE] for i in range(0, len(content), HASH_SIZE)]


def _require_size(size: int) -> None:
    if not 0 <= size <= MAX_SIZE:
        raise ValueError(f"tree size is {size}, want 0 to 2^63 - 1")
