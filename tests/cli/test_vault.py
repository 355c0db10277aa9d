"""init, status, log, show, doctor: the vault, made whole and told plainly."""

import os
import shutil
from pathlib import Path

import pytest

from cli import compose, tsas
from ledger.holder.vault import UNFINISHED
from tests.cli.conftest import Tally


def test_init_makes_a_vault_whose_first_entry_is_stamped(bare: Tally) -> None:
    made = bare.json("init", "--development")
    assert made["vault"] == str(bare.vault)
    assert made["pending"] == []
    assert Path(made["trust"]).is_file()
    status = bare.json("status")
    assert (status["entries"], status["records"], status["queued"]) == (1, 0, [])
    assert status["last_stamped_size"] == {"development-1": 1, "development-2": 1}
    assert status["revocation"] == {
        "development-1": ["not needed"],
        "development-2": ["not needed"],
    }
    assert not (bare.vault / UNFINISHED).exists()


def test_init_warns_of_what_a_vault_is_not_for(bare: Tally) -> None:
    ran = bare("init", "--development")
    assert ran.code == 0
    assert "state secrets" in ran.err
    assert "unencrypted" in ran.err
    assert "prove nothing" in ran.out


def test_init_with_own_tsas_that_do_not_answer_is_done_and_says_what_is_pending(
    bare: Tally,
) -> None:
    # Port 9 of this machine: nobody listens there.
    made = bare.json("init", "--tsa", "a=http://127.0.0.1:9/", "--tsa", "b=http://127.0.0.1:9/")
    assert made["trust"] is None
    assert len(made["pending"]) == 2
    (bare.work / "x").write_bytes(b"x")
    anchored = bare.json("anchor", "x", code=3)
    assert anchored["anchored"][0]["index"] == 2  # after a cover and the key's enrolment
    assert len(anchored["pending"]) == 2
    assert bare.json("status", code=3)["stamps_pending"] == [1]
    assert bare.json("bundle", "-o", "x.zip", code=3)["unstamped"] == [1]
    ran = bare("sync")
    assert (ran.code, "hint: the records are safe" in ran.err) == (3, True)


STEPS = [
    "make_ledger_keys",
    "make_development_tsas",
    "write_development_trust",
    "_join",
    "finish_vault",
]


@pytest.mark.parametrize("step", STEPS)
def test_init_that_was_interrupted_is_gone_on_with(
    bare: Tally, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tsas if step == "write_development_trust" else compose, step, die)
        assert bare("init", "--development").code == 130
    assert bare("log").code == 2
    signing = (bare.vault / "keys" / "signing.pem").read_bytes()
    bare.json("init", "--development")
    assert bare.json("status")["entries"] == 1
    assert (bare.vault / "keys" / "signing.pem").read_bytes() == signing


def test_init_whose_guard_was_lost_meanwhile_is_not_gone_on_with(
    bare: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(compose, "finish_vault", die)
        bare("init", "--development")
    shutil.rmtree(bare.state)
    ran = bare("init", "--development")
    assert (ran.code, "hint: remove the folder and start again" in ran.err) == (2, True)
    assert bare("log").code == 2


def test_init_into_a_folder_with_files_leaves_them_alone(bare: Tally) -> None:
    bare.vault.mkdir(parents=True)
    (bare.vault / "thesis.txt").write_text("mine")
    ran = bare("init", "--development")
    assert (ran.code, "is not empty" in ran.err) == (2, True)
    assert [path.name for path in bare.vault.iterdir()] == ["thesis.txt"]


def test_init_in_a_place_that_cannot_be_written_is_told(bare: Tally) -> None:
    (bare.work / "file").write_bytes(b"")
    for place in ("file", "file/below", "x" * 300):
        ran = bare("init", "--development", "--vault", place)
        assert ran.code in {2, 3}
        assert "cannot make a vault in" in ran.err or "not empty" in ran.err


def test_status_tells_new_changed_missing_and_anchored(tally: Tally, folder: Path) -> None:
    assert tally.json("status", folder, code=3)["changes"] == {"new": [str(folder)]}
    tally("anchor", folder)
    assert list(tally.json("status", folder)["changes"]) == ["anchored"]
    (folder / "a.txt").write_bytes(b"changed")
    (folder / "new").write_bytes(b"")
    (folder / "sub" / "第12批.xlsx").unlink()
    changes = tally.json("status", folder, code=3)["changes"]
    assert changes == {"new": ["new"], "changed": ["a.txt"], "missing": ["sub/第12批.xlsx"]}
    shutil.rmtree(folder)
    assert tally.json("status", folder, code=3)["changes"] == {"missing": [str(folder)]}


def test_status_of_a_part_is_told_by_the_folder_it_was_anchored_in(
    tally: Tally, folder: Path
) -> None:
    tally("anchor", folder)
    for part in ("a.txt", "sub", "sub/第12批.xlsx"):
        assert list(tally.json("status", folder / part)["changes"]) == ["anchored"]
    (folder / "sub" / "new").write_bytes(b"")
    (folder / "a.txt").unlink()
    sub = tally.json("status", folder / "sub", code=3)["changes"]
    assert sub == {"new": ["sub/new"], "changed": [], "missing": []}
    gone = tally.json("status", folder / "a.txt", code=3)["changes"]
    assert gone == {"missing": [str(folder / "a.txt")]}
    new = tally.json("status", folder / "sub" / "new", code=3)["changes"]
    assert new == {"new": [str(folder / "sub" / "new")]}
    (folder / "sub").rename(folder / "a.txt")
    turned = tally.json("status", folder / "a.txt", code=3)["changes"]
    assert turned["missing"] == ["a.txt"]
    assert tally("status", folder / "none").code == 2


def test_lost_list_of_files_hides_nothing_else(tally: Tally, folder: Path) -> None:
    (folder / "link").symlink_to("a.txt")
    tally("anchor", folder, "--skip-unreadable")
    assert f"anchored {folder} as record 1, 1 skipped" in tally("status", folder).out
    for one in (tally.vault / "manifests").iterdir():
        one.unlink()
    lost, advice = "of the vault is missing", "hint: put manifests/ back from a backup"
    # That nothing changed is known without the list.
    assert list(tally.json("status", folder)["changes"]) == ["anchored"]
    (folder / "a.txt").write_bytes(b"changed")
    ran = tally("status", folder)
    assert (ran.code, lost in ran.out, advice in ran.err) == (3, True, True)
    assert "ledger " in ran.out
    assert f"changed  {folder}" in ran.out
    changes = tally.json("status", folder / "a.txt", code=3)["changes"]
    assert (list(changes), lost in changes["unknown"][0]) == (["unknown"], True)
    ran = tally("show", "1")
    assert (ran.code, "carrier.manifest" in ran.out, advice in ran.err) == (3, True, True)
    assert "the files of record 1 cannot be listed: the list" in ran.err
    assert tally.json("show", "1", code=3)["files"] is None
    ran = tally("bundle", "--file", "a.txt", "--dry-run")
    assert (ran.code, lost in ran.err, advice in ran.err) == (2, True, True)


def test_log_and_show_tell_each_record(tally: Tally, folder: Path) -> None:
    tally("anchor", folder, "--title", "配方\u202e", "--stage", "idea")
    tally("anchor", folder / "a.txt", "--notebook", "other", "--no-wait")
    ran = tally("log")
    assert [line.split()[:2] for line in ran.out.splitlines()] == [
        ["1", "notebook/1"],
        ["2", "other/1"],
    ]
    assert "配方\\u{202e}" in ran.out
    assert "0 of 2 stamps" in ran.out
    assert [row["number"] for row in tally.json("log", "--notebook", "other")["records"]] == [2]
    shown = tally.json("show", "1")
    assert shown["claims"]["title"] == "配方\u202e"
    assert [one["path"] for one in shown["files"]] == ["a.txt", "sub/第12批.xlsx"]
    assert tally.json("show", shown["entry"][:16])["number"] == 1
    assert "sub/第12批.xlsx" in tally("show", "1").out


def test_long_lists_are_cut_unless_asked(tally: Tally) -> None:
    many = tally.work / "many"
    many.mkdir()
    for number in range(60):
        (many / f"{number:02}").write_bytes(b"x")
    tally("anchor", many, "--no-keep")
    assert "… and 50 more (--files)" in tally("show", "1").out
    assert tally("show", "1", "--files").out.count("1 B") >= 60
    shutil.rmtree(many)
    many.mkdir()
    (many / "x").write_bytes(b"")
    assert "… and 10 more" in tally("status", many).out


def test_empty_log_says_what_to_do(tally: Tally) -> None:
    ran = tally("log")
    assert (ran.code, ran.out) == (0, "")
    assert "hint: tally anchor" in ran.err


@pytest.mark.parametrize("case", ["guard lost", "restored"])
def test_ledger_that_must_not_go_on_is_read_but_not_written(
    tally: Tally, folder: Path, case: str
) -> None:
    tally("anchor", folder)
    if case == "guard lost":
        shutil.rmtree(tally.state)
    else:
        shutil.copytree(tally.vault, tally.work / "backup")
        tally("anchor", folder / "a.txt")
        shutil.rmtree(tally.vault)
        (tally.work / "backup").rename(tally.vault)
    for words in (["anchor", folder / "a.txt"], ["sync"]):
        ran = tally(*words)
        assert (ran.code, ran.out) == (3, "")
        assert "the guard" in ran.err
        assert "hint: a restored, copied or moved ledger is never continued" in ran.err
    assert [row["number"] for row in tally.json("log")["records"]] == [1]
    ran = tally("bundle", "-o", "x.zip", "--disclose", "all")
    assert (ran.code, "the ledger is closed" in ran.err) == (0, True)
    trust = tally.vault / "development-trust.toml"
    assert tally("verify", "x.zip", "--trust", trust).code == 0
    checks = {row["name"]: row["ok"] for row in tally.json("doctor", code=3)["checks"]}
    assert not checks["vault"]


def test_doctor_is_content_with_and_without_a_vault(tally: Tally) -> None:
    assert all(row["ok"] for row in tally.json("doctor")["checks"])
    shutil.rmtree(tally.vault)
    ran = tally("doctor")
    assert (ran.code, "`tally init` makes one" in ran.out) == (0, True)


def test_damaged_vault_is_told(tally: Tally) -> None:
    (tally.vault / "keys" / "signing.pem").write_text("no key")
    (tally.work / "x").write_bytes(b"x")
    ran = tally("anchor", "x")
    assert (ran.code, "holds no readable private key" in ran.err) == (2, True)
    os.truncate(tally.vault / "vault.sqlite", 5000)
    assert tally("log").code in {2, 3}
    (tally.vault / "tallystick.toml").write_text("wanted = 1.5")
    ran = tally("log")
    assert (ran.code, "tallystick.toml: wanted is 1.5" in ran.err) == (2, True)
