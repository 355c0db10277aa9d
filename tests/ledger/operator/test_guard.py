import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.errors import ConflictError, MalformedError, UnavailableError
from ledger.operator.guard import Guard


@pytest.fixture
def guard(tmp_path: Path) -> Iterator[Guard]:
    with closing(Guard(tmp_path / "guard.db")) as guard:
        yield guard


def test_a_new_guard_has_signed_nothing(guard: Guard) -> None:
    assert guard.latest() is None
    assert guard.file(0) is None


def test_a_swapped_file_is_kept_after_opening_again(guard: Guard, tmp_path: Path) -> None:
    assert guard.swap(None, 0, b"zero") == b"zero"
    assert guard.swap(0, 5, b"five") == b"five"
    with closing(Guard(tmp_path / "guard.db")) as again:
        assert again.latest() == b"five"
        assert (again.file(0), again.file(5), again.file(3)) == (b"zero", b"five", None)


def test_the_guard_never_gives_two_files_for_one_size(guard: Guard) -> None:
    guard.swap(None, 3, b"first")
    for expected in (None, 3, 2, 7):
        assert guard.swap(expected, 3, b"second") == b"first"
    guard.swap(3, 4, b"next")
    assert guard.swap(4, 3, b"third") == b"first"
    assert guard.file(3) == b"first"


def test_a_swap_that_expects_another_size_conflicts(guard: Guard) -> None:
    with pytest.raises(ConflictError, match="guard is at size None, want 0"):
        guard.swap(0, 1, b"one")
    guard.swap(None, 2, b"two")
    for expected in (None, 0, 1, 3):
        with pytest.raises(ConflictError):
            guard.swap(expected, 4, b"four")
    assert guard.latest() == b"two"


def test_a_swap_to_a_size_that_was_passed_conflicts(guard: Guard) -> None:
    guard.swap(None, 5, b"five")
    with pytest.raises(ConflictError, match="passed"):
        guard.swap(5, 4, b"four")
    assert guard.file(4) is None


def test_of_many_swappers_at_once_all_get_the_same_file(guard: Guard, tmp_path: Path) -> None:
    answers: list[bytes] = []
    guards = [guard, *(Guard(tmp_path / "guard.db") for _ in range(3))]
    barrier = threading.Barrier(len(guards))

    def swap(own: Guard, number: int) -> None:
        barrier.wait(timeout=60)
        answers.append(own.swap(None, 1, b"file %d" % number))

    threads = [threading.Thread(target=swap, args=(g, i)) for i, g in enumerate(guards)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for own in guards[1:]:
        own.close()
    assert len(answers) == len(guards)
    assert set(answers) == {guard.file(1)}


def test_a_kept_file_can_be_neither_changed_nor_deleted(guard: Guard, tmp_path: Path) -> None:
    guard.swap(None, 1, b"one")
    with closing(sqlite3.connect(tmp_path / "guard.db")) as database:
        for statement in ("UPDATE signed SET file = x'00'", "DELETE FROM signed"):
            with pytest.raises(sqlite3.IntegrityError, match="never"):
                database.execute(statement)
    assert guard.latest() == b"one"


def test_a_database_of_another_kind_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "other.db")) as database:
        database.execute("CREATE TABLE other (x)")
    with pytest.raises(MalformedError, match="schema"):
        Guard(tmp_path / "other.db")


def test_a_guard_that_cannot_be_asked_is_unavailable(guard: Guard, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "guard.db")) as database:
        database.execute("DROP TABLE signed")
    with pytest.raises(UnavailableError):
        guard.latest()
    with pytest.raises(UnavailableError):
        guard.swap(None, 1, b"one")
    with pytest.raises(UnavailableError):
        Guard(tmp_path)  # a folder
