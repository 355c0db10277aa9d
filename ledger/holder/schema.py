"""The vault's database by versions: each migration brings it from one version to the next.

A vault made by an older version is brought up to date when it is opened, a migration at a time,
each in one transaction with its version number. One made by a newer version is refused: what this
version does not know of it, it could damage. A migration that was released is never changed.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlite_utils import Database

from ledger.doors.sqlite import schema_version, transaction
from ledger.errors import MalformedError, UnavailableError

_RECORDS = (
    """CREATE TABLE notebooks (
        name TEXT PRIMARY KEY, chain TEXT NOT NULL UNIQUE, created TEXT NOT NULL)""",
    """CREATE TABLE records (
        number INTEGER PRIMARY KEY, entry BLOB NOT NULL UNIQUE,
        notebook TEXT NOT NULL REFERENCES notebooks(name),
        chain TEXT NOT NULL, seq INTEGER NOT NULL, sdjwt BLOB NOT NULL,
        kind TEXT NOT NULL, stage TEXT, title TEXT, label TEXT,
        path TEXT, content TEXT NOT NULL, manifest TEXT,
        created TEXT NOT NULL, idx INTEGER,
        UNIQUE (chain, seq))""",
    "CREATE INDEX records_path ON records (path, number)",
    "CREATE INDEX records_queued ON records (number) WHERE idx IS NULL",
    "CREATE TABLE covers (entry BLOB PRIMARY KEY, secret BLOB NOT NULL, idx INTEGER)",
)

_RECEIPTS = (
    # Origin of the ledger that ``idx`` is a place in, and how many TSAs the kept receipt names.
    "ALTER TABLE records ADD COLUMN ledger TEXT",
    "ALTER TABLE records ADD COLUMN stamps INTEGER NOT NULL DEFAULT 0",
    "ALTER TABLE records ADD COLUMN note TEXT",
    "CREATE INDEX records_notebook ON records (notebook, number)",
    "CREATE INDEX records_receipt ON records (ledger, stamps, idx)",
    "CREATE TABLE ledgers (origin TEXT PRIMARY KEY, vkeys TEXT NOT NULL)",
    """CREATE TABLE checkpoints (
        ledger TEXT NOT NULL REFERENCES ledgers(origin), size INTEGER NOT NULL,
        file BLOB NOT NULL, PRIMARY KEY (ledger, size))""",
    """CREATE TABLE tokens (
        ledger TEXT NOT NULL, size INTEGER NOT NULL, tsa TEXT NOT NULL,
        response BLOB NOT NULL, digest BLOB NOT NULL, PRIMARY KEY (ledger, size, tsa),
        FOREIGN KEY (ledger, size) REFERENCES checkpoints(ledger, size))""",
    "CREATE INDEX tokens_digest ON tokens (digest)",
    "CREATE INDEX tokens_tsa ON tokens (ledger, tsa, size)",
    """CREATE TABLE receipts (
        record INTEGER NOT NULL REFERENCES records(number), size INTEGER NOT NULL,
        proof BLOB NOT NULL, PRIMARY KEY (record, size))""",
    "CREATE TABLE certificates (digest BLOB PRIMARY KEY, der BLOB NOT NULL)",
    """CREATE VIRTUAL TABLE search USING fts5(
        title, note, label, notebook, path, tokenize = 'trigram')""",
    """INSERT INTO search (rowid, title, label, notebook, path)
        SELECT number, title, label, notebook, path FROM records""",
    """CREATE TRIGGER records_search AFTER INSERT ON records BEGIN
        INSERT INTO search (rowid, title, note, label, notebook, path)
        VALUES (new.number, new.title, new.note, new.label, new.notebook, new.path); END""",
    """CREATE TABLE captures (
        number INTEGER PRIMARY KEY, captured TEXT NOT NULL, notebook TEXT NOT NULL,
        path TEXT, content TEXT NOT NULL, manifest TEXT,
        claims TEXT NOT NULL, carrier TEXT NOT NULL)""",
)

_KEEPING = (
    # Kept originals, and the recipients each is sealed to (Originals.sealed; NULL: not known).
    "CREATE TABLE kept (sha256 TEXT PRIMARY KEY, sealed TEXT)",
    # What is checked again and again. checked: NULL never; fault: NULL good.
    """CREATE TABLE checks (
        kind TEXT NOT NULL, name TEXT NOT NULL, checked TEXT, fault TEXT,
        PRIMARY KEY (kind, name))""",
    "CREATE INDEX checks_due ON checks (checked)",
    "CREATE INDEX checks_faults ON checks (kind) WHERE fault IS NOT NULL",
    # Ledgers that were closed, and what each was followed by; folders relative to the vault's.
    """CREATE TABLE successions (
        number INTEGER PRIMARY KEY, origin TEXT NOT NULL UNIQUE, folder TEXT NOT NULL UNIQUE,
        size INTEGER NOT NULL, root BLOB NOT NULL, closed TEXT NOT NULL,
        successor TEXT NOT NULL UNIQUE, successor_folder TEXT NOT NULL UNIQUE)""",
    "ALTER TABLE covers ADD COLUMN ledger TEXT",
)

_HEARTBEATS = (
    # RFC 3339, as a record's; NULL: made by a version that did not say.
    "ALTER TABLE covers ADD COLUMN created TEXT",
)

_KEYS = (
    # role: 'person' or 'chain'. chain: what it signs; enrolment, revocation: entries that say so.
    """CREATE TABLE keys (
        thumbprint TEXT PRIMARY KEY, role TEXT NOT NULL, jwk TEXT NOT NULL, created TEXT NOT NULL,
        chain TEXT, enrolment BLOB, revocation BLOB)""",
    "CREATE INDEX keys_chain ON keys (chain)",
    "CREATE UNIQUE INDEX keys_person ON keys (role) WHERE role = 'person'",
)

_SEEN = (
    # Of a ledger elsewhere: the newest signed file that it showed.
    "CREATE TABLE seen (origin TEXT PRIMARY KEY, file BLOB NOT NULL)",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _RECORDS,
    _RECEIPTS,
    _KEEPING,
    _HEARTBEATS,
    _KEYS,
    _SEEN,
)
"""Statements by version: the first makes version 1 of an empty database."""


def migrate(database: Database, *, create: bool) -> None:
    """Bring ``database`` to the newest version; an empty one only with ``create``.

    If we die at any point, the next opening goes on with the first migration that is not in.
    MalformedError for a database that is no vault's, or one of a newer version.
    """
    version = schema_version(database)
    if version > len(MIGRATIONS):
        text = f"vault has schema {version}, want at most {len(MIGRATIONS)}"
        raise MalformedError(text, hint="a newer version of the tool made it: use that one")
    if version == 0 and not create:
        raise MalformedError(f"vault has no schema, want {len(MIGRATIONS)}")
    while version < len(MIGRATIONS):
        with transaction(database):
            # Another process may have been first.
            version = schema_version(database)
            for statement in MIGRATIONS[version] if version < len(MIGRATIONS) else ():
                database.execute(statement)
            version = min(version + 1, len(MIGRATIONS))
            database.execute(f"PRAGMA user_version = {version}")


@contextmanager
def asking() -> Iterator[None]:
    """For a block that reads: UnavailableError, or MalformedError for a name that is not utf-8."""
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"the vault could not be asked: {error}") from error
    except UnicodeEncodeError as error:
        raise MalformedError("a name is not utf-8, so the vault has nothing of it") from error
