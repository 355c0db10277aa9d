"""P1, P2, P3: anchoring one big file and one big folder, beside openssl and sha256sum.

P1 goal: cpu ratio of ``openssl dgst`` to ours at least 0.92, of ``sha256sum`` at least 3.
P2 goal: wall ratio of ``find | xargs openssl dgst`` to ours at least 1.0.
P3 goal: peak memory at most 96 MiB at any file size, at most 500 B a file in folders.
"""

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from measure import ROOT, TALLY, Cost, compare, print_table, run

sys.path.insert(0, str(ROOT))

from ledger.doors.carrier import FolderCarrier, read_carrier
from ledger.record.manifest import make_lines
from ledger.record.shown import lines_root

BLOCK = 1 << 20


@contextmanager
def vault(folder: Path) -> Iterator[dict[str, str]]:
    """A fresh development vault; the environment in which ``tally`` uses it."""
    environment = {"TALLY_VAULT": str(folder / "vault"), "TALLY_STATE": str(folder / "state")}
    run([*TALLY, "init", "--development"], environment)
    yield environment
    shutil.rmtree(folder / "vault")
    shutil.rmtree(folder / "state")


def anchor(folder: Path, path: Path) -> Cost:
    """One whole ``tally anchor PATH --no-keep --no-wait`` in a new vault."""
    with vault(folder) as environment:
        return run([*TALLY, "anchor", str(path), "--no-keep", "--no-wait"], environment)


def in_process(path: Path) -> Cost:
    """Reading the carrier and making its manifest, without the start of Python and the ledger.

    In a process of its own that times itself: what a parent holds would count as its memory.
    """
    words = [sys.executable, __file__, "--in-process", str(path)]
    told = subprocess.run(words, capture_output=True, text=True, check=True).stdout.split()
    return Cost(*map(float, told))


def time_in_process(path: Path) -> None:
    """What ``in_process`` runs: print wall and CPU seconds (children's too) and peak MiB."""
    wall, cpu = time.perf_counter(), sum(os.times()[:4])
    carrier = read_carrier(path)
    if isinstance(carrier, FolderCarrier):
        lines_root(make_lines(carrier.entries, os.urandom))
    wall, cpu = time.perf_counter() - wall, sum(os.times()[:4]) - cpu
    print(wall, cpu, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def big_file(folder: Path, mebibytes: int, rounds: int) -> None:
    """P1 and P3 on one file."""
    path = folder / "big.bin"
    block = os.urandom(BLOCK)
    with path.open("wb") as file:
        for number in range(mebibytes):
            file.write(number.to_bytes(8, "big") + block[8:])
    costs = compare(
        {
            "tally anchor": lambda: anchor(folder, path),
            "the same, in process": lambda: in_process(path),
            "openssl dgst -sha256": lambda: run(["openssl", "dgst", "-sha256", str(path)]),
            "sha256sum": lambda: run(["sha256sum", str(path)]),
        },
        rounds,
    )
    title = f"P1, P3: one file of {mebibytes} MiB"
    print_table(f"{title}, ratios to the whole process", costs, "tally anchor")
    print_table(f"{title}, ratios to the work in process", costs, "the same, in process")
    path.unlink()


def big_folder(folder: Path, count: int, rounds: int) -> None:
    """P2 and P3 on a folder of 4 KiB files."""
    files = folder / "many"
    for number in range(count):
        path = files / f"{number // 1000:03d}" / f"run-{number:06d}.csv"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_bytes(os.urandom(4096))
    shell = f"find {files} -type f -print0 | xargs -0 openssl dgst -sha256"
    small = folder / "small"
    small.write_bytes(b"x")
    costs = compare(
        {
            "tally anchor": lambda: anchor(folder, files),
            "the same, in process": lambda: in_process(files),
            "find | xargs openssl dgst": lambda: run(["sh", "-c", shell]),
            "tally anchor, one small file": lambda: anchor(folder, small),
        },
        rounds,
    )
    title = f"P2, P3: a folder of {count} files of 4 KiB"
    print_table(f"{title}, ratios to the whole process", costs, "tally anchor")
    print_table(f"{title}, ratios to the work in process", costs, "the same, in process")
    extra = costs["tally anchor"].peak_mib - costs["tally anchor, one small file"].peak_mib
    print(f"  memory beyond the small file's: {extra * 1048576 / count:.0f} B a file")
    shutil.rmtree(files)


def whole_path(folder: Path, path: Path) -> None:
    """anchor + bundle + verify on one real path: cost of each, and the verdict's exit code."""
    with vault(folder) as environment:
        costs = {"anchor": run([*TALLY, "anchor", str(path), "--no-keep"], environment)}
        out = folder / "x.zip"
        words = ["bundle", "-o", str(out), "--disclose", "carrier"]
        costs["bundle"] = run([*TALLY, *words], environment)
        trust = folder / "vault" / "development-trust.toml"
        words = ["verify", str(out), "--trust", str(trust)]
        words += [str(path)] if path.is_file() else []
        costs["verify"] = run([*TALLY, *words], environment)
        print_table(f"{path}", costs, "anchor")
        out.unlink()


def main() -> None:
    """Parse the command line and run what it names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a tenth of the size")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--path", action="append", default=[], help="anchor + bundle + verify")
    parser.add_argument("--in-process", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.in_process:
        time_in_process(Path(arguments.in_process))
        return
    scale = 10 if arguments.quick else 1
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as name:
        folder = Path(name)
        for path in arguments.path:
            whole_path(folder, Path(path).resolve())
        if not arguments.path:
            big_file(folder, 1024 // scale, arguments.rounds)
            big_folder(folder, 100_000 // scale, arguments.rounds)


if __name__ == "__main__":
    main()
