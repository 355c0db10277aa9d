"""Subtrees: aligned ranges of a log's leaves as trees of their own, and proofs about them.

Source: draft-ietf-plants-merkle-tree-certs §4, which c2sp.org/tlog-cosignature, tlog-witness
(``sign-subtree``) and tlog-mirror build on.

>>> from ledger.tlog.merkle import leaf_hash, leaf_reader, tree_root
>>> leaves = [leaf_hash(bytes([number])) for number in range(14)]
>>> read = leaf_reader(leaves)
>>> subtree = Subtree(8, 13, subtree_root(8, 13, read))
>>> check_subtree_inclusion(12, prove_subtree_inclusion(12, 8, 13, read), leaves[12], subtree)
>>> head = TreeHead(14, tree_root(14, read))
>>> check_subtree_consistency(subtree, prove_subtree_consistency(8, 13, 14, read), head)

A range [start, stop) is a subtree if start is a multiple of the smallest power of two that is not
below its length: then the cuts of the range's own tree fall where the log's cuts fall. The checks
take range and root from a ``Subtree``, which somebody signed, and never from where the proof was.

The empty range is decided here as the draft's text after its version 05 does: [x, x) is a subtree,
its root is the empty root, and it is consistent, by an empty proof, with every log of at least x
leaves, whatever that log's root. That is true and proves nothing. The drafts to version 05 want
start < stop, and c2sp.org/tlog-witness names version 03: who answers ``sign-subtree`` refuses an
empty range before coming here. (``check_consistency`` has RFC 9162's text and refuses size 0.)
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.errors import VerificationError
from ledger.tlog.merkle import (
    MAX_SIZE,
    Hash,
    HashReader,
    InclusionProof,
    TreeHead,
    check_inclusion,
    fold,
    node_hash,
    perfect_nodes,
    prove_inclusion,
    read_nodes,
    require_hashes,
    require_path,
    tree_root,
)


@dataclass(frozen=True, slots=True)
class Subtree:
    """The leaves [start, stop) of a log, as a tree of their own, have this ``root``.

    ValueError if the range is no subtree of a log of MAX_SIZE leaves (§4.1) or cannot have this
    root.
    """

    start: int
    stop: int
    root: Hash

    def __post_init__(self) -> None:
        require_subtree(self.start, self.stop)
        TreeHead(self.stop - self.start, self.root)


def require_subtree(start: int, stop: int) -> None:
    """Raise ValueError unless [start, stop) is a subtree (§4.1) of a log of MAX_SIZE leaves."""
    if not 0 <= start <= stop <= MAX_SIZE:
        raise ValueError(f"range is [{start}, {stop}), want 0 <= start <= stop < 2^63")
    if start % (1 << _height(start, stop)):
        raise ValueError(f"[{start}, {stop}) is not aligned to its length: no subtree")


def subtree_root(start: int, stop: int, read: HashReader) -> Hash:
    """The root of the subtree [start, stop) of the log behind ``read``, from one call to it.

    For an empty range ``read`` is not called. ValueError if the range is no subtree or the
    reader does not answer as asked.
    """
    require_subtree(start, stop)
    return tree_root(stop - start, _from(start, read))


def prove_subtree_inclusion(
    index: int, start: int, stop: int, read: HashReader
) -> tuple[Hash, ...]:
    """The path from leaf ``index`` of the log to the root of its subtree [start, stop), §4.3.

    One call to ``read``, or none in a subtree of one leaf. ValueError if the range is no subtree,
    unless start <= index < stop, or if the reader does not answer as asked.
    """
    require_subtree(start, stop)
    if not start <= index < stop:
        raise ValueError(f"index is {index}, want it in [{start}, {stop})")
    return prove_inclusion(index - start, stop - start, _from(start, read)).path


def check_subtree_inclusion(index: int, path: Sequence[Hash], leaf: Hash, subtree: Subtree) -> None:
    """Raise VerificationError unless ``path`` shows ``leaf`` to be leaf ``index`` in ``subtree``.

    ``index`` counts from the log's beginning. ``leaf`` must be computed from the entry, as for
    ``check_inclusion``; the path's length is checked before a hash is computed. §4.3.3.
    ValueError if ``leaf`` or a hash of the path has not 32 bytes.
    """
    if not subtree.start <= index < subtree.stop:
        raise VerificationError(f"index is {index}, want it in [{subtree.start}, {subtree.stop})")
    size = subtree.stop - subtree.start
    proof = InclusionProof(index - subtree.start, size, tuple(path))
    check_inclusion(proof, leaf, TreeHead(size, subtree.root))


def prove_subtree_consistency(
    start: int, stop: int, size: int, read: HashReader
) -> tuple[Hash, ...]:
    """The proof that the subtree [start, stop) is of the log of ``size`` leaves, §4.4.1.

    With start 0 it is a consistency proof of RFC 6962, with one leaf an inclusion proof. One call
    to ``read``, or none for an empty proof. ValueError if the range is no subtree, unless
    stop <= size <= MAX_SIZE, or if the reader does not answer as asked.
    """
    require_subtree(start, stop)
    if not stop <= size <= MAX_SIZE:
        raise ValueError(f"size is {size}, want {stop} to 2^63 - 1")
    groups = [perfect_nodes(*cut) for cut in _consistency_ranges(start, stop, size)]
    hashes = iter(read_nodes([node for group in groups for node in group], read))
    return tuple(fold([next(hashes) for _ in group]) for group in groups)


def check_subtree_consistency(subtree: Subtree, path: Sequence[Hash], head: TreeHead) -> None:
    """Raise VerificationError unless ``path`` shows that ``subtree`` is of the log of ``head``.

    That is: its leaves are the log's leaves [start, stop). The path's length follows from range
    and size and is checked before a hash is computed. §4.4.3. An empty subtree is consistent with
    any large enough log (module docstring). ValueError if a hash of the path has not 32 bytes.
    """
    require_hashes(path, "path")
    if subtree.stop > head.size:
        raise VerificationError(f"subtree ends at {subtree.stop}, want at most {head.size}")
    if subtree.start == subtree.stop:
        require_path(path, 0)
        return
    # The proof climbs from leaf stop - 1, as in RFC 9162 §2.1.4.2: it begins at the perfect
    # subtree that ends there, or at the subtree's own root if that is a node of the log.
    last = subtree.stop - 1
    height = _height(subtree.start, subtree.stop)
    skip = height
    if subtree.stop < head.size:
        skip = min(height, (subtree.stop & -subtree.stop).bit_length() - 1)
    given = 0 if skip == height else 1
    levels = _sibling_levels(last, head.size, skip)
    require_path(path, given + len(levels))
    old_root = new_root = path[0] if given else subtree.root
    for level, sibling in zip(levels, path[given:], strict=True):
        if last >> level & 1:
            if level < height:  # still inside of the subtree
                old_root = node_hash(sibling, old_root)
            new_root = node_hash(sibling, new_root)
        else:
            new_root = node_hash(new_root, sibling)
    if old_root != subtree.root:
        raise VerificationError("consistency proof leads to another subtree root")
    if new_root != head.root:
        raise VerificationError("consistency proof leads to another root")


def _height(start: int, stop: int) -> int:
    # The height of the subtree's tree: BIT_CEIL(stop - start) is 1 << height; 1 for no leaf.
    return (max(stop - start, 1) - 1).bit_length()


def _from(start: int, read: HashReader) -> HashReader:
    # A reader in which the leaf start is leaf 0. It is asked for nodes of an aligned range only,
    # so start is a multiple of each node's width.
    return lambda nodes: read([(level, (start >> level) + index) for level, index in nodes])


def _consistency_ranges(start: int, stop: int, size: int) -> list[tuple[int, int]]:
    # SUBTREE_SUBPROOF(start, end, D_n, true) of §4.4.1 as leaf ranges, in the order of the proof.
    if start == stop:
        return []
    low, high = 0, size
    known = True  # the draft's b: the verifier has the hash where the descent ends
    ranges = []
    while (low, high) != (start, stop):
        # RFC 6962 §2.1 cuts after the largest power of two below the length.
        middle = low + (1 << (high - low - 1).bit_length() - 1)
        if stop <= middle:
            ranges.append((middle, high))
            high = middle
        else:
            ranges.append((low, middle))
            low = middle
            if start < middle:
                start, known = middle, False
    if not known:
        ranges.append((low, high))
    return ranges[::-1]


def _sibling_levels(leaf: int, size: int, bottom: int) -> list[int]:
    # The levels, from bottom up, at which the way up from a leaf has a sibling: each level below
    # the point where it meets the tree's right border, above it those with a sibling on the left.
    border = max((leaf ^ (size - 1)).bit_length(), bottom)
    above = (level for level in range(border, leaf.bit_length()) if leaf >> level & 1)
    return [*range(bottom, border), *above]
