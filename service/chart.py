"""A small picture of days: bars of entries above, bars of waits below; numbers only, no markup."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from ledger.operator.gaps import Day

WIDTH, HEIGHT = 640, 246
LEFT, RIGHT = 96, 32
"""Room for the numbers beside the bars, and for half of the last date."""
TOPS = (24, 154)
"""Where the two panels begin; between them stand the dates."""
PANEL = 84
LABELS = 5
"""Dates below the bars: more would run into each other."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A rectangle, in the picture's units."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Bars over a common base; ``top``: what the highest stands for, in its own unit."""

    y: int
    base: int
    top: int
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Chart:
    """Both panels and the dates between them (x, ISO date), and the sizes of it all."""

    entries: Panel
    waits: Panel
    dates: tuple[tuple[float, str], ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def draw(days: Sequence[Day]) -> Chart:
    """The picture of ``days``, one or more, oldest first; waits are in seconds."""
    step = (WIDTH - LEFT - RIGHT) / len(days)
    entries = [one.entries for one in days]
    waits = [round((one.delay or timedelta(0)).total_seconds()) for one in days]
    middles = [LEFT + step * (number + 0.5) for number in range(len(days))]
    every = max(1, -(-len(days) // LABELS))
    # Counted from the last, so that today has its date.
    dated = range(len(days) - 1, -1, -every)
    return Chart(
        _panel(TOPS[0], entries, step),
        _panel(TOPS[1], waits, step),
        tuple((round(middles[number], 1), days[number].day.isoformat()) for number in dated),
    )


def _panel(y: int, values: Sequence[int], step: float) -> Panel:
    top = max(values)
    bars = []
    for number, value in enumerate(values):
        # A day with anything is seen, however little it is beside the highest.
        height = max(1.5, PANEL * value / top) if value else 0.0
        x = LEFT + step * (number + 0.15)
        bars.append(Bar(round(x, 1), round(y + PANEL - height, 1), round(step * 0.7, 1), height))
    return Panel(y, y + PANEL, top, tuple(bar for bar in bars if bar.height))
