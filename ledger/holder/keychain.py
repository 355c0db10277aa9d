"""Which records of the key chain go into a bundle, so that it shows whose keys signed."""

from collections.abc import Sequence

from ledger.errors import NotFoundError
from ledger.holder.records import KEYS, StoredRecord
from ledger.holder.vault import Vault
from ledger.proof.keyed import ENROLLED_BY
from ledger.record.record import parse_record

OPENED = ("kind", "key")
"""What is opened in records of the key chain, beside what always is: nothing in them is a secret of
the business, and a key chain with one of them withheld does not show that nothing was revoked."""

MAX_LINKS = 1 << 40
"""More than any chain has."""


def names_enrolment(record: StoredRecord) -> bool:
    """Whether the record names the enrolment of the key that signed it: its ``refs`` show that."""
    return bool(_enrolments(record))


def key_records(vault: Vault, records: Sequence[StoredRecord], origin: str) -> list[StoredRecord]:
    """The key chain that enrolled the keys of ``records``, as far as the ledger of origin has it.

    If none of them names an enrolment, the person's key signed them: then it is the key chain of
    now. Records that are queued are among them.
    """
    chains: set[str] = set()
    for entry in {entry for record in records for entry in _enrolments(record)}:
        try:
            chains.add(vault.records.find(entry).chain)
        except NotFoundError:
            # Enrolled elsewhere: the verdict says that it is not shown.
            continue
    if not chains:
        chains = {chain for chain in [vault.records.chain_of(KEYS)] if chain is not None}
    found = [one for chain in sorted(chains) for one in vault.records.of_chain(chain, 1, MAX_LINKS)]
    return [one for one in found if (one.ledger or origin) == origin]


def _enrolments(record: StoredRecord) -> list[str]:
    refs = parse_record(record.sdjwt).claims.get("refs")
    named = [ref for ref in refs if isinstance(ref, dict)] if isinstance(refs, list) else []
    return [str(ref["entry"]) for ref in named if ref["rel"] == ENROLLED_BY]
