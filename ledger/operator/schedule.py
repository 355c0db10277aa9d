"""What a hosted ledger does by itself: stamps while something waits for one, a daily heartbeat.

One thread makes rounds. Each round sees whether the tree grew, appends a cover if nothing was
appended for a day, and gives pending stamps a try; whom the stamper may ask, and how often, it
knows itself (its minimum interval, and what each TSA last answered). Twice a day it fetches
revocation material that could not be had before.

Checkpoints need no schedule: each group of entries is answered under a checkpoint that covers it.
An entry waits for no others: its group is whatever came while the one before was committed.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from ledger.doors.client import Ledger, StampReport
from ledger.errors import LedgerError, NotFoundError
from ledger.operator.diary import Diary, Wait
from ledger.record.record import cover_entry, heartbeat_due
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import parse_note

LONGEST_PAUSE_SECONDS = 30.0
"""Between two rounds: to this a stamp is late, and the time noted for a wait."""

SHORTEST_PAUSE_SECONDS = 1.0

RECAPTURE = timedelta(hours=12)
"""Between two visits of all tokens: a list of revocations is issued once or twice a day."""

Append = Callable[[Sequence[bytes]], Sequence[int]]
"""Appends entries durably and gives their indexes: the service's one way in."""


class Schedule:
    """Makes rounds for ``ledger``, writing into ``diary``, from ``start`` until ``stop``.

    ``stamp_interval``: the stamper's minimum interval, by which the pause between rounds goes.
    ``each_round`` is called at the end of each and raises nothing.
    What fails with a LedgerError in one round is told by ``faults`` and tried again in the next.
    """

    def __init__(
        self,
        ledger: Ledger,
        append: Append,
        diary: Diary,
        *,
        stamp_interval: timedelta,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        each_round: Callable[[], object] = lambda: None,
    ) -> None:
        self._ledger = ledger
        self._each_round = each_round
        self._append = append
        self._diary = diary
        self._clock = clock
        self._random_bytes = random_bytes
        seconds = stamp_interval.total_seconds()
        self.pause_seconds = min(max(seconds, SHORTEST_PAUSE_SECONDS), LONGEST_PAUSE_SECONDS)
        self._size: int | None = None
        self._latest: datetime | None = None
        self._recaptured: datetime | None = None
        self._report: StampReport | None = None
        self._faults: dict[str, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="schedule")

    @property
    def report(self) -> StampReport | None:
        """What came of the last try for stamps, with what is pending and why; None: none yet."""
        return self._report

    @property
    def faults(self) -> Mapping[str, str]:
        """What failed in the last round, and how: ``heartbeat``, ``stamp``, ``capture``.

        ``schedule``: there are no rounds any more, though nobody stopped them.
        """
        started = self._thread.ident is not None
        if started and not self.running and not self._stopping.is_set():
            return {**self._faults, "schedule": "it ended by a fault, which is in the log"}
        return dict(self._faults)

    @property
    def running(self) -> bool:
        """Whether the thread makes its rounds."""
        return self._thread.is_alive()

    def start(self) -> None:
        """Start the thread; its first round is at once. Once only."""
        self._thread.start()

    def stop(self) -> None:
        """Have no further round, and wait for the one that is being made.

        A TSA that was just asked is waited for, as long as the stamper waits.
        """
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.round()
            self._stopping.wait(self.pause_seconds)

    def round(self) -> None:
        """One round, now. For the thread; and for tests, which have no thread then."""
        self._try("heartbeat", self._heartbeat)
        self._try("stamp", self._stamp)
        self._try("capture", self._recapture)
        self._each_round()

    def _try(self, task: str, act: Callable[[], None]) -> None:
        try:
            act()
        except LedgerError as error:
            self._faults[task] = str(error)
        else:
            self._faults.pop(task, None)

    def _head_size(self) -> int:
        try:
            return parse_checkpoint(parse_note(self._ledger.checkpoint()).text).size
        except NotFoundError:
            return 0

    def _heartbeat(self) -> None:
        now, size = self._clock(), self._head_size()
        if self._size is None:
            # What was appended while nobody looked is not known to the minute: of it counts what
            # the diary has, so that a cover may come early and never late.
            self._latest = self._diary.latest()
        elif size != self._size:
            self._latest = now
        self._size = size
        if heartbeat_due(self._latest, now):
            secret = self._random_bytes(32)
            # If we die after this line, the next round appends what is queued.
            self._diary.add_cover(cover_entry(secret), secret, now)
            self._latest = now
        if queued := self._diary.queued():
            self._diary.place(queued, self._append(queued))
            self._size = self._head_size()

    def _stamp(self) -> None:
        self._note_wait()
        self._report = self._ledger.stamp()

    def _note_wait(self) -> None:
        """Note the first tree that waits, if none noted before still waits."""
        size, last = self._head_size(), self._diary.last_wait()
        if last is not None and not self._ledger.stamps(last.size):
            return
        if size and not self._ledger.stamps(size):
            self._diary.note_wait(Wait(size, self._clock()))

    def _recapture(self) -> None:
        now = self._clock()
        if self._recaptured is None or abs(now - self._recaptured) >= RECAPTURE:
            self._recaptured = now
            self._ledger.recapture()
