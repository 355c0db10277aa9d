"""The vault: made whole or gone on with, never made twice, and asked in words when damaged."""

import sqlite3
import stat
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.holder import vault as module
from ledger.holder.config import Config
from ledger.holder.vault import (
    SETTINGS,
    StoredRecord,
    Vault,
    begin_vault,
    finish_vault,
    open_vault,
)
from ledger.record.manifest import lines_root

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
CONFIG = Config(development=True)


def record(seq: int = 1, notebook: str = "n", **other: object) -> StoredRecord:
    fields: dict[str, object] = {
        "number": 0,
        "entry": bytes([seq]) * 64,
        "notebook": notebook,
        "chain": notebook.encode().hex().ljust(32, "0"),
        "seq": seq,
        "sdjwt": b"J~",
        "kind": "carrier",
        "stage": None,
        "title": None,
        "label": None,
        "path": f"/data/{seq}",
        "content": "00",
        "manifest": None,
        "created": "2026-03-01T12:00:00Z",
        "index": None,
    }
    return StoredRecord(**(fields | other))  # type: ignore[arg-type]  # a test names the fields


@pytest.fixture
def vault(tmp_path: Path) -> Iterator[Vault]:
    made = begin_vault(tmp_path / "vault", CONFIG)
    finish_vault(made)
    yield made
    made.close()


def test_vault_is_its_owners_alone(vault: Vault) -> None:
    assert stat.S_IMODE(vault.folder.stat().st_mode) == 0o700
    files = [path for path in vault.folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_vault_that_was_finished_opens_with_its_settings(vault: Vault) -> None:
    again = open_vault(vault.folder)
    assert again.config == CONFIG
    assert again.signing_key.private_bytes_raw() == vault.signing_key.private_bytes_raw()
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
    vault.add(record(), NOW)
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


def test_database_that_fails_while_it_is_asked_is_told(vault: Vault) -> None:
    vault._database.conn.execute("DROP TABLE covers")
    with pytest.raises(UnavailableError, match="the vault could not be asked"):
        vault.queued_covers()
    with pytest.raises(UnavailableError, match="did not take it"):
        vault.add_cover(bytes(64), bytes(32))


def test_record_is_kept_with_every_field(vault: Vault) -> None:
    wanted = record(stage="idea", title="标题", label="L", manifest="ab" * 32)
    stored = vault.add(wanted, NOW)
    assert stored.number == 1
    assert [stored] == list(vault.records()) == list(vault.records("n"))
    assert record(stage="idea", title="标题", label="L", manifest="ab" * 32, number=1) == stored
    assert vault.head("n") == stored
    assert vault.latest_of_path("/data/1") == vault.latest_of_path("/data/1", "n") == stored
    assert vault.latest_of_path("/data/1", "other") is None
    assert vault.notebooks() == ("n",)
    assert vault.chain_of("n") == stored.chain
    assert vault.head("other") is vault.chain_of("other") is None


def test_place_in_a_chain_is_taken_once(vault: Vault) -> None:
    vault.add(record(), NOW)
    with pytest.raises(ConflictError, match="is taken"):
        vault.add(record(entry=bytes(64)), NOW)
    assert len(vault.records()) == 1


def test_indexes_are_noted_for_records_and_covers(vault: Vault) -> None:
    first, second = vault.add(record(1), NOW), vault.add(record(2), NOW)
    vault.add_cover(bytes(64), bytes(32))
    assert vault.has_covers()
    assert vault.queued() == (first, second)
    assert vault.queued_covers() == (bytes(64),)
    vault.set_indexes({bytes(64): 0, first.entry: 1})
    assert vault.queued() == (second,)
    assert vault.queued_covers() == ()
    assert vault.records()[0].index == 1


def test_record_is_found_by_number_or_beginning_of_its_entry(vault: Vault) -> None:
    vault.add(record(1), NOW)
    vault.add(record(2, entry=bytes([1]) * 63 + b"\2"), NOW)
    assert vault.find("2").seq == 2
    assert vault.find(vault.records()[1].entry.hex()).seq == 2
    for reference in ("3", "00000000", "ffffffff"):
        with pytest.raises(NotFoundError, match="no record"):
            vault.find(reference)
    with pytest.raises(MalformedError, match="names 2 records"):
        vault.find("01" * 8)
    for reference in ("", "abc", "-1", "1 OR 1", "%%%%%%%%", "\uff11", "\udcff", "9" * 200):
        with pytest.raises(MalformedError, match="is not a record"):
            vault.find(reference)


def test_name_that_is_not_text_is_refused(vault: Vault) -> None:
    with pytest.raises(MalformedError, match="not utf-8"):
        vault.chain_of("caf\udce9")


def test_lines_are_kept_as_they_are_and_damage_is_told(vault: Vault) -> None:
    lines = [f"line{number}" for number in range(3000)]
    root, count = vault.write_lines([lines[:1000], lines[1000:]])
    assert (root, count) == lines_root(lines)
    assert vault.read_lines(root.hex()) == lines
    assert [path.name for path in (vault.folder / "manifests").iterdir()] == [root.hex()]
    with pytest.raises(NotFoundError):
        vault.read_lines("02" * 32)
    (vault.folder / "manifests" / root.hex()).write_bytes(b"\xff")
    with pytest.raises(MalformedError, match="damaged"):
        vault.read_lines(root.hex())


def test_second_schema_is_not_opened(vault: Vault) -> None:
    with sqlite3.connect(vault.folder / "vault.sqlite") as other:
        other.execute("PRAGMA user_version = 1000")
    other.close()
    with pytest.raises(MalformedError, match="vault has schema 1000"):
        open_vault(vault.folder)


def test_file_of_a_write_that_was_killed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".tally-abcd1234").write_bytes(b"half")
    begin_vault(tmp_path, CONFIG).close()
