"""Ten processes at once on one vault: each waits its turn, and one whole chain comes of it."""

from contextlib import ExitStack

import pytest

from tests.cli.conftest import Tally
from tests.cli.test_path import start, verdict

PROCESSES, FILES = 10, 2

HANG_SECONDS = 300
"""No measure of speed: a process that still waits then, waits for ever."""


@pytest.mark.slow
def test_ten_processes_make_one_chain_without_gap_or_repeat(tally: Tally) -> None:
    (tally.work / "shared").write_text("the same for all")
    names = [[f"{process}-{number}" for number in range(FILES)] for process in range(PROCESSES)]
    every = [name for mine in names for name in mine]
    for name in every:
        (tally.work / name).write_text(name)
    with ExitStack() as stack:
        running = [
            stack.enter_context(start("anchor", *mine, "shared", cwd=tally.work)) for mine in names
        ]
        for process in running:
            _, told = process.communicate(timeout=HANG_SECONDS)
            assert process.returncode == 0, told
    rows = tally.json("log")["records"]
    count = PROCESSES * FILES + 1
    assert [row["seq"] for row in rows] == list(range(1, count + 1))
    # Entry 0 is the vault's first cover, entry 1 the enrolment of the notebook's key.
    assert sorted(row["index"] for row in rows) == list(range(2, count + 2))
    paths = sorted(row["path"] for row in rows)
    assert paths == sorted(str(tally.work / name) for name in [*every, "shared"])
    assert all(row["receipt"] for row in rows)
    assert tally.json("status")["entries"] == count + 2
    tally.json("bundle", "-o", "x.zip", "--notebook", "notebook")
    verdict(tally, "x.zip")
