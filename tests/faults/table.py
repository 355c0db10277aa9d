"""Runs schedules and prints what came of them: step, fault, state found, verdict.

``python -m tests.faults.table [COUNT [SEED [WORKLOAD...]]]``: COUNT schedules of each workload.
Exit code 1 if one of them ended as it must not.
"""

import json
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.campaign import Row
from tests.faults.shim import build, environment, lacking
from tests.faults.workloads import WORKLOADS

ROOT = Path(__file__).parents[2]
MEMORY = Path("/dev/shm")
"""Where Linux keeps files in memory. The disk itself is not what is tested, and it is slow."""

COUNT = 200
"""Schedules of each workload: with six of them 1,200, in some two minutes on two cores."""

AT_ONCE = 2
"""Workloads run at the same time."""


def run_schedules(names: Sequence[str], count: int, seed: int) -> list[Row]:
    """``count`` schedules of each workload named, each workload in a process of its own."""
    memory = MEMORY if MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(dir=memory) as folder, ThreadPoolExecutor(AT_ONCE) as pool:
        library = build(Path(folder))

        def run(name: str) -> list[Row]:
            place = Path(folder) / name
            place.mkdir()
            words = [name, str(count), str(seed), str(place)]
            line = [sys.executable, "-m", "tests.faults.campaign", *words]
            ran = subprocess.run(
                line, cwd=ROOT, env=environment(library), stdout=subprocess.PIPE, check=True
            )
            return [Row(**json.loads(text)) for text in ran.stdout.splitlines()]

        return [row for rows in pool.map(run, names) for row in rows]


def format_table(rows: Iterable[Row]) -> str:
    """The rows with equal step, fault, state and verdict as one, with their number."""
    counted = Counter((row.step, row.fault, row.found, row.verdict) for row in rows)
    head = ("STEP", "FAULT", "STATE FOUND", "VERDICT", "TIMES")
    lines = [head, *((*key, str(times)) for key, times in sorted(counted.items()))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    padded = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in lines]
    return "\n".join(padded)


def summarise(rows: Sequence[Row]) -> str:
    """How many schedules, and how they ended."""
    met = [row for row in rows if row.step != "not met"]
    verdicts = Counter(row.verdict if row.good else "WRONG" for row in met)
    ends = ", ".join(f"{times} {verdict}" for verdict, times in sorted(verdicts.items()))
    return f"{len(met)} schedules: {ends}"


def main() -> int:
    if reason := lacking():
        print(f"no faults: {reason}", file=sys.stderr)
        return 3
    words = sys.argv[1:]
    count = int(words[0]) if words else COUNT
    seed = int(words[1]) if len(words) > 1 else 1
    names = words[2:] or [one.name for one in WORKLOADS]
    rows = run_schedules(names, count, seed)
    print(format_table(rows))
    print(summarise(rows))
    return 0 if all(row.good for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
