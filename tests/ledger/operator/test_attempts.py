"""Attempts: one asker at a time, ever more rarely while a TSA fails, and nothing that must last."""

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from ledger.errors import NotFoundError, UnavailableError
from ledger.operator.attempts import (
    ASKING,
    FIRST_BACK_OFF,
    HOLD,
    LONGEST_BACK_OFF,
    LONGEST_RETRY_AFTER,
    MAX_TEXT_CHARACTERS,
    UNFINISHED,
    Attempts,
)

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.fixture
def attempts(tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(tmp_path / "ledger" / "attempts.sqlite")
    yield made
    made.close()


def test_attempt_that_was_begun_keeps_others_away_until_it_is_finished(attempts: Attempts) -> None:
    assert attempts.begin("one", 5, NOW) is None
    held = attempts.begin("one", 6, NOW + SECOND)
    assert held is not None
    assert (held.reason, held.size, held.started, held.again) == (ASKING, 5, NOW, NOW + HOLD)
    assert attempts.begin("two", 6, NOW) is None
    attempts.finish("one", NOW + SECOND)
    assert attempts.begin("one", 6, NOW + SECOND) is None


def test_attempt_of_a_process_that_died_is_waited_for_no_longer_than_the_hold(
    attempts: Attempts,
) -> None:
    attempts.begin("one", 5, NOW)
    assert attempts.begin("one", 5, NOW + HOLD) is None


def test_answer_is_remembered_through_later_failures(attempts: Attempts) -> None:
    attempts.begin("one", 5, NOW)
    done = attempts.finish("one", NOW + SECOND)
    assert (done.reason, done.failures, done.answered) == ("answered", 0, NOW + SECOND)
    attempts.begin("one", 6, NOW + 2 * SECOND)
    failed = attempts.finish("one", NOW + 3 * SECOND, "timeout", "no answer in time")
    assert (failed.reason, failed.text, failed.size) == ("timeout", "no answer in time", 6)
    assert (failed.failures, failed.answered) == (1, NOW + SECOND)
    assert attempts.last() == {"one": failed}


def test_back_off_doubles_to_its_bound_and_an_answer_ends_it(attempts: Attempts) -> None:
    now, waits = NOW, []
    for _ in range(30):
        assert attempts.begin("one", 5, now) is None
        ended = attempts.finish("one", now, "timeout")
        assert attempts.begin("one", 5, ended.again - timedelta(microseconds=1)) == ended
        waits.append(ended.again - now)
        now = ended.again
    assert waits[:4] == [FIRST_BACK_OFF * factor for factor in (1, 2, 4, 8)]
    assert waits[-1] == LONGEST_BACK_OFF
    attempts.begin("one", 5, now)
    assert attempts.finish("one", now).again == now
    attempts.begin("one", 6, now)
    assert attempts.finish("one", now, "timeout").again == now + FIRST_BACK_OFF


def test_minimum_interval_is_kept_after_answers_and_failures(attempts: Attempts) -> None:
    interval = timedelta(seconds=15)
    attempts.begin("one", 5, NOW)
    assert attempts.finish("one", NOW + SECOND, interval=interval).again == NOW + interval
    later = NOW + interval
    attempts.begin("one", 6, later)
    failed = attempts.finish("one", later + SECOND, "timeout", interval=interval)
    assert failed.again == later + interval


@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (None, FIRST_BACK_OFF),
        (1, FIRST_BACK_OFF),
        (90, timedelta(seconds=90)),
        (10**9, LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_honoured_up_to_its_bound(
    attempts: Attempts, asked: int | None, wait: timedelta
) -> None:
    attempts.begin("one", 5, NOW)
    ended = attempts.finish("one", NOW, "http-error", retry_after_seconds=asked)
    assert ended.again == NOW + wait
    assert attempts.begin("one", 5, NOW + wait) is None


def test_attempt_nobody_waited_for_is_no_failure(attempts: Attempts) -> None:
    for _ in range(3):
        attempts.begin("one", 5, NOW)
        attempts.finish("one", NOW, "timeout")
        attempts.forget("one")
    attempts.begin("one", 5, NOW)
    ended = attempts.finish("one", NOW, UNFINISHED)
    assert (ended.failures, ended.again) == (0, NOW + FIRST_BACK_OFF)


def test_clock_that_was_wrong_holds_nothing_up(attempts: Attempts) -> None:
    attempts.begin("one", 5, NOW + timedelta(days=4000))
    attempts.finish("one", NOW + timedelta(days=4000), "timeout")
    assert attempts.begin("one", 5, NOW) is None


def test_finish_of_what_was_not_begun_is_refused(attempts: Attempts) -> None:
    with pytest.raises(NotFoundError, match="no attempt at one"):
        attempts.finish("one", NOW)


def test_long_words_are_cut(attempts: Attempts) -> None:
    attempts.begin("one", 5, NOW)
    assert len(attempts.finish("one", NOW, "forged", "x" * 999).text) == MAX_TEXT_CHARACTERS


def test_attempts_are_found_again_by_another_process(tmp_path: Path) -> None:
    path = tmp_path / "attempts.sqlite"
    one, other = Attempts(path), Attempts(path)
    assert one.begin("one", 5, NOW) is None
    assert other.begin("one", 5, NOW) is not None
    one.close()
    assert other.last()["one"].reason == ASKING
    other.close()


def test_of_many_that_begin_at_once_one_does(tmp_path: Path) -> None:
    path, barrier = tmp_path / "attempts.sqlite", Barrier(6)
    Attempts(path).close()
    begun: list[bool] = []

    def begin() -> None:
        attempts = Attempts(path)
        barrier.wait()
        begun.append(attempts.begin("one", 5, NOW) is None)
        attempts.close()

    threads = [Thread(target=begin) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(begun) == [False] * 5 + [True]


def test_damaged_or_foreign_file_is_made_anew(tmp_path: Path) -> None:
    path = tmp_path / "attempts.sqlite"
    path.write_bytes(b"this is no database" * 1000)
    attempts = Attempts(path)
    assert attempts.last() == {}
    attempts.close()
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 7")
    connection.close()
    attempts = Attempts(path)
    assert attempts.begin("one", 5, NOW) is None
    attempts.close()


def test_file_that_cannot_be_asked_is_unavailable(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UnavailableError):
        Attempts(tmp_path / "file" / "attempts.sqlite")
    attempts = Attempts(tmp_path / "attempts.sqlite")
    attempts.close()
    with pytest.raises(UnavailableError, match="could not be asked"):
        attempts.last()
