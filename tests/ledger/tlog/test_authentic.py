"""Tiles from anybody are given only if they are of the tree of the head."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.tlog.authentic import authentic_tiles
from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import TreeHead, leaf_hash, leaf_reader, tree_root
from ledger.tlog.tile import TILE_WIDTH, Tile, extend_tiles, tile_hash_reader, tiles_of

LEAVES = [leaf_hash(i.to_bytes(4, "big")) for i in range(66_100)]


class Shelf:
    """Every tile of a log, and what was asked."""

    def __init__(self, size: int) -> None:
        self.tiles, log = extend_tiles(Frontier(), LEAVES[:size], lambda tiles: ())
        self.head = log.head()
        self.asked: list[list[Tile]] = []

    def __call__(self, tiles: Sequence[Tile]) -> list[bytes]:
        self.asked.append(list(tiles))
        return [self.tiles[tile] for tile in tiles]


LARGE = Shelf(len(LEAVES))


@pytest.mark.parametrize("size", [1, 2, 255, 256, 257, 511, 512, 513, 1000])
def test_every_tile_of_a_log_is_given(size: int) -> None:
    shelf = Shelf(size)
    read = authentic_tiles(shelf.head, shelf)
    tiles = list(tiles_of(size))
    assert list(read(tiles)) == [shelf.tiles[tile] for tile in tiles]
    assert len(shelf.asked) <= 2


def test_asked_once_a_call_and_of_the_ways_up_only() -> None:
    LARGE.asked.clear()
    kept: dict[Tile, bytes] = {}
    read = authentic_tiles(LARGE.head, LARGE, kept.__setitem__)
    assert read([Tile(0, 3, 256)]) == [LARGE.tiles[Tile(0, 3, 256)]]
    assert LARGE.asked[1:] == [[Tile(1, 0, 256), Tile(0, 3, 256)]]
    assert kept == {tile: LARGE.tiles[tile] for tile in LARGE.asked[1]}
    read([Tile(0, 4, 256)])
    assert LARGE.asked[2:] == [[Tile(0, 4, 256)]]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, len(LEAVES)), st.data())
def test_hashes_of_an_earlier_tree_are_read_from_a_later_ones_tiles(
    old: int, data: st.DataObject
) -> None:
    read = authentic_tiles(LARGE.head, LARGE)
    assert tree_root(old, tile_hash_reader(old, read)) == tree_root(old, leaf_reader(LEAVES[:old]))


@pytest.mark.parametrize("wrong", [Tile(0, 0, 256), Tile(1, 0, 2), Tile(0, 2, 88)])
def test_a_changed_tile_is_refused(wrong: Tile) -> None:
    shelf = Shelf(600)
    kept: dict[Tile, bytes] = {}
    read = authentic_tiles(shelf.head, shelf, kept.__setitem__)
    for place in range(0, wrong.size_bytes, 37):
        content = bytearray(shelf.tiles[wrong])
        content[place] ^= 1
        right, shelf.tiles[wrong] = shelf.tiles[wrong], bytes(content)
        fresh = authentic_tiles(shelf.head, shelf, kept.__setitem__)
        with pytest.raises(VerificationError, match=r"tree of size 600|root of size 600"):
            fresh([Tile(0, 0, 256)])
        shelf.tiles[wrong] = right
    assert not kept
    assert read([Tile(0, 0, 256)])


def test_a_tile_in_anothers_place_is_refused() -> None:
    shelf = Shelf(600)
    shelf.tiles[Tile(0, 1, 256)] = shelf.tiles[Tile(0, 0, 256)]
    with pytest.raises(VerificationError):
        authentic_tiles(shelf.head, shelf)([Tile(0, 1, 256)])


def test_tiles_of_another_head_are_refused() -> None:
    other = TreeHead(600, bytes(32))
    with pytest.raises(VerificationError, match="root of size 600"):
        authentic_tiles(other, Shelf(600))([Tile(0, 0, 256)])


@pytest.mark.parametrize("change", [b"", b"\0", b"\0" * 32])
def test_a_longer_or_shorter_answer_is_malformed(change: bytes) -> None:
    shelf = Shelf(600)
    content = shelf.tiles[Tile(0, 1, 256)]
    shelf.tiles[Tile(0, 1, 256)] = content + change if change else content[:-1]
    with pytest.raises(MalformedError, match="bytes"):
        authentic_tiles(shelf.head, shelf)([Tile(0, 1, 256)])
    with pytest.raises(MalformedError, match="tiles were answered"):
        authentic_tiles(shelf.head, lambda tiles: [])([Tile(0, 1, 256)])


def test_a_tile_beyond_the_tree_is_a_mistake() -> None:
    read = authentic_tiles(Shelf(600).head, Shelf(600))
    for tile in (Tile(0, 2, 89), Tile(0, 3, 1), Tile(1, 0, 3), Tile(2, 0, 1)):
        with pytest.raises(ValueError, match="beyond the size"):
            read([tile])


def test_a_narrower_tile_is_the_beginning_of_the_whole_one() -> None:
    read = authentic_tiles(LARGE.head, LARGE)
    whole = LARGE.tiles[Tile(0, 0, TILE_WIDTH)]
    assert read([Tile(0, 0, 7), Tile(0, 0, 256)]) == [whole[: 7 * 32], whole]
