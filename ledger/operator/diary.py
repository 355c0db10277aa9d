"""What a hosted ledger's schedule must remember: its cover entries, and since when stamps are due.

    covers  entry -> the secret it is made of, when it was made, its index once it has one
    waits   size -> when the tree of this size was first seen to wait for a stamp
    moments size, TSA -> the time in its token: read once, since reading a month of them takes
            half a minute; the tokens in the store are the truth, and this can be lost

A cover's secret is written before the cover is appended: whoever keeps the diary can show of each
cover that no record hides behind it. The times of waits are this machine's word and in no proof.
"""

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.doors.sqlite import make_schema, open_database, transaction
from ledger.errors import UnavailableError

DIARY_FILE = "diary.sqlite"
"""Its name in the ledger's home."""

SCHEMA_VERSION = 1

_SCHEMA = (
    """CREATE TABLE covers (
        entry BLOB PRIMARY KEY, secret BLOB NOT NULL, made INTEGER NOT NULL, place INTEGER)
        STRICT""",
    "CREATE TABLE waits (size INTEGER PRIMARY KEY, since INTEGER NOT NULL) STRICT",
    """CREATE TABLE moments (
        size INTEGER, tsa TEXT, moment INTEGER NOT NULL, PRIMARY KEY (size, tsa))
        STRICT, WITHOUT ROWID""",
    "CREATE INDEX moments_moment ON moments (moment)",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Cover:
    """One cover entry: ``cover_entry(secret)`` is ``entry``. ``index``: None until appended."""

    entry: bytes
    secret: bytes
    made: datetime
    index: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """The tree of ``size`` entries was there, without a stamp, at ``since`` by this machine."""

    size: int
    since: datetime


@dataclass(frozen=True, slots=True)
class Stamped:
    """The tree of ``size`` entries has a token of ``tsa`` with the time ``moment``."""

    size: int
    tsa: str
    moment: datetime


class Diary:
    """The diary in the SQLite file at ``path``; made if it is not there. Thread-safe.

    UnavailableError, here and from every method, if the file cannot be asked; MalformedError if
    it is of another kind. Moments are aware UTC, kept to the second, those of tokens wholly.
    """

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = open_database(path)
        try:
            with self._asking():
                make_schema(self._database, _SCHEMA, version=SCHEMA_VERSION, name="diary")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._database.conn
        except sqlite3.Error as error:
            raise UnavailableError(f"the diary could not be asked: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._asking() as connection, transaction(self._database):
            yield connection

    def add_cover(self, entry: bytes, secret: bytes, made: datetime) -> None:
        """Keep a cover's secret, durably, before the cover is appended."""
        with self._writing() as connection:
            row = (entry, secret, _number(made))
            connection.execute("INSERT INTO covers VALUES (?, ?, ?, NULL)", row)

    def place(self, entries: Sequence[bytes], indexes: Sequence[int]) -> None:
        """Note where the ledger put these covers."""
        with self._writing() as connection:
            connection.executemany(
                "UPDATE covers SET place = ? WHERE entry = ?",
                list(zip(indexes, entries, strict=True)),
            )

    def covers(self) -> tuple[Cover, ...]:
        """Every cover ever made, oldest first."""
        with self._asking() as connection:
            rows = connection.execute("SELECT * FROM covers ORDER BY rowid").fetchall()
        return tuple(
            Cover(entry, secret, _moment(made), place) for entry, secret, made, place in rows
        )

    def queued(self) -> tuple[bytes, ...]:
        """The covers that have no index yet, oldest first."""
        with self._asking() as connection:
            rows = connection.execute(
                "SELECT entry FROM covers WHERE place IS NULL ORDER BY rowid"
            ).fetchall()
        return tuple(bytes(row[0]) for row in rows)

    def note_wait(self, wait: Wait) -> None:
        """Keep when a tree was first seen to wait; one of the same size is kept as it was."""
        with self._writing() as connection:
            row = (wait.size, _number(wait.since))
            connection.execute("INSERT OR IGNORE INTO waits VALUES (?, ?)", row)

    def waits(self, since: datetime = _EPOCH) -> tuple[Wait, ...]:
        """The waits that began at ``since`` or later, smallest tree first."""
        with self._asking() as connection:
            rows = connection.execute(
                "SELECT size, since FROM waits WHERE since >= ? ORDER BY size", (_number(since),)
            ).fetchall()
        return tuple(Wait(size, _moment(number)) for size, number in rows)

    def last_wait(self) -> Wait | None:
        """The wait of the greatest tree, or None."""
        with self._asking() as connection:
            row = connection.execute(
                "SELECT size, since FROM waits ORDER BY size DESC LIMIT 1"
            ).fetchone()
        return None if row is None else Wait(row[0], _moment(row[1]))

    def note_stamped(self, stamped: Sequence[Stamped]) -> None:
        """Keep the times of tokens; none is overwritten."""
        rows = [(one.size, one.tsa, (one.moment - _EPOCH) // _MICROSECOND) for one in stamped]
        with self._writing() as connection:
            connection.executemany("INSERT OR IGNORE INTO moments VALUES (?, ?, ?)", rows)

    def stamped(self, since: datetime) -> tuple[Stamped, ...]:
        """The tokens kept here from the last tree with one before ``since`` on, by size."""
        with self._asking() as connection:
            rows = connection.execute(
                "SELECT size, tsa, moment FROM moments WHERE size >="
                " (SELECT coalesce(max(size), 0) FROM moments WHERE moment < ?)"
                " ORDER BY size, moment",
                ((since - _EPOCH) // _MICROSECOND,),
            ).fetchall()
        return tuple(
            Stamped(size, tsa, _EPOCH + moment * _MICROSECOND) for size, tsa, moment in rows
        )

    def latest(self) -> datetime | None:
        """The latest moment of which it is known here that an entry was new; None if of none."""
        with self._asking() as connection:
            row = connection.execute(
                "SELECT max(at) FROM (SELECT made AS at FROM covers UNION ALL"
                " SELECT since FROM waits)"
            ).fetchone()
        return None if row[0] is None else _moment(row[0])


def _number(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return (moment - _EPOCH) // _SECOND


def _moment(number: int) -> datetime:
    return _EPOCH + number * _SECOND
