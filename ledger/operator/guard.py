"""The guard: one signed file per tree size, for ever, in a place no backup restores.

The store can be copied back from yesterday; the guard remembers what was signed today, so the
sequencer sees that it would sign a second history and refuses. It lies on another path than the
store (the platform's state folder; for servers another database). If the guard itself is lost,
the ledger is closed and a successor is opened; it is never rebuilt from the store.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path

from ledger.doors.sqlite import make_schema, open_database, transaction
from ledger.errors import ConflictError, UnavailableError

SCHEMA_VERSION = 1

FILES_AT_ONCE = 256
"""Signed files read at a time: a megabyte."""

_SCHEMA = (
    "CREATE TABLE signed (size INTEGER PRIMARY KEY CHECK (size >= 0), file BLOB NOT NULL) STRICT",
    """CREATE TRIGGER signed_update BEFORE UPDATE ON signed
        BEGIN SELECT RAISE(ABORT, 'a signed file is never changed'); END""",
    """CREATE TRIGGER signed_delete BEFORE DELETE ON signed
        BEGIN SELECT RAISE(ABORT, 'a signed file is never deleted'); END""",
)


class Guard:
    """The guard in the SQLite file at ``path``; made, empty, if it is not there. Thread-safe.

    NotFoundError if there is none and ``create`` is false; MalformedError if it is a database of
    another kind or version; UnavailableError, here and from every method, if it cannot be asked.
    """

    def __init__(self, path: Path, *, create: bool = True) -> None:
        self._database = open_database(path, create=create)
        self._lock = threading.Lock()
        try:
            with self._asking():
                make_schema(self._database, _SCHEMA, version=SCHEMA_VERSION, name="guard")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection. What was swapped in needs no closing to be durable."""
        with self._lock:
            self._database.close()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._database.conn
        except sqlite3.Error as error:
            raise UnavailableError(f"the guard could not be asked: {error}") from error

    def latest(self) -> bytes | None:
        """The signed file of the greatest size, or None if nothing was ever signed."""
        with self._asking() as connection:
            row = connection.execute(
                "SELECT file FROM signed ORDER BY size DESC LIMIT 1"
            ).fetchone()
        return None if row is None else bytes(row[0])

    def file(self, size: int) -> bytes | None:
        """The signed file of exactly ``size``, or None."""
        with self._asking() as connection:
            return _file(connection, size)

    def greatest(self) -> int | None:
        """The greatest size that was signed, or None if nothing ever was."""
        with self._asking() as connection:
            size = connection.execute("SELECT max(size) FROM signed").fetchone()[0]
        return None if size is None else int(size)

    def files(self, stop: int) -> Iterator[tuple[int, bytes]]:
        """Size and signed file of each size below ``stop``, by size; a few are held at a time."""
        size = -1
        while True:
            with self._asking() as connection:
                rows = connection.execute(
                    "SELECT size, file FROM signed WHERE size > ? AND size < ? ORDER BY size"
                    " LIMIT ?",
                    (size, stop, FILES_AT_ONCE),
                ).fetchall()
            if not rows:
                return
            yield from rows
            size = rows[-1][0]

    def swap(self, expected_size: int | None, size: int, signed_file: bytes) -> bytes:
        """Keep ``signed_file`` for ``size`` and return the bytes that are now THE file of it.

        If ``size`` is already signed, the stored bytes come back and ``signed_file`` must be
        thrown away: the caller compares what they say with what it wanted to say. Durable when
        it returns. ConflictError if the greatest size here is not ``expected_size`` (None:
        nothing signed yet) or if ``size`` is not beyond it.
        """
        with self._asking() as connection, transaction(self._database):
            stored = _file(connection, size)
            if stored is not None:
                return stored
            greatest = connection.execute("SELECT max(size) FROM signed").fetchone()[0]
            if greatest != expected_size:
                raise ConflictError(f"guard is at size {greatest}, want {expected_size}")
            if greatest is not None and size < greatest:
                raise ConflictError(f"size {size} was passed, guard is at {greatest}")
            connection.execute("INSERT INTO signed VALUES (?, ?)", (size, signed_file))
        # If we die before the transaction's commit returns, nothing was signed for the world:
        # the next start signs this size again. After it, only these bytes are ever published.
        return signed_file


def _file(connection: sqlite3.Connection, size: int) -> bytes | None:
    row = connection.execute("SELECT file FROM signed WHERE size = ?", (size,)).fetchone()
    return None if row is None else bytes(row[0])
