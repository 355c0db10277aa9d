"""The demo: the whole path in one command, and every forgery caught where it broke."""

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from cli import demo as module
from tests.chinese import english_in
from tests.cli.conftest import Tally


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    made = tmp_path / "temporary"
    made.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", os.fspath(made))
    return made


def test_demo_proves_its_notebook_and_catches_every_forgery(bare: Tally, place: Path) -> None:
    if not module.EXAMPLE.is_dir():
        pytest.skip("the example notebook is not installed here")
    ran = bare("demo")
    assert ran.code == 0, ran.err
    assert ran.out.count("\ncaught   ") == 5
    assert "SLIPPED" not in ran.out
    # What it says of the bundle is what the verdict finds open.
    assert "title, kind, stage and claimed time of 2 of 3 records; everything else" in ran.out
    assert re.search(r"^proven +chain .*; 2 opened$", ran.out, re.MULTILINE)
    assert "PROVEN under this trust file" in ran.out
    if shutil.which("openssl"):
        assert "  Verification: OK\n" in ran.out
    [work] = place.iterdir()
    assert (work / "verdict.html").is_file()
    assert not bare.vault.parent.exists()


@pytest.mark.parametrize("what", ["资料", "资料/a.txt"])
def test_demo_on_ones_own_carrier_only_reads_it(
    bare: Tally, folder: Path, place: Path, what: str
) -> None:
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    ran = bare("demo", what, "--lang", "zh")
    assert ran.code == 0, ran.err
    assert ran.out.count("\n已识破   ") == 5
    # Each line of its own speaks Chinese; what openssl is told and says does not.
    own = [line for line in ran.out.splitlines() if line and line[0] not in " $"]
    assert [line for line in own if max(line) < "\u4e00"] == []
    assert [line for line in own if english_in(line)] == []
    [work] = place.iterdir()
    page = (work / "verdict.html").read_text(encoding="utf-8")
    assert english_in(re.sub(r"<style>.*?</style>|<[^>]*>", "\n", page, flags=re.DOTALL)) == []
    forgeries = sorted(work.glob("forged-*.zip"))
    assert len(forgeries) == 5
    for forged in forgeries:
        trust = work / "vault" / "development-trust.toml"
        told = bare.json("verify", forged, "--trust", trust, code=1)
        said = [told["headline"], *(one["sentence"] for one in told["findings"])]
        assert [one["zh"] for one in said if english_in(one["zh"])] == []
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_demo_on_nothing_makes_nothing(bare: Tally, place: Path) -> None:
    assert bare("demo", "none").code == 2
    assert list(place.iterdir()) == []


def test_forgery_that_slips_fails_the_demo(
    bare: Tally, folder: Path, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "apply_flip", lambda content, _: content)
    ran = bare("demo", folder)
    assert (ran.code, "SLIPPED" in ran.out) == (1, True)
    assert "please report it" in ran.err
