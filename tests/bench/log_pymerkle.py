"""What log.py runs inside pymerkle's environment: build, root and proof over a file of entries.

A JSON object with ``File`` and ``Indexes`` on stdin, and ``Database``, where the tree is to be kept
in SQLite; CPU seconds on stdout. Nothing of ours here.
"""

import json
import sys
import time
from pathlib import Path

from pymerkle import InmemoryTree, SqliteTree


def main() -> None:
    """One question, one answer."""
    question = json.load(sys.stdin)
    content = Path(question["File"]).read_bytes()
    entries = [content[i : i + 64] for i in range(0, len(content), 64)]
    tree = SqliteTree(question["Database"]) if "Database" in question else InmemoryTree()
    began = time.process_time()
    tree.append_entries(entries)
    root = tree.get_root()
    build = time.process_time() - began
    began = time.process_time()
    for _ in range(100):
        tree.get_root()
    root_seconds = (time.process_time() - began) / 100
    for index in question["Indexes"]:  # fills the cache of subtrees that SqliteTree has
        tree.prove_inclusion(index + 1)
    began = time.process_time()
    for index in question["Indexes"]:
        tree.prove_inclusion(index + 1)
    proof = (time.process_time() - began) / len(question["Indexes"])
    began = time.process_time()
    for number in range(200):
        tree.append_entry(entries[number])
        tree.get_root()
    append = (time.process_time() - began) / 200
    seconds = {"build": build, "append": append, "root": root_seconds, "proof": proof}
    print(json.dumps({**seconds, "Root": root.hex()}))


if __name__ == "__main__":
    main()
