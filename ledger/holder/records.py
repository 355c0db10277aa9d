"""The records of a vault with all their disclosures, its notebooks, and the secrets of covers.

Every method raises UnavailableError if the disk or the database cannot be asked.
"""

import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from ledger.doors.sqlite import transaction
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.holder.schema import asking
from ledger.record.claims import format_time
from ledger.record.sdjwt import RandomBytes

_COLUMNS = (
    "number, entry, notebook, chain, seq, sdjwt, kind, stage, title, label, path, content, "
    "manifest, created, idx, note, ledger, stamps"
)


KEYS = "keys"
"""The notebook of the key chain: no carrier is recorded in it."""

KEYS_BEGIN = -(1 << 40)
"""Records of the key chain are numbered from here on, so that one's own begin at 1."""


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the vault keeps it, with all its disclosures.

    ``content``: what tells two versions of a carrier apart (hex). ``manifest``: hex root of a
    folder's lines, None for a file. ``index``: its place in the ledger of origin ``ledger``, None
    while queued. ``stamps``: how many TSAs its kept receipt names, 0 while there is none.
    """

    number: int
    entry: bytes
    notebook: str
    chain: str
    seq: int
    sdjwt: bytes
    kind: str
    stage: str | None
    title: str | None
    label: str | None
    path: str | None
    content: str
    manifest: str | None
    created: str
    index: int | None
    note: str | None = None
    ledger: str | None = None
    stamps: int = 0

    @property
    def name(self) -> str:
        """What it is called: ``7``, and in the key chain ``k7``."""
        return name_of(self.number)


class Records:
    """What the vault's ``database`` has of records; the vault opens and closes it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def chain_of(self, notebook: str) -> str | None:
        """The notebook's chain (32 hex digits), None if there is no such notebook."""
        row = self._one("SELECT chain FROM notebooks WHERE name = ?", (notebook,))
        return None if row is None else str(row[0])

    def notebooks(self) -> tuple[str, ...]:
        """Names of the notebooks but the key chain's, oldest first."""
        sql = "SELECT name FROM notebooks WHERE name <> ? ORDER BY created, rowid"
        rows = self._all(sql, (KEYS,))
        return tuple(str(row[0]) for row in rows)

    def begin_chains(self, random_bytes: RandomBytes) -> None:
        """Have every notebook go on as a new chain, all in one transaction."""
        with transaction(self._database):
            connection = self._database.conn
            names = connection.execute("SELECT name FROM notebooks").fetchall()
            rows = [(random_bytes(16).hex(), name) for (name,) in names]
            connection.executemany("UPDATE notebooks SET chain = ? WHERE name = ?", rows)

    def head(self, notebook: str) -> StoredRecord | None:
        """The last record of a notebook's chain."""
        found = self._select("WHERE notebook = ? ORDER BY number DESC LIMIT 1", (notebook,))
        return found[0] if found else None

    def newest(self) -> StoredRecord | None:
        """The last record made, but for those of the key chain."""
        found = self._select("WHERE number > 0 ORDER BY number DESC LIMIT 1", ())
        return found[0] if found else None

    def add(self, record: StoredRecord, created: datetime, *, capture: int = 0) -> StoredRecord:
        """Keep a new record, durably; ConflictError if its place in the chain is taken.

        ``capture``: the number of what it was signed from, taken out of the queue with it. After
        the return it is never lost: if we die before the ledger has it, it is sent later.
        """
        try:
            with transaction(self._database):
                self._database.execute(
                    "INSERT OR IGNORE INTO notebooks (name, chain, created) VALUES (?, ?, ?)",
                    (record.notebook, record.chain, created.isoformat()),
                )
                record = replace(record, number=self._next_number(record.notebook))
                row = {"idx" if name == "index" else name: value for name, value in _row(record)}
                marks = ", ".join("?" * len(row))
                insert = f"INSERT INTO records ({', '.join(row)}) VALUES ({marks})"  # noqa: S608
                self._database.execute(insert, tuple(row.values()))
                self._database.execute("DELETE FROM captures WHERE number = ?", (capture,))
        except sqlite3.IntegrityError as error:
            place = f"{record.chain}/{record.seq}"
            raise ConflictError(f"place {place} is taken: {error}") from error
        return record

    def all(self, notebook: str | None = None) -> tuple[StoredRecord, ...]:
        """Records in order of number, of one notebook or of all but the key chain."""
        if notebook is None:
            return self._select("WHERE number > 0 ORDER BY number", ())
        return self._select("WHERE notebook = ? ORDER BY number", (notebook,))

    def count(self) -> int:
        """How many records there are, those of the key chain not counted."""
        return int(self._all("SELECT count(*) FROM records WHERE number > 0", ())[0][0])

    def of_chain(self, chain: str, first: int, last: int) -> tuple[StoredRecord, ...]:
        """The records of ``chain`` from place ``first`` to ``last``, both included."""
        clause = "WHERE chain = ? AND seq BETWEEN ? AND ? ORDER BY seq"
        return self._select(clause, (chain, first, last))

    def about(self, kind: str, content: str) -> StoredRecord | None:
        """The newest record of the key chain that is of ``kind`` and about ``content``."""
        clause = "WHERE notebook = ? AND kind = ? AND content = ? ORDER BY number DESC LIMIT 1"
        found = self._select(clause, (KEYS, kind, content))
        return found[0] if found else None

    def find(self, reference: str) -> StoredRecord:
        """The record of this name, or whose entry begins so (8 or more hex digits).

        NotFoundError if there is none; MalformedError if it is neither, or names several.
        """
        if re.fullmatch(r"[0-9]{1,7}", reference):
            found = self._select("WHERE number = ?", (int(reference),))
        elif re.fullmatch(r"k[0-9]{1,7}", reference):
            found = self._select("WHERE number = ?", (KEYS_BEGIN + int(reference[1:]),))
        elif re.fullmatch(r"[0-9a-f]{8,128}", reference):
            bounds = [bytes.fromhex(reference.ljust(128, end)) for end in "0f"]
            found = self._select("WHERE entry BETWEEN ? AND ? LIMIT 3", bounds)
        else:
            raise MalformedError(
                f"{reference!r} is not a record",
                hint="give its number from `tally log`, or the beginning of its entry",
            )
        if not found:
            raise NotFoundError(f"no record {reference}", hint="`tally log` lists them")
        if len(found) > 1:
            raise MalformedError(f"{reference} names several records: give more digits")
        return found[0]

    def latest_of_path(self, path: str, notebook: str | None = None) -> StoredRecord | None:
        """The newest record of the carrier at this absolute path."""
        clause, values = "WHERE path = ?", [path]
        if notebook is not None:
            clause, values = f"{clause} AND notebook = ?", [path, notebook]
        found = self._select(f"{clause} ORDER BY number DESC LIMIT 1", values)
        return found[0] if found else None

    def queued(self) -> tuple[bytes, ...]:
        """Entries of the records that the ledger has not acknowledged yet, in order.

        The key chain's come first, then the oldest. Before them what says which ledger this one
        follows: it is the first record in it.
        """
        order = "ORDER BY (kind = 'successor' AND seq = 1) DESC, number"
        rows = self._all(f"SELECT entry FROM records WHERE idx IS NULL {order}", ())  # noqa: S608
        return tuple(bytes(row[0]) for row in rows)

    def queued_numbers(self) -> tuple[int, ...]:
        """The numbers of the records that are queued, but for those of the key chain."""
        sql = "SELECT number FROM records WHERE idx IS NULL AND number > 0 ORDER BY number"
        rows = self._all(sql, ())
        return tuple(int(row[0]) for row in rows)

    def set_indexes(self, indexes: Mapping[bytes, int], ledger: str) -> None:
        """Note where the ledger of this origin put these entries, all in one transaction.

        If we die before it, they are sent again and the ledger gives the same indexes.
        """
        rows = [(index, entry) for entry, index in indexes.items()]
        with transaction(self._database):
            connection = self._database.conn
            connection.executemany("UPDATE covers SET idx = ? WHERE entry = ?", rows)
            rows_of = [(index, ledger, entry) for index, entry in rows]
            sql = "UPDATE records SET idx = ?, ledger = ?, stamps = 0 WHERE entry = ?"
            connection.executemany(sql, rows_of)
            # Of one that a closed ledger lost, the receipts there say nothing of this place.
            sql = (
                "DELETE FROM receipts WHERE record IN (SELECT number FROM records WHERE entry = ?)"
            )
            connection.executemany(sql, [(entry,) for _, entry in rows])

    def add_cover(self, entry: bytes, secret: bytes, created: datetime) -> None:
        """Keep a cover entry's secret, so that its index can be accounted for."""
        with transaction(self._database):
            self._database.execute(
                "INSERT OR IGNORE INTO covers (entry, secret, created) VALUES (?, ?, ?)",
                (entry, secret, format_time(created)),
            )

    def latest_entry(self) -> datetime | None:
        """When the latest record or cover was made, to the second, as this vault's clock told."""
        row = self._one(
            "SELECT max(created) FROM"
            " (SELECT created FROM records UNION ALL SELECT created FROM covers)",
            (),
        )
        return None if row is None or row[0] is None else datetime.fromisoformat(str(row[0]))

    def queued_covers(self) -> tuple[bytes, ...]:
        """Cover entries the ledger has not acknowledged yet."""
        rows = self._all("SELECT entry FROM covers WHERE idx IS NULL ORDER BY rowid", ())
        return tuple(bytes(row[0]) for row in rows)

    def has_covers(self) -> bool:
        """Whether a cover entry was ever made here."""
        return self._one("SELECT 1 FROM covers LIMIT 1", ()) is not None

    def _next_number(self, notebook: str) -> int:
        if notebook == KEYS:
            sql = "SELECT coalesce(max(number), ?) FROM records WHERE number < 0"
            return int(self._all(sql, (KEYS_BEGIN,))[0][0]) + 1
        return int(self._all("SELECT max(0, coalesce(max(number), 0)) FROM records", ())[0][0]) + 1

    def _select(
        self, clause: str, values: Sequence[str | int | bytes | None]
    ) -> tuple[StoredRecord, ...]:
        sql = f"SELECT {_COLUMNS} FROM records {clause}"  # noqa: S608 - clauses are constants here
        with asking():
            rows = self._database.conn.execute(sql, values)
            return tuple(StoredRecord(*row) for row in rows)

    def _one(self, sql: str, values: Sequence[str]) -> tuple[object, ...] | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None

    def _all(
        self, sql: str, values: Sequence[str | int]
    ) -> list[tuple[Any, ...]]:  # Any: SQLite's types
        with asking():
            return self._database.conn.execute(sql, values).fetchall()


def name_of(number: int) -> str:
    """What the record with this number is called.

    >>> name_of(7), name_of(KEYS_BEGIN + 7)
    ('7', 'k7')
    """
    return str(number) if number > 0 else f"k{number - KEYS_BEGIN}"


def _row(record: StoredRecord) -> list[tuple[str, object]]:
    """The record's fields by name."""
    return [(field.name, getattr(record, field.name)) for field in fields(record)]
