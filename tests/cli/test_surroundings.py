"""Clocks, disks, copies and guards that are not as they should be: told, and nothing is lost."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from cli import compose
from ledger.holder.anchoring import Anchorer
from tests.cli.conftest import Ran, Tally
from tests.cli.test_path import ROOT, verdict
from tests.faults.shim import Fault, build, environment, lacking

REFUSED = "a restored, copied or moved ledger is never continued"
ARMED = """
import sys; sys.path.insert(0, sys.argv.pop(1))
from pathlib import Path
from tests.faults.shim import Fault, Shim
shim = Shim()
shim.plan(Path(sys.argv.pop(1)), Fault[sys.argv.pop(1)])
shim.arm()
from cli.main import main
main()
"""


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if reason := lacking():
        pytest.skip(reason)
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def zones(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    yield monkeypatch
    monkeypatch.delenv("TZ", raising=False)
    time.tzset()


def on_disk(library: Path, fault: Fault, home: Path, *words: object) -> Ran:
    """``tally`` in a process for which the disk below ``home`` has ``fault`` from the start."""
    line = [sys.executable, "-c", ARMED, ROOT, home, fault.name, *words]
    ran = subprocess.run(
        list(map(str, line)), env=environment(library), capture_output=True, text=True, check=False
    )
    return Ran(ran.returncode, ran.stdout, ran.stderr)


def files_below(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def prove(tally: Tally) -> None:
    assert tally("bundle", "-o", "x.zip", "--notebook", "notebook", "--force").code == 0
    verdict(tally, "x.zip")


# Clocks


def test_clock_set_back_and_forward_breaks_no_chain_and_no_proof(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally.json("anchor", folder)
    for year in (2001, 2050, 2001):
        moment = datetime(year, 1, 1, tzinfo=UTC)
        with monkeypatch.context() as patch:
            wrong = partial(_with_clock, moment)
            patch.setattr(compose, "Anchorer", wrong)
            tally.json("anchor", folder, "--again")
    tally.json("anchor", folder, "--again")
    rows = tally.json("log")["records"]
    assert [row["seq"] for row in rows] == [1, 2, 3, 4, 5]
    assert [row["index"] for row in rows] == [2, 3, 4, 5, 6]
    prove(tally)


def _with_clock(moment: datetime, *given: object, **said: object) -> Anchorer:
    return Anchorer(*given, **{**said, "clock": lambda: moment})  # type: ignore[arg-type]  # as compose gave them


def test_time_zone_is_nowhere_and_changing_it_changes_nothing(
    tally: Tally, folder: Path, zones: pytest.MonkeyPatch
) -> None:
    times = []
    for zone in ("Asia/Shanghai", "America/New_York", "Pacific/Kiritimati"):
        zones.setenv("TZ", zone)
        time.tzset()
        # Unchanged is what was anchored in the zone before.
        anchored = tally.json("anchor", folder)["anchored"][0]
        assert (anchored["new"], anchored["record"]) == (not times, 1)
        times.append([row["created"] for row in tally.json("log")["records"]])
        prove(tally)
    assert times[0] == times[1] == times[2]
    assert times[0][0].endswith("Z")


# Disks


@pytest.mark.slow
@pytest.mark.parametrize("fault", [Fault.READ_ONLY, Fault.FULL, Fault.IO_ERROR])
def test_disk_that_takes_nothing_is_told_and_nothing_is_lost(
    tally: Tally, folder: Path, library: Path, fault: Fault
) -> None:
    tally.json("anchor", folder)
    before = files_below(tally.vault.parent)
    (folder / "a.txt").write_bytes(b"changed")
    for words in (["anchor", folder], ["sync"], ["log"], ["bundle", "-o", tally.work / "x.zip"]):
        ran = on_disk(library, fault, tally.vault.parent, *words)
        assert ran.code in ({0, 3} if fault is Fault.IO_ERROR else {3}), ran.err
        assert ran.code == 0 or ran.err.startswith("tally: "), ran.err
    if fault is not Fault.IO_ERROR:
        assert before.items() <= files_below(tally.vault.parent).items()
    tally.json("anchor", folder)
    assert [row["seq"] for row in tally.json("log")["records"]] == [1, 2]
    prove(tally)


def test_init_on_a_full_disk_is_told_and_done_once_there_is_room(
    bare: Tally, library: Path
) -> None:
    bare.vault.parent.mkdir()
    ran = on_disk(library, Fault.FULL, bare.vault.parent, "init", "--development")
    assert (ran.code, "No space left on device" in ran.err) == (3, True)
    bare.json("init", "--development")
    assert bare.json("status")["entries"] == 1


# Copies and guards


def test_copy_of_a_vault_on_another_machine_is_read_and_never_signs(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally.json("anchor", folder)
    shutil.copytree(tally.vault, tally.work / "copy")
    with monkeypatch.context() as other:
        other.setenv("TALLY_STATE", os.fspath(tally.work / "its-state"))
        other.setenv("TALLY_VAULT", os.fspath(tally.work / "copy"))
        for words in (["anchor", folder, "--again"], ["sync"]):
            ran = tally(*words)
            assert (ran.code, REFUSED in ran.err) == (3, True)
        assert len(tally.json("log")["records"]) == 1
        assert tally("bundle", "-o", "copy.zip").code == 0
    verdict(tally, "copy.zip")
    assert tally.json("anchor", folder, "--again")["anchored"][0]["index"] == 3
    prove(tally)


@pytest.mark.parametrize("case", ["of another ledger", "deleted", "empty", "no database"])
def test_guard_that_is_not_this_ledgers_is_refused_and_the_right_one_goes_on(
    tally: Tally, folder: Path, made: Path, case: str
) -> None:
    tally.json("anchor", folder)
    [guard] = (tally.state / "guards").iterdir()
    kept = tally.work / "guard"
    guard.rename(kept)
    if case == "of another ledger":
        other = tally.work / "other"
        assert tally("init", "--development", "--vault", other).code == 0
        [its] = set((tally.state / "guards").iterdir())
        its.rename(guard)
    elif case != "deleted":
        guard.write_bytes(b"" if case == "empty" else b"no database " * 1000)
    before = files_below(tally.vault / "ledger")
    for words in (["anchor", folder, "--again"], ["sync"]):
        ran = tally(*words)
        assert ran.code == 3, ran.err
        assert "guard" in ran.err
        assert "hint: " in ran.err or case == "no database"
    store = tally.vault / "ledger" / "store.sqlite"
    assert files_below(tally.vault / "ledger")[store] == before[store]
    kept.replace(guard)
    tally.json("anchor", folder, "--again")
    assert [row["index"] for row in tally.json("log")["records"]] == [2, 3]
    prove(tally)
