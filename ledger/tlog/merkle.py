"""The Merkle tree of RFC 6962 §2.1 over SHA-256: roots, inclusion and consistency proofs.

>>> leaves = leaf_hashes([b"a", b"b", b"c"])
>>> read = leaf_reader(leaves)
>>> head = TreeHead(3, tree_root(3, read))
>>> proof = prove_inclusion(1, 3, read)
>>> check_inclusion(proof, leaves[1], head)
>>> check_consistency(prove_consistency(2, 3, read), TreeHead(2, tree_root(2, read)), head)

Nothing here holds a tree. Whoever holds one gives a ``HashReader`` that answers for perfect
subtrees, and each function that needs hashes names all of them in one call. The checks need no
reader at all: they are what a verifier runs.

A proof is true of a ``TreeHead`` only. That the head itself is authentic (a checkpoint signed by
a trusted key, or stamped) is for the caller to establish first: size and root must never be taken
from where the proof was.

The size 0 is decided here as RFC 6962 §2.1.2 and RFC 9162 §2.1.4 do: a consistency proof exists
for 0 < old size <= new size only. That every tree extends the empty tree is true and proves
nothing, so a proof from size 0 is refused rather than waved through; a protocol that starts from
nothing (``old 0`` of c2sp.org/tlog-witness) has no proof to check and must say so itself.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import TypeAlias

from ledger.errors import VerificationError

Hash: TypeAlias = bytes
"""A SHA-256 value, 32 bytes."""

HASH_SIZE = 32

MAX_SIZE = 2**63 - 1
"""The most leaves a tree can have: sizes and indexes fit a signed 64-bit integer everywhere."""

MAX_PATH = 64
"""No proof is longer: a tree of MAX_SIZE leaves is 63 high, consistency adds one starting hash."""

EMPTY_ROOT: Hash = sha256(b"").digest()
"""The root of the tree without leaves (RFC 6962 §2.1)."""


def leaf_hash(entry: bytes) -> Hash:
    """The leaf of ``entry``: SHA-256(0x00 || entry), RFC 6962 §2.1."""
    return sha256(b"\x00" + entry).digest()


def leaf_hashes(entries: Iterable[bytes]) -> list[Hash]:
    """The leaf of each of ``entries``; an eighth quicker than ``leaf_hash`` for each."""
    return [sha256(b"\x00" + entry).digest() for entry in entries]


def node_hash(left: Hash, right: Hash) -> Hash:
    """The parent of ``left`` and ``right``: SHA-256(0x01 || left || right), RFC 6962 §2.1."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class TreeHead:
    """A tree of ``size`` leaves has this ``root``. ValueError if no tree can have it."""

    size: int
    root: Hash

    def __post_init__(self) -> None:
        require_number(self.size, "tree size")
        require_hashes((self.root,), "root")
        if self.size == 0 and self.root != EMPTY_ROOT:
            raise ValueError("a tree of size 0 has the empty root only")


@dataclass(frozen=True, slots=True)
class InclusionProof:
    """Hashes from the sibling of leaf ``index`` up to a child of the root of ``size`` leaves.

    RFC 6962 §2.1.1. Construction checks ranges and hash lengths (ValueError); that the path has
    the right length and that index < size is for ``check_inclusion``.
    """

    index: int
    size: int
    path: tuple[Hash, ...]

    def __post_init__(self) -> None:
        require_number(self.index, "index")
        require_number(self.size, "tree size")
        require_hashes(self.path, "path")


@dataclass(frozen=True, slots=True)
class ConsistencyProof:
    """Hashes that show the first ``old_size`` of ``new_size`` leaves to be unchanged.

    RFC 6962 §2.1.2. Construction checks ranges and hash lengths (ValueError); that the path has
    the right length and that 0 < old_size <= new_size is for ``check_consistency``.
    """

    old_size: int
    new_size: int
    path: tuple[Hash, ...]

    def __post_init__(self) -> None:
        require_number(self.old_size, "old size")
        require_number(self.new_size, "new size")
        require_hashes(self.path, "path")


Node: TypeAlias = tuple[int, int]
"""``(level, index)``: the perfect subtree over the leaves [index << level, (index + 1) << level).

A pair, for a proof names as many as it has hashes, and naming them is most of its work.
"""

HashReader: TypeAlias = Callable[[Sequence[Node]], Sequence[Hash]]
"""Answers the hashes of the nodes asked for, in that order. ValueError for a node that no tree has
or this one has not; it may raise what else it needs to."""


def tree_root(size: int, read: HashReader) -> Hash:
    """The root of the first ``size`` leaves, from one call to ``read``.

    Asks for one node per set bit of ``size``; for size 0 ``read`` is not called.
    ValueError if ``size`` is out of range or the reader does not answer as asked.
    """
    require_number(size, "tree size")
    if size == 0:
        return EMPTY_ROOT
    return fold(read_nodes(perfect_nodes(0, size), read))


def prove_inclusion(index: int, size: int, read: HashReader) -> InclusionProof:
    """The proof that leaf ``index`` is in the tree of ``size`` leaves, from one call to ``read``.

    RFC 6962 §2.1.1. A tree of one leaf needs no hash, so ``read`` is not called. ValueError
    unless 0 <= index < size, or if the reader does not answer as asked.
    """
    require_number(size, "tree size")
    if not 0 <= index < size:
        raise ValueError(f"index is {index}, want at least 0 and below the size {size}")
    return InclusionProof(index, size, _read_path(*_way_up(index, 0, size), read))


def prove_consistency(old_size: int, new_size: int, read: HashReader) -> ConsistencyProof:
    """The proof that ``new_size`` leaves extend ``old_size`` leaves, from one call to ``read``.

    RFC 6962 §2.1.2. Two equal sizes need no hash, so ``read`` is not called. ValueError unless
    0 < old_size <= new_size, or if the reader does not answer as asked.
    """
    require_number(new_size, "new size")
    if not 0 < old_size <= new_size:
        raise ValueError(f"old size is {old_size}, want at least 1 and at most {new_size}")
    if old_size == new_size:
        return ConsistencyProof(old_size, new_size, ())
    # The old tree ends with a perfect subtree over 1 << skip leaves; the way up starts from it.
    last = old_size - 1
    skip = _last_level(old_size)
    below, meeting, above = _way_up(last, skip, new_size)
    if old_size != 1 << skip:  # the verifier does not have this subtree's hash as its old root
        below.insert(0, (skip, last >> skip))
    return ConsistencyProof(old_size, new_size, _read_path(below, meeting, above, read))


def check_inclusion(proof: InclusionProof, leaf: Hash, head: TreeHead) -> None:
    """Raise VerificationError unless ``proof`` shows that ``leaf`` is in the tree of ``head``.

    ``leaf`` must be computed from the entry (``leaf_hash``), never taken from the evidence: a
    given leaf hash may be an inner node. The path's length follows from index and size and is
    checked before a hash is computed. RFC 9162 §2.1.3.2.
    """
    require_hashes((leaf,), "leaf")
    if proof.size != head.size:
        raise VerificationError(f"proof is for size {proof.size}, want {head.size}")
    if proof.index >= proof.size:
        raise VerificationError(f"index is {proof.index}, want below the size {proof.size}")
    inner, border = _path_shape(proof.index, proof.size)
    require_path(proof.path, inner + border)
    root = leaf
    for level, sibling in enumerate(proof.path):
        # Above the inner part the path follows the right border: every sibling is on the left.
        if level >= inner or proof.index >> level & 1:
            root = node_hash(sibling, root)
        else:
            root = node_hash(root, sibling)
    if root != head.root:
        raise VerificationError("inclusion proof leads to another root")


def check_consistency(proof: ConsistencyProof, old: TreeHead, new: TreeHead) -> None:
    """Raise VerificationError unless ``proof`` shows that ``new`` only appended to ``old``.

    The path's length follows from the two sizes and is checked before a hash is computed. An
    ``old`` of size 0 is refused whatever the proof (module docstring). RFC 9162 §2.1.4.2.
    """
    if (proof.old_size, proof.new_size) != (old.size, new.size):
        raise VerificationError(
            f"proof is for sizes {proof.old_size} and {proof.new_size}, "
            f"want {old.size} and {new.size}"
        )
    if not 0 < old.size <= new.size:
        raise VerificationError(f"old size is {old.size}, want at least 1 and at most {new.size}")
    if old.size == new.size:
        require_path(proof.path, 0)
        if old.root != new.root:
            raise VerificationError("one size has two roots")
        return
    # The old tree ends with a perfect subtree over 1 << skip leaves; the path starts from it.
    # It is the old root itself when the old tree is perfect, else the path's first hash.
    last = old.size - 1
    skip = _last_level(old.size)
    inner, border = _path_shape(last, new.size)
    given = 0 if old.size == 1 << skip else 1
    require_path(proof.path, given + inner - skip + border)
    seed = proof.path[0] if given else old.root
    old_root = new_root = seed
    for level, sibling in enumerate(proof.path[given:], start=skip):
        if level >= inner or last >> level & 1:
            old_root = node_hash(sibling, old_root)
            new_root = node_hash(sibling, new_root)
        else:
            new_root = node_hash(new_root, sibling)
    if old_root != old.root:
        raise VerificationError("consistency proof leads to another old root")
    if new_root != new.root:
        raise VerificationError("consistency proof leads to another new root")


def root_of_leaves(leaves: Sequence[Hash]) -> Hash:
    """The root over all ``leaves`` (hashes, not entries): one hash per leaf, level by level.

    A last node without sibling rises unchanged, which is RFC 6962's split at the largest power
    of two. The memory of two levels is held.
    """
    if not leaves:
        return EMPTY_ROOT
    level = leaves
    while len(level) > 1:
        level = level_above(level, keep_odd=True)
    return level[0]


def leaf_reader(leaves: Sequence[Hash]) -> HashReader:
    """A reader over ``leaves`` (hashes) held in memory, for trees up to their number.

    Hashes every level at once, one hash per leaf; each read is then a look-up. The reader raises
    ValueError for a node that the leaves do not fill.
    """
    size = len(leaves)
    levels: list[Sequence[Hash]] = [leaves]
    while len(levels[-1]) > 1:
        levels.append(level_above(levels[-1], keep_odd=False))

    def read(nodes: Sequence[Node]) -> Sequence[Hash]:
        hashes = []
        for level, index in nodes:
            if level < 0 or not 0 <= index < size >> level:
                raise ValueError(f"{size} leaves do not fill node {index} of level {level}")
            hashes.append(levels[level][index])
        return hashes

    return read


def level_above(level: Sequence[Hash], *, keep_odd: bool) -> list[Hash]:
    """The parents of hashes that lie side by side; a last one without sibling is kept, or not."""
    # node_hash written out: the call would cost as much again as the hash.
    pairs = iter(level)
    above = [sha256(b"\x01" + a + b).digest() for a, b in zip(pairs, pairs, strict=False)]
    if keep_odd and len(level) % 2:
        above.append(level[-1])
    return above


def perfect_nodes(start: int, stop: int) -> list[Node]:
    """The perfect subtrees that [start, stop) splits into, the largest first.

    ``start`` must be a multiple of every power of two not above the range's length, as it is
    wherever RFC 6962 §2.1 cuts.
    """
    length = stop - start
    nodes = []
    while length:
        level = length.bit_length() - 1
        nodes.append((level, stop - length >> level))
        length ^= 1 << level
    return nodes


def read_nodes(nodes: Sequence[Node], read: HashReader) -> tuple[Hash, ...]:
    """The hashes of ``nodes`` from one call to ``read``, or none where there is nothing to ask.

    ValueError if the reader does not answer as asked.
    """
    if not nodes:
        return ()
    answers = read(nodes)
    if len(answers) != len(nodes):
        raise ValueError(f"reader gave {len(answers)} hashes, want {len(nodes)}")
    require_hashes(answers, "the reader's answer")
    return tuple(answers)


def fold(hashes: Sequence[Hash]) -> Hash:
    """The root over perfect subtrees that lie side by side, each larger than the next."""
    root = hashes[-1]
    for left in hashes[-2::-1]:
        root = node_hash(left, root)
    return root


def _way_up(leaf: int, bottom: int, size: int) -> tuple[list[Node], list[Node], list[Node]]:
    # The siblings on the way from the node over ``leaf`` at level ``bottom`` to the root of
    # ``size`` leaves. Below the point where the way meets the tree's right border each is perfect;
    # there it is what the border leaves, one or more perfect subtrees; above it, all on the left.
    inner, _ = _path_shape(leaf, size)
    below = [(level, leaf >> level ^ 1) for level in range(bottom, inner - 1)]
    meeting = perfect_nodes((leaf >> inner - 1) + 1 << inner - 1, size) if inner else []
    levels = range(inner, leaf.bit_length())
    return below, meeting, [(level, leaf >> level ^ 1) for level in levels if leaf >> level & 1]


def _read_path(
    below: list[Node], meeting: list[Node], above: list[Node], read: HashReader
) -> tuple[Hash, ...]:
    hashes = read_nodes(below + meeting + above, read)
    if len(meeting) < 2:
        return hashes
    start, stop = len(below), len(below) + len(meeting)
    return (*hashes[:start], fold(hashes[start:stop]), *hashes[stop:])


def _last_level(size: int) -> int:
    # The level of the last perfect subtree that a tree of this size, not 0, splits into.
    return (size & -size).bit_length() - 1


def _path_shape(index: int, size: int) -> tuple[int, int]:
    # How many siblings leaf index has below the point where its way up meets the tree's right
    # border, and how many (all on the left) above it. In a perfect tree the second is 0.
    inner = (index ^ (size - 1)).bit_length()
    return inner, (index >> inner).bit_count()


def require_path(path: Sequence[Hash], want: int) -> None:
    """Raise VerificationError unless ``path`` has ``want`` hashes."""
    if len(path) != want:
        raise VerificationError(f"proof has {len(path)} hashes, want {want}")


def require_number(number: int, name: str) -> None:
    """Raise ValueError unless ``number`` (that of ``name``) is 0 to ``MAX_SIZE``."""
    if not 0 <= number <= MAX_SIZE:
        raise ValueError(f"{name} is {number}, want 0 to 2^63 - 1")


def require_hashes(hashes: Sequence[Hash], name: str) -> None:
    """Raise ValueError unless all of ``hashes`` (those of ``name``) have 32 bytes."""
    for length in {*map(len, hashes)} - {HASH_SIZE}:
        raise ValueError(f"{name} has a hash of {length} bytes, want {HASH_SIZE}")
