"""A time axis in UTC, from seconds to millennia, with ticks that fall on round times.

>>> day = datetime(2026, 6, 8, tzinfo=UTC)
>>> axis = make_axis([day, day + timedelta(days=4)], [])
>>> [tick.label for tick in ticks(axis)]
['2026-06-08', '2026-06-09', '2026-06-10', '2026-06-11', '2026-06-12']
>>> [tick.label for tick in ticks(make_axis([day], []))][:2]
['23:59:30 2026-06-07', '23:59:45 2026-06-07']

Positions are fractions of the axis, 0 to 1. Where a picture puts them is left to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 5, tzinfo=UTC)
"""A Monday, so that ticks a week apart are Mondays."""

_MINUTE, _HOUR, _DAY = 60, 3600, 86400
_SECONDS = (
    *(1, 2, 5, 10, 15, 30),
    *(n * _MINUTE for n in (1, 2, 5, 10, 15, 30)),
    *(n * _HOUR for n in (1, 2, 3, 6, 12)),
    *(n * _DAY for n in (1, 2, 7, 14)),
)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 600, 1200, 2400, 6000, 12000, 60000)
_MONTH_SECONDS = 30.4 * _DAY

_FIRST = (datetime.min.replace(tzinfo=UTC) - EPOCH).total_seconds()
_LAST = (datetime.max.replace(tzinfo=UTC) - EPOCH).total_seconds()
_LEAST_SPAN = 60.0
"""Seconds: a single moment is drawn in the minute around it."""
_STRETCH = 2.0
"""How many times its own span the axis of proven times grows to hold other times. One claim of
1970 must not press everything proven into a corner."""


@dataclass(frozen=True, slots=True)
class Axis:
    """From ``start`` to ``stop``, in seconds since EPOCH; ``start < stop``."""

    start: float
    stop: float

    def place(self, time: datetime) -> float:
        """Where ``time`` is: 0 to 1; a time off the axis is at its end."""
        return min(1.0, max(0.0, (_seconds(time) - self.start) / (self.stop - self.start)))

    def holds(self, time: datetime) -> bool:
        """Whether ``time`` is on the axis."""
        return self.start <= _seconds(time) <= self.stop


@dataclass(frozen=True, slots=True)
class Tick:
    """One tick; ``label`` is its time, cut to what the step between ticks needs."""

    place: float
    label: str


def make_axis(proven: Sequence[datetime], others: Sequence[datetime]) -> Axis | None:
    """An axis that holds every ``proven`` time, and of the ``others`` those not far away.

    None when there is no time at all.
    """
    inner = sorted(_seconds(time) for time in proven or others)
    if not inner:
        return None
    start, stop = inner[0], inner[-1]
    reach = max(stop - start, _LEAST_SPAN) * _STRETCH
    near = [s for s in map(_seconds, others) if start - reach <= s <= stop + reach]
    start, stop = min([start, *near]), max([stop, *near])
    pad = max((stop - start) * 0.08, (_LEAST_SPAN - (stop - start)) / 2)
    return Axis(max(_FIRST, start - pad), min(_LAST, stop + pad))


def ticks(axis: Axis, most: int = 6) -> list[Tick]:
    """At most ``most`` ticks at round times, ascending."""
    span = axis.stop - axis.start
    for step in _SECONDS:
        if span / step < most:
            return [_tick(axis, time, step) for time in _every_seconds(axis, step)]
    months = next((n for n in _MONTHS if span / (n * _MONTH_SECONDS) < most), _MONTHS[-1])
    return [_tick(axis, time, months * _MONTH_SECONDS) for time in _every_months(axis, months)]


def _every_seconds(axis: Axis, step: int) -> Iterator[datetime]:
    second = -int(-axis.start // step) * step
    while second <= axis.stop:
        yield EPOCH + timedelta(seconds=second)
        second += step


def _every_months(axis: Axis, step: int) -> Iterator[datetime]:
    first = EPOCH + timedelta(seconds=axis.start)
    month = (first.year * 12 + first.month - 1) // step * step
    while month // 12 <= 9999:
        if month >= 12:
            time = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
            if _seconds(time) > axis.stop:
                return
            if axis.holds(time):
                yield time
        month += step


def _tick(axis: Axis, time: datetime, step: float) -> Tick:
    date, clock = time.isoformat()[:10], time.isoformat()[11:19]
    if step < _MINUTE:
        label = f"{clock} {date}"
    elif step < _DAY:
        label = f"{clock[:5]} {date}"
    elif step < 28 * _DAY:
        label = date
    else:
        label = date[:7] if step < 300 * _DAY else date[:4]
    return Tick(axis.place(time), label)


def _seconds(time: datetime) -> float:
    return (time - EPOCH).total_seconds()
