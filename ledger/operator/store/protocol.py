"""What the sequencer wants of a store: six promises, kept alike in memory and in SQLite.

A seventh is the auditor's: a snapshot of everything that is kept, right or wrong.

The database is the truth: published tiles are derived from it and can be made again. A store
checks that it gives back what it was given; it does not check that tiles, entries and head fit
each other. That is the sequencer's work, on bytes it read again.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from ledger.tlog.merkle import TreeHead
from ledger.tlog.tile import Tile

MAX_ENTRY_BYTES = (1 << 16) - 1
"""c2sp.org/tlog-tiles writes an entry's length as a uint16."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A side row of the log at tree size ``size``: a checkpoint, a token, a cosignature.

    ``kind`` says what ``content`` is, ``name`` whose it is (the TSA, the witness, the origin).
    """

    size: int
    kind: str
    name: str
    content: bytes

    def __post_init__(self) -> None:
        if self.size < 0:
            raise ValueError(f"attachment size is {self.size}, want 0 or more")
        if not self.kind:
            raise ValueError("attachment kind is empty")


@dataclass(frozen=True, slots=True)
class Attached:
    """A side row that is there, without its content; ``digest``: the content's SHA-256."""

    size: int
    kind: str
    name: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A side row as it lies in the store, whatever it says; ``digest``: kept with the content."""

    size: int
    kind: str
    name: str
    content: bytes
    digest: bytes


class Snapshot(Protocol):
    """Everything a store holds at one moment, row by row and unjudged: for whoever audits it.

    Nothing is refused because it should not be there, and nothing is written. Each iterator reads
    as it goes. UnavailableError when the database cannot be asked.
    """

    def head(self) -> tuple[int, bytes] | None:
        """Size and root as they are kept; None if there is no head."""
        ...

    def bundles(self) -> Iterator[tuple[int, bytes]]:
        """The index of its first entry and the content of each entry bundle, by that index."""
        ...

    def entries_end(self) -> int:
        """The index after the last entry's, by the place and the length of the last bundle."""
        ...

    def tiles(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Index and content of each tile of ``level``, by index.

        What has no level that exists comes with the nearest one, under an index that no log has.
        """
        ...

    def tile(self, level: int, index: int) -> bytes | None:
        """The content of one tile, or None."""
        ...

    def kinds(self) -> tuple[str, ...]:
        """The kinds of the side rows."""
        ...

    def rows(self, kind: str) -> Iterator[KeptRow]:
        """The side rows of ``kind``, by size, then as attached."""
        ...

    def lookup_size(self) -> tuple[int, int]:
        """Up to which size ``find`` is prepared, and how many entries it knows."""
        ...

    def not_found(self, entries: Sequence[tuple[int, bytes]]) -> tuple[int, ...]:
        """Of these indexes with their entries, those that ``find`` would not come upon."""
        ...


class Store(Protocol):
    """Six promises and the snapshot.

    ``find_each`` is ``find`` for many in one call, ``attached`` is ``attachments`` without content.
    Safe to use from threads. Each method raises UnavailableError when the database cannot be asked.
    """

    def head(self) -> TreeHead:
        """The newest committed head; size 0 and the empty root for a new store."""
        ...

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        """Add ``entries`` and ``tiles`` and make ``new`` the head, all or nothing, durably.

        When it returns, all of it is on disk; when it raises, none of it is there (but after an
        UnavailableError from the disk itself the caller must read the head to know). A tile
        takes the place of a narrower one at the same level and index.

        ConflictError if the head is not ``expected``; ValueError if ``entries`` are not exactly
        the difference of the two sizes, or if a tile has not ``width * 32`` bytes.
        """
        ...

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """The tiles asked for, in the order asked; a partial one may come from a wider one.

        NotFoundError if one is not there, or is there narrower than asked.
        """
        ...

    def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """The entries of indexes ``start <= i < stop``.

        NotFoundError if ``stop`` is beyond the head or if rows are missing.
        """
        ...

    def find(self, entry: bytes) -> int | None:
        """The lowest index of exactly this ``entry``, or None. May lag behind the head."""
        ...

    def find_each(self, entries: Sequence[bytes]) -> tuple[int | None, ...]:
        """``find`` for every one of ``entries``, in their order, in one call."""
        ...

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:
        """Keep a side row. Nothing is ever overwritten; an equal one is kept once.

        Not ``durable``: others see it at once, and it is on disk no later than the next that is,
        or the next commit.
        """
        ...

    def attachments(self, kind: str, start: int, stop: int) -> tuple[Attachment, ...]:
        """Side rows of ``kind`` with ``start <= size < stop``, by size, then as attached."""
        ...

    def attached(self, kind: str) -> tuple[Attached, ...]:
        """Every side row of ``kind``, by size; no content is read."""
        ...

    def snapshot(self) -> AbstractContextManager[Snapshot]:
        """Everything that is kept at this moment; what is written meanwhile is not in it."""
        ...


def check_commit(
    expected: TreeHead, new: TreeHead, entries: Sequence[bytes], tiles: Mapping[Tile, bytes]
) -> None:
    """ValueError unless the sizes, the entries and the tiles' widths can belong together."""
    if new.size - expected.size != len(entries):
        raise ValueError(f"{len(entries)} entries, want {new.size - expected.size}")
    if entries and max(map(len, entries)) > MAX_ENTRY_BYTES:
        raise ValueError(f"entry is longer than {MAX_ENTRY_BYTES} bytes")
    for tile, content in tiles.items():
        if len(content) != tile.width * 32:
            raise ValueError(f"{tile} has {len(content)} bytes, want {tile.width * 32}")


def check_range(start: int, stop: int) -> None:
    """ValueError unless ``0 <= start <= stop``."""
    if not 0 <= start <= stop:
        raise ValueError(f"range {start}..{stop}, want 0 <= start <= stop")
