"""Successions: which ledgers of this vault were closed, and what each was followed by.

A ledger that was restored, copied or lost its guard is never continued. What it has stays where it
is, with its own proofs; a new ledger with new keys is anchored in from then on, and every notebook
goes on as a new chain (docs/adr/0007).
"""

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from typing import Final

from sqlite_utils import Database

from ledger.doors.sqlite import transaction
from ledger.holder.schema import asking

FIRST_FOLDER: Final = "ledger"
"""Where the first ledger of a vault is."""

SUCCESSIONS: Final = "ledgers"
"""The notebook in which it is recorded that a ledger follows another."""

_COLUMNS = "origin, folder, size, root, closed, successor, successor_folder"


@dataclass(frozen=True, slots=True)
class Succession:
    """A closed ledger and its successor.

    ``size``, ``root``: of its last published checkpoint. ``folder``, ``successor_folder``: within
    the vault. ``closed``: RFC 3339.
    """

    origin: str
    folder: str
    size: int
    root: bytes
    closed: str
    successor: str
    successor_folder: str


class Successions:
    """The table of them in the vault's ``database``. UnavailableError if it cannot be asked."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> tuple[Succession, ...]:
        """Every succession, oldest first."""
        with asking():
            sql = f"SELECT {_COLUMNS} FROM successions ORDER BY number"  # noqa: S608 - constant
            return tuple(Succession(*row) for row in self._database.conn.execute(sql))

    def folder(self) -> str:
        """The folder of the ledger that is anchored in, within the vault."""
        found = self.all()
        return found[-1].successor_folder if found else FIRST_FOLDER

    def next_folder(self) -> str:
        """The folder for the next ledger: the same until a succession is added."""
        return f"ledgers/{len(self.all()) + 2}"

    def add(self, succession: Succession, chains: Mapping[str, str], wanted: int) -> None:
        """Close a ledger, all in one transaction.

        ``chains``: the new chain of each notebook. Records without a receipt of ``wanted`` TSAs are
        queued for the successor: nobody will stamp them in a ledger that is closed.
        """
        unproven = """FROM records
            WHERE idx IS NOT NULL AND stamps < ? AND (ledger IS NULL OR ledger = ?)"""
        with transaction(self._database):
            connection = self._database.conn
            values = (wanted, succession.origin)
            connection.execute(
                f"DELETE FROM receipts WHERE record IN (SELECT number {unproven})",  # noqa: S608
                values,
            )
            connection.execute(
                "UPDATE records SET idx = NULL, ledger = NULL, stamps = 0"  # noqa: S608 - constants
                f" WHERE number IN (SELECT number {unproven})",
                values,
            )
            connection.execute(
                "UPDATE covers SET ledger = ? WHERE idx IS NOT NULL AND ledger IS NULL",
                (succession.origin,),
            )
            sql = """INSERT INTO notebooks (name, chain, created) VALUES (?, ?, ?)
                ON CONFLICT (name) DO UPDATE SET chain = excluded.chain"""
            rows = [(name, chain, succession.closed) for name, chain in chains.items()]
            connection.executemany(sql, rows)
            sql = f"INSERT INTO successions ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
            connection.execute(sql, astuple(succession))
