import statistics

import pytest

from ledger.operator import repeats
from ledger.operator.repeats import START_SLOTS, Repeats


def entry(number: int) -> bytes:
    return number.to_bytes(8, "big") * 8


def test_an_entry_seen_before_is_always_returned() -> None:
    table = Repeats()
    assert table.sift([entry(i) for i in range(1, 1000)]) == []
    wanted = [entry(5), entry(2000), entry(999), entry(1)]
    assert table.sift(wanted) == [entry(5), entry(999), entry(1)]


def test_a_repeat_within_one_call_is_returned() -> None:
    assert Repeats().sift([entry(1), entry(2), entry(1)]) == [entry(1)]


def test_the_table_forgets_nothing_when_it_grows() -> None:
    table = Repeats()
    count = START_SLOTS + 1  # two doublings
    entries = [(i * 0x9E3779B97F4A7C15 % 2**64).to_bytes(8, "big") * 8 for i in range(count)]
    assert table.sift(entries[:10]) == []
    assert table.sift(entries[10:]) == []
    assert len(table) == count
    assert table.sift(entries) == entries
    assert len(table) == count


def test_entries_that_collide_in_the_table_are_kept_apart() -> None:
    table = Repeats()
    collide = [entry(1 + i * START_SLOTS) for i in range(50)]
    assert table.sift(collide[::2]) == []
    assert table.sift(collide) == collide[::2]


@pytest.mark.parametrize("number", [0, 1, 2**64 - 1])
def test_the_least_and_greatest_prefixes_are_known(number: int) -> None:
    table = Repeats()
    assert table.sift([entry(number)]) == []
    assert table.sift([entry(number)]) == [entry(number)]


def test_entries_of_another_length_or_too_many_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Repeats()
    with pytest.raises(ValueError, match="64 bytes"):
        table.sift([b"short"])
    monkeypatch.setattr(repeats, "MAX_ENTRIES", 3)
    with pytest.raises(ValueError, match="at most 3"):
        table.sift([entry(i) for i in range(4)])


def test_whoever_chooses_entries_cannot_have_them_all_begin_at_one_slot() -> None:
    """Alike in the low bits, or in steps: no long run of slots in use, which a look would walk."""
    for step in (1, 1 << 20, 1 << 40, 1 << 50):
        chosen = [(step * number % (1 << 64)).to_bytes(8, "big") * 8 for number in range(1, 8193)]
        # One table in a thousand draws an unlucky multiplier; nobody can choose for most of them.
        assert statistics.median(longest_run(chosen) for _ in range(5)) < 200


def longest_run(entries: list[bytes]) -> int:
    table = Repeats()
    assert table.sift(entries) == []
    return max(map(len, "".join("x" if slot else " " for slot in table._slots).split()))
