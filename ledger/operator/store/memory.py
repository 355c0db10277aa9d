"""A store in memory: for tests, examples and measurements. It keeps every promise but durability.

>>> from ledger.tlog.merkle import EMPTY_ROOT
>>> store = MemoryStore()
>>> store.head().size, store.head().root == EMPTY_ROOT
(0, True)
"""

import contextlib
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from ledger.errors import ConflictError, NotFoundError
from ledger.operator.store.protocol import (
    Attached,
    Attachment,
    KeptRow,
    check_commit,
    check_range,
)
from ledger.tlog.merkle import EMPTY_ROOT, MAX_SIZE, TreeHead
from ledger.tlog.tile import TILE_WIDTH, Tile, format_entry_bundle


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

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:  # noqa: ARG002
        """Keep a side row; an equal one is kept once."""
        with self._lock:
            self._attachments.setdefault(attachment)

    def attachments(self, kind: str, start: int, stop: int) -> tuple[Attachment, ...]:
        """Side rows of ``kind`` with ``start <= size < stop``, by size, then as attached."""
        with self._lock:
            rows = [row for row in self._attachments if row.kind == kind]
        return tuple(sorted((r for r in rows if start <= r.size < stop), key=lambda r: r.size))

    def attached(self, kind: str) -> tuple[Attached, ...]:
        """Every side row of ``kind``, by size; no content is read."""
        rows = self.attachments(kind, 0, MAX_SIZE)
        return tuple(Attached(r.size, kind, r.name, sha256(r.content).digest()) for r in rows)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator["MemorySnapshot"]:
        """A copy of everything."""
        with self._lock:
            snapshot = MemorySnapshot(
                self._head,
                tuple(self._entries),
                dict(self._first),
                dict(self._tiles),
                tuple(self._attachments),
            )
        yield snapshot


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """The ``Snapshot`` of a ``MemoryStore``."""

    _head: TreeHead
    _entries: Sequence[bytes]
    _first: Mapping[bytes, int]
    _tiles: Mapping[tuple[int, int], bytes]
    _attachments: Sequence[Attachment]

    def head(self) -> tuple[int, bytes]:
        """Size and root."""
        return self._head.size, self._head.root

    def bundles(self) -> Iterator[tuple[int, bytes]]:
        """All entries, 256 at a time."""
        for start in range(0, len(self._entries), TILE_WIDTH):
            yield start, format_entry_bundle(self._entries[start : start + TILE_WIDTH])

    def entries_end(self) -> int:
        """How many entries there are."""
        return len(self._entries)

    def tiles(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Index and content of each tile of ``level``, by index."""
        yield from sorted((key[1], value) for key, value in self._tiles.items() if key[0] == level)

    def tile(self, level: int, index: int) -> bytes | None:
        """The content of one tile, or None."""
        return self._tiles.get((level, index))

    def kinds(self) -> tuple[str, ...]:
        """The kinds of the side rows."""
        return tuple(sorted({row.kind for row in self._attachments}))

    def rows(self, kind: str) -> Iterator[KeptRow]:
        """The side rows of ``kind``, by size, then as attached."""
        for row in sorted((r for r in self._attachments if r.kind == kind), key=lambda r: r.size):
            digest = sha256(row.content).digest()
            yield KeptRow(row.size, row.kind, row.name, row.content, digest)

    def lookup_size(self) -> tuple[int, int]:
        """All entries, each with one place in the list."""
        return len(self._entries), len(self._entries)

    def not_found(self, entries: Sequence[tuple[int, bytes]]) -> tuple[int, ...]:
        """Those that ``find`` does not give this or a lower index."""
        return tuple(i for i, entry in entries if self._first.get(entry, i + 1) > i)
