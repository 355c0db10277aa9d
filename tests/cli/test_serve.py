"""``tally ledger init`` and ``serve``, up to where a service would begin."""

from pathlib import Path
from typing import Any

import pytest

from ledger.operator.hosted import HostedLedger, hosted_keys, read_settings
from ledger.proof.trust import parse_trust
from ledger.tlog.note import format_vkey, parse_vkey
from tests.cli.conftest import Tally
from tests.hosting import ORIGIN


def init(tally: Tally, *words: object, code: int = 0) -> Any:
    return tally.json("ledger", "init", *words, "--development", code=code)


def test_init_makes_a_ledger_that_opens_and_tells_its_keys(bare: Tally) -> None:
    made = init(bare, "home", "--origin", ORIGIN, "--port", 0)
    home = bare.work / "home"
    assert (made["ledger"], made["home"]) == (ORIGIN, str(home))
    assert made["vkeys"] == [format_vkey(key) for key in hosted_keys(home, ORIGIN).public_keys()]
    assert [parse_vkey(vkey).name for vkey in made["vkeys"]] == [ORIGIN, ORIGIN]
    settings = read_settings(home, {})
    assert (settings.origin, settings.port, settings.development) == (ORIGIN, 0, True)
    with HostedLedger(home, settings) as hosted:
        assert hosted.ledger.closed is None


def test_init_says_where_all_is_and_what_comes_next(bare: Tally) -> None:
    ran = bare("ledger", "init", "home", "--origin", ORIGIN)
    assert ran.code == 0
    ledger, guard, *vkeys = ran.out.splitlines()
    assert ledger == f"ledger   {ORIGIN} in {bare.work / 'home'}"
    assert guard.startswith(f"guard    {bare.state / 'guards'}/")
    assert [vkey.split()[0] for vkey in vkeys] == ["vkey", "vkey"]
    assert "the guard goes into no backup" in ran.err
    assert "hint: tally ledger token new NAME --ledger home; tally ledger serve" in ran.err
    # For real, and no TSA was asked.
    settings = read_settings(bare.work / "home", {})
    assert (settings.development, settings.stamp_interval_seconds) == (False, 300)
    assert len(settings.tsas) == 3


def test_a_development_ledger_has_the_trust_file_that_accepts_it(bare: Tally) -> None:
    made = init(bare, "home", "--origin", ORIGIN, "--development")
    trust = Path(made["trust"])
    assert trust.parent == bare.work / "home"
    accepted = parse_trust(trust.read_bytes())
    assert [one.development for one in accepted.tsas] == [True, True]
    real = bare.json("ledger", "init", "real", "--origin", f"{ORIGIN}/real")
    assert real["trust"] is None


def test_guard_lies_in_the_state_folder_or_where_it_is_said(bare: Tally) -> None:
    away = init(bare, "one", "--origin", f"{ORIGIN}/1", "--guard", "away/guard.sqlite")
    assert away["guard"] == str(bare.work / "away" / "guard.sqlite")
    here = init(bare, "two", "--origin", f"{ORIGIN}/2")
    assert Path(here["guard"]).parent == bare.state / "guards"
    other = init(bare, "three", "--origin", f"{ORIGIN}/3")
    assert other["guard"] != here["guard"]
    for made in (away, here, other):
        assert Path(made["guard"]).is_file()
        assert read_settings(Path(made["home"]), {}).guard == made["guard"]


def test_second_ledger_in_a_folder_or_with_a_name_is_refused(bare: Tally) -> None:
    init(bare, "home", "--origin", ORIGIN)
    before = (bare.work / "home" / "ledger.toml").read_bytes()
    again = bare("ledger", "init", "home", "--origin", "another.example.org")
    assert again.code == 3
    assert f"there is a ledger in {bare.work / 'home'}" in again.err
    assert (bare.work / "home" / "ledger.toml").read_bytes() == before
    named = bare("ledger", "init", "other", "--origin", ORIGIN)
    assert named.code == 3
    assert "is another ledger's" in named.err
    assert not (bare.work / "other" / "ledger.toml").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["home"], "--origin"),
        (["--origin", ORIGIN], "DIR"),
        (["home", "--origin", "https://ledger.example.org"], "want a host in lower case"),
        (["home", "--origin", "Ledger.example.org"], "want a host in lower case"),
        (["home", "--origin", "tallystick/one"], "that of a ledger in a vault"),
        (["home", "--origin", ORIGIN, "--port", "65536"], "--port"),
        (["home", "--origin", ORIGIN, "--port", "x"], "--port"),
    ],
)
def test_what_no_ledger_can_be_is_refused_before_anything_is_made(
    bare: Tally, words: list[str], said: str
) -> None:
    ran = bare("ledger", "init", *words)
    assert ran.code == 2
    assert said in ran.err
    assert list(bare.work.iterdir()) == []
    assert not bare.state.exists()


def test_home_that_cannot_be_made_is_told_of(bare: Tally) -> None:
    (bare.work / "file").write_bytes(b"")
    ran = bare("ledger", "init", "file/home", "--origin", ORIGIN)
    assert ran.code == 3
    assert "file" in ran.err


def test_serve_wants_a_ledger_that_is_there(bare: Tally) -> None:
    assert bare("ledger", "serve").code == 2
    ran = bare("ledger", "serve", "--ledger", "home")
    assert ran.code == 2
    assert f"no hosted ledger in {bare.work / 'home'}" in ran.err
    assert "hint: tally ledger init makes one" in ran.err


def test_serve_of_one_that_is_served_is_refused(bare: Tally) -> None:
    init(bare, "home", "--origin", ORIGIN)
    home = bare.work / "home"
    with HostedLedger(home, read_settings(home, {})):
        ran = bare("ledger", "serve", "--ledger", "home")
    assert ran.code == 3
    assert "another process serves the ledger" in ran.err


@pytest.mark.parametrize(("host", "told"), [("127.0.0.1", False), ("0.0.0.0", True)])
def test_a_host_that_others_reach_is_told_of(
    bare: Tally, monkeypatch: pytest.MonkeyPatch, host: str, told: bool
) -> None:
    init(bare, "home", "--origin", ORIGIN)
    served: list[Path] = []
    monkeypatch.setattr("service.server.serve", served.append)
    monkeypatch.setenv("TALLY_LEDGER_HOST", host)
    ran = bare("ledger", "serve", "--ledger", "home")
    assert (ran.code, served) == (0, [bare.work / "home"])
    assert ("without TLS" in ran.err) is told
