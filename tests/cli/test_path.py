"""The whole path, from a folder to a verdict: by the commands, in one process and in fresh ones."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import zipfile
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest

from cli import compose
from ledger.doors.sqlite import turn
from ledger.errors import UnavailableError
from ledger.operator.sequencer import Sequencer
from ledger.record.vocabulary import terms
from tests.cli.conftest import Tally

ROOT = Path(__file__).parents[2]
START = "import sys; sys.path.insert(0, sys.argv.pop(1)); from cli.main import main; main()"
OFFLINE = """
import socket, sys
def refuse(event, args):
    if event.startswith("socket."):
        raise SystemExit(99)
sys.addaudithook(refuse)
"""

CANARIES = {
    name: f"CANARY-{name}-7f3a"
    for name in ("title", "label", "note", "notebook", "file", "content")
}


def start(*words: object, **options: Any) -> subprocess.Popen[str]:
    """``tally`` in a process of its own."""
    line = [sys.executable, "-c", options.pop("before", "") + START, str(ROOT)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        line + [str(word) for word in words],
        stdout=options.pop("stdout", pipe),
        stderr=pipe,
        text=options.pop("text", True),
        **options,
    )


def told(tally: Tally, *words: object) -> str:
    ran = tally(*words)
    assert ran.code == 0, ran.err
    return ran.out


def verdict(tally: Tally, *words: object, code: int = 0) -> Any:
    trust = tally.vault / "development-trust.toml"
    return tally.json("verify", *words, "--trust", trust, code=code)


def test_anchored_folder_is_proven_a_changed_file_refuted_and_a_withheld_one_unchecked(
    tally: Tally, folder: Path
) -> None:
    assert "anchored   资料  2 files, 13 B  record 1 (notebook/1), entry 2" in told(
        tally, "anchor", folder
    )
    told(tally, "bundle", "-o", "x.zip", "--file", "sub/第12批.xlsx")
    verdict(tally, "x.zip")
    verdict(tally, "x.zip", folder)
    verdict(tally, "x.zip", folder / "sub" / "第12批.xlsx")
    verdict(tally, "x.zip", folder / "a.txt", code=3)
    (folder / "sub" / "第12批.xlsx").write_bytes(b"changed")
    wrong = verdict(tally, "x.zip", folder / "sub" / "第12批.xlsx", code=1)
    assert "carrier" in json.dumps(wrong)
    assert tally("verify", "x.zip").code == 3


def test_one_flipped_byte_anywhere_is_never_proven(reading: Tally) -> None:
    with zipfile.ZipFile("x.zip") as archive:
        archive.extractall("whole")
        names = archive.namelist()
    trust = reading.vault / "development-trust.toml"
    for name in names:
        path = Path("whole") / name
        content = path.read_bytes()
        middle = len(content) // 2
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
        assert reading("verify", "whole", "--trust", trust).code in {1, 2}, name
        path.unlink()
        assert reading("verify", "whole", "--trust", trust).code != 0, name
        path.write_bytes(content)
    assert reading("verify", "whole", "--trust", trust).code == 0


def test_anchoring_is_idempotent_and_revisions_are_records(tally: Tally, folder: Path) -> None:
    first = tally.json("anchor", folder)["anchored"][0]
    again = tally.json("anchor", folder)["anchored"][0]
    assert (again["new"], again["record"], again["index"]) == (False, 1, first["index"])
    (folder / "a.txt").write_bytes(b"b\n")
    assert tally.json("anchor", folder, folder)["anchored"][1]["record"] == 2
    assert tally.json("anchor", folder, "--again")["anchored"][0]["seq"] == 3
    assert tally.json("status")["entries"] == 5


def test_what_is_said_of_an_unchanged_carrier_is_not_dropped_in_silence(
    tally: Tally, folder: Path
) -> None:
    told(tally, "anchor", folder, "--title", "配方", "--environment", "user")
    # The same again is done already.
    told(tally, "anchor", folder, "--title", "配方", "--environment", "user")
    ran = tally("anchor", folder, "--title", "new", "--stage", "final")
    assert ran.code == 3
    assert ran.out.startswith("unchanged  资料")
    assert "资料 is unchanged: stage, title not recorded" in ran.err
    assert "hint: --again makes a record that says so" in ran.err
    row = tally.json("anchor", folder, "--title", "new", code=3)["anchored"][0]
    assert (row["record"], row["not_recorded"]) == (1, ["title"])
    row = tally.json("anchor", folder, "--title", "new", "--again")["anchored"][0]
    assert (row["record"], row["not_recorded"]) == (2, [])
    told(tally, "anchor", folder / "a.txt", "--no-parts")
    assert "parts not recorded" in tally("anchor", folder / "a.txt", "--parts").err
    digest = "sha256:" + "ab" * 32
    told(tally, "anchor", digest, "--name", "a.bin")
    told(tally, "anchor", digest, "--name", "a.bin")
    assert "name not recorded" in tally("anchor", digest, "--name", "b.bin").err


def test_name_with_a_line_break_is_told_on_one_line(tally: Tally) -> None:
    Path("new\nline").write_bytes(b"x")
    [line] = [one for one in told(tally, "anchor", "new\nline").splitlines() if "anchored" in one]
    assert "new\\u{a}line" in line


def test_one_bad_path_does_not_stop_the_others(tally: Tally, folder: Path) -> None:
    ran = tally("anchor", "none", folder, "--no-wait")
    assert (ran.code, ran.out.startswith("anchored   资料")) == (2, True)
    assert "tally: no such file or folder: none  [TALLY-E003]" in ran.err
    value = tally.json("anchor", folder / "a.txt", "none", code=2)
    assert [row["record"] for row in value["anchored"]] == [2]
    assert [row["code"] for row in value["failed"]] == ["TALLY-E003"]
    assert tally.json("status", code=0)["queued"] == []


def test_low_disk_queues_the_record_and_what_is_there_can_be_proven(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told(tally, "anchor", folder)
    (folder / "a.txt").write_bytes(b"changed")
    with monkeypatch.context() as patch:
        patch.setattr(compose, "free_bytes", lambda _: 1 << 20)
        ran = tally("anchor", folder)
        assert (ran.code, "queued" in ran.out) == (3, True)
        assert "tally: the disk has 1 MiB free, want 32 to append  [TALLY-E006]" in ran.err
        assert tally("sync").code == 3
        told(tally, "bundle", "1", "-o", "x.zip")
        verdict(tally, "x.zip")
    assert tally.json("sync")["sent"] == 1


def test_record_that_could_not_be_sent_is_safe_and_sent_by_sync(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UnavailableError("disk full")

    with monkeypatch.context() as patch:
        patch.setattr(Sequencer, "append", full)
        ran = tally("anchor", folder)
        assert (ran.code, "queued" in ran.out) == (3, True)
        told_first, hinted = ran.err.index("tally: disk full"), ran.err.index("hint: the records")
        assert told_first < hinted
        assert tally.json("anchor", folder, code=3)["pending"] == ["disk full"]
        assert tally("bundle", "-o", "x.zip").code == 3
        assert tally.json("status", code=3)["queued"] == [1]
        assert "queued" in tally("log").out
    assert tally.json("sync") == {"sent": 2, "waiting_for_key": 0, "pending": [], "lacking": []}
    assert tally.json("status")["queued"] == []


def test_empty_file_odd_names_and_a_name_that_is_an_option(tally: Tally) -> None:
    names = ["empty", "new\nline", "bidi\u202efdp", "-", "--json", "第" * 80, "a;b'c\"d", " "]
    for name in names:
        Path(name).write_bytes(b"" if name == "empty" else name.encode())
    ran = tally("anchor", "--", *names)
    assert ran.code == 0, ran.err
    assert all(line.isprintable() for line in ran.out.splitlines())
    assert "bidi\\u{202e}fdp" in ran.out
    told(tally, "bundle", "-o", "x.zip", "1", "--disclose", "all", "--with-carriers")
    verdict(tally, "x.zip", "empty")


def test_skipped_files_are_told(tally: Tally, folder: Path) -> None:
    (folder / "link").symlink_to("a.txt")
    assert tally("anchor", folder).code == 3
    ran = tally("anchor", folder, "--skip-unreadable")
    assert (ran.code, "1 could not be read and are recorded as skipped" in ran.err) == (0, True)
    assert "skipped: a link" in told(tally, "show", "1")


def test_no_canary_reaches_ledger_guard_or_an_undisclosing_bundle(tally: Tally) -> None:
    place = tally.work / CANARIES["file"]
    place.mkdir()
    (place / CANARIES["file"]).write_text(CANARIES["content"])
    (tally.work / "13800138000").write_text("13800138000")
    said = [f"--{name}={CANARIES[name]}" for name in ("title", "label", "note", "notebook")]
    told(tally, "anchor", place, "13800138000", *said, "--stage", "failed-experiment")
    told(tally, "bundle", "-o", "x.zip", "--notebook", CANARIES["notebook"])
    seen = [Path("x.zip").read_bytes()]
    for folder in (tally.vault / "ledger", tally.state):
        seen += [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    assert len(seen) > 3
    digests = [
        row["carrier"].get("sha256", "-" * 64)
        for row in (tally.json("show", "1"), tally.json("show", "2"))
    ]
    for words in ("CANARY", "13800138000", "failed-experiment", *digests):
        for form in (words.encode(), words.encode("utf-16-le")):
            assert not any(form in content for content in seen), words
    kept = [path.read_bytes() for path in (tally.vault / "originals").rglob("*.age")]
    assert not any(CANARIES["content"].encode() in content for content in kept)
    assert b"CANARY-content" not in (tally.vault / "vault.sqlite").read_bytes()


def test_every_kind_and_stage_can_be_anchored(tally: Tally) -> None:
    for pair in zip_longest(terms("kind"), terms("stage")):
        named = [(name, one.code) for name, one in zip(("kind", "stage"), pair, strict=True) if one]
        Path("x").write_text(str(named))
        claims = [word for name, code in named for word in (f"--{name}", code)]
        told(tally, "anchor", "x", *claims, "--no-wait", "--no-keep")


def test_bundle_verifies_in_a_fresh_process_with_nothing_else(
    tally: Tally, folder: Path, tmp_path: Path
) -> None:
    told(tally, "anchor", folder)
    told(tally, "bundle", "-o", "x.zip", "--file", "a.txt", "--with-carriers")
    away = tmp_path / "away"
    away.mkdir()
    for path in (Path("x.zip"), folder / "a.txt", tally.vault / "development-trust.toml"):
        shutil.copy(path, away)
    shutil.rmtree(tally.vault.parent)
    shutil.rmtree(tally.work / "资料")
    environment = {"HOME": str(away / "home"), "PATH": os.environ["PATH"]}
    words = ["verify", "x.zip", "a.txt", "--trust", "development-trust.toml", "--json"]
    with start(*words, cwd=away, env=environment, before=OFFLINE) as process:
        out, err = process.communicate()
    assert process.returncode == 0, err
    assert json.loads(out)
    assert not (away / "home").exists()
    assert sorted(path.name for path in away.iterdir()) == [
        "a.txt",
        "development-trust.toml",
        "x.zip",
    ]


def test_two_processes_anchoring_at_once_take_turns(tally: Tally) -> None:
    names = ["file-1", "file-2"]
    for name in names:
        Path(name).write_text(name)
    running = [start("anchor", name, "--no-keep") for name in names]
    for process in running:
        _, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
    records = tally.json("log")["records"]
    assert sorted(row["seq"] for row in records) == [1, 2]
    assert sorted(row["index"] for row in records) == [2, 3]
    assert all(len(row["stamps"]) == 2 for row in records)
    told(tally, "bundle", "-o", "x.zip", "2")
    verdict(tally, "x.zip")


def test_vault_that_is_another_process_turn_is_told(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ledger.holder.vault.turn", lambda path: turn(path, 0))
    with turn(tally.vault / "turn.lock"):
        ran = tally("log")
    assert ran.code == 3
    assert "another process has its turn" in ran.err
    assert "hint: let the other tally finish" in ran.err


@pytest.mark.parametrize("command", ["log", "--help"])
@pytest.mark.usefixtures("reading")
def test_reader_that_goes_away_is_no_error(command: str) -> None:
    gone, writing = os.pipe()
    os.close(gone)
    with start(command, stdout=writing) as process:
        os.close(writing)
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "gbk"])
@pytest.mark.usefixtures("reading")
def test_terminal_of_any_encoding_gets_text_it_can_show(encoding: str) -> None:
    environment = {**os.environ, "PYTHONIOENCODING": encoding, "NO_COLOR": "1"}
    with start("show", "1", env=environment, text=False) as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, b"")
    # click takes a terminal that says "ascii" for one that does not know better, and writes UTF-8.
    text = out.decode("utf-8" if encoding == "ascii" else encoding)
    assert ("配方" in text) is (encoding != "latin-1")


def test_ledger_database_is_whole_after_all_of_it(tally: Tally, folder: Path) -> None:
    told(tally, "anchor", folder)
    for path in (tally.vault / "vault.sqlite", tally.vault / "ledger" / "store.sqlite"):
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        database.close()


def test_output_is_only_overwritten_with_force(reading: Tally) -> None:
    assert reading("bundle", "-o", "x.zip").code == 2
    told(reading, "bundle", "-o", "x.zip", "--force")
    told(reading, "bundle", "-o", "x.zip", "--dry-run")
    trust = reading.vault / "development-trust.toml"
    told(reading, "verify", "x.zip", "--trust", trust, "--html", "x.html")
    assert reading("verify", "x.zip", "--trust", trust, "--html", "x.html").code == 2
    told(
        reading, "verify", "x.zip", "--trust", trust, "--html", "x.html", "--force", "--lang", "zh"
    )
    assert "<html" in Path("x.html").read_text("utf-8")
