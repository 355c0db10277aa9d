"""Full tiles of a ledger elsewhere, on disk: they never change, so each is fetched once.

Only what was checked against a checkpoint is kept. Each file ends in the SHA-256 of what is before
it: what the disk changed since is as if it were not there, and is no fault of the ledger's.
"""

import hashlib
from pathlib import Path

from ledger.doors.files import make_folder, read_limited, write_durably
from ledger.errors import LedgerError
from ledger.tlog.tile import TILE_WIDTH, Tile, format_tile_path

DIGEST_SIZE = 32


class TileCache:
    """The cache in ``folder``; what it cannot read or keep is fetched again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, tile: Tile) -> bytes | None:
        """The content of ``tile``, None if it is not there whole."""
        if tile.width != TILE_WIDTH:
            return None
        try:
            content = read_limited(self._path(tile), tile.size_bytes + DIGEST_SIZE)
        except LedgerError:
            return None
        tile_bytes, digest = content[:-DIGEST_SIZE], content[-DIGEST_SIZE:]
        if len(tile_bytes) != tile.size_bytes or hashlib.sha256(tile_bytes).digest() != digest:
            return None
        return tile_bytes

    def keep(self, tile: Tile, content: bytes) -> None:
        """Keep a full ``tile`` that was checked; that it cannot be kept is no error."""
        if self.get(tile) == content:
            return
        path = self._path(tile)
        try:
            make_folder(path.parent, mode=0o700)
            write_durably(path, content + hashlib.sha256(content).digest(), overwrite=True)
        except (LedgerError, OSError):
            # A full disk, say: it is fetched again.
            return

    def _path(self, tile: Tile) -> Path:
        return self._folder / format_tile_path(tile)
