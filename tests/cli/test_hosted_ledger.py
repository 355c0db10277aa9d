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
    assert {path.name for path in place.iterdir()} == {
        *("store.sqlite", "access.sqlite", "diary.sqlite", "vkeys", "SHA256SUMS")
    }
    lose_store(home)
    assert bare.json("ledger", "restore", place, "--ledger", home)["closed"] is None
    assert append(home, [b"\4" * 64]) == (3,)
    assert bare.json("ledger", "audit", "--ledger", home)["faults"] == []


def test_nothing_is_restored_under_a_service_that_runs(bare: Tally, home: Path) -> None:
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    with HostedLedger(home, read_settings(home, {})):
        for path in home.glob("store.sqlite*"):
            path.rename(home.parent / path.name)
        ran = bare("ledger", "restore", place, "--ledger", home)
    assert ran.code == 3
    assert "another process serves the ledger" in ran.err
    assert not (home / "store.sqlite").exists()


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


def test_tokens_and_covers_that_were_lost_too_come_back(bare: Tally, home: Path) -> None:
    token = bare.json("ledger", "token", "new", "lab", "--ledger", home)["id"]
    with HostedLedger(home, read_settings(home, {})) as hosted:
        hosted.start(scheduled=False)
        hosted.schedule.round()
    covers = bare.json("ledger", "covers", "--ledger", home)
    assert len(covers["covers"]) == 1
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    lose_store(home)
    for path in [*home.glob("access.sqlite*"), *home.glob("diary.sqlite*")]:
        path.unlink()
    # Half of one is none, and nothing is laid over it.
    (home / "diary.sqlite-wal").write_bytes(b"")
    half = bare("ledger", "restore", place, "--ledger", home)
    assert (half.code, "diary.sqlite" in half.err) == (3, True)
    (home / "diary.sqlite-wal").unlink()
    ran = bare("ledger", "restore", place, "--ledger", home)
    assert ran.code == 0
    assert [line.rpartition("/")[2] for line in ran.out.splitlines()] == [
        "access.sqlite",
        "diary.sqlite",
        "store.sqlite",
    ]
    assert "revoked since the backup are good again" in ran.err
    (kept,) = bare.json("ledger", "token", "list", "--ledger", home)["tokens"]
    assert kept["id"] == token
    assert bare.json("ledger", "covers", "--ledger", home) == covers


def test_tokens_and_covers_that_are_there_stay_as_they_are(bare: Tally, home: Path) -> None:
    token = bare.json("ledger", "token", "new", "lab", "--ledger", home)["id"]
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    bare.json("ledger", "token", "revoke", token, "--ledger", home)
    lose_store(home)
    assert bare.json("ledger", "restore", place, "--ledger", home)["beside"] == []
    (kept,) = bare.json("ledger", "token", "list", "--ledger", home)["tokens"]
    assert kept["state"] == "revoked"


@pytest.mark.parametrize("name", ["access.sqlite", "diary.sqlite"])
def test_a_backup_whose_tokens_or_covers_are_damaged_is_refused(
    bare: Tally, home: Path, name: str
) -> None:
    place = home.parent / "backup"
    bare.json("ledger", "backup", place, "--ledger", home)
    lose_store(home)
    content = (place / name).read_bytes()
    for wrong in (content[:-1] + b"x", None):
        (place / name).unlink()
        if wrong is not None:
            (place / name).write_bytes(wrong)
        ran = bare("ledger", "restore", place, "--ledger", home)
        assert (ran.code, "damaged" in ran.err) == (1, True)
    assert not (home / "store.sqlite").exists()


def test_environment_names_it_unless_the_command_line_names_a_vault(
    bare: Tally, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_LEDGER", str(home))
    assert bare.json("ledger", "audit")["ledger"] == "ledger.example.org/one"
    assert bare.json("ledger", "backup", home.parent / "backup")["bytes"] > 0
    for words in (["--vault", "nowhere"], ["--origin", "x"]):
        assert "no vault" in bare("ledger", "audit", *words).err
    both = bare("ledger", "audit", "--origin", "x", "--ledger", home)
    assert (both.code, "--origin is for a vault" in both.err) == (2, True)
