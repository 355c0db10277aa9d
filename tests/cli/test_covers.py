"""``tally ledger covers``: each with the secret that shows there is no record behind it."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.operator.diary import DIARY_FILE, Diary
from ledger.record.record import cover_entry
from tests.cli.conftest import Tally

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@pytest.fixture
def home(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a hosted ledger with one cover at 7 and one that is queued."""
    folder = bare.work / "hosted"
    folder.mkdir()
    (folder / "ledger.toml").write_bytes(b"")
    monkeypatch.setenv("TALLY_LEDGER", str(folder))
    diary = Diary(folder / DIARY_FILE)
    for secret in (b"1" * 32, b"2" * 32):
        diary.add_cover(cover_entry(secret), secret, NOW)
    diary.place([cover_entry(b"1" * 32)], [7])
    diary.close()
    return folder


def test_covers_are_listed_with_their_secrets(bare: Tally, home: Path) -> None:
    listed = bare.json("ledger", "covers", "--ledger", home)["covers"]
    assert [one["index"] for one in listed] == [7, None]
    assert listed[0]["made"] == "2026-03-01T12:00:00Z"
    ran = bare("ledger", "covers")
    assert f"         7  2026-03-01 12:00:00 UTC  secret {(b'1' * 32).hex()}" in ran.out
    assert "queued" in ran.out


def test_what_is_said_of_one_cover_is_how_it_is_checked(bare: Tally, home: Path) -> None:
    (one,) = bare.json("ledger", "covers", 7, "--ledger", home)["covers"]
    said = b"tallystick/cover/v1\n" + bytes.fromhex(one["secret"])
    assert one["entry"].startswith(hashlib.sha256(said).hexdigest())
    ran = bare("ledger", "covers", 7)
    assert one["entry"] in ran.out
    assert r"b'tallystick/cover/v1\n'" in ran.err


@pytest.mark.usefixtures("home")
def test_entry_that_is_no_cover_is_not_said_to_be_one(bare: Tally) -> None:
    ran = bare("ledger", "covers", 8)
    assert ran.code == 2
    assert "entry 8 is no cover" in ran.err


def test_ledger_without_a_diary_has_no_covers_and_gets_none(bare: Tally, home: Path) -> None:
    for path in home.glob("diary*"):
        path.unlink()
    assert bare.json("ledger", "covers", "--ledger", home) == {"covers": []}
    assert "no cover was made yet" in bare("ledger", "covers").err
    assert [path.name for path in home.iterdir()] == ["ledger.toml"]
