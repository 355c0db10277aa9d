"""``tally ledger audit``, ``backup`` and ``restore`` of a hosted ledger's home."""

import shutil
from pathlib import Path

import pytest

from ledger.operator.hosted import HostedLedger, read_settings
from tests.cli.conftest import Tally


@pytest.fixture
def home(bare: Tally, tmp_path: Path) -> Path:
    """A hosted ledger of three entries; its guard is beside it."""
    words = ("--origin", "ledger.example.org/one", "--guard", tmp_path / "guard.sqlite")
    bare.json("ledger", "init", tmp_path / "home", *words, "--development")
    append(tmp_path / "home", [bytes([number]) * 64 for number in range(3)])
    return tmp_path / "home"


def append(home: Path, entries: list[bytes]) -> tuple[int, ...]:
    with HostedLedger(home, read_settings(home, {})) as hosted:
        return tuple(hosted.ledger.append(entries))


def lose_store(home: Path) -> None:
    for path in home.glob("store.sqlite*"):
        path.unlink()


def test_all_of_it_is_audited(bare: Tally, home: Path) -> None:
    found = bare.json("ledger", "audit", "--ledger", home)
    assert (found["ledger"], found["entries"]) == ("ledger.example.org/one", 3)
    assert (found["faults"], found["unchecked"]) == ([], [])
    (home.parent / "guard.sqlite").unlink()
    assert bare.json("ledger", "audit", "--ledger", home, code=3)["unchecked"] != []


def test_a_store_that_its_guard_has_not_passed_goes_on(bare: Tally, home: Path) -> None:
    place = home.parent / "backup"
    assert bare.json("ledger", "backup", place, "--ledger", home)["bytes"] > 0
    assert {path.name for path in place.iterdir()} == {"store.sqlite", "vkeys", "SHA256SUMS"}
    lose_store(home)
    assert bare.json("ledger", "restore", place, "--ledger", home)["closed"] is None
    assert append(home, [b"\4" * 64]) == (3,)
    assert bare.json("ledger", "audit", "--ledger", home)["faults"] == []


def test_a_store_that_its_guard_has_passed_is_closed(bare: Tally, home: Path) -> None:
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    append(home, [b"\4" * 64])
    lose_store(home)
    restored = bare.json("ledger", "restore", place, "--ledger", home, code=3)
    assert restored["closed"] == "the store has 3 entries, the guard signed 4"


def test_a_ledger_without_its_guard_is_closed(bare: Tally, home: Path) -> None:
    (home.parent / "guard.sqlite").unlink()
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    lose_store(home)
    assert bare.json("ledger", "restore", place, "--ledger", home, code=3)["closed"]


def test_a_folder_that_is_no_home_is_refused(bare: Tally, home: Path, tmp_path: Path) -> None:
    shutil.copytree(home, tmp_path / "other", ignore=shutil.ignore_patterns("ledger.toml"))
    for words in (["audit"], ["backup", tmp_path / "b"], ["restore", tmp_path / "b"]):
        ran = bare("ledger", *words, "--ledger", tmp_path / "other")
        assert (ran.code, "no hosted ledger" in ran.err) == (2, True)
