"""The vault: the holder's half of the tally: records with their salts, keys, manifests.

    tallystick.toml     settings
    vault.sqlite        notebooks, records, cover secrets
    keys/               the signing key and the age identity (mode 0600, not encrypted)
    manifests/<root>    every line of a folder's manifest, one a line
    originals/          kept carriers, encrypted
    ledger/             the embedded ledger, if there is one

Losing it loses the proof: the ledger alone says nothing. Every writer takes a turn.
"""

import re
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.doors.files import (
    TEMPORARY,
    durable_writer,
    make_folder,
    read_limited,
    sync_folder,
    unavailable,
    write_durably,
)
from ledger.doors.keys import load_signing_key, make_identity, make_signing_key
from ledger.doors.sqlite import open_database, transaction, turn
from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder.config import Config, format_config, parse_config
from ledger.holder.schema import migrate
from ledger.tlog.merkle import Hash, leaf_hash, root_of_leaves

SETTINGS = "tallystick.toml"
UNFINISHED = "unfinished-init"
"""A file that is there while a vault is being made: what a crash left can be gone on with."""

DRAFT = "draft"
"""A manifest while it is written: its name, the root, is known at the end."""

MAX_SETTINGS_BYTES = 1 << 20
"""Far more than a person writes."""
MAX_MANIFEST_BYTES = 4 << 30
"""A manifest of ten million files is about this big."""

_COLUMNS = (
    "number, entry, notebook, chain, seq, sdjwt, kind, stage, title, label, path, content, "
    "manifest, created, idx"
)


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the vault keeps it, with all its disclosures.

    ``content``: what tells two versions of a carrier apart (hex). ``manifest``: hex root of a
    folder's lines, None for a file. ``index``: its place in the ledger, None while queued.
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


class Vault:
    """An open vault; use ``begin_vault`` or ``open_vault``.

    Every method raises UnavailableError if the disk or the database cannot be asked.
    """

    def __init__(self, folder: Path, config: Config, *, create: bool = False) -> None:
        self.folder = folder
        self.config = config
        self._database = open_database(folder / "vault.sqlite", create=create)
        try:
            with _asking():
                migrate(self._database, create=create)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the database. What was added needs no closing to be durable."""
        self._database.close()

    @property
    def signing_key(self) -> Ed25519PrivateKey:
        """The key that signs this vault's records."""
        return load_signing_key(self.folder / "keys" / "signing.pem")

    @property
    def identity_path(self) -> Path:
        """The age identity that kept carriers are encrypted to."""
        return self.folder / "keys" / "identity.txt"

    def turn(self) -> AbstractContextManager[None]:
        """Hold the vault's turn; other processes wait up to 30 s, then UnavailableError."""
        return turn(self.folder / "turn.lock")

    def chain_of(self, notebook: str) -> str | None:
        """The notebook's chain (32 hex digits), None if there is no such notebook."""
        row = self._one("SELECT chain FROM notebooks WHERE name = ?", (notebook,))
        return None if row is None else str(row[0])

    def notebooks(self) -> tuple[str, ...]:
        """Names of the notebooks, oldest first."""
        rows = self._all("SELECT name FROM notebooks ORDER BY created, rowid", ())
        return tuple(str(row[0]) for row in rows)

    def head(self, notebook: str) -> StoredRecord | None:
        """The last record of a notebook's chain."""
        found = self._select("WHERE notebook = ? ORDER BY seq DESC LIMIT 1", (notebook,))
        return found[0] if found else None

    def add(self, record: StoredRecord, created: datetime) -> StoredRecord:
        """Keep a new record, durably; ConflictError if its place in the chain is taken.

        After the return it is never lost: if we die before the ledger has it, it is sent later.
        """
        try:
            with transaction(self._database):
                self._database.execute(
                    "INSERT OR IGNORE INTO notebooks (name, chain, created) VALUES (?, ?, ?)",
                    (record.notebook, record.chain, created.isoformat()),
                )
                row = {"idx" if name == "index" else name: value for name, value in _row(record)}
                self._database.table("records").insert(row)
        except sqlite3.IntegrityError as error:
            place = f"{record.chain}/{record.seq}"
            raise ConflictError(f"place {place} is taken: {error}") from error
        return self._select("WHERE chain = ? AND seq = ?", (record.chain, record.seq))[0]

    def records(self, notebook: str | None = None) -> tuple[StoredRecord, ...]:
        """Records in order of number, of one notebook or of all."""
        if notebook is None:
            return self._select("ORDER BY number", ())
        return self._select("WHERE notebook = ? ORDER BY seq", (notebook,))

    def find(self, reference: str) -> StoredRecord:
        """The record with this number, or whose entry begins so (8 or more hex digits).

        NotFoundError if there is none; MalformedError if it is neither, or names several.
        """
        if re.fullmatch(r"[0-9]{1,7}", reference):
            found = self._select("WHERE number = ?", (int(reference),))
        elif re.fullmatch(r"[0-9a-f]{8,128}", reference):
            found = self._select("WHERE lower(hex(entry)) LIKE ?", (f"{reference}%",))
        else:
            raise MalformedError(
                f"{reference!r} is not a record",
                hint="give its number from `tally log`, or the beginning of its entry",
            )
        if not found:
            raise NotFoundError(f"no record {reference}", hint="`tally log` lists them")
        if len(found) > 1:
            raise MalformedError(f"{reference} names {len(found)} records: give more digits")
        return found[0]

    def latest_of_path(self, path: str, notebook: str | None = None) -> StoredRecord | None:
        """The newest record of the carrier at this absolute path."""
        clause, values = "WHERE path = ?", [path]
        if notebook is not None:
            clause, values = f"{clause} AND notebook = ?", [path, notebook]
        found = self._select(f"{clause} ORDER BY number DESC LIMIT 1", values)
        return found[0] if found else None

    def queued(self) -> tuple[StoredRecord, ...]:
        """Records the ledger has not acknowledged yet, oldest first."""
        return self._select("WHERE idx IS NULL ORDER BY number", ())

    def set_indexes(self, indexes: Mapping[bytes, int]) -> None:
        """Note where the ledger put these entries, all in one transaction.

        If we die before it, they are sent again and the ledger gives the same indexes.
        """
        rows = [(index, entry) for entry, index in indexes.items()]
        with transaction(self._database):
            for table in ("records", "covers"):
                sql = f"UPDATE {table} SET idx = ? WHERE entry = ?"  # noqa: S608 - two constants
                self._database.conn.executemany(sql, rows)

    def add_cover(self, entry: bytes, secret: bytes) -> None:
        """Keep a cover entry's secret, so that its index can be accounted for."""
        with transaction(self._database):
            self._database.execute(
                "INSERT OR IGNORE INTO covers (entry, secret) VALUES (?, ?)", (entry, secret)
            )

    def queued_covers(self) -> tuple[bytes, ...]:
        """Cover entries the ledger has not acknowledged yet."""
        rows = self._all("SELECT entry FROM covers WHERE idx IS NULL ORDER BY rowid", ())
        return tuple(bytes(row[0]) for row in rows)

    def has_covers(self) -> bool:
        """Whether a cover entry was ever made here."""
        return self._one("SELECT 1 FROM covers LIMIT 1", ()) is not None

    def write_lines(self, batches: Iterable[Sequence[str]]) -> tuple[Hash, int]:
        """Keep a folder's manifest lines under their root; root and count.

        The lines come in batches and are not held: of each only its hash stays in memory.
        """
        folder = self.folder / "manifests"
        leaves: list[Hash] = []
        with durable_writer(folder / DRAFT, overwrite=True) as file:
            for lines in batches:
                rows = [line.encode("ascii") for line in lines]
                file.write(b"\n".join([*rows, b""]))
                leaves += map(leaf_hash, rows)
        root = root_of_leaves(leaves)
        # If we die before this line, the draft is written over by the next manifest.
        try:
            (folder / DRAFT).replace(folder / root.hex())
            sync_folder(folder)
        except OSError as error:
            raise unavailable("write", folder / root.hex(), error) from error
        return root, len(leaves)

    def read_lines(self, root: str) -> list[str]:
        """The manifest lines under ``root`` (hex); NotFoundError if they are missing.

        They are as they were written, or not: whoever relies on them computes the root.
        """
        content = read_limited(self.folder / "manifests" / root, MAX_MANIFEST_BYTES)
        try:
            return content.decode("ascii").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedError(f"manifest {root[:16]} of the vault is damaged") from error

    def _select(self, clause: str, values: Sequence[str | int | None]) -> tuple[StoredRecord, ...]:
        sql = f"SELECT {_COLUMNS} FROM records {clause}"  # noqa: S608 - clauses are constants here
        with _asking():
            rows = self._database.conn.execute(sql, values)
            return tuple(StoredRecord(*row) for row in rows)

    def _one(self, sql: str, values: Sequence[str]) -> tuple[object, ...] | None:
        rows = self._all(sql, values)
        return rows[0] if rows else None

    def _all(self, sql: str, values: Sequence[str]) -> list[tuple[Any, ...]]:  # Any: SQLite's types
        with _asking():
            return self._database.conn.execute(sql, values).fetchall()


@contextmanager
def _asking() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise UnavailableError(f"the vault could not be asked: {error}") from error
    except UnicodeEncodeError as error:
        raise MalformedError("a name is not utf-8, so the vault has nothing of it") from error


def _row(record: StoredRecord) -> list[tuple[str, object]]:
    """The record's fields but its number, which the database gives."""
    names = [field.name for field in fields(record) if field.name != "number"]
    return [(name, getattr(record, name)) for name in names]


def begin_vault(folder: Path, config: Config) -> Vault:
    """Begin a vault in ``folder``: keys and database. It is none until ``finish_vault``.

    What an interrupted beginning left is gone on with, its keys included. ConflictError if there
    is a vault, or the folder holds other files; UnavailableError.
    """
    try:
        if (folder / SETTINGS).exists():
            hint = "use it, or choose another folder with --vault"
            raise ConflictError(f"there is a vault in {folder} already", hint=hint)
        make_folder(folder, mode=0o700)
        # A write that was killed leaves its temporary file; that is not somebody's file.
        others = [path for path in folder.iterdir() if not path.name.startswith(TEMPORARY)]
        if others and not (folder / UNFINISHED).exists():
            hint = "choose an empty folder for the vault"
            raise ConflictError(f"{folder} is not empty", hint=hint)
    except OSError as error:
        raise unavailable("make a vault in", folder, error) from error
    write_durably(folder / UNFINISHED, b"", overwrite=True)
    for name, make in (("signing.pem", make_signing_key), ("identity.txt", make_identity)):
        if not (folder / "keys" / name).exists():
            make(folder / "keys" / name)
    return Vault(folder, config, create=True)


def finish_vault(vault: Vault) -> None:
    """Write the settings, last of all: from here on the folder is a vault."""
    write_durably(vault.folder / SETTINGS, format_config(vault.config))
    # If we die here the mark stays, and says nothing any more.
    (vault.folder / UNFINISHED).unlink(missing_ok=True)


def open_vault(folder: Path) -> Vault:
    """Open the vault in ``folder``; NotFoundError if there is none, MalformedError if damaged."""
    try:
        settings = read_limited(folder / SETTINGS, MAX_SETTINGS_BYTES)
    except NotFoundError as error:
        hint = "`tally init` makes one; --vault or TALLY_VAULT says where it is"
        raise NotFoundError(f"no vault in {folder}", hint=hint) from error
    try:
        return Vault(folder, parse_config(settings))
    except MalformedError as error:
        raise MalformedError(f"{folder / SETTINGS}: {error}", hint=error.hint) from error
