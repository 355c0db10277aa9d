"""What the vault has kept, so that a missing original is missed, and to whom each is sealed."""

from collections.abc import Sequence

from sqlite_utils import Database

from ledger.doors.sqlite import transaction
from ledger.holder.originals import Originals
from ledger.holder.schema import asking


class Kept:
    """What the vault's ``database`` knows of the files of ``originals``."""

    def __init__(self, database: Database, originals: Originals) -> None:
        self._database = database
        self._originals = originals

    def note(self, digests: Sequence[bytes]) -> None:
        """Note that these are kept, sealed to the recipients of now."""
        if not digests:
            return
        rows = [(sha256.hex(), self._originals.sealed) for sha256 in digests]
        with transaction(self._database):
            sql = "INSERT OR REPLACE INTO kept (sha256, sealed) VALUES (?, ?)"
            self._database.conn.executemany(sql, rows)

    def find(self) -> None:
        """Note what lies in the folder and is not noted: an older version or a crash left it so.

        To whom those are sealed is not known.
        """
        rows = [(sha256.hex(),) for sha256 in self._originals.all()]
        with transaction(self._database):
            sql = "INSERT OR IGNORE INTO kept (sha256) VALUES (?)"
            self._database.conn.executemany(sql, rows)

    def sealed_now(self) -> tuple[bytes, ...]:
        """The digests of originals sealed to the recipients of now."""
        return self._select("sealed IS ?")

    def sealed_before(self) -> tuple[bytes, ...]:
        """The digests of originals sealed to other recipients, or to whom is not known."""
        return self._select("sealed IS NOT ?")

    def _select(self, clause: str) -> tuple[bytes, ...]:
        sql = f"SELECT sha256 FROM kept WHERE {clause} ORDER BY sha256"  # noqa: S608 - two constants
        with asking():
            rows = self._database.conn.execute(sql, (self._originals.sealed,)).fetchall()
        return tuple(bytes.fromhex(row[0]) for row in rows)
