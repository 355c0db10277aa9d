"""Bad input to every command: a clear message, a hint, the right exit code, nothing lost."""

import json
import os
import shutil
from pathlib import Path

import pytest

from cli.main import FAMILIES, run
from ledger.holder.bundling import Bundler
from tests.cli.conftest import Tally

LONG = "x" * 300

# Words, exit code, stable code, what the message says, and the hint.
CASES: list[tuple[list[str], int, str, str, str]] = [
    ([], 2, "E001", "no command was given", "tally --help"),
    (["nosuch"], 2, "E001", "no such command 'nosuch'", "tally --help"),
    (["--nosuch"], 2, "E001", "no such option", "tally --help"),
    (["init"], 2, "E001", "there is a vault in", "--vault"),
    (["init", "--wanted", "0"], 2, "E001", "0 is not in the range", "tally init --help"),
    (["init", "--development", "--tsa", "a=http://a"], 2, "E001", "brings its own", "--help"),
    (["init", "--tsa", "a"], 2, "E002", "want NAME=URL", ""),
    (["init", "--tsa", "A b=http://a"], 2, "E002", "tsa name is", ""),
    (["init", "--tsa", "a=file:///x"], 2, "E002", "want http", ""),
    (["init", "--tsa", "a=http://a", "--wanted", "2"], 2, "E002", "only 1 are there", "name more"),
    (["anchor"], 2, "E001", "nothing to anchor", "give a PATH"),
    (["anchor", "--nosuch", "x"], 2, "E001", "no such option", "tally anchor --help"),
    (["anchor", ""], 2, "E001", "an argument is empty", "this folder is `.`"),
    (["status", ""], 2, "E001", "an argument is empty", "this folder is `.`"),
    (["verify", "good.zip", ""], 2, "E001", "an argument is empty", "this folder is `.`"),
    (["export", "1", "-o", ""], 2, "E001", "an argument is empty", "this folder is `.`"),
    (["anchor", "none"], 2, "E003", "no such file or folder: none", ""),
    (["anchor", LONG], 2, "E003", "no such file or folder", ""),
    (["anchor", "empty"], 2, "E002", "no file to read in", "give one that has some"),
    (["anchor", "link"], 2, "E002", "is a link", "give the file it points to"),
    (["anchor", "pipe"], 2, "E002", "is a pipe", ""),
    (["anchor", "odd"], 3, "E006", "new%0Aline: name has a control", "--skip-unreadable"),
    (["anchor", "/"], 2, "E002", "the vault lies inside", "move the vault out"),
    (["anchor", "a.txt", "--title", "x" * 1025], 2, "E002", "claim title", ""),
    (["anchor", "a.txt", "--notebook="], 2, "E002", "claim notebook", ""),
    (["anchor", "a.txt", "--kind", "secret"], 2, "E001", "'secret' is not one of", "--help"),
    (["anchor", "a.txt", "--stage", "end"], 2, "E001", "'end' is not one of", "--help"),
    (["status", "none"], 2, "E003", "no such file or folder: none", ""),
    (["log", "--notebook", "none"], 2, "E003", "no notebook 'none'", "there are: notebook"),
    (["log", "--notebook", "caf\udce9"], 2, "E002", "not utf-8", ""),
    (["show", "99"], 2, "E003", "no record 99", "`tally log` lists them"),
    (["show", "first"], 2, "E002", "'first' is not a record", "`tally log`"),
    (["show"], 2, "E001", "missing argument", "tally show --help"),
    (["bundle"], 2, "E001", "name the bundle with -o", "tally bundle --help"),
    (["bundle", "-o", "there.zip"], 2, "E001", "there.zip exists already", "--force"),
    (["bundle", "-o", "new.zip", "99"], 2, "E003", "no record 99", "`tally log`"),
    (["bundle", "-o", "new.zip", "--notebook", "no"], 2, "E003", "no notebook 'no'", "notebook"),
    (["bundle", "-o", "new.zip", "1", "--notebook", "n"], 2, "E001", "not both", "--help"),
    (["bundle", "-o", "new.zip", "--disclose", "no"], 2, "E003", "claim 'no'", "there are: all"),
    (["bundle", "-o", "new.zip", "--file", "no"], 2, "E003", "has no file 'no'", "carrier"),
    (["verify"], 2, "E001", "missing argument", "tally verify --help"),
    (["verify", "none.zip"], 2, "E003", "no such bundle", ""),
    (["verify", LONG], 2, "E003", "no such bundle", ""),
    (["verify", "a.txt"], 2, "E002", "a.txt is not a bundle", "made by `tally bundle`"),
    (["verify", "empty"], 2, "E002", "it has no bundle.json", "made by `tally bundle`"),
    (["verify", "pipe"], 2, "E002", "is not a bundle", "made by `tally bundle`"),
    (["verify", "good.zip", "none"], 2, "E003", "no such file or folder: none", ""),
    (["verify", "good.zip", "empty"], 2, "E003", "discloses no file of a", "--file PATH"),
    (["verify", "good.zip", "--trust", "none"], 2, "E003", "no such file: none", ""),
    (["verify", "good.zip", "--trust", "empty"], 2, "E003", "is a folder, want a file", ""),
    (["verify", "good.zip", "--trust", "a.txt"], 2, "E002", "", ""),
    (["verify", "good.zip", "--at", "noon"], 2, "E002", "--at is 'noon'", ""),
    (["verify", "good.zip", "--at", "2026-01-01T00:00:00"], 2, "E002", "add the time zone", ""),
    (["verify", "good.zip", "--at", "0001-01-01T00:00:00+14:00"], 2, "E002", "no such time", ""),
    (["verify", "good.zip", "--lang", "fr"], 2, "E001", "'fr' is not one of", "--help"),
    (["verify", "good.zip", "--html", "a.txt"], 2, "E001", "a.txt exists already", "--force"),
    (["verify", "good.zip", LONG], 2, "E003", "no such file or folder", ""),
    (["desk", "--trust", "none"], 2, "E003", "no such file: none", ""),
    (["desk", "--trust", "a.txt"], 2, "E002", "", ""),
    (["desk", "--port", "99999"], 2, "E001", "is not in the range", "tally desk --help"),
    (["doctor", "x"], 2, "E001", "unexpected extra argument", "tally doctor --help"),
    (["demo", "none"], 2, "E003", "no such file or folder", ""),
]

NO_JSON = {"", "desk", "demo", "nosuch", "--nosuch"}
"""Commands that have no result but for people, and no command at all."""


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, made: Path) -> Path:
    """A place with a vault of one record, a good bundle, and things that are no input."""
    place = tmp_path_factory.mktemp("prepared")
    shutil.copytree(made, place / "home")
    work = place / "work"
    (work / "empty").mkdir(parents=True)
    (work / "odd").mkdir()
    (work / "odd" / "new\nline").write_bytes(b"x")
    (work / "a.txt").write_bytes(b"= no toml")
    (work / "link").symlink_to("a.txt")
    os.mkfifo(work / "pipe")
    (work / "there.zip").write_bytes(b"mine")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALLY_STATE", os.fspath(place / "home" / "state"))
        patch.setenv("TALLY_VAULT", os.fspath(place / "home" / "vault"))
        patch.chdir(work)
        assert run(["anchor", "a.txt"]) == 0
        assert run(["bundle", "-o", "good.zip"]) == 0
    return place


@pytest.fixture
def ready(
    prepared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tally:
    monkeypatch.setenv("TALLY_STATE", os.fspath(prepared / "home" / "state"))
    monkeypatch.setenv("TALLY_VAULT", os.fspath(prepared / "home" / "vault"))
    monkeypatch.chdir(prepared / "work")
    home = prepared / "home"
    return Tally(prepared / "work", home / "vault", home / "state", capsys)


def named(one: object) -> str:
    return " ".join(one)[:50] if isinstance(one, list) else ""


@pytest.mark.parametrize(("words", "code", "stable", "message", "hint"), CASES, ids=named)
def test_bad_input_is_told_and_leaves_everything_as_it_was(
    ready: Tally, words: list[str], code: int, stable: str, message: str, hint: str
) -> None:
    before = sorted(path.name for path in ready.work.iterdir())
    ran = ready(*words)
    assert (ran.code, ran.out) == (code, ""), ran.err
    first, *rest = ran.err.splitlines()
    assert first.startswith("tally: ")
    assert first.endswith(f"  [TALLY-{stable}]")
    assert message in first
    assert first.isprintable()
    assert len(rest) == (1 if hint else len(rest))
    assert all(line.startswith("hint: ") for line in rest)
    assert hint in "".join(rest)
    assert sorted(path.name for path in ready.work.iterdir()) == before
    assert (ready.work / "there.zip").read_bytes() == b"mine"
    assert len(ready.json("log")["records"]) == 1


@pytest.mark.parametrize(
    ("words", "code", "stable", "message", "hint"),
    [
        case
        for case in CASES
        if case[0] and case[0][0] not in {"desk", "demo", "nosuch", "--nosuch"}
    ],
    ids=lambda one: " ".join(one)[:50] if isinstance(one, list) else "",
)
def test_errors_are_one_json_document_too(
    ready: Tally, words: list[str], code: int, stable: str, message: str, hint: str
) -> None:
    ran = ready(*words, "--json")
    assert ran.code == code
    error = ran.json["error"]
    assert set(error) == {"code", "message", "hint"}
    assert error["code"] == f"TALLY-{stable}"
    assert hint in (error["hint"] or "")
    if "\udce9" not in "".join(words):
        json.loads(ran.out.encode("utf-8"))


@pytest.mark.parametrize(
    "command", ["anchor a.txt", "status", "sync", "log", "show 1", "bundle -o x"]
)
def test_command_without_a_vault_says_how_to_make_one(bare: Tally, command: str) -> None:
    ran = bare(*command.split())
    assert ran.code == 2
    assert ran.err.splitlines()[0].startswith("tally: no vault in ")
    assert "tally init" in ran.err
    assert not bare.vault.exists()
    assert list(bare.work.iterdir()) == []


def test_every_command_has_help_that_costs_no_vault(bare: Tally) -> None:
    listed = bare("--help")
    assert listed.code == 0
    for name in FAMILIES:
        assert name in listed.out
        for option in ("--help", "-h"):
            ran = bare(name, option)
            assert (ran.code, ran.err) == (0, "")
            assert ran.out.startswith(f"Usage: tally {name}")
    assert bare("--version").out.startswith("tally, version ")
    assert not bare.vault.exists()


def test_interrupt_and_a_disk_that_fails_are_told(
    ready: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def fail(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Bundler, "plan", stop)
    ran = ready("bundle", "--dry-run")
    assert (ran.code, "tally: interrupted  [TALLY-E007]" in ran.err) == (130, True)
    monkeypatch.setattr(Bundler, "plan", fail)
    ran = ready("bundle", "--dry-run")
    assert (ran.code, "Input/output error  [TALLY-E006]" in ran.err) == (3, True)


def test_bundle_that_cannot_be_written_is_told_after_the_list(ready: Tally) -> None:
    ran = ready("bundle", "-o", "a.txt/new.zip")
    assert ran.code == 3
    assert "tally: cannot write a.txt/new.zip: Not a directory  [TALLY-E006]" in ran.err
    assert "written" not in ran.out
