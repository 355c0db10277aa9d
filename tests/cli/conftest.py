"""A command line to run in this process, with a vault and a state folder of its own."""

import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from cli.main import run


@dataclass(frozen=True)
class Ran:
    """What a command line gave: exit code, stdout, stderr."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Tally:
    """Runs ``tally`` with the vault at ``vault``; ``work`` is the present folder."""

    work: Path
    vault: Path
    state: Path
    capture: pytest.CaptureFixture[str]

    def __call__(self, *words: object) -> Ran:
        self.capture.readouterr()
        code = run([os.fspath(word) if isinstance(word, Path) else str(word) for word in words])
        out, err = self.capture.readouterr()
        return Ran(code, out, err)

    def json(self, *words: object, code: int = 0) -> Any:
        ran = self(*words, "--json")
        assert ran.code == code, ran.err
        return ran.json


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault just made, and its state folder: copied, since making keys takes its time."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALLY_STATE", os.fspath(folder / "state"))
        assert run(["init", "--development", "--vault", os.fspath(folder / "vault")]) == 0
    return folder


@pytest.fixture
def bare(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Tally:
    """No vault yet."""
    home = tmp_path / "home"
    monkeypatch.setenv("TALLY_STATE", os.fspath(home / "state"))
    monkeypatch.setenv("TALLY_VAULT", os.fspath(home / "vault"))
    work = tmp_path / "work"
    work.mkdir()
    monkeypatch.chdir(work)
    return Tally(work, home / "vault", home / "state", capsys)


@pytest.fixture
def tally(bare: Tally, made: Path) -> Tally:
    """A new vault."""
    shutil.copytree(made / "vault", bare.vault)
    shutil.copytree(made / "state", bare.state)
    return bare


@pytest.fixture(scope="session")
def filled(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A vault with one record of a folder, its state folder, and the bundle of it."""
    place = tmp_path_factory.mktemp("filled")
    shutil.copytree(made, place, dirs_exist_ok=True)
    files = fill(place)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TALLY_STATE", os.fspath(place / "state"))
        patch.setenv("TALLY_VAULT", os.fspath(place / "vault"))
        assert run(["anchor", os.fspath(files), "--title", "配方 é"]) == 0
        assert run(["bundle", "-o", os.fspath(place / "x.zip")]) == 0
    return place


@pytest.fixture
def reading(bare: Tally, filled: Path, monkeypatch: pytest.MonkeyPatch) -> Tally:
    """The vault of ``filled``, only to be read; x.zip in the present folder."""
    monkeypatch.setenv("TALLY_STATE", os.fspath(filled / "state"))
    monkeypatch.setenv("TALLY_VAULT", os.fspath(filled / "vault"))
    shutil.copy(filled / "x.zip", bare.work)
    return Tally(bare.work, filled / "vault", filled / "state", bare.capture)


@pytest.fixture
def folder(bare: Tally) -> Path:
    """A folder to anchor."""
    return fill(bare.work)


def fill(place: Path) -> Path:
    """A folder with two files."""
    made = place / "资料"
    (made / "sub").mkdir(parents=True)
    (made / "a.txt").write_bytes(b"a\n")
    (made / "sub" / "第12批.xlsx").write_bytes(b"not really\n")
    return made
