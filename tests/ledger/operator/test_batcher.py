"""One thread for many callers: groups, their order, errors, and an end that answers everybody."""

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import closing

import pytest

from ledger.errors import ConflictError, UnavailableError
from ledger.operator.batcher import MAX_GROUP, MAX_WAITING, Batcher, Committed, Group

SECONDS = 30.0
"""For what happens at once, on a machine that is busy."""


class Log:
    """A ledger that keeps what it is given, once ``go``; ``errors``: what its nth append raises."""

    def __init__(self) -> None:
        self.appended: list[list[bytes]] = []
        self.size = 0
        self.began, self.go = threading.Event(), threading.Event()
        self.errors: dict[int, BaseException] = {}

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        self.began.set()
        assert self.go.wait(SECONDS)
        self.appended.append(list(entries))
        if (error := self.errors.get(len(self.appended))) is not None:
            raise error
        start, self.size = self.size, self.size + len(entries)
        return tuple(range(start, self.size))

    def checkpoint(self) -> bytes:
        return b"size %d" % self.size


@pytest.fixture
def log() -> Log:
    return Log()


@pytest.fixture
def groups() -> list[Group]:
    return []


@pytest.fixture
def batcher(log: Log, groups: list[Group]) -> Iterator[Batcher]:
    made = Batcher(log, groups.append)
    yield made
    log.go.set()
    made.close()


def entries(count: int, first: int = 0) -> list[bytes]:
    return [number.to_bytes(64, "big") for number in range(first, first + count)]


@pytest.fixture
def busy(batcher: Batcher, log: Log) -> Batcher:
    """It commits one entry, and does not come to an end with it before ``log.go``."""
    batcher.submit(entries(1, 999))
    assert log.began.wait(SECONDS)
    return batcher


def test_those_who_wait_are_committed_together_in_the_order_they_came(
    busy: Batcher, log: Log, groups: list[Group]
) -> None:
    answers = [busy.submit(entries(count, 10 * count)) for count in (2, 1, 3)]
    assert busy.waiting == 6
    assert not any(answer.done() for answer in answers)
    log.go.set()
    assert [answer.result(SECONDS) for answer in answers] == [
        Committed((1, 2), b"size 7"),
        Committed((3,), b"size 7"),
        Committed((4, 5, 6), b"size 7"),
    ]
    assert log.appended == [entries(1, 999), [*entries(2, 20), *entries(1, 10), *entries(3, 30)]]
    assert [(group.callers, group.entries) for group in groups] == [(1, 1), (3, 6)]
    assert all(group.seconds >= 0 for group in groups)
    assert busy.waiting == 0


def test_callers_in_threads_of_their_own_each_get_their_indexes(busy: Batcher, log: Log) -> None:
    got: dict[int, Committed] = {}

    def call(number: int) -> None:
        got[number] = busy.submit(entries(3, 3 * number)).result(SECONDS)

    threads = [threading.Thread(target=call, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    log.go.set()
    for thread in threads:
        thread.join(SECONDS)
    flat = [entry for group in log.appended for entry in group]
    for number in range(8):
        assert [flat[index] for index in got[number].indexes] == entries(3, 3 * number)


def test_a_group_has_its_limit_and_those_beyond_it_go_next(busy: Batcher, log: Log) -> None:
    half = entries(MAX_GROUP // 2)
    answers = [busy.submit(half) for _ in range(3)]
    log.go.set()
    assert [len(answer.result(SECONDS).indexes) for answer in answers] == [len(half)] * 3
    assert [len(group) for group in log.appended] == [1, MAX_GROUP, len(half)]


def test_one_caller_with_more_than_a_group_is_not_split(busy: Batcher, log: Log) -> None:
    answer = busy.submit(entries(1) * (MAX_GROUP + 1))
    log.go.set()
    assert len(answer.result(SECONDS).indexes) == MAX_GROUP + 1
    assert len(log.appended) == 2


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("closed"),
        UnavailableError("no disk"),
        ValueError("63 bytes"),
        KeyError("a fault of ours"),
        MemoryError(),
        SystemExit(1),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_an_append_raises_reaches_each_caller_and_the_next_group_is_tried(
    busy: Batcher, log: Log, groups: list[Group], error: BaseException
) -> None:
    log.errors[2] = error
    answers = [busy.submit(entries(1)), busy.submit(entries(2, 1))]
    log.go.set()
    for answer in answers:
        assert answer.exception(SECONDS) is error
    assert busy.running
    assert busy.submit(entries(1, 7)).result(SECONDS) == Committed((1,), b"size 2")
    assert [group.entries for group in groups] == [1, 1]


def test_whoever_counts_and_fails_at_it_keeps_nobody_waiting(log: Log) -> None:
    def count(group: Group) -> None:
        raise ZeroDivisionError

    log.go.set()
    with closing(Batcher(log, count)) as batcher:
        for _ in range(2):
            with pytest.raises(ZeroDivisionError):
                batcher.submit(entries(1)).result(SECONDS)
    assert log.size == 2


def test_caller_that_cancelled_while_it_waited_is_left_out(busy: Batcher, log: Log) -> None:
    gone, stays = busy.submit(entries(2)), busy.submit(entries(1, 5))
    assert gone.cancel()
    log.go.set()
    assert stays.result(SECONDS).indexes == (1,)
    with pytest.raises(CancelledError):
        gone.result(SECONDS)
    assert log.appended[1:] == [entries(1, 5)]


def test_caller_whose_entries_are_being_committed_cannot_cancel(batcher: Batcher, log: Log) -> None:
    answer = batcher.submit(entries(1))
    assert log.began.wait(SECONDS)
    assert not answer.cancel()
    log.go.set()
    assert answer.result(SECONDS).indexes == (0,)


def test_too_many_that_wait_are_refused_at_once_and_taken_again_later(
    busy: Batcher, log: Log
) -> None:
    answer = busy.submit(entries(1) * MAX_WAITING)
    with pytest.raises(UnavailableError, match=f"^{MAX_WAITING} entries wait already$"):
        busy.submit(entries(1))
    assert busy.waiting == MAX_WAITING
    log.go.set()
    answer.result(SECONDS)
    assert busy.submit(entries(1)).result(SECONDS).indexes == (MAX_WAITING + 1,)


def test_close_commits_what_waits_and_takes_no_more(busy: Batcher, log: Log) -> None:
    answers = [busy.submit(entries(1, number)) for number in range(3)]
    closer = threading.Thread(target=busy.close)
    closer.start()
    while busy.running:
        closer.join(0.001)
    with pytest.raises(UnavailableError, match="stopping"):
        busy.submit(entries(1))
    assert not any(answer.done() for answer in answers)
    log.go.set()
    closer.join(SECONDS)
    assert [answer.result(0).indexes for answer in answers] == [(1,), (2,), (3,)]
    assert not busy._thread.is_alive()
    busy.close()


def test_close_of_one_that_did_nothing_ends_its_thread(log: Log) -> None:
    batcher = Batcher(log)
    assert batcher.running
    batcher.close()
    assert not batcher._thread.is_alive()
    assert log.appended == []


def test_all_who_cancelled_leave_nothing_to_append(
    busy: Batcher, log: Log, groups: list[Group]
) -> None:
    assert busy.submit(entries(2, 10)).cancel()
    log.go.set()
    busy.close()
    assert len(log.appended) == len(groups) == 1


class Clock:
    """Time that passes only while somebody waits, a thousandth of a second each time."""

    def __init__(self, batcher: Batcher, comes: list[int]) -> None:
        self.batcher, self.comes, self.seconds = batcher, comes, 0.0

    def monotonic(self) -> float:
        return self.seconds

    def wait(self, _: float) -> bool:
        """Instead of the condition's: what ``comes`` next is there, and nobody was told."""
        self.seconds += 0.001
        self.batcher._waiting += self.comes.pop(0) if self.comes else 0
        return False


@pytest.mark.parametrize(
    ("there", "comes", "waits"),
    [
        (1, [], 1),  # nobody else comes
        (1, [1, 1, 1], 4),  # as long as more come
        (1, [1] * 100, 10),  # and no longer than the longest
        (MAX_GROUP, [1], 0),  # a full group goes at once
        (1, [MAX_GROUP], 1),
    ],
)
def test_a_group_lingers_as_long_as_more_come(
    log: Log, monkeypatch: pytest.MonkeyPatch, there: int, comes: list[int], waits: int
) -> None:
    batcher = Batcher(log)
    batcher.close()
    batcher._closed = False
    clock = Clock(batcher, list(comes))
    monkeypatch.setattr("ledger.operator.batcher.time", clock)
    monkeypatch.setattr(batcher._changed, "wait", clock.wait)
    batcher._waiting = there
    batcher._linger()
    assert round(clock.seconds * 1000) == waits
