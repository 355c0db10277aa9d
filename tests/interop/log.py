"""A log in a folder, as c2sp.org/tlog-tiles lays it out, grown by ours."""

from collections.abc import Sequence
from pathlib import Path

from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import Hash, HashReader, Node, TreeHead, leaf_hash
from ledger.tlog.tile import (
    TILE_WIDTH,
    Tile,
    extend_tiles,
    format_entries_path,
    format_entry_bundle,
    format_tile_path,
    tile_hash_reader,
)


class FolderLog:
    """Entries appended with ``extend_tiles``; every tile and bundle is a file below ``folder``.

    Partial ones stay when wider ones come, so the folder serves each size it ever had.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[bytes] = []
        self.leaves: list[Hash] = []
        self.heads: dict[int, TreeHead] = {}
        self.frontier = Frontier()

    @property
    def size(self) -> int:
        return len(self.entries)

    def append(self, entries: Sequence[bytes]) -> TreeHead:
        """Append ``entries``; the new head, also kept in ``heads``."""
        leaves = [leaf_hash(entry) for entry in entries]
        tiles, self.frontier = extend_tiles(self.frontier, leaves, self.read_tiles)
        head = self.frontier.head()
        for tile, content in tiles.items():
            self.write(format_tile_path(tile), content)
        first = self.size // TILE_WIDTH * TILE_WIDTH
        self.entries += entries
        self.leaves += leaves
        for start in range(first, self.size, TILE_WIDTH):
            bundle = self.entries[start : start + TILE_WIDTH]
            path = format_entries_path(start // TILE_WIDTH, len(bundle))
            self.write(path, format_entry_bundle(bundle))
        self.heads[head.size] = head
        return head

    def write(self, path: str, content: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)

    def read_tiles(self, tiles: Sequence[Tile]) -> list[bytes]:
        return [(self.folder / format_tile_path(tile)).read_bytes() for tile in tiles]

    def reader(self, size: int) -> HashReader:
        """Answers hashes from the tiles of the log at ``size``, each node computed once."""
        read = tile_hash_reader(size, self.read_tiles)
        known: dict[Node, Hash] = {}

        def answer(nodes: Sequence[Node]) -> list[Hash]:
            missing = [node for node in nodes if node not in known]
            known.update(zip(missing, read(missing), strict=True))
            return [known[node] for node in nodes]

        return answer


def entry(number: int) -> bytes:
    """Entry ``number`` of the tests: 64 bytes, another for each number."""
    return number.to_bytes(8, "big") * 8
