"""Receipts: what the vault keeps of its ledger, so that the proof of a record needs it no more.

Of every stamped tree the signed checkpoint file and the TSAs' responses as received; and for a
record, once as many TSAs as wanted have stamped trees that include it, its inclusion proof under
the first of each, checked before it is kept. What came since the last time is added, never all
gone through again.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlite_utils import Database

from ledger.doors.client import Ledger, Stamp
from ledger.doors.sqlite import transaction
from ledger.errors import NotFoundError, VerificationError
from ledger.holder.prover import Prover
from ledger.holder.schema import asking
from ledger.record.claims import MAX_NOT_BEFORE
from ledger.timestamp.token import check_imprint, parse_token
from ledger.tlog.checkpoint import check_signatures
from ledger.tlog.merkle import HASH_SIZE, Hash
from ledger.tlog.note import NoteKey, format_vkey, parse_note, parse_vkey

BATCH = 1000
"""Receipts kept in one transaction: what is lost if we die, and made again."""

_REACH = """
    WITH RECURSIVE names (tsa) AS (
        SELECT min(tsa) FROM tokens WHERE ledger = :ledger
        UNION ALL
        SELECT (SELECT min(tsa) FROM tokens WHERE ledger = :ledger AND tsa > names.tsa)
        FROM names WHERE tsa IS NOT NULL)
    SELECT tsa, (SELECT max(size) FROM tokens WHERE ledger = :ledger AND tsa = names.tsa)
    FROM names WHERE tsa IS NOT NULL"""
"""A step for each TSA, where GROUP BY takes one for each token."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How far the stamps of one ledger go: by TSA, the size of the newest tree it stamped."""

    newest: Mapping[str, int]

    def tsas(self, index: int | None) -> tuple[str, ...]:
        """Names of the TSAs that stamped the entry at ``index``; of a queued one, none."""
        if index is None:
            return ()
        return tuple(sorted(name for name, size in self.newest.items() if size > index))

    def bound(self, wanted: int) -> int:
        """Entries below this index are stamped by ``wanted`` TSAs, the others are not."""
        sizes = sorted(self.newest.values(), reverse=True)
        return sizes[wanted - 1] if 0 < wanted <= len(sizes) else 0


class Receipts:
    """The receipts in the vault's ``database``. UnavailableError if it cannot be asked.

    ``origin``: the ledger's name. A vault may have receipts of several ledgers.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def keep(self, ledger: Ledger, wanted: int) -> int:
        """Keep what is new of ``ledger``, and the receipts of records with ``wanted`` stamps.

        How many receipts are new. Costs what came since the last time; if we die, the next call
        goes on. VerificationError if the ledger shows what its own keys did not sign, or its tiles
        do not lead to its checkpoints: nothing of that is kept.
        """
        self._copy_stamps(ledger)
        reach = self.reach(ledger.origin)
        prover, kept = Prover(ledger), 0
        sql = (
            "SELECT number, entry, idx FROM records"
            " WHERE ledger = ? AND stamps < ? AND idx < ? LIMIT ?"
        )
        while rows := self._all(sql, (ledger.origin, wanted, reach.bound(wanted), BATCH)):
            self._keep_proofs(ledger.origin, reach, rows, prover)
            kept += len(rows)
        return kept

    def reach(self, origin: str) -> Reach:
        """How far this ledger's stamps go, as far as they are kept."""
        return Reach(dict(self._all(_REACH, {"ledger": origin})))

    def newest_stamps(self, origin: str) -> tuple[Stamp, ...]:
        """The newest stamp of each TSA, in order of its name."""
        newest = self.reach(origin).newest
        return tuple(self._stamp(origin, newest[tsa], tsa) for tsa in sorted(newest))

    def lacking(self, origin: str, wanted: int) -> tuple[int, ...]:
        """Numbers of the records in this ledger that fewer than ``wanted`` TSAs stamped."""
        sql = (
            "SELECT number FROM records WHERE ledger = ? AND stamps < ? AND idx >= ? AND number > 0"
        )
        rows = self._all(sql, (origin, wanted, self.reach(origin).bound(wanted)))
        return tuple(sorted(row[0] for row in rows))

    def lacking_indexes(self, origin: str, wanted: int) -> tuple[int, ...]:
        """Places in this ledger of the records with a receipt of fewer than ``wanted`` TSAs."""
        sql = "SELECT idx FROM records WHERE ledger = ? AND stamps < ? ORDER BY idx"
        return tuple(row[0] for row in self._all(sql, (origin, wanted)))

    def first_stamps(self, origin: str, index: int) -> tuple[Stamp, ...]:
        """Of every TSA the stamp over the smallest tree that includes entry ``index``."""
        found = self._first_sizes(origin, self.reach(origin), index)
        ordered = sorted((size, tsa) for tsa, size in found.items())
        return tuple(self._stamp(origin, size, tsa) for size, tsa in ordered)

    def newest_digests(self) -> tuple[str, ...]:
        """What ``not_before`` names: hex SHA-256 of the newest token of each TSA, as received.

        Of more TSAs than ``not_before`` holds, those with the newest.
        """
        newest: dict[str, tuple[int, str, int]] = {}
        for rank, (origin,) in enumerate(
            self._all("SELECT origin FROM ledgers ORDER BY rowid", ())
        ):
            reach = self.reach(origin).newest
            newest |= {tsa: (rank, origin, size) for tsa, size in reach.items()}
        sql = "SELECT digest FROM tokens WHERE ledger = ? AND size = ? AND tsa = ?"
        latest = sorted((rank, size, tsa, origin) for tsa, (rank, origin, size) in newest.items())
        return tuple(
            bytes(self._all(sql, (origin, size, tsa))[0][0]).hex()
            for _, size, tsa, origin in latest[-MAX_NOT_BEFORE:]
        )

    def token(self, digest: str) -> bytes | None:
        """The bare token with this hex SHA-256, or None."""
        sql = "SELECT response FROM tokens WHERE digest = ? LIMIT 1"
        rows = self._all(sql, (bytes.fromhex(digest),))
        return parse_token(rows[0][0]).raw if rows else None

    def proof(self, record: int, size: int) -> tuple[Hash, ...] | None:
        """The kept inclusion proof of a record, by number, under the tree of ``size``; or None."""
        sql = "SELECT proof FROM receipts WHERE record = ? AND size = ?"
        rows = self._all(sql, (record, size))
        return _split(bytes(rows[0][0])) if rows else None

    def signed_file(self, origin: str, size: int) -> bytes:
        """The kept checkpoint file of tree ``size``; NotFoundError."""
        sql = "SELECT file FROM checkpoints WHERE ledger = ? AND size = ?"
        rows = self._all(sql, (origin, size))
        if not rows:
            raise NotFoundError(f"no checkpoint of size {size} is kept in the vault")
        return bytes(rows[0][0])

    def ledgers(self) -> Mapping[str, tuple[NoteKey, ...]]:
        """The keys of each ledger that anything is kept of, by origin, oldest first."""
        rows = self._all("SELECT origin, vkeys FROM ledgers ORDER BY rowid", ())
        return {origin: tuple(map(parse_vkey, vkeys.splitlines())) for origin, vkeys in rows}

    def certificates(self) -> tuple[bytes, ...]:
        """DER of the certificates that came with the tokens."""
        rows = self._all("SELECT der FROM certificates ORDER BY rowid", ())
        return tuple(bytes(row[0]) for row in rows)

    def _stamp(self, origin: str, size: int, tsa: str) -> Stamp:
        sql = "SELECT response FROM tokens WHERE ledger = ? AND size = ? AND tsa = ?"
        return Stamp(size, tsa, bytes(self._all(sql, (origin, size, tsa))[0][0]))

    def _copy_stamps(self, ledger: Ledger) -> None:
        """Keep the stamps that came since the last call, and the files they are over."""
        origin = ledger.origin
        start = max(self.reach(origin).newest.values(), default=0)
        sql = "SELECT size, tsa FROM tokens WHERE ledger = ? AND size >= ?"
        held = set(self._all(sql, (origin, start)))
        new = [one for one in ledger.stamps(start) if (one.size, one.tsa) not in held]
        if not new:
            return
        files = {size: _signed(ledger, size) for size in sorted({one.size for one in new})}
        tokens = [(origin, one.size, one.tsa, one.response, _digest(one, files)) for one in new]
        keys = "".join(f"{format_vkey(key)}\n" for key in ledger.keys)
        rows = [(hashlib.sha256(der).digest(), der) for der in ledger.certificates()]
        with transaction(self._database):
            connection = self._database.conn
            if not self.ledgers():
                # Made before receipts were kept: such a vault has one ledger.
                sql = "UPDATE records SET ledger = ? WHERE ledger IS NULL AND idx IS NOT NULL"
                connection.execute(sql, (origin,))
            connection.execute("INSERT OR IGNORE INTO ledgers VALUES (?, ?)", (origin, keys))
            checkpoints = [(origin, size, file) for size, file in files.items()]
            connection.executemany("INSERT OR IGNORE INTO checkpoints VALUES (?,?,?)", checkpoints)
            connection.executemany("INSERT OR IGNORE INTO tokens VALUES (?,?,?,?,?)", tokens)
            connection.executemany("INSERT OR IGNORE INTO certificates VALUES (?,?)", rows)

    def _keep_proofs(
        self, origin: str, reach: Reach, rows: Sequence[tuple[int, bytes, int]], prover: Prover
    ) -> None:
        proofs: list[tuple[int, int, bytes]] = []
        counts: list[tuple[int, int]] = []
        for number, entry, index in rows:
            sizes = self._first_sizes(origin, reach, index)
            counts.append((len(sizes), number))
            proofs += [
                (number, size, b"".join(prover.inclusion(entry, index, size)))
                for size in set(sizes.values())
            ]
        with transaction(self._database):
            connection = self._database.conn
            connection.executemany("INSERT OR REPLACE INTO receipts VALUES (?, ?, ?)", proofs)
            connection.executemany("UPDATE records SET stamps = ? WHERE number = ?", counts)

    def _first_sizes(self, origin: str, reach: Reach, index: int) -> dict[str, int]:
        """By TSA, the smallest stamped tree that includes entry ``index``."""
        sql = "SELECT min(size) FROM tokens WHERE ledger = ? AND tsa = ? AND size > ?"
        return {tsa: self._all(sql, (origin, tsa, index))[0][0] for tsa in reach.tsas(index)}

    def _all(
        self, sql: str, values: Sequence[object] | Mapping[str, object]
    ) -> list[tuple[Any, ...]]:  # Any: SQLite's
        with asking():
            return self._database.conn.execute(sql, values).fetchall()


def _signed(ledger: Ledger, size: int) -> bytes:
    """The ledger's signed file of tree ``size``; VerificationError unless its keys signed it."""
    signed_file = ledger.signed_file(size)
    if len(check_signatures(parse_note(signed_file), ledger.keys)) < len(ledger.keys):
        raise VerificationError(f"checkpoint {size} is not signed by every key of the ledger")
    return signed_file


def _digest(stamp: Stamp, files: Mapping[int, bytes]) -> bytes:
    """SHA-256 of the bare token; VerificationError if it is not over the file of its size."""
    token = parse_token(stamp.response)
    check_imprint(token, hashlib.sha256(files[stamp.size]).digest())
    return hashlib.sha256(token.raw).digest()


def _split(proof: bytes) -> tuple[Hash, ...]:
    return tuple(proof[at : at + HASH_SIZE] for at in range(0, len(proof), HASH_SIZE))
