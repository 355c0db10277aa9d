"""The picture of days: everything within its frame, and nothing that is not there."""

from datetime import date, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ledger.operator.gaps import Day
from service.chart import HEIGHT, LEFT, PANEL, WIDTH, draw

FIRST = date(2026, 3, 1)


def days(values: list[tuple[int, int | None]]) -> list[Day]:
    return [
        Day(FIRST + timedelta(days=n), entries, None if wait is None else timedelta(seconds=wait))
        for n, (entries, wait) in enumerate(values)
    ]


@given(
    st.lists(
        st.tuples(st.integers(0, 2**63), st.none() | st.integers(0, 10**8)),
        min_size=1,
        max_size=40,
    )
)
def test_bars_stay_in_their_panels_one_for_each_day_with_anything(
    values: list[tuple[int, int | None]],
) -> None:
    chart = draw(days(values))
    for panel, shown in (
        (chart.entries, [entries for entries, _ in values]),
        (chart.waits, [wait or 0 for _, wait in values]),
    ):
        assert len(panel.bars) == sum(map(bool, shown))
        assert panel.top == max(shown)
        for bar in panel.bars:
            assert LEFT <= bar.x < bar.x + bar.width <= WIDTH
            assert bar.height > 0
            assert panel.y - 1e-6 <= bar.y + 0.05
            assert bar.y + bar.height <= panel.base + 0.1
        assert panel.base <= HEIGHT
        if panel.bars:
            assert max(bar.height for bar in panel.bars) == PANEL


def test_today_has_its_date_and_dates_do_not_crowd() -> None:
    chart = draw(days([(1, None)] * 30))
    assert [name for _, name in chart.dates] == [
        *("2026-03-30", "2026-03-24", "2026-03-18", "2026-03-12", "2026-03-06"),
    ]
    places = [x for x, _ in chart.dates]
    assert min(a - b for a, b in pairwise(places)) > 80


def test_higher_bar_is_more() -> None:
    first, second, third = draw(days([(1, None), (50, None), (100, None)])).entries.bars
    assert first.height < second.height < third.height
    assert second.height == PANEL / 2
