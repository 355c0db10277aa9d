"""One thread appends for many: whatever waits is committed as one group, and answered together.

A durable commit costs the same for one entry as for thousands, so that under load the group grows
until the disk keeps up (a single append then waits for the commit before its own, and its own).
"""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from ledger.errors import UnavailableError

MAX_GROUP = 1 << 15
"""Entries in one commit at most: 2 MiB, some 60 ms. Beyond it those who wait longest go first."""

MAX_WAITING = 1 << 18
"""Entries that may wait: 16 MiB, a few seconds of work. More are refused at once, not queued."""


class Appender(Protocol):
    """What the batcher wants of a ledger."""

    def append(self, entries: Sequence[bytes]) -> tuple[int, ...]:
        """Append durably; the indexes."""

    def checkpoint(self) -> bytes:
        """The newest signed file."""


@dataclass(frozen=True, slots=True)
class Committed:
    """The indexes of one caller's entries, in order, and a signed file that covers them."""

    indexes: tuple[int, ...]
    checkpoint: bytes


@dataclass(frozen=True, slots=True)
class Group:
    """One commit, for whoever counts: its callers, its entries, and how long it took."""

    callers: int
    entries: int
    seconds: float


LINGER_SECONDS = 0.001
"""A group waits for so long for more, again and again as long as more come: a commit hands the
interpreter over at each of its calls of the disk, and among threads that work would take four times
as long. Alone, an entry waits a millisecond."""

LONGEST_LINGER_SECONDS = 0.01
"""However many come: those who came first wait no longer."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    entries: Sequence[bytes]
    answer: "Future[Committed]"


class Batcher:
    """Appends to ``ledger`` in a thread of its own, from construction to ``close``.

    ``observe`` is told of each group that was committed. What an append raises, whatever it is,
    goes to everyone whose entries were in it; the next group is tried all the same.
    """

    def __init__(self, ledger: Appender, observe: Callable[[Group], None] = lambda _: None) -> None:
        self._ledger = ledger
        self._observe = observe
        self._changed = threading.Condition()
        self._queue: list[_Waiting] = []
        self._waiting = 0
        self._closed = False
        self._after_each: Callable[[], object] = lambda: None
        self._thread = threading.Thread(target=self._run, name="batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Entries that wait for their commit."""
        return self._waiting

    @property
    def running(self) -> bool:
        """Whether it takes entries."""
        return self._thread.is_alive() and not self._closed

    def submit(self, entries: Sequence[bytes]) -> "Future[Committed]":
        """Queue ``entries``, 64 bytes each; the answer is there once they are durable.

        They go into one commit, in their order, unless the answer was cancelled by then.
        UnavailableError, at once, if too many wait or ``close`` was called; in the answer,
        whatever the ledger raises.
        """
        answer: Future[Committed] = Future()
        with self._changed:
            if self._closed:
                raise UnavailableError("the ledger is stopping", hint="try again shortly")
            if self._waiting + len(entries) > MAX_WAITING:
                raise UnavailableError(
                    f"{self._waiting} entries wait already", hint="try again in some seconds"
                )
            self._queue.append(_Waiting(entries, answer))
            self._waiting += len(entries)
            if len(self._queue) == 1:
                self._changed.notify()
        return answer

    def after_each(self, call: Callable[[], object]) -> None:
        """Have ``call`` called, in the batcher's thread, after each group was answered."""
        self._after_each = call

    def close(self) -> None:
        """Take no more, commit what waits, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join()

    def _run(self) -> None:
        while group := self._next_group():
            self._commit(group)
            self._after_each()

    def _next_group(self) -> list[_Waiting]:
        """What goes into the next commit; empty once closed and nothing waits."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            self._linger()
            count = size = 0
            for one in self._queue:
                if count and size + len(one.entries) > MAX_GROUP:
                    break
                count, size = count + 1, size + len(one.entries)
            group, self._queue = self._queue[:count], self._queue[count:]
            self._waiting -= size
            return group

    def _linger(self) -> None:
        """Wait for others who are about to come; what is full, or the last, is not waited with."""
        until = time.monotonic() + LONGEST_LINGER_SECONDS
        waiting = 0
        while waiting < self._waiting < MAX_GROUP and time.monotonic() < until:
            waiting = self._waiting
            if self._closed or self._changed.wait(LINGER_SECONDS):
                return

    def _commit(self, group: Sequence[_Waiting]) -> None:
        # From here on none can be cancelled.
        group = [one for one in group if one.answer.set_running_or_notify_cancel()]
        if not group:
            return
        try:
            committed = self._append(group)
        except BaseException as error:  # noqa: BLE001 - raised wherever an answer is waited for
            for one in group:
                one.answer.set_exception(error)
            return
        for one, answer in zip(group, committed, strict=True):
            one.answer.set_result(answer)

    def _append(self, group: Sequence[_Waiting]) -> list[Committed]:
        """What each of ``group`` is answered."""
        entries = [entry for one in group for entry in one.entries]
        started = time.perf_counter()
        # If we die before this returns, nobody was told; those who send again get what is there by
        # then.
        indexes = iter(self._ledger.append(entries))
        checkpoint = self._ledger.checkpoint()
        self._observe(Group(len(group), len(entries), time.perf_counter() - started))
        return [Committed(tuple(islice(indexes, len(one.entries))), checkpoint) for one in group]
