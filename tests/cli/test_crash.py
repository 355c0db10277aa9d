"""Killed at any moment, what was promised is there; and memory stays within its limits."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Tally
from tests.cli.test_path import ROOT, START, start, verdict

pytestmark = pytest.mark.slow


WEIGH = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""


def peak_bytes(*words: object) -> int:
    """The most memory that ``tally`` with these words held at once.

    Started from a small process: Linux counts what the parent held when it forked.
    """
    line = [sys.executable, "-c", WEIGH, sys.executable, "-c", START, str(ROOT), *map(str, words)]
    told = subprocess.run(line, capture_output=True, text=True, check=True).stdout
    code, peak = map(int, told.split())
    assert code == 0
    return peak * (1 if sys.platform == "darwin" else 1024)


@pytest.mark.parametrize("milliseconds", range(150, 750, 20))
def test_anchor_killed_at_any_moment_is_gone_on_with(
    tally: Tally, folder: Path, milliseconds: int
) -> None:
    with start("anchor", folder) as process:
        try:
            process.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            process.kill()
    (folder / "a.txt").write_bytes(b"after the crash")
    tally.json("anchor", folder)
    records = tally.json("log")["records"]
    assert [row["seq"] for row in records] == list(range(1, len(records) + 1))
    # Entry 0 is the vault's first cover, entry 1 the enrolment of the notebook's key.
    assert sorted(row["index"] for row in records) == list(range(2, len(records) + 2))
    tally.json("bundle", "-o", "x.zip", "--notebook", "notebook")
    verdict(tally, "x.zip")


@pytest.mark.parametrize("milliseconds", range(150, 550, 20))
def test_init_killed_at_any_moment_is_gone_on_with(bare: Tally, milliseconds: int) -> None:
    with start("init", "--development") as process:
        try:
            process.wait(milliseconds / 1000)
        except subprocess.TimeoutExpired:
            process.kill()
    if bare("log").code != 0:
        bare.json("init", "--development")
    assert bare.json("status", code=0 if bare("sync").code == 0 else 3)["entries"] == 1


def test_memory_does_not_grow_with_the_size_of_a_file(tally: Tally) -> None:
    for size in (1 << 20, 1 << 31):
        with Path("big").open("wb") as file:
            file.truncate(size)
        assert peak_bytes("anchor", "big", "--no-keep", "--no-wait") < 96 << 20
    Path("big").write_bytes(bytes(200 << 20))
    assert peak_bytes("anchor", "big", "--no-wait") < 96 << 20


def test_memory_of_a_folder_is_at_most_500_bytes_a_file(tally: Tally) -> None:
    peaks = []
    for count in (20_000, 80_000):
        place = Path(f"folder-{count}")
        for number in range(count):
            path = place / f"{number % 100:02}" / f"experiment-{number:06}.csv"
            if number < 100:
                path.parent.mkdir(parents=True)
            path.write_bytes(b"%d\n" % number)
        peaks.append(peak_bytes("anchor", place, "--no-keep", "--no-wait"))
    assert (peaks[1] - peaks[0]) / 60_000 < 500
