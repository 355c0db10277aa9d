"""Which records can stand in one bundle: those of one chain, proven by one ledger.

After a succession a notebook goes on as a new chain in a new ledger. Both are proven, each in a
bundle of its own: what one checkpoint covers cannot be shown under another's.
"""

from collections.abc import Sequence
from itertools import groupby

from ledger.errors import MalformedError, NotFoundError
from ledger.holder.records import StoredRecord

MAX_NAMED = 20
"""Records that a hint names."""


def check_one_chain(chosen: Sequence[StoredRecord]) -> None:
    """NotFoundError for no record; MalformedError for records of several notebooks or chains."""
    if not chosen:
        raise NotFoundError("no record to bundle", hint="`tally anchor` makes one")
    if len({record.notebook for record in chosen}) > 1:
        raise MalformedError(
            "the records are of several notebooks", hint="make one bundle for each notebook"
        )
    if len({record.chain for record in chosen}) > 1:
        raise MalformedError(
            "the notebook went on as a new chain in another ledger, and a bundle has one chain",
            hint=" and ".join(_call(list(some)) for _, some in groupby(chosen, _chain)),
        )


def check_one_ledger(
    records: Sequence[StoredRecord], chosen: Sequence[StoredRecord], origin: str
) -> None:
    """MalformedError if ``records``, all that a bundle of ``chosen`` shows, are in two ledgers.

    ``origin``: of the ledger that has those whose ledger the vault did not note.
    """

    def ledger(record: StoredRecord) -> str:
        return record.ledger or origin

    if len({ledger(record) for record in records}) > 1:
        parts = [list(some) for _, some in groupby(chosen, ledger)]
        calls = [_call(part, only=ledger(part[0]) != ledger(records[0])) for part in parts]
        raise MalformedError(
            "the chain lies in two ledgers, and a bundle has the proofs of one",
            hint=" and ".join(calls),
        )


def _chain(record: StoredRecord) -> str:
    return record.chain


def _call(chosen: Sequence[StoredRecord], *, only: bool = False) -> str:
    """The command that bundles these."""
    numbers = [str(record.number) for record in chosen[:MAX_NAMED]]
    if len(chosen) > MAX_NAMED:
        numbers.append("…")
    return f"`tally bundle {' '.join(numbers)}{' --only' if only else ''}`"
