"""Databases: durable, one writer at a time, whole after any failure; processes take turns."""

import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlite_utils import Database

from ledger.doors import sqlite as door
from ledger.doors.sqlite import open_database, transaction, turn
from ledger.errors import NotFoundError, UnavailableError

ROOT = Path(__file__).parents[3]

HOLD = """
import sys
sys.path.insert(0, sys.argv[2])
from pathlib import Path
from ledger.doors.sqlite import turn
with turn(Path(sys.argv[1])):
    print("mine", flush=True)
    sys.stdin.read()
"""


@contextmanager
def held_by_another(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the turn at ``path`` until its stdin is closed."""
    words = [sys.executable, "-c", HOLD, str(path), str(ROOT)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"mine\n"
        yield process
        if process.poll() is None:
            process.communicate()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    made = open_database(tmp_path / "new" / "x.sqlite")
    made.conn.execute("CREATE TABLE t (n INTEGER PRIMARY KEY)")
    yield made
    made.close()


def rows(database: Database) -> list[int]:
    return [n for (n,) in database.conn.execute("SELECT n FROM t ORDER BY n")]


def test_new_database_is_durable_shared_and_its_owners_alone(database: Database) -> None:
    pragmas = {
        name: database.conn.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("journal_mode", "synchronous", "foreign_keys")
    }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
    path = Path(database.conn.execute("PRAGMA database_list").fetchone()[2])
    assert {stat.S_IMODE(one.stat().st_mode) for one in path.parent.iterdir()} == {0o600}


def test_database_that_is_not_there_is_only_made_if_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no such database"):
        open_database(tmp_path / "x.sqlite", create=False)
    assert list(tmp_path.iterdir()) == []


def test_file_that_is_no_database_is_told_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"this is text, and long enough to be no header" * 100)
    with pytest.raises(UnavailableError, match=r"cannot open .*not a database"):
        open_database(path)
    assert path.read_bytes().startswith(b"this is text")
    with pytest.raises(UnavailableError, match="cannot open"):
        open_database(tmp_path)
    with pytest.raises(UnavailableError, match="cannot open"):
        open_database(path / "below")


def test_place_where_wal_does_not_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    # In memory SQLite keeps its own journal mode, as it does on drives without shared memory.
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda _, **options: connect(":memory:", **options))
    monkeypatch.setattr(door, "_make_file", lambda _: None)
    with pytest.raises(UnavailableError, match="journal mode is memory, want wal") as caught:
        open_database(Path("x.sqlite"))
    assert caught.value.hint is not None


def test_transaction_is_whole_or_nothing(database: Database) -> None:
    with transaction(database):
        database.conn.execute("INSERT INTO t VALUES (1)")

    def fail() -> None:
        with transaction(database):
            database.conn.execute("INSERT INTO t VALUES (2)")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert rows(database) == [1]


def test_broken_rule_comes_through_and_leaves_nothing(database: Database) -> None:
    def fail() -> None:
        with transaction(database):
            database.conn.execute("INSERT INTO t VALUES (1)")
            database.conn.execute("INSERT INTO t VALUES (1)")

    with pytest.raises(sqlite3.IntegrityError):
        fail()
    assert rows(database) == []


def test_full_disk_is_told_and_the_next_transaction_works(database: Database) -> None:
    database.conn.execute("CREATE TABLE big (b BLOB)")
    database.conn.execute("PRAGMA max_page_count = 16")

    def fill() -> None:
        with transaction(database):
            database.conn.execute("INSERT INTO t VALUES (1)")
            database.conn.execute("INSERT INTO big VALUES (zeroblob(1000000))")

    with pytest.raises(UnavailableError, match="full"):
        fill()
    with transaction(database):
        database.conn.execute("INSERT INTO t VALUES (2)")
    assert rows(database) == [2]


def test_commit_that_fails_leaves_the_connection_usable(database: Database) -> None:
    database.conn.execute("CREATE TABLE p (n INTEGER PRIMARY KEY)")
    database.conn.execute(
        "CREATE TABLE c (n INTEGER REFERENCES p(n) DEFERRABLE INITIALLY DEFERRED)"
    )

    def fail() -> None:
        with transaction(database):
            database.conn.execute("INSERT INTO c VALUES (5)")

    with pytest.raises(sqlite3.IntegrityError):
        fail()
    with transaction(database):
        database.conn.execute("INSERT INTO t VALUES (2)")
    assert rows(database) == [2]


def test_second_process_waits_for_its_turn_and_then_gives_up(tmp_path: Path) -> None:
    path = tmp_path / "turn.lock"
    with held_by_another(path):
        waiting = turn(path, timeout_seconds=0.05)
        with pytest.raises(UnavailableError, match="another process has its turn") as caught:
            waiting.__enter__()
        assert caught.value.hint is not None
    with turn(path, timeout_seconds=0):
        pass


def test_turn_is_freed_when_its_holder_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "turn.lock"
    with held_by_another(path) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with turn(path, timeout_seconds=0):
            pass


def test_turn_is_freed_when_the_block_raises(tmp_path: Path) -> None:
    def fail() -> None:
        with turn(tmp_path / "turn.lock"):
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError):
        fail()
    with turn(tmp_path / "turn.lock", timeout_seconds=0):
        pass


def test_turn_at_a_place_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError, match="cannot take a turn"):
        turn(tmp_path / "file" / "turn.lock").__enter__()
