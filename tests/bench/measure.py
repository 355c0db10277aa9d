"""Run commands in turn and report what the operating system says each cost."""

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TALLY = (sys.executable, "-c", "from cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Cost:
    """One finished run: seconds, and the peak memory of its largest process in MiB."""

    wall: float
    cpu: float
    peak_mib: float


def run(command: Sequence[str], environment: Mapping[str, str] | None = None) -> Cost:
    """Run ``command`` once, its output thrown away; CalledProcessError if it fails."""
    started = time.perf_counter()
    child = subprocess.Popen(
        command,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **(environment or {})},
    )
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.perf_counter() - started
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def compare(commands: Mapping[str, Callable[[], Cost]], rounds: int) -> dict[str, Cost]:
    """Each command once to warm up, then ``rounds`` times in turn; medians by name."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cost = command()
            if number:
                costs[name].append(cost)
    return {
        name: Cost(
            statistics.median(cost.wall for cost in found),
            statistics.median(cost.cpu for cost in found),
            max(cost.peak_mib for cost in found),
        )
        for name, found in costs.items()
    }


def print_table(title: str, costs: Mapping[str, Cost], ours: str) -> None:
    """One row a command; ratios are the peer's cost over ours, so above 1 we are faster."""
    print(f"\n{title}")
    print(f"  {'':34}{'wall s':>9}{'cpu s':>9}{'peak MiB':>10}{'wall ratio':>12}{'cpu ratio':>11}")
    base = costs[ours]
    for name, cost in costs.items():
        ratios = f"{cost.wall / base.wall:12.2f}{cost.cpu / base.cpu:11.2f}"
        print(f"  {name:34}{cost.wall:9.3f}{cost.cpu:9.3f}{cost.peak_mib:10.0f}{ratios}")
