"""Signing: captures become records at the end of their chain, each chain under a key of its own.

The person's key enrols the key of every chain in the key chain, a notebook of that name, before the
chain's first record, and that record names its enrolment: so each names the other. The key chain
itself, what names a ledger's successor, and a chain from before there were such keys, are signed
with the person's key.
"""

from collections.abc import Callable
from datetime import datetime

from ledger.doors.client import Ledger
from ledger.doors.keys import KEY_TYPES
from ledger.errors import ConflictError, MalformedError
from ledger.holder.captures import Capture
from ledger.holder.keys import CHAIN, StoredKey, content_of_key
from ledger.holder.records import KEYS, StoredRecord
from ledger.holder.successions import SUCCESSIONS
from ledger.holder.vault import Vault
from ledger.proof.keyed import ENROLLED_BY, ENROLMENT, REVOCATION
from ledger.record.claims import format_time
from ledger.record.record import entry_of, issue_record, parse_record
from ledger.record.sdjwt import RandomBytes, format_sdjwt
from ledger.record.strict_json import JsonValue


class Signer:
    """Signs what one vault records for one ledger.

    Whoever calls ``issue`` holds the vault's turn; the others take it. UnavailableError if the keys
    are locked.
    """

    def __init__(
        self,
        vault: Vault,
        ledger: Ledger,
        *,
        clock: Callable[[], datetime],
        random_bytes: RandomBytes,
    ) -> None:
        self._vault = vault
        self._ledger = ledger
        self._clock = clock
        self._random_bytes = random_bytes

    def issue(self, capture: Capture, previous: StoredRecord | None) -> StoredRecord:
        """Sign ``capture`` as the next record of its notebook; ``previous``: what it revises.

        MalformedError if no record can hold it.
        """
        notebook = capture.notebook
        head = self._vault.records.head(notebook)
        chain = self._vault.records.chain_of(notebook) or self._random_bytes(16).hex()
        # After a succession the notebook goes on as a new chain that names the old one's head.
        before = None if head is None or head.chain == chain else head
        last = head if before is None else None
        key, refs = self._key_after(last, notebook)
        seq = 1 if last is None else last.seq + 1
        claims: dict[str, JsonValue] = {
            "link": {"chain": chain, "seq": seq, "prev": last.entry.hex() if last else None},
            **capture.claims,
            "ledger": self._ledger.origin,
        }
        digests = self._vault.receipts.newest_digests()
        if digests:
            claims["not_before"] = [*digests]
        refs += _related(capture.claims.get("refs"), previous, before)
        if refs:
            claims["refs"] = refs
        try:
            loaded = self._vault.keys.load(key)
            sdjwt = issue_record(claims, capture.carrier, loaded, self._random_bytes)
        except ValueError as error:
            raise MalformedError(f"no record can hold this: {error}") from error
        if key.role == CHAIN and key.chain is None:
            # If we die from here on before the record is kept, an enrolled key is never used.
            self._vault.keys.assign(key, chain)
        record = StoredRecord(
            number=0,
            entry=entry_of(sdjwt.jwt),
            notebook=notebook,
            chain=chain,
            seq=seq,
            sdjwt=format_sdjwt(sdjwt),
            kind=str(capture.claims["kind"]),
            stage=_text(capture, "stage"),
            title=_text(capture, "title"),
            label=_text(capture, "label"),
            path=capture.path,
            content=capture.content,
            manifest=capture.manifest,
            created=format_time(capture.captured),
            index=None,
            note=_text(capture, "note"),
        )
        # If we die before this line nothing was promised (a manifest without a record may be left);
        # after it the record is sent later.
        return self._vault.records.add(record, capture.captured, capture=capture.number)

    def sign_waiting(self) -> int:
        """Sign the captures that wait for their key, in order; how many there were."""
        if not self._vault.captures.count():
            return 0
        # The passphrase is asked for before the turn: who types holds up nobody.
        self._vault.lock.identity()
        with self._vault.turn():
            waiting = self._vault.captures.all()
            for capture in waiting:
                path = capture.path or ""
                self.issue(capture, self._vault.records.latest_of_path(path, capture.notebook))
        return len(waiting)

    def revoke(self, key: StoredKey) -> StoredRecord:
        """Record in the key chain that ``key`` is revoked; its chain goes on with another one.

        ConflictError for the person's key, and for one that is revoked already.
        """
        self._vault.lock.identity()
        with self._vault.turn():
            key = self._vault.keys.find(key.thumbprint)
            if key.role != CHAIN:
                hint = "revoke the keys of its chains; a new vault has a new one"
                raise ConflictError("the person's key signs the key chain itself", hint=hint)
            if key.revocation is not None:
                raise ConflictError(f"key {key.thumbprint} is revoked already")
            # If we die before the key is marked, the record is found again.
            record = self._about(REVOCATION, key)
            self._vault.keys.revoke(key, record.entry)
        return record

    def _key_after(
        self, last: StoredRecord | None, notebook: str
    ) -> tuple[StoredKey, list[JsonValue]]:
        """The key that signs what follows ``last``, and what the record has to say of it.

        It is the one that signed ``last``, unless it is revoked; else a spare one or a new one,
        enrolled here.
        """
        keys = self._vault.keys
        if notebook in {KEYS, SUCCESSIONS}:
            return keys.person(), []
        if last is not None:
            key = keys.get(parse_record(last.sdjwt).thumbprint)
            if key is not None and key.revocation is None:
                return key, []
        # If we die before it is assigned, it is spare still, and its enrolment found again.
        key = keys.spare() or keys.make(KEY_TYPES[0], self._clock())
        enrolment = self._about(ENROLMENT, key)
        keys.enrol(key, enrolment.entry)
        return key, [{"rel": ENROLLED_BY, "entry": enrolment.entry.hex()}]

    def _about(self, kind: str, key: StoredKey) -> StoredRecord:
        """The record of the key chain that is of ``kind`` and about ``key``; made if need be."""
        content = content_of_key(key.thumbprint)
        found = self._vault.records.about(kind, content)
        if found is not None:
            return found
        now = self._clock()
        claims: dict[str, JsonValue] = {
            "kind": kind,
            "trigger": "automatic" if kind == ENROLMENT else "manual",
            "notebook": KEYS,
            "captured_time": format_time(now),
            "key": key.thumbprint,
        }
        return self.issue(Capture(now, KEYS, claims, {}, None, content, None), None)


def _related(
    named: JsonValue, previous: StoredRecord | None, before: StoredRecord | None
) -> list[JsonValue]:
    """The relations a user ``named``, and those known here to what is revised and continued.

    Who names what is revised knows better.
    """
    refs = list(named) if isinstance(named, list) else []
    said = any(isinstance(one, dict) and one["rel"] == "wasRevisionOf" for one in refs)
    known = (("wasRevisionOf", None if said else previous), ("continues", before))
    return refs + [{"rel": rel, "entry": one.entry.hex()} for rel, one in known if one is not None]


def _text(capture: Capture, name: str) -> str | None:
    value = capture.claims.get(name)
    return value if isinstance(value, str) else None
