"""What of the vault was checked last, and when: each original, manifest and record has its turn.

What was found missing or damaged is an alarm, and is checked again every time until it is mended.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlite_utils import Database

from ledger.doors.sqlite import transaction
from ledger.holder.schema import asking
from ledger.record.claims import format_time

ORIGINAL: Final = "original"
MANIFEST: Final = "manifest"
RECORD: Final = "record"

NIGHTS: Final = 28
"""Runs in which everything is checked once: a nightly run gets through in a month."""

_REGISTER = (
    "INSERT OR IGNORE INTO checks (kind, name) SELECT 'original', sha256 FROM kept",
    """INSERT OR IGNORE INTO checks (kind, name)
        SELECT DISTINCT 'manifest', manifest FROM records WHERE manifest IS NOT NULL""",
    "INSERT OR IGNORE INTO checks (kind, name) SELECT 'record', number FROM records",
)


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to check. ``name``: hex SHA-256 of an original, root of a manifest, or number.

    ``fault``: what was wrong with it when it was checked last; None: nothing.
    """

    kind: str
    name: str
    fault: str | None = None


class Checks:
    """The table of them in the vault's ``database``. UnavailableError if it cannot be asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def register(self) -> int:
        """Take in what is new in the vault; how much there is in all."""
        with transaction(self._database):
            for statement in _REGISTER:
                self._database.execute(statement)
        with asking():
            return int(self._database.execute("SELECT count(*) FROM checks").fetchone()[0])

    def due(self, limit: int, before: datetime | None = None) -> tuple[Item, ...]:
        """Every alarm, and the ``limit`` that were not checked for longest.

        ``before``: only what was not checked since.
        """
        moment = None if before is None else format_time(before)
        sql = """SELECT kind, name, fault FROM checks
            WHERE fault IS NULL AND (:before IS NULL OR checked IS NULL OR checked < :before)
            ORDER BY checked, kind, CAST(name AS INTEGER), name LIMIT :limit"""
        with asking():
            rows = self._database.conn.execute(sql, {"before": moment, "limit": limit}).fetchall()
        return (*self.faults(), *(Item(*row) for row in rows))

    def faults(self) -> tuple[Item, ...]:
        """The alarms."""
        sql = "SELECT kind, name, fault FROM checks WHERE fault IS NOT NULL ORDER BY kind, name"
        with asking():
            return tuple(Item(*row) for row in self._database.conn.execute(sql))

    def note(self, item: Item, now: datetime) -> None:
        """Note that ``item`` was checked, and what was wrong."""
        sql = "UPDATE checks SET checked = ?, fault = ? WHERE kind = ? AND name = ?"
        with transaction(self._database):
            values = (format_time(now), item.fault, item.kind, item.name)
            self._database.conn.execute(sql, values)
