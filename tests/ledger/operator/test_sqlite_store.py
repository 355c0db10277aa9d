import multiprocessing
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, NotFoundError, UnavailableError
from ledger.operator.store import sqlite
from ledger.operator.store.protocol import Store
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.merkle import leaf_hash, root_of_leaves
from tests.store_contract import StoreContract, entry, extend


class TestSqliteStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path) -> Iterator[Store]:
        with closing(SqliteStore(tmp_path / "store.db")) as store:
            yield store

    @pytest.fixture
    def open_again(self, store: Store, tmp_path: Path) -> Iterator[Callable[[], Store]]:
        opened: list[SqliteStore] = []

        def again() -> Store:
            opened.append(SqliteStore(tmp_path / "store.db", create=False))
            return opened[-1]

        yield again
        for store in opened:
            store.close()


def write_until(path: Path, first: int, size: int) -> None:
    """A process of its own that appends, going on after each conflict, to ``size`` entries."""
    with closing(SqliteStore(path)) as store:
        for number in range(first, first + 1000):
            while True:
                if store.head().size >= size:
                    return
                try:
                    extend(store, [entry(number)])
                    break
                except ConflictError:
                    continue


def test_two_processes_writing_at_once_make_one_log(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    context = multiprocessing.get_context("spawn")
    writers = [
        context.Process(target=write_until, args=(path, 1000 * number, 60)) for number in range(2)
    ]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0]
    with closing(SqliteStore(path)) as store:
        head = store.head()
        entries = store.entries(0, head.size)
    assert head.size >= 60
    assert len(set(entries)) == head.size
    assert head.root == root_of_leaves([leaf_hash(e) for e in entries])


def test_the_whole_log_is_there_after_closing_and_opening_again(tmp_path: Path) -> None:
    with closing(SqliteStore(tmp_path / "store.db")) as store:
        head = extend(store, [entry(i) for i in range(1000)])
    with closing(SqliteStore(tmp_path / "store.db", create=False)) as store:
        assert store.head() == head
        assert store.entries(0, 1000) == tuple(entry(i) for i in range(1000))


def test_the_lookup_is_filled_in_rounds_and_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "LOOKUP_ROWS", 7)
    with closing(SqliteStore(tmp_path / "store.db")) as store:
        extend(store, [entry(i) for i in range(20)])
        assert store.find(entry(19)) == 19
        extend(store, [entry(i) for i in range(20, 50)])
    with closing(SqliteStore(tmp_path / "store.db")) as store:
        assert store.find_each([entry(i) for i in range(51)]) == (*range(50), None)


def test_a_lost_row_of_entries_is_not_found_rather_than_skipped(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(SqliteStore(path)) as store:
        for number in range(4):
            extend(store, [entry(number)])
        with closing(sqlite3.connect(path)) as database:
            database.execute("DELETE FROM bundles WHERE start = 2")
            database.commit()
        assert store.entries(0, 2) == (entry(0), entry(1))
        for start, stop in ((0, 4), (2, 3), (1, 3)):
            with pytest.raises(NotFoundError):
                store.entries(start, stop)


def test_a_database_that_is_not_there_is_not_made_unless_asked(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        SqliteStore(tmp_path / "none.db", create=False)
    assert not (tmp_path / "none.db").exists()


def test_a_database_of_another_kind_or_version_is_refused(tmp_path: Path) -> None:
    for name, statement in (("a", "CREATE TABLE other (x)"), ("b", "PRAGMA user_version = 99")):
        with closing(sqlite3.connect(tmp_path / name)) as database:
            database.execute(statement)
            database.commit()
        with pytest.raises(MalformedError, match="schema"):
            SqliteStore(tmp_path / name)


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database at all, but long enough to be looked at" * 20)
    with pytest.raises(UnavailableError):
        SqliteStore(tmp_path / "text")


def test_a_table_that_is_gone_makes_the_store_unavailable(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    with closing(SqliteStore(path)) as store:
        with closing(sqlite3.connect(path)) as database:
            database.execute("DROP TABLE tiles")
        with pytest.raises(UnavailableError):
            extend(store, [entry(1)])
        assert store.head().size == 0


def test_of_many_entries_alike_in_their_first_bytes_only_some_are_looked_at(tmp_path: Path) -> None:
    """Whoever chooses entries can make them alike: what they cost does not grow with them."""
    alike = [b"8 bytes!" + bytes([number]) for number in range(2 * sqlite.ALIKE)]
    with closing(SqliteStore(tmp_path / "store.sqlite")) as store:
        extend(store, [*alike, entry(1)])
        found = store.find_each([*alike, entry(1)])
    assert found[: sqlite.ALIKE] == tuple(range(sqlite.ALIKE))
    assert found[sqlite.ALIKE : -1] == (None,) * sqlite.ALIKE
    assert found[-1] == len(alike)
