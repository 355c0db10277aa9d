"""The vault: made whole or gone on with, never made twice, and asked in words when damaged."""

import sqlite3
import stat
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder import vault as module
from ledger.holder.config import Config
from ledger.holder.vault import (
    SETTINGS,
    Vault,
    begin_vault,
    finish_vault,
    open_vault,
)
from tests.holding import START, stored

CONFIG = Config(development=True)


def test_vault_is_its_owners_alone(vault: Vault) -> None:
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    files = [path for path in vault.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_vault_that_was_finished_opens_with_its_settings(vault: Vault) -> None:
    again = open_vault(vault.folder)
    assert again.config == CONFIG
    assert again.keys.all() == vault.keys.all()
    again.close()


def test_folder_with_a_vault_or_other_files_is_refused(vault: Vault, tmp_path: Path) -> None:
    with pytest.raises(ConflictError, match="there is a vault in"):
        begin_vault(vault.folder, CONFIG)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    with pytest.raises(ConflictError, match="is not empty") as caught:
        begin_vault(tmp_path / "full", CONFIG)
    assert caught.value.hint is not None
    assert [one.name for one in (tmp_path / "full").iterdir()] == ["thesis.txt"]
    for place in (tmp_path / "full" / "thesis.txt", tmp_path / "full" / "thesis.txt" / "below"):
        with pytest.raises((UnavailableError, ConflictError)):
            begin_vault(place, CONFIG)


@pytest.mark.parametrize("step", ["make_signing_key", "make_identity", "open_database", "end"])
def test_beginning_that_was_interrupted_is_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    folder = tmp_path / "vault"

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    if step == "end":
        begin_vault(folder, CONFIG).close()
    else:
        with monkeypatch.context() as patch:
            patch.setattr(module, step, die)
            with pytest.raises(KeyboardInterrupt):
                begin_vault(folder, CONFIG)
    keys = {path: path.read_bytes() for path in folder.glob("keys/*")}
    (folder / ".tally-left").write_bytes(b"half a fi")
    with pytest.raises(NotFoundError, match="no vault in"):
        open_vault(folder)
    vault = begin_vault(folder, CONFIG)
    finish_vault(vault)
    vault.close()
    assert {path: path.read_bytes() for path in keys} == keys
    open_vault(folder).close()


def test_place_without_a_vault_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for place in (tmp_path, tmp_path / "none", tmp_path / "file", tmp_path / ("x" * 300)):
        with pytest.raises(NotFoundError, match="no vault in") as caught:
            open_vault(place)
        assert caught.value.hint is not None
        assert "tally init" in caught.value.hint


def test_damaged_settings_are_told_with_their_place(vault: Vault) -> None:
    (vault.folder / SETTINGS).write_text("wanted = 'two'")
    with pytest.raises(MalformedError, match=r"tallystick\.toml: wanted is 'two'"):
        open_vault(vault.folder)


def test_lost_or_damaged_database_is_told_and_not_made_anew(vault: Vault) -> None:
    vault.records.add(stored(), START)
    vault.close()
    path = vault.folder / "vault.sqlite"
    content = path.read_bytes()
    path.unlink()
    with pytest.raises(NotFoundError, match="no such database"):
        open_vault(vault.folder)
    path.write_bytes(content[:100] + bytes(len(content) - 100))
    with pytest.raises((UnavailableError, MalformedError)):
        open_vault(vault.folder).records()
    path.write_bytes(b"")
    with pytest.raises(MalformedError, match="vault has no schema"):
        open_vault(vault.folder)


def test_second_schema_is_not_opened(vault: Vault) -> None:
    with sqlite3.connect(vault.folder / "vault.sqlite") as other:
        other.execute("PRAGMA user_version = 1000")
    other.close()
    with pytest.raises(MalformedError, match="vault has schema 1000"):
        open_vault(vault.folder)


def test_file_of_a_write_that_was_killed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".tally-abcd1234").write_bytes(b"half")
    begin_vault(tmp_path, CONFIG).close()
