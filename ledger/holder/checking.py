"""Checks what the vault keeps: originals open to their digests, manifests to their roots, receipts.

A record is checked as far as the vault alone can: its signature and entry, and of its receipt every
inclusion proof, checkpoint signature and token. Whom to trust is the verifier's question.
"""

import hashlib
from dataclasses import replace

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.holder.checks import MANIFEST, ORIGINAL, Item
from ledger.holder.prover import checkpoint_of
from ledger.holder.records import StoredRecord, name_of
from ledger.holder.vault import Vault
from ledger.record.manifest import parse_line
from ledger.record.record import check_record, parse_record
from ledger.timestamp.token import check_imprint, parse_token
from ledger.tlog.checkpoint import check_signatures
from ledger.tlog.merkle import InclusionProof, check_inclusion, leaf_hash, root_of_leaves
from ledger.tlog.note import parse_note


class Checker:
    """Checks items of one vault. What many records share is checked once."""

    def __init__(self, vault: Vault) -> None:
        self._vault = vault
        self._keys = vault.receipts.ledgers()
        self._good: set[tuple[str, int, str | None]] = set()

    def check(self, item: Item) -> Item:
        """``item`` with what is wrong with it now; that it cannot be read is wrong too."""
        try:
            if item.kind == ORIGINAL:
                self._vault.originals.check(bytes.fromhex(item.name))
            elif item.kind == MANIFEST:
                self._check_manifest(item.name)
            else:
                self._check_record(self._vault.records.find(name_of(int(item.name))))
        except LedgerError as error:
            return replace(item, fault=str(error))
        return replace(item, fault=None)

    def records_of(self, item: Item) -> tuple[int, ...]:
        """The numbers of the records that need ``item``."""
        if item.kind not in {ORIGINAL, MANIFEST}:
            return (int(item.name),)
        column = "content" if item.kind == ORIGINAL else "manifest"
        sql = f"SELECT number FROM records WHERE {column} = ?"  # noqa: S608 - two constants
        found = {int(row[0]) for row in self._vault.database.execute(sql, (item.name,))}
        if item.kind == ORIGINAL:
            sql = "SELECT number, manifest FROM records WHERE manifest IS NOT NULL ORDER BY number"
            rows = self._vault.database.execute(sql).fetchall()
            holds = {root: self._names(root, item.name) for root in {root for _, root in rows}}
            found |= {int(number) for number, root in rows if holds[root]}
        return tuple(sorted(found))

    def _names(self, root: str, sha256: str) -> bool:
        """Whether a folder's manifest, as far as it can be read, names this content."""
        try:
            lines = self._vault.manifests.read(root)
        except LedgerError:
            return False
        for line in lines:
            try:
                if parse_line(line).sha256.hex() == sha256:
                    return True
            except MalformedError:
                # The pieces of one file: they name no file.
                continue
        return False

    def _check_manifest(self, root: str) -> None:
        lines = [line.encode("ascii") for line in self._vault.manifests.read(root)]
        if root_of_leaves([*map(leaf_hash, lines)]).hex() != root:
            raise VerificationError(f"manifest {root[:16]} is damaged: its lines give another root")

    def _check_record(self, record: StoredRecord) -> None:
        parsed = parse_record(record.sdjwt)
        check_record(parsed)
        if parsed.entry != record.entry:
            raise VerificationError("the record is another than its entry says")
        match parsed.carrier.get("parts"):
            case {"root": str(root)}:
                self._check_manifest(root)
        if record.index is None or record.ledger is None or not record.stamps:
            return
        for stamp in self._vault.receipts.first_stamps(record.ledger, record.index):
            path = self._vault.receipts.proof(record.number, stamp.size)
            if path is None:
                raise VerificationError(f"its inclusion proof of size {stamp.size} is missing")
            signed_file = self._signed_file(record.ledger, stamp.size)
            proof = InclusionProof(record.index, stamp.size, path)
            check_inclusion(proof, leaf_hash(record.entry), checkpoint_of(signed_file).head)
            if (record.ledger, stamp.size, stamp.tsa) not in self._good:
                token = parse_token(stamp.response)
                check_imprint(token, hashlib.sha256(signed_file).digest())
                self._good.add((record.ledger, stamp.size, stamp.tsa))

    def _signed_file(self, origin: str, size: int) -> bytes:
        signed_file = self._vault.receipts.signed_file(origin, size)
        if (origin, size, None) not in self._good:
            keys = self._keys[origin]
            if len(check_signatures(parse_note(signed_file), keys)) < len(keys):
                raise VerificationError(f"its checkpoint {size} is not signed by the ledger")
            self._good.add((origin, size, None))
        return signed_file
