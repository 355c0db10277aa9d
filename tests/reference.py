"""The Merkle tree once more, slowly, from the text of RFC 6962 §2.1 and RFC 9162 §2.1.3-2.1.4.

Subtrees are from the text of draft-ietf-plants-merkle-tree-certs §4, as it is after version 05.
Nothing is imported from the ledger and nothing is clever: each function is the standard's sentence
in Python, so that a mistake in the fast code is not likely to be here too. D[start:stop] is given
by ``Mth``, a function that answers MTH(D[start:stop]).
"""

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256

Mth = Callable[[int, int], bytes]


def largest_power_of_two_below(n: int) -> int:
    """k of RFC 6962 §2.1: k < n <= 2k."""
    k = 1
    while 2 * k < n:
        k = 2 * k
    return k


def mth(entries: Sequence[bytes]) -> bytes:
    """MTH(D[n]), RFC 6962 §2.1."""
    n = len(entries)
    if n == 0:
        return sha256(b"").digest()
    if n == 1:
        return sha256(b"\x00" + entries[0]).digest()
    k = largest_power_of_two_below(n)
    return sha256(b"\x01" + mth(entries[:k]) + mth(entries[k:])).digest()


def mth_of(entries: Sequence[bytes]) -> Mth:
    """MTH(D[start:stop]) over ``entries``, each range computed once."""
    known: dict[tuple[int, int], bytes] = {}

    def answer(start: int, stop: int) -> bytes:
        if (start, stop) not in known:
            known[start, stop] = mth(entries[start:stop])
        return known[start, stop]

    return answer


def path(m: int, start: int, stop: int, mth: Mth) -> list[bytes]:
    """PATH(m, D[start:stop]), RFC 6962 §2.1.1; m counts from start."""
    n = stop - start
    if n == 1:
        return []
    k = largest_power_of_two_below(n)
    if m < k:
        return [*path(m, start, start + k, mth), mth(start + k, stop)]
    return [*path(m - k, start + k, stop, mth), mth(start, start + k)]


def proof(m: int, n: int, mth: Mth) -> list[bytes]:
    """PROOF(m, D[n]), RFC 6962 §2.1.2."""
    return subproof(m, 0, n, True, mth)


def subproof(m: int, start: int, stop: int, b: bool, mth: Mth) -> list[bytes]:
    """SUBPROOF(m, D[start:stop], b), RFC 6962 §2.1.2; m counts from start."""
    n = stop - start
    if m == n:
        return [] if b else [mth(start, stop)]
    k = largest_power_of_two_below(n)
    if m <= k:
        return [*subproof(m, start, start + k, b, mth), mth(start + k, stop)]
    return [*subproof(m - k, start + k, stop, False, mth), mth(start, start + k)]


def includes(index: int, size: int, path: Sequence[bytes], leaf: bytes, root: bytes) -> bool:
    """Whether the inclusion proof verifies: RFC 9162 §2.1.3.2, step by step."""
    if index >= size:
        return False
    fn, sn = index, size - 1
    r = leaf
    for p in path:
        if sn == 0:
            return False
        if fn % 2 == 1 or fn == sn:
            r = sha256(b"\x01" + p + r).digest()
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            r = sha256(b"\x01" + r + p).digest()
        fn, sn = fn >> 1, sn >> 1
    return sn == 0 and r == root


def extends(
    first: int, second: int, path: Sequence[bytes], first_hash: bytes, second_hash: bytes
) -> bool:
    """Whether the consistency proof verifies: RFC 9162 §2.1.4.2, step by step.

    The text supposes 0 < first < second. For first == second the proof is empty and the hashes
    are equal (RFC 6962 §2.1.2: SUBPROOF(m, D[m], true) is empty); first == 0 has no proof.
    """
    if not 0 < first <= second:
        return False
    if first == second:
        return not path and first_hash == second_hash
    if not path:
        return False
    hashes = list(path)
    if first & (first - 1) == 0:
        hashes.insert(0, first_hash)
    fn, sn = first - 1, second - 1
    while fn % 2 == 1:
        fn, sn = fn >> 1, sn >> 1
    fr = sr = hashes[0]
    for c in hashes[1:]:
        if sn == 0:
            return False
        if fn % 2 == 1 or fn == sn:
            fr = sha256(b"\x01" + c + fr).digest()
            sr = sha256(b"\x01" + c + sr).digest()
            while fn % 2 == 0 and fn != 0:
                fn, sn = fn >> 1, sn >> 1
        else:
            sr = sha256(b"\x01" + sr + c).digest()
        fn, sn = fn >> 1, sn >> 1
    return fr == first_hash and sr == second_hash and sn == 0


def is_subtree(start: int, stop: int) -> bool:
    """Whether [start, stop) is a subtree: draft-ietf-plants-merkle-tree-certs §4.1."""
    bit_ceil = 1
    while bit_ceil < stop - start:
        bit_ceil = 2 * bit_ceil
    return 0 <= start <= stop and start % bit_ceil == 0


def subtree_proof(start: int, stop: int, n: int, mth: Mth) -> list[bytes]:
    """SUBTREE_PROOF(start, stop, D_n), the draft's §4.4.1 (text after version 05)."""
    return [] if start == stop else subtree_subproof(start, stop, 0, n, True, mth)


def subtree_subproof(start: int, stop: int, low: int, high: int, b: bool, mth: Mth) -> list[bytes]:
    """SUBTREE_SUBPROOF(start, stop, D[low:high], b), §4.4.1; start and stop count from low."""
    n = high - low
    if start == 0 and stop == n:
        return [] if b else [mth(low, high)]
    k = largest_power_of_two_below(n)
    if stop <= k:
        return [*subtree_subproof(start, stop, low, low + k, b, mth), mth(low + k, high)]
    if k <= start:
        rest = subtree_subproof(start - k, stop - k, low + k, high, b, mth)
        return [*rest, mth(low, low + k)]
    assert start == 0
    return [*subtree_subproof(0, stop - k, low + k, high, False, mth), mth(low, low + k)]


def subtree_bottom(fn: int, sn: int, tn: int) -> tuple[int, int, int]:
    """The right-shifts with which §4.4.3 begins: the node at which the proof does."""
    if sn == tn:
        while fn != sn:
            fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    else:
        while fn != sn and sn % 2 == 1:
            fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    return fn, sn, tn


def subtree_extends(
    start: int, stop: int, n: int, path: Sequence[bytes], node_hash: bytes, root_hash: bytes
) -> bool:
    """Whether the subtree consistency proof verifies: the draft's §4.4.3, step by step."""
    if not is_subtree(start, stop) or stop > n:
        return False
    if start == stop:
        return not path and node_hash == sha256(b"").digest()
    hashes = list(path)
    fn, sn, tn = subtree_bottom(start, stop - 1, n - 1)
    if fn == sn:
        fr = sr = node_hash
    else:
        if not hashes:
            return False
        fr = sr = hashes.pop(0)
    for c in hashes:
        if tn == 0:
            return False
        if sn % 2 == 1 or sn == tn:
            if fn < sn:
                fr = sha256(b"\x01" + c + fr).digest()
            sr = sha256(b"\x01" + c + sr).digest()
            while sn % 2 == 0:
                fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
        else:
            sr = sha256(b"\x01" + sr + c).digest()
        fn, sn, tn = fn >> 1, sn >> 1, tn >> 1
    return tn == 0 and fr == node_hash and sr == root_hash


def sparse_mth(marked: Iterable[int]) -> Mth:
    """MTH over a log of any size in which all entries are empty but those at ``marked``.

    Entry i is ``b"entry i"`` where i is marked. No leaf is held: a perfect range without a mark
    has one hash per height, every other range is split as RFC 6962 §2.1 says.
    """
    marks = frozenset(marked)
    blank = [sha256(b"\x00").digest()]
    for _ in range(63):
        blank.append(sha256(b"\x01" + blank[-1] + blank[-1]).digest())

    def answer(start: int, stop: int) -> bytes:
        n = stop - start
        if n == 1 and start in marks:
            return sha256(b"\x00" + b"entry %d" % start).digest()
        if n & (n - 1) == 0 and not any(start <= mark < stop for mark in marks):
            return blank[n.bit_length() - 1]
        k = largest_power_of_two_below(n)
        return sha256(b"\x01" + answer(start, start + k) + answer(start + k, stop)).digest()

    return answer
