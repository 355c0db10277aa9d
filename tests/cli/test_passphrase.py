"""A vault with a passphrase: where it comes from, and what waits while nobody gives it."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

from ledger.doors import keys as doors
from ledger.holder.lock import KEYRING_MARK
from ledger.holder.vault import open_vault
from ledger.record.record import parse_record
from tests.cli.conftest import Tally
from tests.sealing import seal_cheaply

WORD = "配方 pass"


@pytest.fixture
def word(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The passphrase in a file of one's own."""
    monkeypatch.setattr(doors, "seal_with", seal_cheaply)
    return write(bare.work / "word", f"{WORD}\n")


@pytest.fixture
def sealed(tally: Tally, word: Path) -> Tally:
    """A vault whose keys are sealed, and nobody to ask."""
    vault = open_vault(tally.vault)
    vault.keys.protect(WORD)
    vault.close()
    return tally


def write(path: Path, text: str, mode: int = 0o600) -> Path:
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


def test_a_vault_is_made_sealed_with_the_passphrase_of_a_file(bare: Tally, word: Path) -> None:
    ran = bare("init", "--development", "--passphrase-file", word, "--key-type", "es256")
    assert ran.code == 0
    assert "unencrypted" not in ran.err
    assert "sealed with the passphrase" in ran.err
    vault = open_vault(bare.vault)
    assert vault.lock.protected
    assert vault.keys.is_sealed(vault.keys.person())
    assert vault.keys.person().kind == "es256"
    vault.close()


def test_init_with_a_passphrase_and_nobody_to_type_it_makes_no_vault(bare: Tally) -> None:
    ran = bare("init", "--development", "--passphrase")
    assert ran.code == 2
    assert "hint: give it in a file" in ran.err
    assert not bare.vault.exists()


def test_locked_keys_queue_what_is_anchored_and_sign_it_in_order_later(
    sealed: Tally, word: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = sealed.work / "a.txt"
    for content in ("1\n", "2\n"):
        file.write_text(content)
        ran = sealed("anchor", "a.txt")
        assert ran.code == 3
        assert "captured   a.txt  2 B  waits for the key (notebook)" in ran.out
        assert "tally: queued: the keys are locked" in ran.err
    again = sealed.json("anchor", "a.txt", code=3)["anchored"][0]
    assert (again["new"], again["captured"], again["record"]) == (False, True, None)
    titled = sealed.json("anchor", "a.txt", "--title", "T", code=3)["anchored"][0]
    assert (titled["new"], titled["not_recorded"]) == (False, ["title"])
    status = sealed.json("status", code=3)
    times = [one["captured"] for one in status["waiting_for_key"]]
    assert [one["path"] for one in status["waiting_for_key"]] == [str(file)] * 2
    assert status["records"] == 0
    assert f"captured {file}: waits for the key" in sealed("status").out
    assert sealed.json("sync", code=3)["waiting_for_key"] == 2
    monkeypatch.setenv("TALLY_PASSPHRASE_FILE", os.fspath(word))
    synced = sealed.json("sync")
    assert (synced["waiting_for_key"], synced["sent"]) == (0, 3)  # with the enrolment
    monkeypatch.delenv("TALLY_PASSPHRASE_FILE")
    assert sealed.json("status")["waiting_for_key"] == []
    vault = open_vault(sealed.vault)
    records = [parse_record(one.sdjwt) for one in vault.records.all()]
    vault.close()
    assert [one.claims["captured_time"] for one in records] == times
    assert [one.link.seq for one in records if one.link] == [1, 2]


def test_anchor_with_the_passphrase_signs_what_waits_first(sealed: Tally, word: Path) -> None:
    (sealed.work / "a").write_bytes(b"a")
    (sealed.work / "b").write_bytes(b"b")
    assert sealed("anchor", "a").code == 3
    assert sealed("anchor", f"sha256:{'ab' * 32}").code == 3
    ran = sealed("anchor", "b", "--passphrase-file", word)
    assert ran.code == 0, ran.err
    assert "2 captured while the keys were locked, signed now" in ran.err
    assert "record 3 (notebook/3)" in ran.out
    unchanged = sealed.json("anchor", "b")["anchored"][0]  # locked, and nothing to sign
    assert (unchanged["new"], unchanged["captured"], unchanged["record"]) == (False, False, 3)
    assert sealed.json("sync")["waiting_for_key"] == 0


def test_a_passphrase_file_that_others_read_or_that_is_none_is_refused(
    sealed: Tally, word: Path
) -> None:
    (sealed.work / "a").write_bytes(b"a")
    several, empty, odd = (sealed.work / name for name in ("several", "empty", "odd"))
    write(several, "one\ntwo\n")
    write(empty, "")
    odd.write_bytes(b"\xff\n")
    odd.chmod(0o600)
    for path, said in (
        (write(sealed.work / "open", WORD, 0o644), "others may read"),
        (several, "has 2 lines"),
        (empty, "has 0 lines"),
        (odd, "is not UTF-8"),
        (sealed.work / "missing", "no such file"),
    ):
        ran = sealed("anchor", "a", "--passphrase-file", path)
        assert (ran.code, said in ran.err) == (2, True), ran.err
    ran = sealed("anchor", "a", "--passphrase-file", write(sealed.work / "wrong", "other"))
    assert (ran.code, "this passphrase does not open" in ran.err) == (3, True)
    assert sealed.json("status")["waiting_for_key"] == []
    marked = write(sealed.work / "marked", f"\ufeff{WORD}\r\n")
    assert sealed("anchor", "a", "--passphrase-file", marked).code == 0


def test_kept_originals_are_written_back_with_the_passphrase_only(
    sealed: Tally, word: Path
) -> None:
    (sealed.work / "a").write_bytes(b"a")
    assert sealed("anchor", "a", "--passphrase-file", word).code == 0
    ran = sealed("export", "1", "-o", sealed.work / "back")
    assert (ran.code, "the keys are locked" in ran.err) == (3, True)
    assert sealed("export", "1", "-o", sealed.work / "back", "--passphrase-file", word).code == 0
    bundle = ("bundle", "--disclose", "carrier", "--with-carriers", "-o", "x.zip")
    assert sealed(*bundle, "--passphrase-file", word).code == 0
    (sealed.work / "a").unlink()
    ran = sealed(*bundle, "--force")
    assert (ran.code, "the keys are locked" in ran.err) == (3, True)


def test_the_vault_is_checked_and_succeeded_with_the_passphrase_only(
    sealed: Tally, word: Path
) -> None:
    (sealed.work / "a").write_bytes(b"a")
    assert sealed("anchor", "a", "--passphrase-file", word).code == 0
    for words in (("check", "--all"), ("successor",)):
        if words == ("successor",):
            (sealed.state / "guards").rename(sealed.state / "gone")
        ran = sealed("vault", *words)
        assert (ran.code, "the keys are locked" in ran.err) == (3, True), ran.err
        assert "hint: run it on a terminal, or give a passphrase file" in ran.err
        ran = sealed("vault", *words, "--passphrase-file", word)
        assert ran.code == 0, ran.err
    (sealed.work / "a").write_bytes(b"b")
    assert sealed("anchor", "a", "--passphrase-file", word).code == 0
    assert sealed("bundle", "-o", "x.zip").code == 0


def test_a_sealed_vault_is_restored_and_opened_later(sealed: Tally, word: Path) -> None:
    assert sealed("vault", "backup", "copy").code == 0
    target = ("--vault", sealed.work / "again")
    ran = sealed("vault", "restore", "copy", *target)
    assert ran.code == 3
    assert "restored without a new ledger: the keys are locked" in ran.err
    assert sealed("vault", "successor", *target, "--passphrase-file", word).code == 0
    straight = ("--vault", sealed.work / "third", "--passphrase-file", word)
    assert sealed("vault", "restore", "copy", *straight).code == 0


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_on_a_terminal_the_passphrase_is_typed_and_in_the_background_nobody_is_asked(
    bare: Tally,
) -> None:
    typed = [WORD, WORD]
    code, said = on_terminal(typed, "init", "--development", "--passphrase")
    assert code == 0, said
    assert "new passphrase" in said
    assert WORD not in said
    (bare.work / "a").write_bytes(b"a")
    code, said = on_terminal([], "anchor", "a", TALLY_BACKGROUND="1")
    assert (code, "queued: the keys are locked" in said) == (3, True), said
    code, said = on_terminal([WORD], "sync")
    assert (code, "1 captured while the keys were locked" in said) == (0, True), said


def on_terminal(typed: list[str], *words: str, **environment: str) -> tuple[int, str]:
    """Run ``tally`` on a terminal at which these lines are typed; its exit code, and all it said.

    The terminal is its stdin alone, so that what it echoes does not come into what is said.
    """
    master, slave = pty.openpty()
    root = Path(__file__).parents[2]
    program = f"import sys; sys.path.insert(0, {os.fspath(root)!r}); from cli.main import main; "
    command = [sys.executable, "-c", f"{program}sys.argv[0] = 'tally'; main()", *words]
    with subprocess.Popen(
        command,
        stdin=slave,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | environment,
    ) as process:
        assert process.stdout is not None
        said = b""
        for line in typed:
            # What is typed before the prompt is thrown away.
            while not re.search(rb"(passphrase|once more|passphrase of .*): \Z", said):
                more = os.read(process.stdout.fileno(), 4096)
                assert more, said
                said += more
            said += b"\n"
            os.write(master, f"{line}\n".encode())
        said += process.stdout.read()
    os.close(slave)
    os.close(master)
    return process.returncode, said.decode()


def test_a_backup_of_a_sealed_vault_has_no_key_in_the_clear(sealed: Tally) -> None:
    (sealed.vault / "keys" / KEYRING_MARK).touch()
    ran = sealed("vault", "backup", sealed.work / "disk")
    assert ran.code == 0
    assert "under their passphrase" in ran.err
    (sealed.vault / "keys" / "old.pem").write_bytes(b"-----BEGIN PRIVATE KEY-----\n")
    assert sealed.json("vault", "backup", sealed.work / "disk")["unprotected_keys"] == ["old.pem"]
