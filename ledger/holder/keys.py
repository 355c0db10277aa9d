"""The keys of a vault that sign: the person's, and one for each chain.

    keys/signing.pem         the person's key: signs the key chain, and the chains of old vaults
    keys/<thumbprint>.pem    a chain's key

In a vault with a passphrase they are sealed to its identity (``lock``). What is known of keys in
public stands in the database, so that a locked vault still tells which keys it has.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlite_utils import Database

from ledger.doors.keys import (
    generate_key,
    is_sealed,
    load_signing_key,
    write_signing_key,
)
from ledger.doors.sqlite import transaction
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.holder.lock import Lock
from ledger.holder.schema import asking
from ledger.record.claims import format_time
from ledger.record.rfc4648 import decode_base64url
from ledger.record.sdjwt import SigningKey, public_jwk, thumbprint

PERSON, CHAIN = "person", "chain"
"""What a key is for: one signs the key chain, the others sign a chain each."""

PERSON_FILE = "signing.pem"

_COLUMNS = "thumbprint, role, jwk, created, chain, enrolment, revocation"


@dataclass(frozen=True, slots=True)
class StoredKey:
    """What is known in public of a key.

    ``chain``: the one it signs, None for the person's key and for a spare one. ``enrolment``,
    ``revocation``: entries of the records that say so.
    """

    thumbprint: str
    role: str
    jwk: Mapping[str, str]
    created: str
    chain: str | None = None
    enrolment: bytes | None = None
    revocation: bytes | None = None

    @property
    def kind(self) -> str:
        """One of KEY_TYPES."""
        return "ed25519" if self.jwk["kty"] == "OKP" else "es256"


class Keys:
    """The keys in ``folder`` that ``lock`` opens, and the table in the vault's ``database``."""

    def __init__(self, folder: Path, database: Database, lock: Lock) -> None:
        self._folder = folder
        self._database = database
        self._lock = lock

    def load(self, key: StoredKey) -> SigningKey:
        """The private key; UnavailableError if it is locked, MalformedError if it is another."""
        path = self._path(key)
        loaded = self._open(path)
        if thumbprint(public_jwk(loaded)) != key.thumbprint:
            raise MalformedError(f"{path} holds another key, want {key.thumbprint}")
        return loaded

    def person(self) -> StoredKey:
        """The person's key; written down when it is first asked for."""
        found = self._select("WHERE role = ?", (PERSON,))
        if found:
            return found[0]
        path = self._folder / PERSON_FILE
        loaded = self._open(path)
        try:
            created = datetime.fromtimestamp(path.stat().st_mtime).astimezone()
        except OSError as error:
            raise UnavailableError(f"cannot read {path}: {error.strerror}") from error
        return self._add(loaded, PERSON, created)

    def all(self) -> tuple[StoredKey, ...]:
        """Every key, the person's first, then in the order they were made."""
        self.person()
        return self._select("ORDER BY role = 'chain', rowid", ())

    def find(self, reference: str, least: int = 1) -> StoredKey:
        """The key whose thumbprint begins so, in ``least`` characters or more.

        NotFoundError; MalformedError if it is shorter, or several begin so.
        """
        if reference and len(reference) < least:
            hint = "`tally key list` has it whole"
            text = f"{reference!r} is {len(reference)} characters of a key, want {least} or more"
            raise MalformedError(text, hint=hint)
        found = [key for key in self.all() if key.thumbprint.startswith(reference)]
        if not found or not reference:
            raise NotFoundError(f"no key {reference!r}", hint="`tally key list` lists them")
        if len(found) > 1:
            raise MalformedError(f"{reference} names {len(found)} keys: give more of it")
        return found[0]

    def get(self, thumbprint: str) -> StoredKey | None:
        """The key with this thumbprint, None if it is no key of this vault."""
        self.person()
        found = self._select("WHERE thumbprint = ?", (thumbprint,))
        return found[0] if found else None

    def spare(self) -> StoredKey | None:
        """The oldest key that waits for a chain."""
        clause = "WHERE role = ? AND chain IS NULL AND revocation IS NULL ORDER BY rowid LIMIT 1"
        found = self._select(clause, (CHAIN,))
        return found[0] if found else None

    def make(self, kind: str, created: datetime) -> StoredKey:
        """Make a key for the next chain, as protected as the others; ValueError for the kind.

        If we die before it is in the table, its file is nobody's.
        """
        key = generate_key(kind)
        path = self._folder / f"{thumbprint(public_jwk(key))}.pem"
        write_signing_key(path, key, self._lock.recipient if self._lock.protected else None)
        return self._add(key, CHAIN, created)

    def enrol(self, key: StoredKey, enrolment: bytes) -> None:
        """Note that ``key`` was enrolled by the record with this entry."""
        self._set("enrolment", enrolment, key)

    def assign(self, key: StoredKey, chain: str) -> None:
        """Note that ``key`` signs ``chain``, and is spare no longer."""
        self._set("chain", chain, key)

    def revoke(self, key: StoredKey, revocation: bytes) -> None:
        """Note that ``key`` was revoked by the record with this entry."""
        self._set("revocation", revocation, key)

    def protect(self, passphrase: str) -> None:
        """Seal the keys with ``passphrase``; or change it, where they are sealed already.

        UnavailableError if they are locked.
        """
        self.person()
        self._lock.seal(passphrase)
        # If we die from here on, keys in the clear are left: they sign, and the same call goes on.
        for key in self.all():
            self._rewrite(key, self._lock.recipient)

    def unprotect(self) -> None:
        """Take the passphrase away: all keys in the clear. UnavailableError if they are locked."""
        for key in self.all():
            self._rewrite(key, None)
        # If we die before this line the passphrase is still asked for, and the same call goes on.
        self._lock.seal(None)
        self._lock.mark_keyring(there=False)

    def _rewrite(self, key: StoredKey, recipient: str | None) -> None:
        if is_sealed(self._path(key)) != (recipient is not None):
            write_signing_key(self._path(key), self.load(key), recipient, overwrite=True)

    def is_sealed(self, key: StoredKey) -> bool:
        """Whether this key is sealed on disk."""
        return is_sealed(self._path(key))

    def _set(self, column: str, value: str | bytes, key: StoredKey) -> None:
        sql = f"UPDATE keys SET {column} = ? WHERE thumbprint = ?"  # noqa: S608 - three constants
        with transaction(self._database):
            self._database.execute(sql, (value, key.thumbprint))

    def _open(self, path: Path) -> SigningKey:
        return load_signing_key(path, self._lock.identity() if is_sealed(path) else None)

    def _path(self, key: StoredKey) -> Path:
        name = PERSON_FILE if key.role == PERSON else f"{key.thumbprint}.pem"
        return self._folder / name

    def _add(self, key: SigningKey, role: str, created: datetime) -> StoredKey:
        jwk = public_jwk(key)
        row = (thumbprint(jwk), role, json.dumps(jwk), format_time(created))
        with transaction(self._database):
            sql = "INSERT OR IGNORE INTO keys (thumbprint, role, jwk, created) VALUES (?, ?, ?, ?)"
            self._database.execute(sql, row)
        return StoredKey(row[0], role, jwk, row[3])

    def _select(self, clause: str, values: tuple[str, ...]) -> tuple[StoredKey, ...]:
        sql = f"SELECT {_COLUMNS} FROM keys {clause}"  # noqa: S608 - clauses are constants here
        with asking():
            rows = self._database.conn.execute(sql, values).fetchall()
        return tuple(StoredKey(row[0], row[1], json.loads(row[2]), *row[3:]) for row in rows)


def content_of_key(thumbprint: str) -> str:
    """What tells records about one key from those about another: hex of its thumbprint."""
    return decode_base64url(thumbprint).hex()
