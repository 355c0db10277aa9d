"""The right edge of a tree: as much of it as growing needs.

>>> from ledger.tlog.merkle import leaf_hashes, root_of_leaves
>>> leaves = leaf_hashes([b"a", b"b", b"c"])
>>> Frontier().extend(leaves[:2]).append(leaves[2]).root() == root_of_leaves(leaves)
True
"""

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.tlog.merkle import (
    EMPTY_ROOT,
    Hash,
    HashReader,
    TreeHead,
    fold,
    level_above,
    node_hash,
    perfect_nodes,
    read_nodes,
    require_hashes,
    require_number,
)


@dataclass(frozen=True, slots=True)
class Frontier:
    """The right edge of a tree: what is needed to append, and to know the root.

    ``nodes``: the hashes of the perfect subtrees that the ``size`` leaves split into, one per set
    bit of size, the largest first. ValueError if their number does not fit.
    """

    size: int = 0
    nodes: tuple[Hash, ...] = ()

    def __post_init__(self) -> None:
        require_number(self.size, "tree size")
        require_hashes(self.nodes, "nodes")
        if len(self.nodes) != self.size.bit_count():
            raise ValueError(f"frontier has {len(self.nodes)} nodes, want {self.size.bit_count()}")

    def append(self, leaf: Hash) -> "Frontier":
        """The frontier with ``leaf`` (a hash) after it: one hash per trailing set bit of size."""
        nodes = list(self.nodes)
        carry = leaf
        level = 0
        while self.size >> level & 1:
            carry = node_hash(nodes.pop(), carry)
            level += 1
        return Frontier(self.size + 1, (*nodes, carry))

    def extend(self, leaves: Sequence[Hash]) -> "Frontier":
        """The frontier with ``leaves`` (hashes) after it: a hash a leaf, one more a level."""
        size = self.size + len(leaves)
        nodes, row, below = list(self.nodes), list(leaves), list[Hash]()
        level = 0
        while row or nodes:
            if self.size >> level & 1:
                row.insert(0, nodes.pop())
            if len(row) % 2:
                below.append(row[-1])
            row = level_above(row, keep_odd=False)
            level += 1
        return Frontier(size, tuple(reversed(below)))

    def root(self) -> Hash:
        """The root of the tree: the nodes folded from the right."""
        return fold(self.nodes) if self.nodes else EMPTY_ROOT

    def head(self) -> TreeHead:
        """Size and root."""
        return TreeHead(self.size, self.root())


def read_frontier(size: int, read: HashReader) -> Frontier:
    """The frontier of the first ``size`` leaves, from one call to ``read``; as ``tree_root``."""
    require_number(size, "tree size")
    return Frontier(size, read_nodes(perfect_nodes(0, size), read))
