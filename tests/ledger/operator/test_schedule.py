"""The schedule, round by round over a real ledger: a heartbeat a day, stamps, and what fails."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event

import pytest

from ledger.doors.http import NoAnswer
from ledger.errors import UnavailableError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.diary import Diary, Wait
from ledger.operator.guard import Guard
from ledger.operator.local import LocalLedger
from ledger.operator.schedule import LONGEST_PAUSE_SECONDS, SHORTEST_PAUSE_SECONDS, Schedule
from ledger.operator.stamper import Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.record.record import cover_entry
from tests.sequencer_checks import KEYS, entries

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TSA = DevelopmentTsa.create("one", lambda: NOW)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


@dataclass
class Clock:
    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now


@dataclass
class OneTsa:
    """A development TSA that can be out of reach."""

    inner: DevelopmentTsa
    fault: NoAnswer | None = None
    name: str = "one"
    asked: int = 0

    def ask(self, request: bytes) -> bytes | NoAnswer:
        self.asked += 1
        return self.inner.ask(request) if self.fault is None else self.fault


@dataclass
class Hosted:
    """A ledger with its diary; ``schedule`` opens a schedule over it as a new process would."""

    folder: Path
    clock: Clock = field(default_factory=Clock)
    interval: timedelta = timedelta(0)

    def __post_init__(self) -> None:
        self.tsa = OneTsa(replace(TSA, clock=self.clock))
        self.guard, self.diary = Guard(self.folder / "g"), Diary(self.folder / "d")
        self.appending: Exception | None = None
        self.drawn = 0
        self.store = MemoryStore()
        stamper = Stamper(
            self.store,
            [self.tsa],
            wanted=1,
            minimum_interval=self.interval,
            clock=self.clock,
            random_bytes=lambda size: bytes(range(1, size + 1)),
        )
        self.ledger = LocalLedger(self.store, self.guard, KEYS, stamper, [TSA.root])

    def schedule(self) -> Schedule:
        return Schedule(
            self.ledger,
            self.append,
            self.diary,
            stamp_interval=self.interval,
            clock=self.clock,
            random_bytes=self.draw,
        )

    def draw(self, size: int) -> bytes:
        self.drawn += 1
        return bytes([self.drawn] * size)

    def append(self, new: Sequence[bytes]) -> Sequence[int]:
        if self.appending is not None:
            raise self.appending
        return self.ledger.append(new)

    def indexes(self) -> list[int | None]:
        """Where the covers are."""
        return [cover.index for cover in self.diary.covers()]


@pytest.fixture
def hosted(tmp_path: Path) -> Iterator[Hosted]:
    made = Hosted(tmp_path)
    yield made
    made.diary.close()
    made.guard.close()


def test_new_ledger_begins_with_a_stamped_cover_whose_secret_is_kept(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    schedule.round()
    (cover,) = hosted.diary.covers()
    assert (cover.index, cover.made, cover.entry) == (0, NOW, cover_entry(cover.secret))
    assert schedule.report is not None
    assert schedule.report.complete
    assert [stamp.size for stamp in hosted.ledger.stamps()] == [1]
    assert schedule.faults == {}


def test_a_day_without_appends_gets_one_cover(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    schedule.round()
    hosted.clock.now = NOW + DAY - MINUTE
    schedule.round()
    assert hosted.indexes() == [0]
    hosted.clock.now = NOW + DAY
    schedule.round()
    schedule.round()
    assert hosted.indexes() == [0, 1]
    hosted.clock.now = NOW + 2 * DAY
    schedule.round()
    assert hosted.indexes() == [0, 1, 2]
    assert [stamp.size for stamp in hosted.ledger.stamps()] == [1, 2, 3]


def test_a_day_with_appends_needs_no_cover(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    schedule.round()
    hosted.clock.now = NOW + 23 * HOUR
    hosted.ledger.append(entries(0, 1))
    schedule.round()
    hosted.clock.now = NOW + 46 * HOUR
    schedule.round()
    assert hosted.indexes() == [0]
    hosted.clock.now = NOW + 47 * HOUR
    schedule.round()
    assert hosted.indexes() == [0, 2]


def test_after_a_restart_the_diary_tells_when_a_cover_is_due(hosted: Hosted) -> None:
    hosted.schedule().round()
    hosted.clock.now = NOW + HOUR
    hosted.ledger.append(entries(0, 1))
    hosted.schedule().round()
    hosted.clock.now = NOW + DAY
    hosted.schedule().round()
    assert hosted.indexes() == [0]
    hosted.clock.now = NOW + DAY + HOUR
    hosted.schedule().round()
    assert hosted.indexes() == [0, 2]


def test_cover_that_could_not_be_appended_is_told_of_and_appended_later(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    hosted.appending = UnavailableError("the disk is full")
    schedule.round()
    schedule.round()
    assert hosted.indexes() == [None]
    assert schedule.faults == {"heartbeat": "the disk is full"}
    hosted.appending = None
    hosted.schedule().round()
    assert hosted.indexes() == [0]
    schedule.round()
    assert schedule.faults == {}


def test_cover_that_was_appended_before_a_crash_keeps_its_index(hosted: Hosted) -> None:
    secret = b"c" * 32
    hosted.diary.add_cover(cover_entry(secret), secret, NOW)
    hosted.ledger.append([cover_entry(secret)])
    hosted.schedule().round()
    assert hosted.indexes() == [0]


def test_clock_that_was_years_ahead_does_not_silence_the_heartbeat(hosted: Hosted) -> None:
    hosted.clock.now = NOW + 3000 * DAY
    hosted.schedule().round()
    hosted.clock.now = NOW
    hosted.schedule().round()
    assert hosted.indexes() == [0, 1]


def test_wait_is_noted_once_while_a_tsa_is_out_of_reach(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    schedule.round()
    assert hosted.diary.waits() == (Wait(1, NOW),)
    hosted.tsa.fault = NoAnswer("timeout", "no answer")
    for minutes in (1, 2, 3):
        hosted.clock.now = NOW + minutes * MINUTE
        hosted.ledger.append(entries(minutes, minutes + 1))
        schedule.round()
    assert hosted.diary.waits() == (Wait(1, NOW), Wait(2, NOW + MINUTE))
    assert schedule.report is not None
    assert schedule.report.pending == (("one", "timeout: no answer"),)
    hosted.tsa.fault = None
    hosted.clock.now = NOW + HOUR
    schedule.round()
    assert [stamp.size for stamp in hosted.ledger.stamps()] == [1, 4]
    schedule.round()
    assert len(hosted.diary.waits()) == 2


def test_stamp_interval_is_kept_however_many_rounds_there_are(tmp_path: Path) -> None:
    hosted = Hosted(tmp_path, interval=10 * MINUTE)
    schedule = hosted.schedule()
    for minute in range(21):
        hosted.clock.now = NOW + minute * MINUTE
        hosted.ledger.append(entries(minute, minute + 1))
        schedule.round()
    assert [stamp.size for stamp in hosted.ledger.stamps()] == [2, 12, 22]
    assert hosted.tsa.asked == 3
    assert schedule.pause_seconds == LONGEST_PAUSE_SECONDS
    hosted.diary.close()
    hosted.guard.close()


def test_thread_makes_its_first_round_at_once_and_stops_when_told(hosted: Hosted) -> None:
    schedule = hosted.schedule()
    assert schedule.pause_seconds == SHORTEST_PAUSE_SECONDS
    appended = Event()
    append = hosted.append

    def tell(new: Sequence[bytes]) -> Sequence[int]:
        try:
            return append(new)
        finally:
            appended.set()

    schedule = Schedule(
        hosted.ledger,
        tell,
        hosted.diary,
        stamp_interval=HOUR,
        clock=hosted.clock,
        random_bytes=hosted.draw,
    )
    running = [schedule.running]
    schedule.start()
    assert appended.wait(30)
    running.append(schedule.running)
    schedule.stop()
    running.append(schedule.running)
    assert running == [False, True, False]
    # The round that was begun is made to its end.
    assert hosted.indexes() == [0]
    assert [stamp.size for stamp in hosted.ledger.stamps()] == [1]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_schedule_that_ended_by_a_fault_of_ours_says_so(hosted: Hosted) -> None:
    hosted.appending = RuntimeError("a fault nobody foresaw")
    schedule = hosted.schedule()
    assert schedule.faults == {}
    schedule.start()
    schedule._thread.join(30)
    assert schedule.faults == {"schedule": "it ended by a fault, which is in the log"}
    schedule.stop()
    assert schedule.faults == {}


def test_schedule_that_was_never_started_can_be_stopped(hosted: Hosted) -> None:
    hosted.schedule().stop()
