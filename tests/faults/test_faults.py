"""Whatever a disk does at whatever step: nothing acknowledged is lost, no wrong tree is signed.

``python -m tests.faults.table`` prints the same as a table, with as many schedules as one likes.
"""

import pytest

from tests.faults.shim import lacking
from tests.faults.table import COUNT, format_table, run_schedules, summarise
from tests.faults.workloads import WORKLOADS

NAMES = [one.name for one in WORKLOADS]


@pytest.fixture(autouse=True)
def needed() -> None:
    if reason := lacking():
        pytest.skip(reason)


def check(names: list[str], count: int) -> None:
    rows = run_schedules(names, count, seed=1)
    bad = [row for row in rows if not row.good]
    print(format_table(rows), summarise(rows), sep="\n")
    assert len(rows) == count * len(names)
    assert not bad, format_table(bad)


def test_some_faults_at_some_steps_lose_nothing() -> None:
    check(["anchor", "send"], 10)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_every_fault_at_every_kind_of_step_loses_nothing(name: str) -> None:
    check([name], COUNT)
