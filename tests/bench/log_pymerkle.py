"""What log.py runs inside pymerkle's environment: build, root and proof over a file of entries.

A JSON object with ``File`` and ``Indexes`` on stdin; CPU seconds on stdout. Nothing of ours here.
"""

import json
import sys
import time
from pathlib import Path

from pymerkle import InmemoryTree


def main() -> None:
    """One question, one answer."""
    question = json.load(sys.stdin)
    content = Path(question["File"]).read_bytes()
    entries = [content[i : i + 64] for i in range(0, len(content), 64)]
    began = time.process_time()
    tree = InmemoryTree.init_from_entries(entries)
    root = tree.get_root()
    build = time.process_time() - began
    began = time.process_time()
    for _ in range(100):
        tree.get_root()
    root_seconds = (time.process_time() - began) / 100
    began = time.process_time()
    for index in question["Indexes"]:
        tree.prove_inclusion(index + 1)
    proof = (time.process_time() - began) / len(question["Indexes"])
    began = time.process_time()
    for number in range(1000):
        tree.append_entry(entries[number])
        tree.get_root()
    append = (time.process_time() - began) / 1000
    seconds = {"build": build, "append": append, "root": root_seconds, "proof": proof}
    print(json.dumps({**seconds, "Root": root.hex()}))


if __name__ == "__main__":
    main()
