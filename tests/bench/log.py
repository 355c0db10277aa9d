"""P7, P10, P12: proofs from the store, an audit of it, and the tree beside pymerkle's and Go's.

All in process, on entries of 64 random bytes, times in CPU seconds, medians of rounds in turn.

P7   inclusion proofs from a SqliteStore, one at a time, at random indexes, others in each round:
     with one reader kept ("warm": it has met every tile it can keep), and with a new reader for
     each ("cold").
P10  the audit of `tally ledger audit` in a process of its own: every entry read and hashed, every
     tile and the head compared, the signed file checked against a guard's, the lookup asked.
     Memory is by how much the peak of that process grew meanwhile. The log came in appends of
     65,536 entries; what each checkpoint costs beyond that is told in a line of its own, from a
     log to which one entry was appended at a time.
P12  pymerkle (in an environment of its own made by this script) and Go's
     golang.org/x/mod/sumdb/tlog (where there is a go command), over the same entries: build the
     tree to its first root, append an entry and take the new root, the same root once more, one
     inclusion proof, each asked for once before. All three compute RFC 6962's tree: the roots are
     compared. In memory (pymerkle's tree there keeps every node and the root, so a root asked
     twice costs it nothing; Go and we keep hashes, and compute it), and, with pymerkle, in SQLite
     (each append a transaction).

    python tests/bench/log.py [--quick] [--large]      --large adds P7 at 10 million entries
"""

import argparse
import json
import os
import random
import shutil
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ledger.operator.audit import audit  # noqa: E402
from ledger.operator.guard import Guard  # noqa: E402
from ledger.operator.sequencer import CHECKPOINT, ENTRY_BYTES, Sequencer  # noqa: E402
from ledger.operator.store.protocol import Attachment  # noqa: E402
from ledger.operator.store.sqlite import SqliteStore  # noqa: E402
from ledger.tlog.checkpoint import Checkpoint, sign_checkpoint  # noqa: E402
from ledger.tlog.frontier import Frontier, read_frontier  # noqa: E402
from ledger.tlog.merkle import (  # noqa: E402
    Hash,
    HashReader,
    TreeHead,
    leaf_hash,
    leaf_hashes,
    leaf_reader,
    perfect_nodes,
    prove_inclusion,
    root_of_leaves,
    tree_root,
)
from ledger.tlog.tile import TILE_WIDTH, extend_tiles, tile_hash_reader  # noqa: E402
from tests.bench.peers import default_cache  # noqa: E402
from tests.sequencer_checks import KEYS  # noqa: E402

PYMERKLE = "pymerkle==7.0.0"
HERE = Path(__file__).resolve().parent
ROUNDS = 5
CHUNK = 1 << 16


def entries_of(start: int, stop: int) -> list[bytes]:
    """Entries [start, stop) of the bench's log: 64 bytes from a fixed seed, per 65,536 of them."""
    found: list[bytes] = []
    for chunk in range(start // CHUNK, -(-stop // CHUNK)):
        block = random.Random(chunk).randbytes(64 * CHUNK)
        low, high = max(start, chunk * CHUNK), min(stop, (chunk + 1) * CHUNK)
        found += [block[64 * (i % CHUNK) : 64 * (i % CHUNK) + 64] for i in range(low, high)]
    return found


def fill(store: SqliteStore, size: int) -> None:
    """Append to ``store`` up to ``size`` entries."""
    while (head := store.head()).size < size:
        entries = entries_of(head.size, min(size, head.size + CHUNK))
        commit(store, head, entries)


def commit(store: SqliteStore, head: TreeHead, entries: Sequence[bytes]) -> None:
    """Append ``entries`` to ``store``, which is at ``head``."""
    old = read_frontier(head.size, tile_hash_reader(head.size, store.tiles))
    tiles, new = extend_tiles(old, leaf_hashes(entries), store.tiles)
    store.commit(head, new.head(), entries, tiles)


def cpu_of(work: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    began = time.process_time()
    work()
    return time.process_time() - began


def proofs(store: SqliteStore, size: int, count: int) -> None:
    """P7: one line."""
    dice = random.Random(7)
    kept = tile_hash_reader(size, store.tiles)
    for index in range(0, size, TILE_WIDTH):
        prove_inclusion(index, size, kept)

    def seconds_each(reader: Callable[[], HashReader], number: int) -> float:
        indexes = [dice.randrange(size) for _ in range(number)]
        return cpu_of(lambda: [prove_inclusion(i, size, reader()) for i in indexes]) / number

    warm, cold = [], []
    for _ in range(ROUNDS):
        warm.append(seconds_each(lambda: kept, count))
        cold.append(seconds_each(lambda: tile_hash_reader(size, store.tiles), count // 5))
    warm_each, cold_each = statistics.median(warm), statistics.median(cold)
    # The first leaf has a sibling at every level; no path is longer.
    longest = len(prove_inclusion(0, size, kept).path)
    print(
        f"P7   {size:>10} entries: warm {1 / warm_each:8.0f}/s ({warm_each * 1e6:5.0f} us),"
        f" cold {1 / cold_each:7.0f}/s ({cold_each * 1e6:5.0f} us),"
        f" longest path {32 * longest} bytes"
    )


def audit_here(path: Path) -> None:
    """What the process that audits does: its rate, and by how many KiB its peak memory grew."""
    store, guard = SqliteStore(path, create=False), Guard(guard_of(path), create=False)
    before = peak_kib()
    began = time.process_time()
    found = audit(store, guard, KEYS.public_keys())
    seconds = time.process_time() - began
    if found.first or found.unchecked:
        raise SystemExit(f"the audit found {found}")
    print(json.dumps([found.size, seconds, found.checkpoints, peak_kib() - before]))


def guard_of(path: Path) -> Path:
    """Where the guard of the log at ``path`` lies."""
    return path.with_name(f"{path.name}-guard")


def sign(path: Path) -> None:
    """Sign and publish the head of the log at ``path`` in a new guard; prepare its lookup."""
    guard_of(path).unlink(missing_ok=True)
    store, guard = SqliteStore(path, create=False), Guard(guard_of(path))
    head = store.head()
    signed = sign_checkpoint(Checkpoint(KEYS.origin, *astuple(head)), KEYS.ed25519, KEYS.ml_dsa_44)
    guard.swap(None, head.size, signed)
    with sqlite3.connect(path) as database:
        database.execute("DELETE FROM attachments")
    store.attach(Attachment(head.size, CHECKPOINT, KEYS.origin, signed))
    store.find(bytes(ENTRY_BYTES))
    store.close()
    guard.close()


def peak_kib() -> int:
    """The peak memory of this process in KiB (Linux). ``ru_maxrss`` would count its parent's."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0])


def audits(path: Path) -> None:
    """P10: one line."""
    found = []
    for _ in range(3):
        command = [sys.executable, __file__, "--audit", str(path)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        found.append(json.loads(done.stdout))
    size, _, checkpoints, _ = found[0]
    seconds = statistics.median(one[1] for one in found)
    each = f", {seconds / checkpoints * 1e6:.0f} us a checkpoint" if checkpoints > size else ""
    print(
        f"P10  {size:>10} entries, {checkpoints} checkpoints:"
        f" {size / seconds / 1e6:.3f}M entries per CPU second{each},"
        f" peak memory grew by {max(one[3] for one in found) / 1024:.1f} MiB"
    )


def one_by_one(path: Path, size: int) -> None:
    """P10, where each entry has a checkpoint."""
    store, guard = SqliteStore(path), Guard(guard_of(path))
    sequencer = Sequencer(store, guard, KEYS)
    for entry in entries_of(0, size):
        sequencer.append([entry])
    store.close()
    guard.close()
    audits(path)


def ours(entries: Sequence[bytes], indexes: Sequence[int]) -> dict[str, float]:
    """P12: our CPU seconds, in memory."""
    size = len(entries)
    leaves: list[Hash] = []
    readers: list[HashReader] = []

    def build() -> None:
        leaves[:] = leaf_hashes(entries)
        readers[:] = [leaf_reader(leaves)]
        tree_root(size, readers[0])

    build_seconds = cpu_of(build)
    read = readers[0]
    frontier = Frontier(size, tuple(read(perfect_nodes(0, size))))

    def append() -> None:
        edge = frontier
        for number in range(1000):
            edge = edge.append(leaf_hash(entries[number]))
            edge.root()

    seconds = {"build": build_seconds, "append": cpu_of(append) / 1000}
    return {**seconds, **asked(size, read, indexes)}


def ours_stored(entries: Sequence[bytes], indexes: Sequence[int]) -> dict[str, float]:
    """P12: our CPU seconds, in SQLite."""
    size = len(entries)
    with tempfile.TemporaryDirectory() as folder:
        store = SqliteStore(Path(folder) / "log.sqlite")

        def append(some: Sequence[bytes]) -> None:
            commit(store, store.head(), some)

        build_seconds = cpu_of(lambda: append(entries))
        answers = asked(size, tile_hash_reader(size, store.tiles), indexes)
        append_seconds = cpu_of(lambda: [append([entry]) for entry in entries[:200]]) / 200
        store.close()
    return {"build": build_seconds, "append": append_seconds, **answers}


def asked(size: int, read: HashReader, indexes: Sequence[int]) -> dict[str, float]:
    """P12: our CPU seconds for a root and for a proof."""
    for index in indexes:
        prove_inclusion(index, size, read)
    return {
        "root": cpu_of(lambda: [tree_root(size, read) for _ in range(1000)]) / 1000,
        "proof": cpu_of(lambda: [prove_inclusion(i, size, read) for i in indexes]) / len(indexes),
    }


def theirs(
    command: Sequence[str | Path], size: int, indexes: Sequence[int], *, stored: bool
) -> dict[str, Any]:
    """P12: a peer's CPU seconds, and its root; the peer makes the entries from a file of them."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "entries"
        file.write_bytes(b"".join(entries_of(0, size)))
        question: dict[str, Any] = {"File": str(file), "Indexes": list(indexes)}
        if stored:
            question["Database"] = str(Path(folder) / "peer.sqlite")
        done = subprocess.run(
            command, input=json.dumps(question), stdout=subprocess.PIPE, text=True, check=True
        )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def pymerkle_command() -> list[str | Path]:
    """pymerkle's own Python, its environment made the first time, and the script below for it."""
    folder = default_cache() / "pymerkle"
    python, ready = folder / "bin" / "python", folder / "ready"
    if not ready.exists() or ready.read_text() != PYMERKLE:
        print(f"installing {PYMERKLE}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", PYMERKLE], check=True)
        ready.write_text(PYMERKLE)
    return [python, HERE / "log_pymerkle.py"]


def go_command(folder: Path) -> list[str | Path] | None:
    """The Go peer, built into ``folder``, or None where there is no go command."""
    go = shutil.which("go")
    if go is None:
        return None
    subprocess.run(
        [go, "build", "-trimpath", "-o", folder / "bench", "./bench"],
        cwd=ROOT / "tests" / "interop" / "go" / "sumdb",
        env={**os.environ, "GOTOOLCHAIN": "local"},
        check=True,
    )
    return [folder / "bench"]


def compare(size: int) -> None:
    """P12: two tables."""
    with tempfile.TemporaryDirectory() as name:
        pymerkle, go = pymerkle_command(), go_command(Path(name))
        in_memory = {"pymerkle": pymerkle, **({"Go x/mod tlog": go} if go else {})}
        compare_at("in memory", size, ours, in_memory)
        compare_at("in SQLite", size, ours_stored, {"pymerkle": pymerkle})


def compare_at(
    place: str,
    size: int,
    own: Callable[[Sequence[bytes], Sequence[int]], dict[str, float]],
    peers: Mapping[str, Sequence[str | Path]],
) -> None:
    """P12: one table."""
    dice = random.Random(12)
    indexes = [dice.randrange(size) for _ in range(1000)]
    entries = entries_of(0, size)
    root = root_of_leaves(leaf_hashes(entries))
    costs: dict[str, list[dict[str, Any]]] = {"ours": []}
    for _ in range(ROUNDS):
        costs["ours"].append(own(entries, indexes))
        for peer, command in peers.items():
            found = theirs(command, size, indexes, stored=own is ours_stored)
            costs.setdefault(peer, []).append(found)
    titles = ("build", "append, root", "root again", "proof")
    print(f"P12  {size:>8} entries, {place}" + "".join(f"{title:>14}" for title in titles))
    base = {act: statistics.median(c[act] for c in costs["ours"]) for act in costs["ours"][0]}
    for peer, each in costs.items():
        medians = {act: statistics.median(c[act] for c in each) for act in base}
        print(f"       {peer:24}" + "".join(f"{medians[act]:14.7f}" for act in base))
        if peer != "ours":
            print(
                f"       {'  its cost over ours':24}"
                + "".join(f"{medians[act] / base[act]:14.2f}" for act in base)
            )
            if {c["Root"] for c in each} != {root.hex()}:
                raise SystemExit(f"{peer} has another root")


def main() -> None:
    """Print the lines and the table."""
    parser = argparse.ArgumentParser(description="P7, P10, P12")
    parser.add_argument("--quick", action="store_true", help="a tenth of the sizes")
    parser.add_argument("--large", action="store_true", help="P7 and P10 at 10 million too")
    parser.add_argument("--audit", type=Path, metavar="FILE", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.audit:
        audit_here(options.audit)
        return
    unit = 10_000 if options.quick else 100_000
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "log.sqlite"
        store = SqliteStore(path)
        for size in (unit, 10 * unit, *([100 * unit] if options.large else ())):
            fill(store, size)
            sign(path)
            audits(path)
            proofs(store, size, 2000)
        store.close()
        one_by_one(Path(name) / "small.sqlite", unit // 50)
    compare(unit)


if __name__ == "__main__":
    main()
