"""SQLite as everything here uses it: durable at commit, one writer at a time, inspectable.

``sqlite_utils`` gives schema, migrations and inspection; hot paths use its ``.conn``.
"""

import contextlib
import os
import sqlite3
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from sqlite_utils import Database

from ledger.doors.drives import refuse_network_drive
from ledger.doors.files import make_folder
from ledger.errors import MalformedError, NotFoundError, UnavailableError

BUSY_SECONDS = 30
"""How long one process waits for another's turn before it gives up (exit 3)."""


def open_database(path: Path, *, create: bool = True) -> Database:
    """Open the database file at ``path``: WAL, ``synchronous=FULL``, foreign keys on.

    A commit has reached the disk when it returns. A new file is its owner's alone. NotFoundError
    if there is none and ``create`` is false; UnavailableError if the file cannot be opened, is no
    database, or lies where SQLite cannot share it between processes (a network drive).
    """
    if not create and not path.exists():
        raise NotFoundError(f"no such database: {path}")
    refuse_network_drive(path.parent)
    connection: sqlite3.Connection | None = None
    try:
        _make_file(path)
        connection = sqlite3.connect(
            path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        for pragma in ("synchronous=FULL", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
    except (sqlite3.Error, OSError) as error:
        if connection is not None:
            connection.close()
        raise UnavailableError(f"cannot open {path}: {error}") from error
    if mode != "wal":
        connection.close()
        hint = "move the folder to a disk of this machine"
        raise UnavailableError(f"cannot open {path}: journal mode is {mode}, want wal", hint=hint)
    return Database(connection)


def _make_file(path: Path) -> None:
    """An empty file, readable by its owner from its first moment, if there is none.

    If we die after it, an empty file is left: SQLite takes it for a new database.
    """
    make_folder(path.parent)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


@contextlib.contextmanager
def transaction(database: Database, *, durable: bool = True) -> Iterator[None]:
    """One write transaction: all of the block or none of it; UnavailableError if it cannot be.

    Not ``durable``: it has reached the disk no later than the next one that is; until then a crash
    of the machine may lose it, whole.
    ``sqlite3.IntegrityError`` comes through, for the caller knows which rule was broken.
    """
    connection = database.conn
    try:
        if not durable:
            connection.execute("PRAGMA synchronous=NORMAL").fetchall()
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            # If we die before this line returns, nothing of the block is there afterwards.
            connection.execute("COMMIT")
        except BaseException:
            # A full disk may have ended the transaction already.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
    except sqlite3.IntegrityError:
        raise
    except sqlite3.DatabaseError as error:
        raise UnavailableError(f"the database did not take it: {error}") from error
    finally:
        if not durable:
            connection.execute("PRAGMA synchronous=FULL").fetchall()


def schema_version(database: Database) -> int:
    """The version a database says it is of; 0 if it was never made. ``sqlite3.Error``."""
    return int(database.conn.execute("PRAGMA user_version").fetchone()[0])


def make_schema(database: Database, statements: Iterable[str], *, version: int, name: str) -> None:
    """Make an empty ``database`` one of ``version``, in one transaction; leave one that is it.

    ``name``: what a message calls it. MalformedError if it is of another kind or version.
    """
    if schema_version(database) == version:
        return
    with transaction(database):
        found = schema_version(database)  # another process may have been first
        tables = database.conn.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
        if found == 0 and tables == 0:
            for statement in statements:
                database.conn.execute(statement)
            database.conn.execute(f"PRAGMA user_version = {version}")
        elif found != version:
            raise MalformedError(f"{name} has schema {found}, want {version}")


def copy_database(source: Path, target: Path) -> None:
    """Copy the database ``source`` as it is at one moment, while others write it, to ``target``.

    The copy is one file, readable by its owner alone, with no journal beside it. UnavailableError.
    """
    try:
        target.touch(mode=0o600)
        place = f"{source.absolute().as_uri()}?mode=ro"
        with (
            contextlib.closing(sqlite3.connect(place, uri=True)) as connection,
            contextlib.closing(sqlite3.connect(target)) as copy,
        ):
            connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
    except (sqlite3.Error, OSError) as error:
        raise UnavailableError(f"cannot copy {source}: {error}") from error


def is_busy(error: BaseException | None) -> bool:
    """Whether ``error`` is SQLite's own word for: another process has it."""
    return getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY


@contextlib.contextmanager
def turn(path: Path, timeout_seconds: float = BUSY_SECONDS) -> Iterator[None]:
    """Hold the turn that ``path`` stands for; the operating system frees it if we die.

    UnavailableError if another process still has it after ``timeout_seconds``. Not for a block
    inside of another that holds it: that one would wait for itself.
    """
    started = time.monotonic()
    lock: sqlite3.Connection | None = None
    try:
        _make_file(path)
        lock = sqlite3.connect(
            path, timeout=timeout_seconds, isolation_level=None, check_same_thread=False
        )
        lock.execute("BEGIN EXCLUSIVE")
    except (sqlite3.Error, OSError) as error:
        if lock is not None:
            lock.close()
        if not is_busy(error):
            raise UnavailableError(f"cannot take a turn at {path}: {error}") from error
        waited = round(time.monotonic() - started)
        raise UnavailableError(
            f"another process has its turn at {path.parent}, waited {waited} s",
            hint="let the other tally finish, then run this again",
        ) from error
    try:
        yield
    finally:
        lock.close()
