"""log and show: a list that can be narrowed, and that receipts are enough for."""

import shutil
import sys

import pytest

from cli import log as module
from tests.cli.conftest import Tally


@pytest.fixture
def filled(tally: Tally) -> Tally:
    for name, words in (
        ("配方.txt", ["--title", "配方改进", "--stage", "idea"]),
        ("b.txt", ["--note", "the stirrer broke", "--kind", "note"]),
        ("c.txt", ["--notebook", "other"]),
    ):
        (tally.work / name).write_text(name)
        tally("anchor", name, *words)
    return tally


def test_log_is_narrowed_by_search_and_options(filled: Tally) -> None:
    def numbers(*words: str) -> list[int]:
        return [row["number"] for row in filled.json("log", *words)["records"]]

    assert numbers() == [1, 2, 3]
    assert numbers("--search", "改进") == numbers("--stage", "idea") == [1]
    assert numbers("--search", "STIRRER") == numbers("--kind", "note") == [2]
    assert numbers("--notebook", "other") == [3]
    assert numbers("--limit", "2") == [2, 3]
    assert numbers("--limit", "0") == [1, 2, 3]
    assert numbers("--since", "2000-01-01", "--until", "2000-01-02") == []
    assert numbers("--since", "2000-01-01T00:00:00Z") == [1, 2, 3]
    ran = filled("log", "--search", "nowhere")
    assert (ran.code, ran.out, "no record is like that" in ran.err) == (0, "", True)
    assert filled("log", "--since", "yesterday").code == 2


def test_record_without_a_title_is_listed_by_its_name_or_note(filled: Tally) -> None:
    filled("anchor", "sha256:" + "ab" * 32, "--name", "foo.bin")
    filled("anchor", "sha256:" + "cd" * 32)
    filled("anchor", "--kind", "note", "--note", "told by word\n" + "x" * 99)
    lines = filled("log").out.splitlines()
    names = [row["name"] for row in filled.json("log")["records"]]
    digest = "sha256:" + "cd" * 32
    assert names == ["配方.txt", "b.txt", "c.txt", "foo.bin", digest, None]
    shown_as = ["配方改进", "b.txt", "c.txt", "foo.bin", digest, "told by word x"]
    for line, shown in zip(lines, shown_as, strict=True):
        assert f"  {shown}" in line
    assert "x" * 47 in lines[-1]
    assert "x" * 48 not in lines[-1]


def test_until_means_the_day_to_its_end(filled: Tally) -> None:
    day = filled.json("log")["records"][0]["created"][:10]
    last = filled.json("log")["records"][-1]["created"]
    assert len(filled.json("log", "--since", day, "--until", last)["records"]) == 3
    if last[:10] == day:
        assert len(filled.json("log", "--until", day)["records"]) == 3


def test_terminal_is_not_flooded(filled: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PAGE", 2)
    assert len(filled("log").out.splitlines()) == 3
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    ran = filled("log")
    assert [line.split()[0] for line in ran.out.splitlines()] == ["2", "3"]
    assert "1 earlier records are not listed" in ran.err
    assert "hint: --limit 0" in ran.err
    assert len(filled("log", "--limit", "0").out.splitlines()) == 3


@pytest.mark.parametrize("lost", ["keys.pem", "store.sqlite", "."])
def test_receipts_are_enough_when_the_ledger_is_lost(filled: Tally, lost: str) -> None:
    before = filled.json("log")["records"]
    place = filled.vault / "ledger" / lost
    shutil.rmtree(place) if place.is_dir() else place.unlink()
    assert filled.json("log")["records"] == before
    assert all(row["receipt"] for row in before)
    status = filled.json("status", code=3)
    assert (status["records"], status["stamps_pending"]) == (3, [])
    ran = filled("bundle", "--disclose", "all", "--notebook", "notebook", "-o", "x.zip")
    assert ran.code == 0, ran.err
    assert "from the receipts in the vault" in ran.err
    assert "is not shown: the ledger cannot be read" in ran.err
    trust = filled.vault / "development-trust.toml"
    assert filled("verify", "x.zip", "配方.txt", "--trust", trust).code == 0
    assert filled("anchor", filled.work / "配方.txt", "--again").code in {2, 3}
    assert not (filled.vault / "ledger" / lost).is_file()


def test_record_of_a_closed_ledger_is_shown(filled: Tally) -> None:
    shutil.rmtree(filled.state)
    assert filled.json("show", "1")["state"].startswith("entry 2, stamped by")
