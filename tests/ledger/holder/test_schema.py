"""The vault's migrations: from nothing, from each older version, and never from a newer one."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlite_utils import Database

from ledger.doors.sqlite import open_database
from ledger.errors import MalformedError, UnavailableError
from ledger.holder import schema
from ledger.holder.schema import MIGRATIONS, migrate


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = open_database(tmp_path / "vault.sqlite")
    yield database
    database.close()


def version(database: Database) -> int:
    return int(database.execute("PRAGMA user_version").fetchone()[0])


def tables(database: Database) -> dict[str, str]:
    rows = database.execute("SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL")
    return dict(rows.fetchall())


def test_an_empty_database_is_brought_to_the_newest_version(database: Database) -> None:
    migrate(database, create=True)
    assert version(database) == len(MIGRATIONS)
    assert {"notebooks", "records", "covers"} <= tables(database).keys()
    before = tables(database)
    migrate(database, create=False)
    assert tables(database) == before


@pytest.mark.parametrize("old", range(1, len(MIGRATIONS) + 1))
def test_each_older_version_comes_to_the_same_schema(tmp_path: Path, old: int) -> None:
    new = open_database(tmp_path / "new.sqlite")
    migrate(new, create=True)
    aged = open_database(tmp_path / "old.sqlite")
    for statements in MIGRATIONS[:old]:
        for statement in statements:
            aged.execute(statement)
    aged.execute(f"PRAGMA user_version = {old}")
    migrate(aged, create=False)
    assert tables(aged) == tables(new)
    assert version(aged) == version(new)
    new.close()
    aged.close()


def test_an_empty_database_is_no_vault_unless_one_is_made(database: Database) -> None:
    with pytest.raises(MalformedError, match="no schema"):
        migrate(database, create=False)


def test_a_newer_version_is_refused(database: Database) -> None:
    migrate(database, create=True)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    with pytest.raises(MalformedError, match="want at most") as raised:
        migrate(database, create=True)
    assert "newer version" in str(raised.value.hint)


def test_a_migration_that_fails_leaves_the_version_before_it(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrate(database, create=True)
    before = tables(database)
    broken = ("CREATE TABLE half (one INTEGER)", "CREATE TABLE records (again INTEGER)")
    monkeypatch.setattr(schema, "MIGRATIONS", (*MIGRATIONS, broken))
    with pytest.raises((UnavailableError, sqlite3.Error)):
        migrate(database, create=False)
    assert version(database) == len(MIGRATIONS)
    assert tables(database) == before
