"""A store in memory: for tests, examples and measurements. It keeps every promise but durability.

>>> from ledger.tlog.merkle import EMPTY_ROOT
>>> store = MemoryStore()
>>> store.head().size, store.head().root == EMPTY_ROOT
(0, True)
"""

import threading
from collections.abc import Mapping, Sequence

from ledger.errors import ConflictError, NotFoundError
from ledger.operator.store.protocol import Attachment, check_commit, check_range
from ledger.tlog.merkle import EMPTY_ROOT, TreeHead
from ledger.tlog.tile import Tile


class MemoryStore:
    """The ``Store`` protocol over lists and dicts, under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._head = TreeHead(0, EMPTY_ROOT)
        self._entries: list[bytes] = []
        self._first: dict[bytes, int] = {}
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._attachments: dict[Attachment, None] = {}

    def head(self) -> TreeHead:
        """The newest committed head."""
        return self._head

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        """Add all of it or, with ConflictError, nothing."""
        check_commit(expected, new, entries, tiles)
        with self._lock:
            if self._head != expected:
                raise ConflictError(f"head is at {self._head.size}, want {expected.size}")
            for entry in entries:
                self._first.setdefault(entry, len(self._entries))
                self._entries.append(entry)
            for tile, content in tiles.items():
                self._tiles[tile.level, tile.index] = content
            self._head = new

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """The tiles asked for; NotFoundError if one is missing or narrower."""
        found = []
        with self._lock:
            for tile in coordinates:
                content = self._tiles.get((tile.level, tile.index), b"")
                if not content or len(content) < tile.width * 32:
                    raise NotFoundError(f"no such tile: {tile}")
                found.append(content[: tile.width * 32])
        return tuple(found)

    def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """The entries of ``start <= i < stop``; NotFoundError beyond the head."""
        check_range(start, stop)
        with self._lock:
            if stop > len(self._entries):
                raise NotFoundError(f"entries to {stop}, have {len(self._entries)}")
            return tuple(self._entries[start:stop])

    def find(self, entry: bytes) -> int | None:
        """The lowest index of ``entry``, or None; never behind the head."""
        with self._lock:
            return self._first.get(entry)

    def find_each(self, entries: Sequence[bytes]) -> tuple[int | None, ...]:
        """``find`` for every entry."""
        with self._lock:
            return tuple(map(self._first.get, entries))

    def attach(self, attachment: Attachment) -> None:
        """Keep a side row; an equal one is kept once."""
        with self._lock:
            self._attachments.setdefault(attachment)

    def attachments(self, kind: str, start: int, stop: int) -> tuple[Attachment, ...]:
        """Side rows of ``kind`` with ``start <= size < stop``, by size, then as attached."""
        with self._lock:
            rows = [row for row in self._attachments if row.kind == kind]
        return tuple(sorted((r for r in rows if start <= r.size < stop), key=lambda r: r.size))
