"""SQLite as everything here uses it: durable at commit, one writer at a time, inspectable.

``sqlite_utils`` gives schema, migrations and inspection; hot paths use its ``.conn``.
"""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from sqlite_utils import Database

from ledger.errors import NotFoundError, UnavailableError

BUSY_SECONDS = 30
"""How long one process waits for another's turn before it gives up (exit 3)."""


def open_database(path: Path, *, create: bool = True) -> Database:
    """Open the database file at ``path``: WAL, ``synchronous=FULL``, foreign keys on.

    A commit has reached the disk when it returns. NotFoundError if there is none and ``create``
    is false; UnavailableError if the file cannot be opened or is no database.
    """
    if not create and not path.exists():
        raise NotFoundError(f"no such database: {path}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        if create:
            path.chmod(0o600)
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(f"cannot open {path}: {error}") from error
    return Database(connection)


@contextlib.contextmanager
def transaction(database: Database) -> Iterator[None]:
    """One write transaction: all of the block or none of it; UnavailableError if it cannot be."""
    connection = database.conn
    try:
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        # If we die before this line returns, nothing of the block is there afterwards.
        connection.execute("COMMIT")
    except sqlite3.OperationalError as error:
        raise UnavailableError(f"the database did not take it: {error}") from error


@contextlib.contextmanager
def turn(path: Path, timeout_seconds: float = BUSY_SECONDS) -> Iterator[None]:
    """Hold the turn that ``path`` stands for; the operating system frees it if we die.

    UnavailableError if another process still has it after ``timeout_seconds``.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(path, timeout=timeout_seconds, isolation_level=None)
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(f"cannot open {path}: {error}") from error
    started = time.monotonic()
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        waited = round(time.monotonic() - started)
        raise UnavailableError(
            f"another process has its turn, waited {waited} s: {error}",
            hint="let the other tally finish, then run this again",
        ) from error
    try:
        yield
    finally:
        lock.close()
