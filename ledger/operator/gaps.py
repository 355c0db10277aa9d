"""When stamps were missing, told from the stamps that are there: outages of service or TSAs.

    silent   no stamp for longer than a heartbeat allows: the service, its line or every TSA was
             out, or its operator stopped it
    late     entries waited longer for a stamp than the interval and the TSAs' back-off explain
    partial  trees stamped by fewer TSAs than the ledger wants

``silent`` and ``partial`` follow from the tokens alone, whoever holds them; ``late`` takes the
service's own word for when the entries were there.
"""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise

from ledger.doors.client import Ledger
from ledger.errors import UnavailableError
from ledger.operator.diary import Diary, Stamped, Wait
from ledger.record.record import HEARTBEAT
from ledger.timestamp.token import parse_token

SILENT, LATE, PARTIAL = "silent", "late", "partial"

GRACE = timedelta(hours=2)
"""A TSA may ask for an hour's pause, and a service may be restarted: less is no gap."""


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without the stamps there should be. ``stop``: None while it lasts.

    ``size``: of the first tree that it concerns. ``tsas``: for ``partial``, who is missing.
    """

    kind: str
    start: datetime
    stop: datetime | None
    size: int
    tsas: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Day:
    """A UTC day: entries whose first stamp came on it, and the longest wait that ended on it.

    ``delay``: None if no wait is known to have ended on this day.
    """

    day: date
    entries: int
    delay: timedelta | None


class StampTimes:
    """The times of a ledger's stamps since ``window`` ago; each token is read once, for ever.

    ``diary``: keeps what was read for the next process. Not thread-safe.
    """

    def __init__(self, ledger: Ledger, diary: Diary, window: timedelta) -> None:
        self._ledger = ledger
        self._diary = diary
        self._window = window
        self._known: dict[tuple[int, str], Stamped] | None = None
        self._unwritten: list[Stamped] = []

    def read(self, size: int, now: datetime) -> tuple[Stamped, ...]:
        """The stamps up to now, and those of one tree before the window, smallest tree first.

        ``size``: of the newest tree. UnavailableError.
        """
        since = now - self._window
        if self._known is None:
            self._known = _by_key(self._diary.stamped(since))
        known = dict(self._known)
        if known:
            # From the newest tree on, which may have got its missing token since.
            self._take(known, max(known)[0])
        else:
            self._go_back(known, size, since)
        self._unwritten += [one for key, one in known.items() if key not in self._known]
        self._write()
        stamped = sorted(known.values(), key=lambda one: (one.size, one.moment))
        old = [one.size for one in stamped if one.moment < since]
        kept = [one for one in stamped if not old or one.size >= old[-1]]
        self._known = _by_key(kept)
        return tuple(kept)

    def _write(self) -> None:
        # All that is new in one: what the diary has is without a hole, whenever we die. If it takes
        # nothing (a full disk) it may later; the page is no worse for it.
        if self._unwritten:
            with suppress(UnavailableError):
                self._diary.note_stamped(self._unwritten)
                self._unwritten.clear()

    def _go_back(self, known: dict[tuple[int, str], Stamped], size: int, since: datetime) -> None:
        """Read from the newest tree back, at every step four times as far as before."""
        step = 256
        while True:
            start = max(0, size - step)
            self._take(known, start)
            if start == 0 or any(one.moment < since for one in known.values()):
                return
            step *= 4

    def _take(self, known: dict[tuple[int, str], Stamped], start: int) -> None:
        """Read what is new from tree ``start`` on."""
        for one in self._ledger.stamps(start):
            if (key := (one.size, one.tsa)) not in known:
                known[key] = Stamped(*key, parse_token(one.response).gen_time)


def _by_key(stamped: Iterable[Stamped]) -> dict[tuple[int, str], Stamped]:
    return {(one.size, one.tsa): one for one in stamped}


def find_gaps(
    stamped: Sequence[Stamped],
    waits: Sequence[Wait],
    *,
    tsas: Sequence[str],
    wanted: int,
    stamp_interval: timedelta,
    now: datetime,
) -> tuple[Gap, ...]:
    """The gaps that ``stamped`` and ``waits``, smallest tree first, show up to ``now``."""
    first = first_stamps(stamped)
    limit = stamp_interval + GRACE
    silent = _silent(first, HEARTBEAT + limit, now)
    late = [
        gap for gap in _late(first, waits, limit, now) if not any(_within(gap, s) for s in silent)
    ]
    partial = _partial(stamped, tsas, wanted, now - limit)
    return tuple(sorted([*silent, *late, *partial], key=lambda gap: (gap.start, gap.kind)))


def first_stamps(stamped: Sequence[Stamped]) -> tuple[Stamped, ...]:
    """The first token of each size, smallest tree first; later trees never have earlier times.

    A TSA whose clock is behind would otherwise turn the order of the trees around.
    """
    first: dict[int, Stamped] = {}
    for one in sorted(stamped, key=lambda one: (one.size, one.moment)):
        first.setdefault(one.size, one)
    ordered: list[Stamped] = []
    for one in reversed(first.values()):
        # A token over a later tree covers this one too.
        if not ordered or one.moment <= ordered[-1].moment:
            ordered.append(one)
    return tuple(reversed(ordered))


def by_day(
    stamped: Sequence[Stamped], waits: Sequence[Wait], days: int, now: datetime
) -> tuple[Day, ...]:
    """The last ``days`` UTC days up to ``now``, oldest first, by what stamps show of each.

    The log itself has no times: an entry counts on the day of its first stamp. Entries that wait
    for a stamp count on none. ``stamped`` begins before these days, or with the ledger.
    """
    first = first_stamps(stamped)
    today = now.astimezone(UTC).date()
    entries: dict[date, int] = {}
    size = 0
    for one in first:
        day = one.moment.date()
        entries[day] = entries.get(day, 0) + one.size - size
        size = one.size
    delays: dict[date, timedelta] = {}
    for wait in waits:
        if (end := _end(first, wait)) is not None:
            day = end.date()
            delays[day] = max(delays.get(day, timedelta(0)), end - wait.since)
    last = [today - timedelta(days=back) for back in reversed(range(days))]
    return tuple(Day(day, entries.get(day, 0), delays.get(day)) for day in last)


def _silent(first: Sequence[Stamped], limit: timedelta, now: datetime) -> list[Gap]:
    moments = [(one.moment, one.size) for one in first]
    gaps = [
        Gap(SILENT, before, after, size)
        for (before, _), (after, size) in pairwise(moments)
        if after - before > limit
    ]
    if moments and now - moments[-1][0] > limit:
        gaps.append(Gap(SILENT, moments[-1][0], None, moments[-1][1]))
    return gaps


def _late(
    first: Sequence[Stamped], waits: Sequence[Wait], limit: timedelta, now: datetime
) -> list[Gap]:
    gaps = []
    for wait in waits:
        end = _end(first, wait)
        if (end or now) - wait.since > limit:
            gaps.append(Gap(LATE, wait.since, end, wait.size))
    return gaps


def _end(first: Sequence[Stamped], wait: Wait) -> datetime | None:
    """When the tree that waited had its first stamp."""
    place = bisect_left(first, wait.size, key=lambda one: one.size)
    return first[place].moment if place < len(first) else None


def _within(gap: Gap, other: Gap) -> bool:
    return gap.start >= other.start and gap.stop == other.stop


def _partial(
    stamped: Sequence[Stamped], tsas: Sequence[str], wanted: int, settled: datetime
) -> list[Gap]:
    """Runs of trees with too few tokens; one that is younger than ``settled`` may get them yet."""
    by_size: dict[int, list[Stamped]] = {}
    for one in stamped:
        by_size.setdefault(one.size, []).append(one)
    gaps: list[Gap] = []
    run: list[list[Stamped]] = []
    last = max(by_size, default=0)
    for size in sorted(by_size):
        tokens = by_size[size]
        if len({one.tsa for one in tokens}) >= wanted:
            if run:
                gaps.append(_run_gap(run, tsas, tokens[0].moment))
            run = []
        elif size != last or tokens[0].moment < settled:
            run.append(tokens)
    if run:
        gaps.append(_run_gap(run, tsas, None))
    return gaps


def _run_gap(run: Sequence[Sequence[Stamped]], tsas: Sequence[str], stop: datetime | None) -> Gap:
    there = set.intersection(*({one.tsa for one in tokens} for tokens in run))
    missing = tuple(name for name in tsas if name not in there)
    return Gap(PARTIAL, run[0][0].moment, stop, run[0][0].size, missing)
