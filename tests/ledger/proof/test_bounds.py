"""Bounds by themselves: the k-th of the TSAs, passed along chains, and displayed outward."""

from datetime import UTC, datetime, timedelta
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.proof.bounds import Bounds, lower_finding, make_bounds, pass_along, upper_finding
from ledger.proof.recorded import SeenChain
from ledger.proof.stamps import CountedTime, lower_bounds, upper_bounds
from ledger.proof.verdict import Outcome
from ledger.record.chain import ChainReport

ZERO = datetime(2026, 6, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


def at(
    hour: float,
    tsa: str = "a",
    key: bytes | None = None,
    accuracy: float = 0,
    development: bool = False,
) -> CountedTime:
    return CountedTime(
        tsa=tsa,
        signer_spki=tsa.encode() if key is None else key,
        path=f"stamps/1/{tsa}.tsr",
        size=1,
        gen_time=ZERO + hour * HOUR,
        accuracy=accuracy * HOUR,
        development=development,
    )


def hours(moment: datetime | None) -> float | None:
    return None if moment is None else (moment - ZERO) / HOUR


@pytest.mark.parametrize(("k", "upper"), [(1, 2), (2, 3), (3, 9), (4, None)])
def test_the_upper_bound_is_the_k_th_smallest_of_the_tsas(k: int, upper: float | None) -> None:
    times = [at(9, "c"), at(3, "b"), at(2, "a"), at(1.5, "a", accuracy=2), at(4, "b")]
    assert hours(make_bounds(times, (), k).upper) == upper


@pytest.mark.parametrize(("k", "lower"), [(1, 9), (2, 4), (3, 2), (4, None)])
def test_the_lower_bound_is_the_k_th_latest_of_the_tsas(k: int, lower: float | None) -> None:
    times = [at(9, "c"), at(3, "b"), at(2, "a"), at(4, "a", accuracy=2.5), at(4, "b")]
    assert hours(make_bounds((), times, k).lower) == lower


def test_accuracy_widens_both_bounds() -> None:
    bounds = make_bounds([at(5, accuracy=1)], [at(2, accuracy=1)], 1)
    assert (hours(bounds.lower), hours(bounds.upper)) == (1, 6)


def test_a_signer_key_counts_once_and_so_does_a_name() -> None:
    same_key = [at(1, "a", b"k"), at(2, "b", b"k")]
    assert [time.tsa for time in upper_bounds(same_key)] == ["a"]
    assert [time.tsa for time in lower_bounds(same_key)] == ["b"]
    # what b says with a key of its own still counts
    other = [*same_key, at(3, "b", b"l")]
    assert [hours(time.latest) for time in upper_bounds(other)] == [1, 3]


TIMES = st.lists(
    st.builds(
        at, st.integers(0, 9), st.sampled_from("abc"), st.sampled_from([b"1", b"2", b"3"]),
        st.integers(0, 3),
    ),
    max_size=8,
)  # fmt: skip


@given(TIMES, st.integers(1, 3))
def test_k_names_with_k_keys_vouch_for_every_bound(times: list[CountedTime], k: int) -> None:
    bounds = make_bounds(times, times, k)
    for limit, vouches in (
        (bounds.own_upper, lambda t, when: t.latest <= when),
        (bounds.own_lower, lambda t, when: t.earliest >= when),
    ):
        if limit is None:
            continue
        good = [time for time in times if vouches(time, limit.time)]
        assert any(
            len({t.tsa for t in some}) == len({t.signer_spki for t in some}) == k
            for some in combinations(good, k)
        )


def chain(*names: str) -> SeenChain:
    return SeenChain(ChainReport("0" * 32, 1, len(names), bytes(64), len(names)), names)


def bound(upper: float | None, lower: float | None = None, development: bool = False) -> Bounds:
    over = [] if upper is None else [at(upper, development=development)]
    named = [] if lower is None else [at(lower, development=development)]
    return make_bounds(over, named, 1)


def test_upper_bounds_pass_backward_and_lower_bounds_forward() -> None:
    given_ = {"a": bound(9, 1), "b": bound(None), "c": bound(5, None), "d": bound(7, 3)}
    passed = pass_along(given_, [chain("a", "b", "c", "d")])
    assert {name: hours(one.upper) for name, one in passed.items()} == {
        "a": 5,
        "b": 5,
        "c": 5,
        "d": 7,
    }
    assert {name: hours(one.lower) for name, one in passed.items()} == {
        "a": 1,
        "b": 1,
        "c": 1,
        "d": 3,
    }


def test_bounds_stay_in_their_chain() -> None:
    given_ = {"a": bound(9), "b": bound(1), "x": bound(None)}
    passed = pass_along(given_, [chain("a"), chain("b")])
    assert [hours(passed[name].upper) for name in "abx"] == [9, 1, None]


def test_development_goes_with_the_bound_it_made() -> None:
    given_ = {"a": bound(9), "b": bound(5, development=True), "c": bound(None)}
    passed = pass_along(given_, [chain("a", "b", "c")])
    assert [passed[name].independent for name in "abc"] == [False, False, False]
    better = pass_along({"a": bound(4), "b": bound(5, development=True)}, [chain("a", "b")])
    assert better["a"].independent
    assert not better["b"].independent


def test_of_equal_bounds_its_own_is_named() -> None:
    passed = pass_along({"a": bound(5), "b": bound(5)}, [chain("a", "b")])
    assert upper_finding("a", passed["a"]).code == "proven"
    assert upper_finding("a", pass_along({"a": bound(6), "b": bound(5)}, [chain("a", "b")])["a"]
                         ).code == "chain"  # fmt: skip


def test_a_lower_bound_after_the_upper_proves_neither() -> None:
    wrong = bound(3, 4)
    assert wrong.contradictory
    assert (wrong.upper, wrong.lower, wrong.independent) == (None, None, False)
    for finding in (upper_finding("a", wrong), lower_finding("a", wrong, named=True)):
        assert (finding.code, finding.outcome) == ("contradiction", Outcome.UNCHECKED)
    assert not bound(3, 3).contradictory


def test_findings_count_what_there_is_and_what_is_needed() -> None:
    few = make_bounds([at(1)], [at(1)], 2)
    assert upper_finding("a", few).values == {"have": 1, "k": 2}
    assert lower_finding("a", few, named=True).code == "too-few"
    assert lower_finding("a", Bounds(), named=False).code == "none"
    two = make_bounds([at(1, "a"), at(2.0001, "b")], (), 2)
    values = upper_finding("a", two).values
    assert values["tsas"] == "a, b"
    assert values["first"] == "2026-06-01 01:00:00 UTC"
    assert values["time"] == "2026-06-01 02:00:01 UTC"
