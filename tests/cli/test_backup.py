"""A vault is lost, and comes back from another disk; what goes on, goes on in a new ledger."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from cli import backup as backup_command
from ledger.holder import backup as backup_module
from ledger.holder.backup import BackupFolder
from tests.cli.conftest import Tally


@pytest.fixture
def saved(tally: Tally, folder: Path) -> Tally:
    """A vault with a record, and a backup of it in ``work``/disk."""
    tally.json("anchor", folder)
    tally.json("vault", "backup", tally.work / "disk")
    return tally


def on(machine: str, tally: Tally, monkeypatch: pytest.MonkeyPatch) -> Tally:
    """The same person at another machine: HOME, vault and state folder of its own."""
    home = tally.work / machine
    monkeypatch.setenv("HOME", os.fspath(home))
    monkeypatch.setenv("TALLY_STATE", os.fspath(home / "state"))
    monkeypatch.setenv("TALLY_VAULT", os.fspath(home / "vault"))
    return replace(tally, vault=home / "vault", state=home / "state")


def content(disk: Path) -> list[Path]:
    return sorted(path for path in (disk / "content").rglob("*") if path.is_file())


def proven(tally: Tally, number: int) -> bool:
    """Whether a record can be bundled and verified now."""
    name = f"{number}-{tally.vault.parent.name}.zip"
    tally.json("bundle", number, "--disclose", "all", "--force", "-o", name)
    trust = tally.vault / "development-trust.toml"
    return tally("verify", name, "--trust", trust).code == 0


def test_second_backup_copies_only_what_is_new(saved: Tally, folder: Path) -> None:
    disk = saved.work / "disk"
    again = saved.json("vault", "backup", disk)
    assert (again["backup"], again["new_files"]) == (2, 0)
    (folder / "new").write_bytes(b"new\n")
    saved.json("anchor", folder)
    third = saved.json("vault", "backup", disk)
    # A kept original, a manifest, and the two databases.
    assert third["new_files"] == 4
    checked = saved.json("vault", "backup", "--check", disk)
    assert (checked["backups"], checked["whole"], checked["faults"]) == ([1, 2, 3], [1, 2, 3], [])
    for path in content(disk):
        assert hashlib.sha256(path.read_bytes()).hexdigest() == path.name
        assert path.stat().st_mode & 0o077 == 0


def test_neither_guard_nor_the_ledgers_own_keys_go_along_and_that_keys_do_is_said(
    saved: Tally,
) -> None:
    ran = saved("vault", "backup", saved.work / "disk")
    assert ran.code == 0
    assert "unencrypted (" in ran.err
    assert all(name in ran.err for name in ("identity.txt", "signing.pem"))
    secret = (saved.vault / "ledger" / "keys.pem").read_bytes()
    [guard] = (saved.state / "guards").glob("*.sqlite")
    shapes = {secret, guard.read_bytes()}
    for path in content(saved.work / "disk"):
        assert path.read_bytes() not in shapes
        assert b"TABLE signed" not in path.read_bytes()
    _, snapshot = BackupFolder(saved.work / "disk").read()
    kept = {one.path for one in snapshot.files if one.path.startswith("keys/")}
    assert kept == {f"keys/{path.name}" for path in (saved.vault / "keys").iterdir()}
    assert {"keys/identity.txt", "keys/signing.pem"} < kept


@pytest.mark.parametrize("call", ["save_database", "save", "save_bytes", "write_durably"])
def test_backup_that_was_interrupted_is_none_and_the_one_before_stays(
    saved: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    disk = saved.work / "disk"
    saved.json("anchor", folder / "a.txt")
    with monkeypatch.context() as patch:
        where = backup_module if call == "write_durably" else backup_module._Saver
        patch.setattr(where, call, die)
        assert saved("vault", "backup", disk).code == 130
    assert saved.json("vault", "backup", "--check", disk)["whole"] == [1]
    assert saved.json("vault", "restore", disk, "--vault", saved.work / "one")["closed"]
    assert saved.json("vault", "backup", disk)["backup"] == 2


def test_first_backup_that_was_interrupted_is_told(
    tally: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = tally.work / "disk"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(backup_module._Saver, "save", die)
        assert tally("vault", "backup", disk).code == 130
    for words in (["backup", "--check", disk], ["restore", disk, "--vault", tally.work / "one"]):
        ran = tally("vault", *words)
        assert (ran.code, "no whole backup" in ran.err) == (2, True)
    assert tally.json("vault", "backup", disk)["backup"] == 1


@pytest.mark.slow
def test_every_damaged_or_missing_file_is_found_and_nothing_restored(saved: Tally) -> None:
    disk = saved.work / "disk"
    for path in content(disk):
        whole = path.read_bytes()
        for damaged in (None, whole[:-1], bytes([whole[0] ^ 1]) + whole[1:]):
            path.unlink(missing_ok=True)
            if damaged is not None:
                path.write_bytes(damaged)
            assert saved("vault", "backup", "--check", disk).code == 1
            ran = saved("vault", "restore", disk, "--vault", saved.work / "one")
            assert (ran.code, path.name in ran.err) == (1, True)
            assert not (saved.work / "one").exists()
        path.write_bytes(whole)
    assert saved("vault", "backup", "--check", disk).code == 0


def test_what_is_missing_in_a_backup_is_copied_anew(saved: Tally) -> None:
    disk = saved.work / "disk"
    path = content(disk)[0]
    path.unlink()
    assert saved.json("vault", "backup", disk)["new_files"] == 1
    assert saved.json("vault", "backup", "--check", disk)["whole"] == [1, 2]


def test_backup_goes_into_no_folder_with_other_files_nor_into_the_vault(saved: Tally) -> None:
    (saved.work / "mine").mkdir()
    (saved.work / "mine" / "x").write_bytes(b"")
    for place in (saved.work / "mine", saved.vault / "backup", saved.vault.parent, saved.vault):
        assert saved("vault", "backup", place).code == 3
    assert saved("vault", "backup", "--check", saved.work / "mine").code == 2


@pytest.mark.slow
def test_backup_is_of_one_moment_while_another_process_anchors(saved: Tally, folder: Path) -> None:
    disk = saved.work / "disk"
    code = (
        "import sys; from cli.main import run\n"
        "for n in range(6): run(['anchor', sys.argv[1], '--again', '--no-wait'])"
    )
    command = [sys.executable, "-c", code, os.fspath(folder)]
    root = Path(__file__).resolve().parents[2]
    other = subprocess.Popen(command, cwd=root, stdout=subprocess.DEVNULL)
    try:
        while other.poll() is None:
            number = saved.json("vault", "backup", disk)["backup"]
    finally:
        other.wait()
    assert number > 1
    _, snapshot = BackupFolder(disk).read(number)
    for one in snapshot.files:
        if one.path.endswith(".sqlite"):
            name = one.sha256.hex()
            with sqlite3.connect(disk / "content" / name[:2] / name) as copy:
                assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    saved.json("vault", "restore", disk, "--vault", saved.work / "one")


def test_lost_machine_is_replaced_and_when_it_turns_up_each_guards_its_own_ledger(
    saved: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    a, disk = saved, saved.work / "disk"
    shutil.copytree(a.vault, a.work / "image")  # what another backup program made of the disk
    a.json("anchor", folder / "a.txt")

    b = on("b", a, monkeypatch)
    restored = b.json("vault", "restore", disk)
    assert (restored["size"], restored["sent"]) == (3, 2)
    assert b("anchor", folder / "sub").code == 0
    assert [proven(b, number) for number in (1, 2, 3)] == [True] * 3

    # The lost machine turns up, and goes on in its own ledger under its own guard.
    monkeypatch.setenv("TALLY_STATE", os.fspath(a.state))
    monkeypatch.setenv("TALLY_VAULT", os.fspath(a.vault))
    a.json("anchor", folder / "sub")
    assert a.json("status")["ledger"] == restored["closed"]
    assert [proven(a, number) for number in (1, 2, 3)] == [True] * 3

    # The old image is put in its place: its guard remembers more, and refuses.
    shutil.rmtree(a.vault)
    (a.work / "image").rename(a.vault)
    ran = a("anchor", folder / "sub")
    assert (ran.code, "the guard signed 5" in ran.err) == (3, True)
    assert "tally vault successor" in ran.err
    done = a.json("vault", "successor")
    assert done["closed"] == restored["closed"] != done["ledger"] != restored["ledger"]
    a.json("anchor", folder / "sub")
    assert [proven(a, number) for number in (1, 2, 3)] == [True] * 3

    # So it is with a backup of ours that is restored where the guard remembers more.
    shutil.rmtree(a.vault)
    ours = a.json("vault", "restore", disk)
    assert ours["closed"] == restored["closed"]
    a.json("anchor", folder / "sub")
    assert proven(a, 3)


def test_restore_never_writes_into_a_vault_or_other_files(saved: Tally) -> None:
    before = {path: path.read_bytes() for path in saved.vault.rglob("*") if path.is_file()}
    (saved.work / "mine").mkdir()
    (saved.work / "mine" / "x").write_bytes(b"")
    for place in (saved.vault, saved.work / "mine"):
        assert saved("vault", "restore", saved.work / "disk", "--vault", place).code == 3
    assert {p: p.read_bytes() for p in saved.vault.rglob("*") if p.is_file()} == before


@pytest.mark.parametrize("step", ["_copy", "succeed", "open_successor"])
def test_restore_that_was_interrupted_is_gone_on_with(
    saved: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    b, copy, copied = on("b", saved, monkeypatch), BackupFolder._copy, []

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    def third(self: BackupFolder, *words: object) -> None:
        copied.append(words)
        (die if len(copied) == 3 else copy)(self, *words)  # type: ignore[arg-type]  # handed on

    with monkeypatch.context() as patch:
        if step == "_copy":
            patch.setattr(BackupFolder, "_copy", third)
        else:
            patch.setattr(backup_command, step, die)
        assert b("vault", "restore", saved.work / "disk").code == 130
    if step == "_copy":
        assert b("log").code == 2
        b.json("vault", "restore", saved.work / "disk")
    elif step == "succeed":
        ran = b("anchor", folder / "sub")
        assert (ran.code, "hint: tally vault successor" in ran.err) == (3, True)
        assert proven(b, 1)
        b.json("vault", "successor")
    b.json("anchor", folder / "sub")
    assert [row["kind"] for row in b.json("log")["records"]] == ["carrier", "successor", "carrier"]
    assert [proven(b, number) for number in (1, 2, 3)] == [True] * 3


def test_record_that_nobody_stamped_in_time_goes_to_the_successor(
    tally: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tally.json("anchor", folder)
    tally.json("anchor", folder / "sub", "--no-wait")
    tally.json("vault", "backup", tally.work / "disk")
    b = on("b", tally, monkeypatch)
    assert b.json("vault", "restore", tally.work / "disk")["sent"] == 3
    assert b.json("status")["stamps_pending"] == []
    b.json("bundle", 2, "--only", "-o", "x.zip")
    assert b("verify", "x.zip", "--trust", b.vault / "development-trust.toml").code == 0


def test_what_is_kept_opens_after_the_restore_and_a_backup_of_that_is_restored_too(
    saved: Tally, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    b = on("b", saved, monkeypatch)
    origin = b.json("vault", "restore", saved.work / "disk")["ledger"]
    shutil.rmtree(folder)
    b.json("bundle", 1, "--disclose", "all", "--file", "a.txt", "--with-carriers", "-o", "x.zip")
    b.json("vault", "backup", saved.work / "disk-of-b")
    c = on("c", saved, monkeypatch)
    c.json("vault", "restore", saved.work / "disk-of-b")
    assert [proven(c, number) for number in (1, 2, 3)] == [True] * 3
    assert c.json("show", 3)["claims"]["predecessor"]["origin"] == origin
