"""``tally ledger audit`` as a user runs it: open, closed, damaged, its guard gone."""

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from cli import ledger as family
from tests.cli.conftest import Tally


def change(path: Path, statement: str) -> None:
    with closing(sqlite3.connect(path)) as database:
        assert database.execute(statement).rowcount == 1
        database.commit()


FLIP = (
    "UPDATE tiles SET content = CAST(substr(content, 1, 9) || x'00ff' || substr(content, 12)"
    " AS BLOB) WHERE place = 0"
)


@pytest.fixture
def anchored(tally: Tally, folder: Path) -> Tally:
    assert tally("anchor", folder).code == 0
    return tally


def test_a_sound_ledger_is_clean(anchored: Tally) -> None:
    ran = anchored("ledger", "audit")
    assert ran.code == 0
    assert "audit        clean" in ran.out
    found = anchored.json("ledger", "audit")
    assert (found["entries"], found["faults"], found["unchecked"]) == (3, [], [])
    assert found["exit_code"] == 0


def test_an_audit_changes_no_file(anchored: Tally) -> None:
    anchored("ledger", "audit")
    before = {path: path.read_bytes() for path in files(anchored)}
    anchored("ledger", "audit")
    assert {path: path.read_bytes() for path in files(anchored)} == before


def files(tally: Tally) -> list[Path]:
    """Those of the ledger and its guard; readers of SQLite use the -shm file."""
    places = [*(tally.vault / "ledger").rglob("*"), *tally.state.rglob("*")]
    return sorted(path for path in places if path.is_file() and path.suffix != ".sqlite-shm")


def test_a_damaged_ledger_is_refuted_with_the_place(anchored: Tally) -> None:
    change(anchored.vault / "ledger" / "store.sqlite", FLIP)
    ran = anchored("ledger", "audit")
    assert ran.code == 1
    assert "tile/0/000.p/3" in ran.out
    assert "byte 9: 00, want" in ran.out or "byte 10: ff, want" in ran.out
    (fault,) = anchored.json("ledger", "audit", code=1)["faults"]
    assert (fault["kind"], fault["state"], fault["count"]) == ("tile", "wrong", 1)


def test_a_ledger_whose_guard_is_gone_says_what_was_not_compared(anchored: Tally) -> None:
    shutil.rmtree(anchored.state)
    ran = anchored("ledger", "audit")
    assert ran.code == 3
    assert "not compared: guard: it is gone" in ran.err
    assert not anchored.state.exists()
    # Any command that opens the ledger makes an empty guard, and finds the ledger closed.
    anchored("log")
    assert anchored("ledger", "audit").code == 3


def test_a_store_behind_its_guard_is_refuted(tally: Tally, folder: Path) -> None:
    store = tally.vault / "ledger"
    kept = tally.work / "kept"
    shutil.copytree(store, kept)
    assert tally("anchor", folder).code == 0
    shutil.rmtree(store)
    shutil.copytree(kept, store)
    ran = tally("ledger", "audit")
    assert ran.code == 1
    assert "the store is behind its guard" in ran.out


def test_an_earlier_ledger_is_audited_by_name(anchored: Tally) -> None:
    shutil.rmtree(anchored.state)
    assert anchored("vault", "successor").code == 0
    now = anchored.json("ledger", "audit")
    assert now["faults"] == []
    there = anchored("ledger", "audit", "--origin", "nothing")
    assert there.code == 2
    name = there.err.split("there are: ")[1].strip()
    for given in (name, name.removeprefix("tallystick/")[:12]):
        found = anchored.json("ledger", "audit", "--origin", given, code=3)
        assert (found["ledger"], found["entries"]) == (name, 3)
        assert found["ledger"] != now["ledger"]


def test_without_a_vault_or_a_command_the_use_is_told(bare: Tally) -> None:
    assert bare("ledger").code == 2
    assert bare("ledger", "audit").code == 2


def test_a_progress_line_is_drawn_on_a_terminal_after_a_while(
    anchored: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []

    @contextmanager
    def line(label: str) -> Iterator[Callable[[str], None]]:
        yield lambda said: drawn.append(f"{label}: {said}")

    monkeypatch.setattr(family, "progress_line", line)
    assert anchored("ledger", "audit").code == 0
    assert drawn[-1] == "audit: 3 of 3 entries, 100%"


def test_sync_sends_a_cover_once_a_day_without_entries(anchored: Tally) -> None:
    assert anchored.json("sync")["sent"] == 0
    with closing(sqlite3.connect(anchored.vault / "vault.sqlite")) as database:
        for table in ("covers", "records"):
            database.execute(f"UPDATE {table} SET created = '2020-01-01T00:00:00Z'")
        database.commit()
    assert [anchored.json("sync")["sent"] for _ in range(2)] == [1, 0]
    found = anchored.json("ledger", "audit")
    assert (found["entries"], found["faults"], found["unchecked"]) == (4, [], [])
