"""The tree: build, one more append, and one proof, beside merkletools where it can be imported.

merkletools 1.0.3 needs ``pip install --no-deps merkletools`` (its dependency pysha3 does not build
on Python 3.11 and later); it computes another tree, so only the cost is compared, not the root.
"""

import importlib.util
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from ledger.tlog.frontier import Frontier
from ledger.tlog.merkle import leaf_hashes, leaf_reader, prove_inclusion, root_of_leaves

SIZE = 100_000


def timed(work: Callable[[], object]) -> float:
    """Seconds of the fastest of three runs."""
    times = []
    for _ in range(3):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return min(times)


def ours(entries: list[bytes]) -> dict[str, float]:
    """Our figures."""
    leaves = leaf_hashes(entries)
    frontier = Frontier()
    for leaf in leaves:
        frontier = frontier.append(leaf)
    reader = leaf_reader(leaves)
    return {
        "build": timed(lambda: root_of_leaves(leaf_hashes(entries))),
        "append one, new root": timed(lambda: frontier.append(leaves[0]).root()),
        "one proof": timed(lambda: prove_inclusion(SIZE // 3, SIZE, reader)),
    }


def theirs(entries: list[bytes]) -> dict[str, float]:
    """The peer's figures."""
    merkletools = importlib.import_module("merkletools")

    def build() -> object:
        tree = merkletools.MerkleTools(hash_type="sha256")
        tree.add_leaf([entry.hex() for entry in entries], True)
        tree.make_tree()
        return tree

    tree = build()

    def append() -> None:
        tree.add_leaf("00", True)
        tree.make_tree()

    return {
        "build": timed(build),
        "append one, new root": timed(append),
        "one proof": timed(lambda: tree.get_proof(SIZE // 3)),
    }


def main() -> None:
    """Print one table."""
    entries = [os.urandom(64) for _ in range(SIZE)]
    rows = ours(entries)
    peer = theirs(entries) if importlib.util.find_spec("merkletools") else {}
    print(f"{SIZE} leaves{'':20}{'ours s':>12}{'merkletools s':>16}{'ratio':>9}")
    for name, seconds in rows.items():
        other = peer.get(name)
        tail = f"{other:16.6f}{other / seconds:9.1f}" if other else f"{'absent':>16}{'':9}"
        print(f"  {name:28}{seconds:12.6f}{tail}")


if __name__ == "__main__":
    main()
