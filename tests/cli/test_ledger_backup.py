"""``tally ledger backup`` and ``restore``: never a second history."""

import shutil
from pathlib import Path

import pytest

from tests.cli.conftest import Tally

STORES = ("store.sqlite", "store.sqlite-wal", "store.sqlite-shm")


def lose_store(tally: Tally) -> None:
    for name in STORES:
        (tally.vault / "ledger" / name).unlink(missing_ok=True)


@pytest.fixture
def backed_up(tally: Tally, folder: Path) -> Path:
    tally.json("anchor", folder)
    place = folder.parent / "backup"
    assert tally.json("ledger", "backup", place)["bytes"] > 0
    assert {path.name for path in place.iterdir()} == {"store.sqlite", "vkeys", "SHA256SUMS"}
    return place


def test_a_store_that_its_guard_has_not_passed_goes_on(
    tally: Tally, folder: Path, backed_up: Path
) -> None:
    lose_store(tally)
    assert tally.json("ledger", "restore", backed_up)["closed"] is None
    (folder / "a.txt").write_bytes(b"more")
    assert tally.json("anchor", folder)["anchored"][0]["index"] == 3
    assert tally.json("ledger", "audit")["faults"] == []


def test_a_store_that_its_guard_has_passed_is_closed_and_followed(
    tally: Tally, folder: Path, backed_up: Path
) -> None:
    (folder / "a.txt").write_bytes(b"after the backup")
    tally.json("anchor", folder)
    lose_store(tally)
    closed = tally.json("ledger", "restore", backed_up, code=3)["closed"]
    assert closed == "the store has 3 entries, the guard signed 4"
    (folder / "a.txt").write_bytes(b"more")
    assert tally("anchor", folder).code != 0
    assert tally("vault", "successor").code == 0
    tally.json("anchor", folder)


def test_nothing_is_overwritten(tally: Tally, backed_up: Path) -> None:
    ran = tally("ledger", "restore", backed_up)
    assert ran.code == 3
    assert "there is a store" in ran.err
    again = tally("ledger", "backup", backed_up)
    assert again.code == 3
    assert "is not empty" in again.err


@pytest.mark.parametrize("name", ["store.sqlite", "vkeys", "SHA256SUMS"])
def test_a_damaged_or_interrupted_backup_is_refused(
    tally: Tally, backed_up: Path, name: str
) -> None:
    lose_store(tally)
    path = backed_up / name
    content = path.read_bytes()
    path.write_bytes(content[:-3] + b"xyz")
    ran = tally("ledger", "restore", backed_up)
    assert (ran.code, "damaged" in ran.err) == (1, True)
    path.unlink()
    assert tally("ledger", "restore", backed_up).code == (2 if name == "SHA256SUMS" else 3)
    assert not (tally.vault / "ledger" / "store.sqlite").exists()
    path.write_bytes(content)
    tally.json("ledger", "restore", backed_up)


def test_a_backup_of_another_ledger_is_refused(tally: Tally, backed_up: Path) -> None:
    other = backed_up.parent / "other"
    assert tally("init", "--development", "--vault", other).code == 0
    (other / "ledger" / "store.sqlite").rename(other / "moved")
    for name in STORES:
        (other / "ledger" / name).unlink(missing_ok=True)
    ran = tally("ledger", "restore", backed_up, "--vault", other)
    assert ran.code == 3
    assert "of another ledger" in ran.err


def test_reading_commands_do_not_make_an_empty_store_in_its_place(
    tally: Tally, backed_up: Path
) -> None:
    lose_store(tally)
    assert "told is from the receipts" in tally("status").err
    assert not (tally.vault / "ledger" / "store.sqlite").exists()
    tally.json("ledger", "restore", backed_up)


def test_no_folder_is_no_backup(tally: Tally, backed_up: Path) -> None:
    lose_store(tally)
    shutil.rmtree(backed_up)
    assert tally("ledger", "restore", backed_up).code == 2
