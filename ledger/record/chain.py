"""One chain of records: links that follow one another, with no fork and no gap among those shown.

A link names the entry of the record before it; so the order of signing is fixed by hashes, and
bounds on time pass along the chain. Only what is shown is judged: earlier and later records, other
chains, notebooks and ledgers are not excluded by a good answer.

>>> from ledger.record.record import Link
>>> first, second = bytes(64), bytes([1]) * 64
>>> shown = [(Link("0" * 32, 1, None), first), (Link("0" * 32, 2, first.hex()), second)]
>>> check_chain(shown).last
2

Whether a link is really its record's own is left to ``record`` (digests and signature).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ledger.errors import VerificationError
from ledger.record.record import ENTRY_BYTES, Link


@dataclass(frozen=True, slots=True)
class ChainReport:
    """Links ``first`` to ``last`` (both included) of ``chain`` up to the entry ``head``, 64 bytes.

    ``opened``: how many links were shown, which is all of them from first to last.
    """

    chain: str
    first: int
    last: int
    head: bytes
    opened: int


def check_chain(links: Sequence[tuple[Link, bytes]]) -> ChainReport:
    """What ``links`` of one chain show; each comes with the entry of its own record, in any order.

    The same link with the same entry given twice counts once. The first link may be any.
    Raises VerificationError, its message beginning with ``fork`` (two records at one place or after
    one record), ``gap`` (a place between first and last not shown) or ``prev does not match``, in
    this order; ValueError for no links, for links of several chains, or an entry not of 64 bytes.
    """
    shown = sorted(set(links), key=lambda pair: (pair[0].seq, pair[1]))
    if not shown or len({link.chain for link, _ in shown}) != 1:
        raise ValueError("want the links of one chain")
    if any(len(entry) != ENTRY_BYTES for _, entry in shown):
        raise ValueError(f"want entries of {ENTRY_BYTES} bytes")
    _check_no_fork([link for link, _ in shown])
    for (before, entry), (after, _) in pairwise(shown):
        if after.seq != before.seq + 1:
            raise VerificationError(f"gap: link {before.seq + 1} of the chain is not shown")
        if after.prev != entry.hex():
            raise VerificationError(f"prev does not match: link {after.seq} names another record")
    (first, _), (last, head) = shown[0], shown[-1]
    return ChainReport(first.chain, first.seq, last.seq, head, len(shown))


def _check_no_fork(links: Sequence[Link]) -> None:
    """Refuses two links, sorted by seq, at one place, or two that name one record before them."""
    for left, right in pairwise(links):
        if left.seq == right.seq:
            raise VerificationError(f"fork: link {left.seq} of the chain is there twice")
    followed: set[str] = set()
    for link in links:
        if link.prev is not None and link.prev in followed:
            raise VerificationError(
                f"fork: link {link.seq} follows a record that is followed before"
            )
        if link.prev is not None:
            followed.add(link.prev)
