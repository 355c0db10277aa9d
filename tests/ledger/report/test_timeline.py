import xml.etree.ElementTree as ET
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.proof.verdict import Verdict
from ledger.report.axis import make_axis, ticks
from ledger.report.timeline import MAX_ROWS, MAX_TSAS, draw_timeline

T = datetime(2026, 6, 8, 9, 30, 4, tzinfo=UTC)
SVG = "{http://www.w3.org/2000/svg}"

times = st.datetimes(timezones=st.just(UTC))


def test_the_picture_is_one_svg_that_a_screen_reader_can_tell(verdict: Verdict) -> None:
    root = _root(verdict)
    assert root.tag == f"{SVG}svg"
    assert root.get("role") == "img"
    described = [root.find(f"{SVG}title"), root.find(f"{SVG}desc")]
    assert root.get("aria-labelledby") == " ".join(
        str(e.get("id")) for e in described if e is not None
    )
    desc = root.findtext(f"{SVG}desc") or ""
    assert "no later than 2026-06-08 09:30:05 UTC" in desc  # rounded outward
    assert "no earlier than 2026-06-08 09:30:04 UTC" in desc


def test_every_record_has_a_row_in_order(verdict: Verdict) -> None:
    labels = [
        e.text or "" for e in _root(verdict).iter(f"{SVG}text") if e.get("font-weight") == "600"
    ]
    assert labels == [
        "1 · withheld · entry 1",
        "2 · withheld · entry 2",
        "3 · 第12批 · final · entry 3",
    ]


def test_a_withheld_record_is_hatched_and_says_so_in_chinese(verdict: Verdict) -> None:
    text = draw_timeline(verdict, "zh")
    assert text.count('fill="url(#timeline-hatch)"') == 3  # two records and the legend
    assert "1 · 未披露 · 登记项 1" in text


def test_a_missing_lower_bound_is_drawn_open_and_said(verdict: Verdict) -> None:
    text = draw_timeline(verdict, "en")
    assert text.count('fill="url(#timeline-from)"') == 1
    assert "no lower bound" in text


def test_a_missing_upper_bound_is_drawn_open_and_said(verdict: Verdict) -> None:
    records = tuple(replace(r, not_before=T, not_after=None) for r in verdict.records)
    text = draw_timeline(replace(verdict, records=records), "en")
    assert text.count('fill="url(#timeline-on)"') == 3
    assert "no upper bound" in text


def test_a_claimed_time_is_labelled_as_a_claim(verdict: Verdict) -> None:
    assert "◇ claimed 2026-07-01 09:30:04 UTC" in draw_timeline(verdict, "en")


def test_bounds_that_fall_together_still_have_a_bar_that_can_be_seen(verdict: Verdict) -> None:
    together = tuple(
        replace(r, not_before=T, not_after=T + timedelta(seconds=n), opened=True)
        for n, r in enumerate(verdict.records)
    )
    far = replace(together[2], not_after=T + timedelta(days=4000))
    root = _root(replace(verdict, records=(*together[:2], far)))
    bars = [float(e.get("width", "0")) for e in root.iter(f"{SVG}rect") if e.get("height") == "14"]
    assert min(bars) >= 8


def test_bounds_that_contradict_each_other_are_said_to(verdict: Verdict) -> None:
    record = replace(verdict.records[2], not_before=T + timedelta(days=9), not_after=T)
    assert "the bounds contradict" in draw_timeline(replace(verdict, records=(record,)), "en")


def test_a_claim_of_long_ago_does_not_press_what_is_proven_into_a_corner(verdict: Verdict) -> None:
    record = replace(verdict.records[2], claimed_time=datetime(1970, 1, 1, tzinfo=UTC))
    root = _root(replace(verdict, records=(record,)))
    bar = next(e for e in root.iter(f"{SVG}rect") if e.get("height") == "14")
    assert float(bar.get("width", "0")) > 300
    assert "claimed 1970-01-01" in draw_timeline(replace(verdict, records=(record,)), "en")


def test_the_picture_needs_no_script_style_font_or_link(verdict: Verdict) -> None:
    for element in _root(verdict).iter():
        assert element.tag not in {f"{SVG}script", f"{SVG}style", f"{SVG}a", f"{SVG}image"}
        assert not any(name == "style" or name.startswith("on") for name in element.attrib)
        assert not any("href" in name for name in element.attrib)


def test_names_of_a_bundle_are_escaped_cut_and_shown_safely(verdict: Verdict) -> None:
    title = "<script>\u202e" + "长" * 400
    record = replace(verdict.records[2], title=title)
    tokens = tuple(replace(t, tsa='"><b>\x00') for t in verdict.tokens)
    root = _root(replace(verdict, records=(record,), tokens=tokens))
    shown = [e.text or "" for e in root.iter(f"{SVG}text")]
    assert max(map(len, shown)) < 140
    assert all(text.isprintable() for text in shown)


def test_too_many_records_and_tsas_are_counted_instead_of_drawn(verdict: Verdict) -> None:
    records = (verdict.records[0],) * (MAX_ROWS + 5)
    tokens = tuple(replace(verdict.tokens[0], tsa=f"T{n}") for n in range(MAX_TSAS + 9))
    text = draw_timeline(replace(verdict, records=records, tokens=tokens), "en")
    assert "and 5 more records" in text
    assert "other TSAs: 9 counted" in text


def test_nothing_to_draw_is_drawn(verdict: Verdict) -> None:
    for language in ("en", "zh"):
        assert draw_timeline(replace(verdict, records=(), tokens=()), language)


@given(st.lists(times, max_size=4), st.lists(times, max_size=4), st.integers(2, 12))
def test_any_times_make_an_axis_with_few_ticks_in_order(
    proven: list[datetime], others: list[datetime], most: int
) -> None:
    axis = make_axis(proven, others)
    if axis is None:
        assert not proven
        assert not others
        return
    found = ticks(axis, most)
    places = [tick.place for tick in found]
    assert len(found) <= most + 1
    assert places == sorted(set(places))
    assert all(0 <= place <= 1 for place in places)
    assert all(axis.holds(time) for time in proven)


@pytest.mark.parametrize(
    ("span", "first"),
    [
        (timedelta(seconds=40), "09:30:00 2026-06-08"),
        (timedelta(minutes=40), "09:30 2026-06-08"),
        (timedelta(hours=40), "12:00 2026-06-08"),
        (timedelta(days=40), "2026-06-08"),
        (timedelta(days=400), "2026-07"),
        (timedelta(days=4000), "2030"),
        (timedelta(days=400_000), "2000"),
    ],
)
def test_ticks_stand_at_round_times_from_seconds_to_centuries(span: timedelta, first: str) -> None:
    axis = make_axis([T, T + span], [])
    assert axis is not None
    assert 2 <= len(ticks(axis)) <= 7
    assert ticks(axis)[0].label == first


def _root(verdict: Verdict) -> ET.Element:
    return ET.fromstring(draw_timeline(verdict, "en"))
