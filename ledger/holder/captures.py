"""Captures: carriers that were read and described, and wait for the key that signs their records.

A capture is everything a record says but its place in the chain, what bounds it from below, and the
signature: these come when it is signed. Captures of one vault are signed in the order they came.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlite_utils import Database

from ledger.doors.sqlite import transaction
from ledger.errors import MalformedError
from ledger.holder.schema import asking
from ledger.record.claims import format_time, parse_time
from ledger.record.strict_json import JsonValue, format_json, parse_json

MAX_CLAIMS_BYTES = 1 << 20
"""More than any record holds."""

_COLUMNS = "number, captured, notebook, path, content, manifest, claims, carrier"


@dataclass(frozen=True, slots=True)
class Capture:
    """What a record will say. ``number``: its place in the queue, 0 while it is in none.

    ``captured``: aware, whole seconds. ``claims``: all but ``link``, ``not_before`` and ``ledger``,
    ``refs`` as far as a person named them. ``path``, ``content``, ``manifest``: as in
    ``StoredRecord``.
    """

    captured: datetime
    notebook: str
    claims: Mapping[str, JsonValue]
    carrier: Mapping[str, JsonValue]
    path: str | None
    content: str
    manifest: str | None
    number: int = 0


class Captures:
    """The queue in the vault's ``database``. UnavailableError if the database cannot be asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, capture: Capture) -> Capture:
        """Queue ``capture``, durably; the same with its number."""
        row = (
            format_time(capture.captured),
            capture.notebook,
            capture.path,
            capture.content,
            capture.manifest,
            format_json(dict(capture.claims)).decode(),
            format_json(dict(capture.carrier)).decode(),
        )
        sql = f"INSERT INTO captures ({_COLUMNS}) VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
        with asking(), transaction(self._database):
            number = self._database.conn.execute(sql, row).lastrowid
        return replace(capture, number=int(number or 0))

    def all(self) -> tuple[Capture, ...]:
        """The captures that wait, oldest first."""
        return self._select("ORDER BY number", ())

    def count(self) -> int:
        """How many wait."""
        with asking():
            return int(self._database.execute("SELECT count(*) FROM captures").fetchone()[0])

    def latest_of_path(self, path: str, notebook: str) -> Capture | None:
        """The newest that waits of the carrier at this absolute path."""
        clause = "WHERE path = ? AND notebook = ? ORDER BY number DESC LIMIT 1"
        found = self._select(clause, (path, notebook))
        return found[0] if found else None

    def remove(self, number: int) -> None:
        """Take one out that shall not be signed; one that is not there is no error.

        One that was signed is taken out by ``Records.add``, in the record's own transaction.
        """
        with transaction(self._database):
            self._database.execute("DELETE FROM captures WHERE number = ?", (number,))

    def _select(self, clause: str, values: Sequence[str]) -> tuple[Capture, ...]:
        sql = f"SELECT {_COLUMNS} FROM captures {clause}"  # noqa: S608 - clauses are constants here
        with asking():
            rows = self._database.conn.execute(sql, values).fetchall()
        return tuple(map(_capture, rows))


def _capture(row: Sequence[Any]) -> Capture:  # Any: SQLite's types
    number, captured, notebook, path, content, manifest, claims, carrier = row
    return Capture(
        captured=parse_time(captured),
        notebook=notebook,
        claims=_object(claims),
        carrier=_object(carrier),
        path=path,
        content=content,
        manifest=manifest,
        number=number,
    )


def _object(text: str) -> dict[str, JsonValue]:
    value = parse_json(text.encode(), limit_bytes=MAX_CLAIMS_BYTES)
    if not isinstance(value, dict):
        raise MalformedError("a queued capture of the vault is damaged")
    return value
