"""``tally ledger token``: shown once, kept as a digest, revoked by its id."""

from pathlib import Path

import pytest

from ledger.errors import NotFoundError
from ledger.operator.access import ACCESS_FILE, Access
from tests.cli.conftest import Tally


@pytest.fixture
def home(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The home of a hosted ledger, as far as tokens look at it."""
    folder = bare.work / "hosted"
    folder.mkdir()
    (folder / "ledger.toml").write_bytes(b"")
    monkeypatch.setenv("TALLY_LEDGER", str(folder))
    return folder


def check(home: Path, text: str) -> str:
    access = Access(home / ACCESS_FILE)
    try:
        return access.check(text).id
    finally:
        access.close()


def test_new_token_is_alone_on_stdout_and_good(bare: Tally, home: Path) -> None:
    ran = bare("ledger", "token", "new", "lab-7", "--quota", 100, "--rate", 5)
    assert ran.code == 0
    text = ran.out.removesuffix("\n")
    assert check(home, text) == text[6:14]
    assert text not in ran.err
    assert f"token {text[6:14]} for lab-7, expires 2" in ran.err


def test_token_goes_into_a_file_of_its_owners_and_is_not_shown(bare: Tally, home: Path) -> None:
    ran = bare("ledger", "token", "new", "lab-7", "-o", "token")
    path = bare.work / "token"
    text = path.read_text().removesuffix("\n")
    assert path.stat().st_mode & 0o777 == 0o600
    assert check(home, text)
    assert text not in ran.out + ran.err
    assert "token" not in bare.json("ledger", "token", "new", "lab-7", "-o", "other")


def test_file_that_is_there_is_not_overwritten_and_no_token_is_made(
    bare: Tally, home: Path
) -> None:
    (bare.work / "token").write_bytes(b"mine")
    assert bare("ledger", "token", "new", "lab-7", "-o", "token").code == 2
    assert (bare.work / "token").read_bytes() == b"mine"
    assert bare.json("ledger", "token", "list", "--ledger", home) == {"tokens": []}


def test_token_that_could_not_be_written_is_revoked(bare: Tally, home: Path) -> None:
    (bare.work / "file").write_bytes(b"")
    assert bare("ledger", "token", "new", "lab-7", "-o", "file/token").code == 3
    (one,) = bare.json("ledger", "token", "list", "--ledger", home)["tokens"]
    assert one["state"] == "revoked"


def test_list_tells_all_but_the_secret(bare: Tally, home: Path) -> None:
    options = ("--scope", "admin", "--scope", "append", "--expires", "2999-01-01", "--quota", 9)
    made = bare.json("ledger", "token", "new", "lab-7", *options)
    bare.json("ledger", "token", "new", "lab-8", "--expires", "never", "--rate", 3)
    first, second = bare.json("ledger", "token", "list", "--ledger", home)["tokens"]
    assert first == {
        "id": made["token"][6:14],
        "account": "lab-7",
        "scopes": ["append", "admin"],
        "state": "good",
        "made": made["made"],
        "expires": "2999-01-01T00:00:00Z",
        "revoked": None,
        "quota": 9,
        "rate": None,
        "spent_today": 0,
    }
    assert (second["account"], second["expires"], second["rate"]) == ("lab-8", None, 3)
    shown = bare("ledger", "token", "list").out
    assert "lab-7  append,admin" in shown
    assert "expires 2999-01-01 00:00:00 UTC; quota 9 a day, 0 spent today; no rate" in shown
    assert "never expires; no quota, 0 spent today; 3 requests a second" in shown
    assert made["token"].rsplit("_", 1)[1] not in shown


def test_revoked_token_is_refused_from_then_on(bare: Tally, home: Path) -> None:
    text = bare.json("ledger", "token", "new", "lab-7")["token"]
    assert bare("ledger", "token", "revoke", text[6:14]).code == 0
    with pytest.raises(NotFoundError):
        check(home, text)
    assert bare.json("ledger", "token", "revoke", text[6:14])["state"] == "revoked"
    assert "revoked  lab-7" in bare("ledger", "token", "list").out


def test_expired_token_is_listed_as_such(bare: Tally, home: Path) -> None:
    bare.json("ledger", "token", "new", "lab-7", "--expires", "1d")
    access = Access(home / ACCESS_FILE)
    with access._writing() as connection:
        connection.execute("UPDATE tokens SET expires = made")
    access.close()
    assert "expired  lab-7" in bare("ledger", "token", "list").out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("new", "lab-7", "--expires", "soon"), 2),
        (("new", "lab-7", "--expires", "2001-01-01"), 2),
        (("new", "lab-7", "--quota", 0), 2),
        (("new", "lab-7", "--scope", "root"), 2),
        (("new", "Lab 7"), 2),
        (("revoke", "00000000"), 2),
        ((), 2),
    ],
)
def test_what_cannot_be_is_a_usage_error_and_makes_nothing(
    bare: Tally, home: Path, words: tuple[str, ...], code: int
) -> None:
    assert bare("ledger", "token", *words).code == code
    assert bare.json("ledger", "token", "list", "--ledger", home) == {"tokens": []}
    assert "nobody can append" in bare("ledger", "token", "list").err


def test_folder_that_is_no_ledgers_home_is_left_alone(bare: Tally) -> None:
    ran = bare("ledger", "token", "new", "lab-7", "--ledger", bare.work)
    assert ran.code == 2
    assert "no hosted ledger" in ran.err
    assert list(bare.work.iterdir()) == []
