"""Gaps, from the times of stamps: nobody writes an outage down, so it shows in what is missing."""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ledger.doors.client import Stamp
from ledger.errors import UnavailableError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.diary import Diary, Stamped, Wait
from ledger.operator.gaps import (
    GRACE,
    LATE,
    PARTIAL,
    SILENT,
    Gap,
    StampTimes,
    by_day,
    find_gaps,
    first_stamps,
)
from ledger.timestamp.request import format_request
from tests.ledger.operator.test_local import TSA

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def at(hours: float) -> datetime:
    return NOW + hours * HOUR


def both(size: int, hours: float) -> list[Stamped]:
    return [Stamped(size, name, at(hours)) for name in ("one", "two")]


def gaps(stamped: Sequence[Stamped], waits: Sequence[Wait] = (), now: float = 0) -> tuple[Gap, ...]:
    return find_gaps(
        stamped,
        waits,
        tsas=["one", "two"],
        wanted=2,
        stamp_interval=timedelta(minutes=10),
        now=at(now),
    )


def test_stamp_a_day_is_no_gap() -> None:
    assert gaps([*both(1, -72), *both(2, -48), *both(3, -24)]) == ()
    assert gaps([]) == ()


def test_more_than_a_day_without_a_stamp_is_silence_whatever_was_the_reason() -> None:
    stamped = [*both(1, -72), *both(2, -20)]
    assert gaps(stamped) == (Gap(SILENT, at(-72), at(-20), 2),)


def test_silence_that_lasts_has_no_end() -> None:
    assert gaps(both(5, -30)) == (Gap(SILENT, at(-30), None, 5),)
    assert gaps(both(5, -26)) == ()


def test_entries_that_waited_too_long_are_late_and_only_by_the_services_word() -> None:
    stamped = [*both(1, -20), *both(9, -10)]
    assert gaps(stamped, [Wait(1, at(-20)), Wait(2, at(-19))]) == (Gap(LATE, at(-19), at(-10), 2),)
    assert gaps(stamped, [Wait(1, at(-20)), Wait(2, at(-11))]) == ()


def test_entries_that_still_wait_are_late_without_an_end() -> None:
    assert gaps(both(1, -20), [Wait(2, at(-3))]) == (Gap(LATE, at(-3), None, 2),)
    assert gaps(both(1, -20), [Wait(2, at(-1))]) == ()


def test_wait_within_a_silence_is_not_told_twice() -> None:
    assert gaps([*both(1, -72), *both(2, -20)], [Wait(2, at(-70))]) == (
        Gap(SILENT, at(-72), at(-20), 2),
    )


def test_trees_that_too_few_tsas_stamped_are_one_gap_that_names_who_is_missing() -> None:
    one = [Stamped(size, "one", at(size - 20)) for size in (2, 3, 4)]
    stamped = [*both(1, -19), *one, *both(5, -15)]
    assert gaps(stamped) == (Gap(PARTIAL, at(-18), at(-15), 2, ("two",)),)
    assert gaps(stamped[:-2]) == (Gap(PARTIAL, at(-18), None, 2, ("two",)),)


def test_newest_tree_may_get_its_missing_token_yet() -> None:
    young = [*both(1, -9), Stamped(2, "one", NOW - GRACE)]
    assert gaps(young) == ()
    assert gaps(young, now=1) == (Gap(PARTIAL, NOW - GRACE, None, 2, ("two",)),)


def test_tsa_whose_clock_is_behind_does_not_turn_the_order_of_trees_around() -> None:
    stamped = [Stamped(1, "one", at(-5)), Stamped(2, "one", at(-6)), Stamped(3, "one", at(-4))]
    assert [one.size for one in first_stamps(stamped)] == [2, 3]


def test_days_count_entries_by_their_first_stamp() -> None:
    stamped = [*both(3, -49), *both(10, -25), *both(12, -24), *both(30, -1)]
    days = by_day(stamped, [Wait(4, at(-26)), Wait(11, at(-24.5)), Wait(31, NOW)], 3, NOW)
    assert [(one.day, one.entries) for one in days] == [
        (date(2026, 3, 8), 3),
        (date(2026, 3, 9), 9),
        (date(2026, 3, 10), 18),
    ]
    assert [one.delay for one in days] == [None, HOUR, None]


def test_days_without_stamps_are_there_and_empty() -> None:
    assert [one.entries for one in by_day([], [], 30, NOW)] == [0] * 30


class Kept:
    """A ledger of which only the stamps are asked; ``asked``: from which tree on."""

    def __init__(self) -> None:
        self.kept: list[Stamp] = []
        self.asked: list[int] = []

    def add(self, size: int, moment: datetime, name: str = "one") -> None:
        tsa = DevelopmentTsa.from_pem(TSA.to_pem(), lambda: moment)
        response = tsa.ask(format_request(bytes(32), 1 << 63))
        assert isinstance(response, bytes)
        self.kept.append(Stamp(size, name, response))

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        self.asked.append(start)
        return tuple(one for one in self.kept if one.size >= start)


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def diary(tmp_path: Path) -> Iterator[Diary]:
    made = Diary(tmp_path / "diary")
    yield made
    made.close()


def test_stamp_times_are_read_backwards_as_far_as_the_window_goes(kept: Kept, diary: Diary) -> None:
    for day in range(40, 0, -1):
        kept.add(10_000 - day * 100, NOW - day * DAY)
    ledger: Any = kept  # the rest of a ledger is not asked
    times = StampTimes(ledger, diary, 7 * DAY)
    read = times.read(9_900, NOW)
    # One before the window, so that what the first in it added is known.
    assert [one.moment for one in read] == [NOW - day * DAY for day in range(8, 0, -1)]
    assert min(kept.asked) > 5_000
    kept.add(10_000, NOW)
    kept.asked.clear()
    assert [one.size for one in times.read(10_000, NOW)][-1] == 10_000
    assert kept.asked == [9_900]


def test_stamp_times_of_an_empty_ledger_are_none(kept: Kept, diary: Diary) -> None:
    ledger: Any = kept
    times = StampTimes(ledger, diary, DAY)
    assert times.read(0, NOW) == ()
    kept.add(1, NOW)
    assert [one.size for one in times.read(1, NOW)] == [1]


def test_after_a_restart_the_diary_knows_what_was_read(kept: Kept, diary: Diary) -> None:
    for day in range(5, 0, -1):
        kept.add(100 - day, NOW - day * DAY)
    ledger: Any = kept
    read = StampTimes(ledger, diary, 9 * DAY).read(99, NOW)
    # Gone on since, while nobody read.
    kept.add(101, NOW - HOUR)
    kept.add(102, NOW)
    kept.asked.clear()
    again = StampTimes(ledger, diary, 3 * DAY).read(102, NOW)
    assert again[:-2] == read[1:]
    assert [one.size for one in again[-2:]] == [101, 102]
    assert kept.asked == [99]


def test_missing_token_of_the_newest_tree_is_found_when_it_comes(kept: Kept, diary: Diary) -> None:
    ledger: Any = kept
    kept.add(1, NOW)
    times = StampTimes(ledger, diary, DAY)
    times.read(1, NOW)
    kept.add(1, NOW + HOUR, "two")
    read = [("one", NOW), ("two", NOW + HOUR)]
    assert [(one.tsa, one.moment) for one in times.read(1, NOW + HOUR)] == read
    later = StampTimes(ledger, diary, DAY)
    assert [(one.tsa, one.moment) for one in later.read(1, NOW + HOUR)] == read


def test_diary_that_takes_nothing_hides_no_stamp_and_gets_no_hole(
    kept: Kept, diary: Diary, tmp_path: Path
) -> None:
    ledger: Any = kept
    times = StampTimes(ledger, diary, DAY)
    with closing(sqlite3.connect(tmp_path / "diary")) as connection:
        connection.execute("ALTER TABLE moments RENAME TO moved")
        kept.add(1, NOW)
        with pytest.raises(UnavailableError):
            times.read(1, NOW)
        connection.execute("ALTER TABLE moved RENAME TO moments")
        times.read(1, NOW)
        connection.execute("ALTER TABLE moments RENAME TO moved")
        kept.add(2, NOW)
        assert [one.size for one in times.read(2, NOW)] == [1, 2]
        connection.execute("ALTER TABLE moved RENAME TO moments")
    kept.add(3, NOW)
    times.read(3, NOW)
    assert [one.size for one in diary.stamped(NOW)] == [1, 2, 3]
