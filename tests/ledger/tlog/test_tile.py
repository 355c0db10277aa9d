import base64
import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.tlog import tile as tile_module
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.frontier import Frontier, read_frontier
from ledger.tlog.merkle import (
    EMPTY_ROOT,
    MAX_SIZE,
    Hash,
    TreeHead,
    check_consistency,
    check_inclusion,
    leaf_hash,
    leaf_reader,
    perfect_nodes,
    prove_consistency,
    prove_inclusion,
    root_of_leaves,
    tree_root,
)
from ledger.tlog.note import parse_note, parse_vkey
from ledger.tlog.tile import (
    MAX_BUNDLE_BYTES,
    MAX_ENTRY_BYTES,
    TILE_WIDTH,
    Tile,
    extend_tiles,
    format_entries_path,
    format_entry_bundle,
    format_tile_path,
    parse_entries_path,
    parse_entry_bundle,
    parse_tile_path,
    right_edge,
    tile_hash_reader,
    tiles_of,
)
from tests import reference
from tests.ledger.tlog.mutations import one_byte_changes, require_one_to_one, truncations

LEAVES = [leaf_hash(i.to_bytes(4, "big")) for i in range(70_000)]
TESSERA_KEY = "example.com/log/testdata+33d7b496+AeHTu4Q3hEIMHNqc6fASMsq3rKNx280NI+oO5xCFkkSx"


class Shelf:
    """Tiles in memory, and what was asked of them."""

    def __init__(self) -> None:
        self.contents: dict[Tile, bytes] = {}
        self.asked: list[Sequence[Tile]] = []

    def __call__(self, tiles: Sequence[Tile]) -> list[bytes]:
        self.asked.append(tiles)
        return [self.contents[tile] for tile in tiles]


def grown(*steps: int) -> tuple[Shelf, TreeHead]:
    """A shelf after appends that ended at the sizes ``steps``."""
    shelf, log = Shelf(), Frontier()
    for size in steps:
        tiles, log = extend_tiles(log, LEAVES[log.size : size], shelf)
        shelf.contents.update(tiles)
        nodes = leaf_reader(LEAVES[:size])(perfect_nodes(0, size))
        assert log.nodes == tuple(nodes)
    return shelf, log.head()


FULL, FULL_HEAD = grown(70_000)


# Paths


@pytest.mark.parametrize(
    ("tile", "path"),
    [
        (Tile(0, 0, 256), "tile/0/000"),
        (Tile(0, 0, 1), "tile/0/000.p/1"),
        (Tile(3, 999, 255), "tile/3/999.p/255"),
        (Tile(0, 1000, 256), "tile/0/x001/000"),
        (Tile(1, 1234067, 256), "tile/1/x001/x234/067"),
        (Tile(2, 1234067, 7), "tile/2/x001/x234/067.p/7"),
        (Tile(0, (MAX_SIZE >> 8) - 1, 256), "tile/0/x036/x028/x797/x018/x963/966"),
        (Tile(7, 0, 127), "tile/7/000.p/127"),
    ],
)
def test_tile_paths_are_written_and_read(tile: Tile, path: str) -> None:
    assert format_tile_path(tile) == path
    assert parse_tile_path(path) == tile


def test_index_paths_are_those_of_the_specification(vectors: Path) -> None:
    known = json.loads((vectors / "tlog-tiles-tessera/tile_paths.json").read_text())
    for index, path in known["index_paths"].items():
        assert format_tile_path(Tile(0, int(index), TILE_WIDTH)) == f"tile/0/{path}"
        assert parse_tile_path(f"tile/0/{path}") == Tile(0, int(index), TILE_WIDTH)
        assert parse_entries_path(f"tile/entries/{path}.p/9") == (int(index), 9)
        assert format_entries_path(int(index), TILE_WIDTH) == f"tile/entries/{path}"


TILES = st.builds(
    lambda level, index, width: Tile(level, index % max(1, MAX_SIZE >> 8 * (level + 1)), width),
    st.integers(0, 7),
    st.integers(0, 1 << 56),
    st.integers(1, 127),
)


@given(TILES)
def test_every_tile_has_one_path(tile: Tile) -> None:
    assert parse_tile_path(format_tile_path(tile)) == tile


NO_INDEX = [
    "", "0", "00", "0000", "x000", "x000/001", "x000/x000/001", "001/002", "x001/x002", "x01/002",
    "001.p/0", "001.p/256", "001.p/257", "001.p/999", "001.p/01", "001.p/", "001.p", "001.P/3",
    "001.p/-1", "001.p/+1", "001.p/1000", "001/", "/001", "001.p/3/", "X001/002",
    "\u0660\u0660\u0661",    "001\n", " 001", "001.p/3\n", "x999/x999/x999/x999/x999/x999/999",
    "x001/x001/x001/x001/x001/x001/x001/001", "x036/x028/x797/x018/x963/967", "-01", "..",
    "000?x=1",
]  # fmt: skip


@pytest.mark.parametrize("index", NO_INDEX)
def test_what_is_not_an_index_path_is_refused(index: str) -> None:
    with pytest.raises(MalformedError):
        parse_tile_path(f"tile/0/{index}")
    with pytest.raises(MalformedError):
        parse_entries_path(f"tile/entries/{index}")


@pytest.mark.parametrize(
    "path",
    [
        "tile/8/000",
        "tile/63/000",
        "tile/00/000",
        "tile/-1/000",
        "tile/x/000",
        "tile//000",
        "tile/000",
        "/tile/0/000",
        "Tile/0/000",
        "tile/entries/000",
        "tile/7/000",
        "tile/7/000.p/128",
        "tile/6/127",
        "",
        "tile/\u0661/000",
        "checkpoint",
    ],
)
def test_what_is_not_a_tile_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        parse_tile_path(path)


@pytest.mark.parametrize("path", ["tile/0/000", "entries/000", "tile/entries/entries/000", ""])
def test_what_is_not_an_entries_path_is_refused(path: str) -> None:
    with pytest.raises(MalformedError):
        parse_entries_path(path)


def test_changed_paths_are_other_paths_or_none() -> None:
    def parse(content: bytes) -> Tile:
        return parse_tile_path(content.decode("latin-1"))

    path = b"tile/2/x001/x234/067.p/7"
    for changed in (truncations(path), one_byte_changes(path)):
        require_one_to_one(
            changed, parse, lambda t: format_tile_path(t).encode(), never=parse(path)
        )


@pytest.mark.parametrize(
    ("level", "index", "width"),
    [
        (-1, 0, 1),
        (8, 0, 1),
        (10**9, 0, 1),
        (0, -1, 1),
        (0, 0, 0),
        (0, 0, 257),
        (0, MAX_SIZE >> 8, 256),
    ],
)
def test_tiles_that_no_log_has_are_a_mistake_of_the_caller(
    level: int, index: int, width: int
) -> None:
    with pytest.raises(ValueError, match="Tile"):
        Tile(level, index, width)
    if level == 0:
        with pytest.raises(ValueError, match="Tile"):
            format_entries_path(index, width)


# Entry bundles


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=TILE_WIDTH))
def test_bundles_are_read_as_they_are_written(entries: list[bytes]) -> None:
    assert parse_entry_bundle(format_entry_bundle(entries)) == tuple(entries)


@given(st.binary(max_size=60))
def test_any_bytes_are_one_bundle_or_none(content: bytes) -> None:
    require_one_to_one(iter([content]), parse_entry_bundle, format_entry_bundle)


def test_the_bundle_layout_is_a_big_endian_length_before_each_entry() -> None:
    assert format_entry_bundle([b"ab", b"", b"c"]) == b"\x00\x02ab\x00\x00\x00\x01c"


def test_a_bundle_cut_inside_an_entry_is_refused() -> None:
    content = format_entry_bundle([b"first", b"second"])
    for cut in truncations(content):
        if cut == format_entry_bundle([b"first"]):
            assert parse_entry_bundle(cut) == (b"first",)
        else:
            with pytest.raises(MalformedError, match=r"ends inside entry|is empty"):
                parse_entry_bundle(cut)


def test_the_longest_and_widest_bundle_fits_and_no_wider_one() -> None:
    entries = [b"\xff" * MAX_ENTRY_BYTES] * TILE_WIDTH
    content = format_entry_bundle(entries)
    assert len(content) == MAX_BUNDLE_BYTES
    assert parse_entry_bundle(content) == tuple(entries)
    with pytest.raises(MalformedError, match="goes on after 256 entries"):
        parse_entry_bundle(content + b"\x00\x00")


def test_bundles_that_cannot_be_written_are_a_mistake_of_the_caller() -> None:
    for entries in ([], [b""] * 257, [b"\x00" * 65_536]):
        with pytest.raises(ValueError, match="want"):
            format_entry_bundle(entries)


# Which tiles, and their hashes


def test_tiles_of_a_size_are_those_of_the_specification(vectors: Path) -> None:
    known = json.loads((vectors / "tlog-tiles-tessera/tile_paths.json").read_text())
    tiles = list(tiles_of(70_000))
    counts = known["size_70000"]
    full = [tile for tile in tiles if tile.width == TILE_WIDTH]
    assert sum(tile.level == 0 for tile in full) == counts["level0_full"]
    assert sum(tile.level == 1 for tile in full) == counts["level1_full"]
    assert [tile for tile in tiles if tile.width < TILE_WIDTH] == [
        Tile(0, 273, counts["level0_partial"]),
        Tile(1, 1, counts["level1_partial"]),
        Tile(2, 0, counts["level2_partial"]),
    ]
    assert list(tiles_of(256)) == [Tile(0, 0, 256), Tile(1, 0, 1)]
    assert list(tiles_of(0)) == []


@pytest.mark.parametrize("size", [1, 255, 256, 257, 65_535, 65_536, 65_537, 70_000])
def test_a_log_written_at_once_has_exactly_its_tiles(size: int) -> None:
    shelf, head = grown(size)
    assert set(shelf.contents) == set(tiles_of(size))
    assert shelf.asked == []
    assert head == TreeHead(size, root_of_leaves(LEAVES[:size]))


def test_each_hash_in_a_tile_is_the_root_of_its_leaves() -> None:
    for tile, content in FULL.contents.items():
        if tile.level or tile.index % 50 == 0:
            for i in range(0, tile.width, 17):
                start = (tile.index * TILE_WIDTH + i) << 8 * tile.level
                want = root_of_leaves(LEAVES[start : start + (1 << 8 * tile.level)])
                assert content[32 * i : 32 * i + 32] == want


def test_proofs_from_tiles_are_those_from_leaves_and_take_one_call() -> None:
    by_leaves = leaf_reader(LEAVES)
    for size in (1, 2, 256, 257, 65_536, 65_793, 70_000):
        shelf, head = grown(size)
        read = tile_hash_reader(size, shelf)
        assert tree_root(size, read) == head.root
        for index in {0, size // 3, size - 1}:
            shelf.asked.clear()
            proof = prove_inclusion(index, size, read)
            assert len(shelf.asked) <= 1
            assert proof == prove_inclusion(index, size, by_leaves)
            check_inclusion(proof, LEAVES[index], head)
        for old in {1, size // 2 + 1, size}:
            shelf.asked.clear()
            consistency = prove_consistency(old, size, read)
            assert len(shelf.asked) <= 1
            check_consistency(consistency, TreeHead(old, root_of_leaves(LEAVES[:old])), head)


def test_tiles_are_asked_for_in_order_without_repeats_at_their_width_in_this_log() -> None:
    prove_inclusion(12_345, 70_000, tile_hash_reader(70_000, FULL))
    asked = FULL.asked.pop()
    assert list(asked) == sorted(set(asked))
    assert set(asked) <= set(tiles_of(70_000))


def test_a_reader_kept_asks_again_for_the_tile_of_the_leaf_only() -> None:
    shelf, head = grown(70_000)
    read = tile_hash_reader(70_000, shelf)
    for index in (12_345, 12_346, 12_300, 12_288):
        shelf.asked.clear()
        check_inclusion(prove_inclusion(index, 70_000, read), LEAVES[index], head)
    assert [list(asked) for asked in shelf.asked] == [[Tile(0, 48, TILE_WIDTH)]]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 1500), min_size=1, max_size=8))
def test_appends_in_any_steps_end_in_the_same_tiles(steps: list[int]) -> None:
    sizes = [sum(steps[: i + 1]) for i in range(len(steps))]
    shelf, head = grown(*sizes)
    assert head == TreeHead(sizes[-1], root_of_leaves(LEAVES[: sizes[-1]]))
    at_once, _ = grown(sizes[-1])
    assert {tile: shelf.contents[tile] for tile in tiles_of(sizes[-1])} == at_once.contents
    # One read per append at most, of the right edge of the old log and nothing else.
    edges = [
        [tile for tile in tiles_of(size) if tile.width < TILE_WIDTH] for size in [0, *sizes[:-1]]
    ]
    assert [list(asked) for asked in shelf.asked] == [edge for edge in edges if edge]


def test_only_new_or_wider_tiles_are_returned() -> None:
    shelf, _ = grown(65_792)
    old = read_frontier(65_792, tile_hash_reader(65_792, shelf))
    tiles, new = extend_tiles(old, LEAVES[65_792:65_793], shelf)
    assert set(tiles) == {Tile(0, 257, 1)}
    assert new.root() == root_of_leaves(LEAVES[:65_793])
    assert extend_tiles(old, [], shelf) == ({}, old)


def test_a_log_can_grow_to_the_largest_size_and_no_further() -> None:
    size = MAX_SIZE - 1
    mth = reference.sparse_mth([size])

    def read(tiles: Sequence[Tile]) -> list[bytes]:
        return [
            b"".join(
                mth((t.index * 256 + i) << 8 * t.level, (t.index * 256 + i + 1) << 8 * t.level)
                for i in range(t.width)
            )
            for t in tiles
        ]

    leaf = mth(size, MAX_SIZE)
    old = read_frontier(size, tile_hash_reader(size, read))
    tiles, new = extend_tiles(old, [leaf], read)
    assert new.head() == TreeHead(MAX_SIZE, mth(0, MAX_SIZE))
    assert list(tiles) == [Tile(0, MAX_SIZE >> 8, 255)]
    with pytest.raises(ValueError, match="tree size is"):
        extend_tiles(old, [leaf, leaf], read)


@pytest.mark.parametrize("length", [0, 31, 32 * 111, 32 * 113])
def test_a_tile_of_another_length_is_refused(length: int) -> None:
    def read(tiles: Sequence[Tile]) -> list[bytes]:
        return [bytes(length) for _ in tiles]

    whole = read_frontier(70_000, tile_hash_reader(70_000, FULL))
    with pytest.raises(MalformedError, match=f"has {length} bytes, want"):
        tree_root(70_000, tile_hash_reader(70_000, read))
    with pytest.raises(MalformedError, match=f"has {length} bytes, want"):
        extend_tiles(whole, [], read)


def test_a_wrong_tile_gives_another_root_and_a_proof_that_fails() -> None:
    shelf, head = grown(1000)
    tile = Tile(0, 3, 232)
    shelf.contents[tile] = shelf.contents[tile][:-1] + b"\x00"
    assert tree_root(1000, tile_hash_reader(1000, shelf)) != head.root


@pytest.mark.parametrize("kept", [1, 2, tile_module.KEPT_TILES])
def test_a_reader_answers_each_node_alike_on_the_first_read_and_later(
    kept: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tile_module, "KEPT_TILES", kept)
    for size in (255, 256, 257, 1000, 66_000):
        known = leaf_reader(LEAVES[:size])
        read = tile_hash_reader(size, grown(size)[0])
        levels = range(size.bit_length())
        nodes = [(level, index) for level in levels for index in range(size >> level)][::-7]
        want = known(nodes)
        assert read(nodes) == want
        assert [read([node])[0] for node in nodes[::11]] == want[::11]
        assert read(nodes[::-1]) == want[::-1]


def test_a_tile_reader_that_answers_too_little_is_found() -> None:
    with pytest.raises(ValueError, match="reader gave 0 tiles, want 1"):
        tree_root(5, tile_hash_reader(5, lambda tiles: []))


def test_misuse_is_a_mistake_of_the_caller() -> None:
    for size in (-1, MAX_SIZE + 1):
        for make in (
            lambda size=size: list(tiles_of(size)),
            lambda size=size: tile_hash_reader(size, FULL),
            lambda size=size: right_edge(size),
        ):
            with pytest.raises(ValueError, match="tree size is"):
                make()
    for node in ((0, 5), (1, 2), (3, 0), (1 << 99, 0), (-1, 0), (0, -1)):
        with pytest.raises(ValueError, match="beyond the size 5"):
            tile_hash_reader(5, FULL)([node])
    with pytest.raises(ValueError, match="not a hash of 32 bytes"):
        extend_tiles(Frontier(), [b"short"], FULL)


# A complete log of another implementation


def test_a_foreign_log_of_sizes_0_to_15_is_ours_byte_for_byte(vectors: Path) -> None:
    log = vectors / "tlog-tiles-tessera/testdata/log"
    key = parse_vkey(TESSERA_KEY)
    entries = parse_entry_bundle((log / "tile/entries/000.p/15").read_bytes())
    leaves: list[Hash] = [leaf_hash(entry) for entry in entries]
    tiles: dict[Tile, bytes] = {}
    grown_log = Frontier()
    for size in range(16):
        note = parse_note((log / f"checkpoint.{size}").read_bytes())
        assert check_signatures(note, [key]) == (key,)
        checkpoint = parse_checkpoint(note.text)
        assert (checkpoint.origin, checkpoint.size) == (key.name, size)
        if size:
            new, grown_log = extend_tiles(
                grown_log, leaves[size - 1 : size], lambda wanted: [tiles[t] for t in wanted]
            )
            tiles.update(new)
            assert grown_log.head() == checkpoint.head
            for tile, content in new.items():
                assert (log / format_tile_path(tile)).read_bytes() == content
            bundle = format_entry_bundle(entries[:size])
            assert (log / format_entries_path(0, size)).read_bytes() == bundle
        else:
            assert checkpoint.root == EMPTY_ROOT
    state = json.loads((log / ".state/treeState").read_text())
    assert root_of_leaves(leaves) == base64.b64decode(state["root"])
    assert (log / "checkpoint").read_bytes() == (log / "checkpoint.15").read_bytes()
