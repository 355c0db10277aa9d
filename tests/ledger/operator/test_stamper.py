"""Stamps: each TSA gives one answer or one reason; what came is kept, what is missing is asked."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from ledger.doors.client import Stamp
from ledger.errors import UnavailableError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.stamper import KIND, Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.timestamp.token import check_token, parse_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Asked:
    """A TSA that counts what it is asked, and can be out of reach or answer nonsense."""

    name: str
    clock: Clock
    fault: str | bytes | None = None
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = DevelopmentTsa.create(self.name, lambda: NOW - timedelta(days=1000))
        self.inner = replace(made, clock=self.clock)

    def ask(self, request: bytes) -> bytes:
        self.requests.append(request)
        if isinstance(self.fault, str):
            raise UnavailableError(self.fault)
        return self.fault if self.fault is not None else self.inner.ask(request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tsas(clock: Clock) -> list[Asked]:
    return [Asked("one", clock), Asked("two", clock)]


@pytest.fixture
def make(clock: Clock, tsas: list[Asked]) -> Callable[..., Stamper]:
    store = MemoryStore()

    def make_stamper(wanted: int = 2, interval: float = 0, count: int = 2) -> Stamper:
        return Stamper(
            store,
            tsas[:count],
            wanted=wanted,
            minimum_interval=timedelta(seconds=interval),
            clock=clock,
            random_bytes=lambda size: bytes(range(1, size + 1)),
        )

    return make_stamper


def test_each_tsa_is_asked_once_and_its_answer_kept(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    for _ in range(2):
        report = stamper.stamp(5, b"signed file")
        assert (report.size, report.answered, report.pending) == (5, ("one", "two"), ())
        assert report.complete
    assert [len(tsa.requests) for tsa in tsas] == [1, 1]
    for stamp in stamper.stamps():
        assert stamp.size == 5
        token = parse_token(stamp.response)
        check_token(token, imprint=token.imprint)


def test_missing_answer_is_pending_with_its_reason_and_asked_for_again_over_the_same_file(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    tsas[0].fault = "no route"
    report = stamper.stamp(5, b"signed file")
    assert not report.complete
    assert report.answered == ("two",)
    assert report.pending == (("one", "unreachable: no route"),)
    tsas[0].fault = None
    assert make().stamp(5, b"signed file").complete
    assert [len(tsa.requests) for tsa in tsas] == [2, 1]


def test_answer_that_does_not_hold_is_not_kept(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    tsas[0].fault = b"nonsense"
    [(name, reason)] = stamper.stamp(5, b"signed file").pending
    assert name == "one"
    assert reason
    assert [stamp.tsa for stamp in stamper.stamps()] == ["two"]
    # An answer to another question is no answer.
    tsas[0].fault = tsas[0].inner.ask(tsas[1].requests[0])[:-1]
    assert stamper.stamp(5, b"signed file").answered == ("two",)


def test_no_more_are_asked_than_are_wanted_for_a_complete_stamp(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    tsas[1].fault = "no route"
    assert make(wanted=1).stamp(5, b"signed file").complete
    assert make(wanted=1).stamp(5, b"signed file").pending == ()
    assert len(tsas[1].requests) == 1


def test_fewer_tsas_than_wanted_are_said_and_never_complete(make: Callable[..., Stamper]) -> None:
    for _ in range(2):
        report = make(wanted=2, count=1).stamp(5, b"signed file")
        assert not report.complete
    assert report.pending == (("another TSA", "few-tsas: only 1 configured, want 2"),)


def test_next_size_waits_for_the_interval_but_a_retry_does_not(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock
) -> None:
    stamper = make(interval=60)
    tsas[1].fault = "no route"
    stamper.stamp(5, b"signed file")
    clock.time += timedelta(seconds=30)
    report = stamper.stamp(6, b"another file")
    reason = "interval: one stamp per 60 s, the next from 12:01:00 UTC"
    assert report.pending == (("one", reason), ("two", reason))
    tsas[1].fault = None
    assert stamper.stamp(5, b"signed file").complete
    clock.time += timedelta(seconds=60)
    assert stamper.stamp(6, b"another file").complete


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=400)])
def test_clock_that_was_set_back_does_not_hold_stamps_up(
    make: Callable[..., Stamper], clock: Clock, back: timedelta
) -> None:
    stamper = make(interval=60)
    stamper.stamp(5, b"signed file")
    clock.time -= back
    assert stamper.stamp(6, b"another file").complete


def test_interval_of_days_is_told_in_full(make: Callable[..., Stamper], clock: Clock) -> None:
    stamper = make(interval=2 * 86400)
    stamper.stamp(5, b"signed file")
    clock.time += timedelta(seconds=1)
    [(_, reason), _] = stamper.stamp(6, b"another file").pending
    assert reason.startswith("interval: one stamp per 172800 s")


def test_stamps_come_by_size_from_the_one_asked_for(make: Callable[..., Stamper]) -> None:
    stamper = make()
    for size in (9, 5):
        stamper.stamp(size, b"file %d" % size)
    assert [stamp.size for stamp in stamper.stamps()] == [5, 5, 9, 9]
    assert [stamp.size for stamp in stamper.stamps(6)] == [9, 9]
    assert isinstance(stamper.stamps()[0], Stamp)
    assert KIND == "stamp"
