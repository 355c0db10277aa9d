"""A store in one SQLite file: durable at commit, one writer at a time, any number of readers.

Tables, all append-only but for the head, the rightmost tiles and the lookup's mark:

    head        one row: size, root
    bundles     start -> up to 256 entries, as c2sp.org/tlog-tiles writes an entry bundle;
                what one commit brought is never rewritten by a later one
    tiles       level * 2**56 + index -> width * 32 bytes, the widest version
    attachments side rows, in the order they came
    lookup      8-byte prefix of an entry -> index; filled behind the commit

Reads go through a second connection, so that what is read again after a commit comes from the
files and not from the writing connection's own pages.
"""

import contextlib
import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from ledger.doors.sqlite import make_schema, open_database, transaction
from ledger.errors import ConflictError, NotFoundError, UnavailableError
from ledger.operator.store.protocol import Attached, Attachment, KeptRow, check_commit, check_range
from ledger.tlog.merkle import TreeHead
from ledger.tlog.tile import MAX_LEVEL, Tile, format_entry_bundle, parse_entry_bundle

SCHEMA_VERSION = 1

BUNDLE_ENTRIES = 256
"""Entries in one row at most: a single entry is read by loading no more than 17 KB."""

LEVEL_SHIFT = 56
"""2**63 entries need 2**55 tiles at level 0, so level and index share one 64-bit row key."""

LOOKUP_ROWS = 1 << 16
"""Lookup rows filled in one transaction: sorted and many, each index page is written about once
for ten rows; and another writer waits a fifth of a second for it at most."""

ALIKE = 4
"""Entries with the same first eight bytes that are looked at. Digests that are not chosen never
share them; whoever chooses entries must not make everybody's appends slower."""

_SCHEMA = (
    """CREATE TABLE head (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL,
        root BLOB NOT NULL) STRICT""",
    # The root of no entries: SHA-256 of nothing.
    """INSERT INTO head VALUES
        (1, 0, x'e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')""",
    "CREATE TABLE bundles (start INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
    "CREATE TABLE tiles (place INTEGER PRIMARY KEY, content BLOB NOT NULL) STRICT",
    """CREATE TABLE attachments (number INTEGER PRIMARY KEY, size INTEGER NOT NULL,
        kind TEXT NOT NULL, name TEXT NOT NULL, digest BLOB NOT NULL, content BLOB NOT NULL,
        UNIQUE (kind, size, name, digest)) STRICT""",
    """CREATE TABLE lookup (prefix INTEGER, position INTEGER, PRIMARY KEY (prefix, position))
        STRICT, WITHOUT ROWID""",
    """CREATE TABLE looked_up (one INTEGER PRIMARY KEY CHECK (one = 1), size INTEGER NOT NULL)
        STRICT""",
    "INSERT INTO looked_up VALUES (1, 0)",
)


class SqliteStore:
    """The ``Store`` protocol over the database file at ``path``; made if it is not there.

    NotFoundError if there is none and ``create`` is false; MalformedError if it is a database
    of another kind or version; UnavailableError if it cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._path = path
        self._database = open_database(path, create=create)
        self._reader = open_database(path, create=False)
        self._write_lock = threading.Lock()
        self._read_lock = threading.Lock()
        try:
            with _unavailable():
                make_schema(self._database, _SCHEMA, version=SCHEMA_VERSION, name="store")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close both connections. What was committed needs no closing to be durable."""
        with self._write_lock, self._read_lock:
            self._reader.close()
            self._database.close()

    @contextlib.contextmanager
    def _writing(self, *, durable: bool = True) -> Iterator[sqlite3.Connection]:
        with self._write_lock, _unavailable(), transaction(self._database, durable=durable):
            yield self._database.conn

    @contextlib.contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._read_lock, _unavailable():
            yield self._reader.conn

    def head(self) -> TreeHead:
        """The newest committed head."""
        with self._reading() as connection:
            return _read_head(connection)

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        """One durable transaction; ConflictError if the head moved."""
        check_commit(expected, new, entries, tiles)
        bundles = [
            (expected.size + start, format_entry_bundle(entries[start : start + BUNDLE_ENTRIES]))
            for start in range(0, len(entries), BUNDLE_ENTRIES)
        ]
        rows = [(_place(tile), content) for tile, content in tiles.items()]
        with self._writing() as connection:
            present = _read_head(connection)
            if present != expected:
                raise ConflictError(f"head is at {present.size}, want {expected.size}")
            connection.executemany("INSERT INTO bundles VALUES (?, ?)", bundles)
            connection.executemany("INSERT OR REPLACE INTO tiles VALUES (?, ?)", rows)
            connection.execute("UPDATE head SET size = ?, root = ?", (new.size, new.root))
        # If we die before the transaction's commit returns, the old head stands and nothing
        # was acknowledged; after it, entries, tiles and head are all on disk.

    def tiles(self, coordinates: Sequence[Tile]) -> tuple[bytes, ...]:
        """The tiles asked for; NotFoundError if one is missing or narrower."""
        places = [_place(tile) for tile in coordinates]
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT place, content FROM json_each(?) JOIN tiles ON place = value",
                (json.dumps(places),),
            )
            stored: dict[int, bytes] = dict(rows.fetchall())
        found = []
        for tile, place in zip(coordinates, places, strict=True):
            content = stored.get(place, b"")[: tile.size_bytes]
            if len(content) < tile.size_bytes:
                raise NotFoundError(f"no such tile: {tile}")
            found.append(content)
        return tuple(found)

    def entries(self, start: int, stop: int) -> tuple[bytes, ...]:
        """The entries of ``start <= i < stop``; NotFoundError beyond the head or in a gap."""
        check_range(start, stop)
        with self._reading() as connection:
            return _read_entries(connection, start, stop)

    def find(self, entry: bytes) -> int | None:
        """The lowest index of ``entry``, or None; never behind the head."""
        return self.find_each((entry,))[0]

    def find_each(self, entries: Sequence[bytes]) -> tuple[int | None, ...]:
        """``find`` for every entry; never behind the head.

        The lookup is brought up to the head first: 2 to 3 µs for each entry committed since the
        last call. Then, at a million entries, 3 µs for each entry looked up and 30 µs for each
        that shares its first eight bytes with one in the log (so for each one found). Of more than
        ``ALIKE`` that share them the rest is not found, and may be appended again.
        """
        self._fill_lookup()
        first: dict[bytes, int] = {}
        with self._reading() as connection:
            for prefix in dict.fromkeys(map(_prefix, entries)):
                rows = connection.execute(
                    "SELECT position FROM lookup WHERE prefix = ? ORDER BY position LIMIT ?",
                    (prefix, ALIKE),
                ).fetchall()
                # Eight bytes agree; only the whole entry says whether it is the same one.
                for (position,) in rows:
                    first.setdefault(_read_entries(connection, position, position + 1)[0], position)
        return tuple(map(first.get, entries))

    def _fill_lookup(self) -> None:
        """Bring the lookup up to the head, ``LOOKUP_ROWS`` at a time.

        If we die between two rounds, the mark says where the next one goes on.
        """
        while True:
            with self._reading() as connection:
                start, size = connection.execute(
                    "SELECT looked_up.size, head.size FROM looked_up, head"
                ).fetchone()
                stop = min(size, start + LOOKUP_ROWS)
                if start >= size:
                    return
                entries = _read_entries(connection, start, stop)
            rows = sorted(zip(map(_prefix, entries), range(start, stop), strict=True))
            with self._writing() as connection:
                # OR IGNORE: another process may have filled the same rows meanwhile.
                connection.executemany("INSERT OR IGNORE INTO lookup VALUES (?, ?)", rows)
                connection.execute("UPDATE looked_up SET size = max(size, ?)", (stop,))

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:
        """Keep a side row; an equal one is kept once."""
        digest = hashlib.sha256(attachment.content).digest()
        a = attachment
        with self._writing(durable=durable) as connection:
            connection.execute(
                "INSERT OR IGNORE INTO attachments (size, kind, name, digest, content)"
                " VALUES (?, ?, ?, ?, ?)",
                (a.size, a.kind, a.name, digest, a.content),
            )

    def attachments(self, kind: str, start: int, stop: int) -> tuple[Attachment, ...]:
        """Side rows of ``kind`` with ``start <= size < stop``, by size, then as attached."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT size, kind, name, content FROM attachments"
                " WHERE kind = ? AND size >= ? AND size < ? ORDER BY size, number",
                (kind, start, stop),
            ).fetchall()
        return tuple(Attachment(*row) for row in rows)

    def attached(self, kind: str) -> tuple[Attached, ...]:
        """Every side row of ``kind``, by size; from the index alone."""
        with self._reading() as connection:
            rows = connection.execute(
                "SELECT size, kind, name, digest FROM attachments WHERE kind = ?"
                " ORDER BY size, name, digest",
                (kind,),
            ).fetchall()
        return tuple(Attached(*row) for row in rows)

    @contextlib.contextmanager
    def snapshot(self) -> Iterator["SqliteSnapshot"]:
        """One read transaction on a connection of its own: others read and write meanwhile."""
        database = open_database(self._path, create=False)
        try:
            with _unavailable():
                database.conn.execute("BEGIN")
                # The first read is what fixes the moment.
                database.conn.execute("SELECT count(*) FROM head").fetchone()
                yield SqliteSnapshot(database.conn)
        finally:
            database.close()


class SqliteSnapshot:
    """The ``Snapshot`` of a ``SqliteStore``, in the read transaction that ``connection`` is in."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def head(self) -> tuple[int, bytes] | None:
        """Size and root as they are kept; None if the row is gone."""
        row = self._connection.execute("SELECT size, root FROM head").fetchone()
        return None if row is None else (row[0], row[1])

    def bundles(self) -> Iterator[tuple[int, bytes]]:
        """The rows of entries, by their first index."""
        yield from self._connection.execute("SELECT start, content FROM bundles ORDER BY start")

    def entries_end(self) -> int:
        """The index after the last entry's, if all in its row are as long as the first."""
        row = self._connection.execute(
            "SELECT start, content FROM bundles ORDER BY start DESC LIMIT 1"
        ).fetchone()
        return 0 if row is None else row[0] + len(row[1]) // (2 + int.from_bytes(row[1][:2], "big"))

    def tiles(self, level: int) -> Iterator[tuple[int, bytes]]:
        """Index and content of each tile of ``level``, by index."""
        first = level << LEVEL_SHIFT
        start = first if level else -(1 << 63)
        stop = (1 << 63) - 1 if level == MAX_LEVEL else first + (1 << LEVEL_SHIFT) - 1
        rows = self._connection.execute(
            "SELECT place, content FROM tiles WHERE place BETWEEN ? AND ? ORDER BY place",
            (start, stop),
        )
        for place, content in rows:
            yield place - first, content

    def tile(self, level: int, index: int) -> bytes | None:
        """The content of one tile, or None."""
        row = self._connection.execute(
            "SELECT content FROM tiles WHERE place = ?", (level << LEVEL_SHIFT | index,)
        ).fetchone()
        return None if row is None else row[0]

    def kinds(self) -> tuple[str, ...]:
        """The kinds of the side rows."""
        rows = self._connection.execute("SELECT DISTINCT kind FROM attachments ORDER BY kind")
        return tuple(kind for (kind,) in rows)

    def rows(self, kind: str) -> Iterator[KeptRow]:
        """The side rows of ``kind``, by size, then as attached."""
        rows = self._connection.execute(
            "SELECT size, kind, name, content, digest FROM attachments WHERE kind = ?"
            " ORDER BY size, number",
            (kind,),
        )
        for row in rows:
            yield KeptRow(*row)

    def lookup_size(self) -> tuple[int, int]:
        """The lookup's mark, and how many rows it has; a mark that is gone is -1."""
        mark = self._connection.execute("SELECT size FROM looked_up").fetchone()
        rows = self._connection.execute("SELECT count(*) FROM lookup").fetchone()
        return -1 if mark is None else mark[0], rows[0]

    def not_found(self, entries: Sequence[tuple[int, bytes]]) -> tuple[int, ...]:
        """Those without a row in the lookup."""
        pairs = [(_prefix(entry), index) for index, entry in entries]
        rows = self._connection.execute(
            "SELECT value ->> 1 FROM json_each(?) WHERE NOT EXISTS (SELECT 1 FROM lookup"
            " WHERE prefix = value ->> 0 AND position = value ->> 1)",
            (json.dumps(pairs),),
        )
        return tuple(index for (index,) in rows)


@contextlib.contextmanager
def _unavailable() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"the store could not be asked: {error}") from error


def _place(tile: Tile) -> int:
    return tile.level << LEVEL_SHIFT | tile.index


def _prefix(entry: bytes) -> int:
    return int.from_bytes(entry[:8], "big", signed=True)


def _read_head(connection: sqlite3.Connection) -> TreeHead:
    size, root = connection.execute("SELECT size, root FROM head").fetchone()
    return TreeHead(size, root)


def _cut(content: bytes) -> Sequence[bytes]:
    # What parse_entry_bundle does, without a step for each length: in a ledger all are 64.
    step = 2 + int.from_bytes(content[:2], "big")
    count, rest = divmod(len(content), step)
    if rest or content[::step] != content[:1] * count or content[1::step] != content[1:2] * count:
        return parse_entry_bundle(content)
    return [content[start : start + step - 2] for start in range(2, len(content), step)]


def _read_entries(connection: sqlite3.Connection, start: int, stop: int) -> tuple[bytes, ...]:
    if start == stop == 0:
        return ()
    rows = connection.execute(
        "SELECT start, content FROM bundles WHERE start < ?2 AND start >="
        " (SELECT max(start) FROM bundles WHERE start <= ?1) ORDER BY start",
        (start, max(stop, start + 1)),
    ).fetchall()
    entries: list[bytes] = []
    first = rows[0][0] if rows else 0
    for row_start, content in rows:
        if row_start != first + len(entries):
            raise NotFoundError(f"entries from {first + len(entries)} to {row_start} are missing")
        entries.extend(_cut(content))
    if first + len(entries) < stop:
        raise NotFoundError(f"entries to {stop}, have {first + len(entries)}")
    return tuple(entries[start - first : stop - first])
