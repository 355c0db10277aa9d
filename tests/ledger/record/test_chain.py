from itertools import permutations

import pytest

from ledger.errors import VerificationError
from ledger.record.chain import ChainReport, check_chain
from ledger.record.record import Link

CHAIN = "0f" * 16


def entry(number: int) -> bytes:
    return bytes([number]) * 64


def link(seq: int, *, prev: int | None = None, chain: str = CHAIN) -> tuple[Link, bytes]:
    """The link `seq` of a sound chain, or one that names the entry `prev` instead."""
    before = None if seq == 1 else entry(seq - 1 if prev is None else prev).hex()
    return Link(chain, seq, before), entry(seq)


def test_whole_chain_is_reported_in_any_order_of_its_links() -> None:
    for shown in permutations([link(1), link(2), link(3), link(4)]):
        assert check_chain(shown) == ChainReport(CHAIN, 1, 4, entry(4), 4)


def test_chain_may_be_shown_from_its_middle() -> None:
    assert check_chain([link(6), link(5)]) == ChainReport(CHAIN, 5, 6, entry(6), 2)
    assert check_chain([link(9)]) == ChainReport(CHAIN, 9, 9, entry(9), 1)


def test_one_link_given_twice_counts_once() -> None:
    assert check_chain([link(1), link(2), link(1)]).opened == 2


def test_missing_link_is_a_gap() -> None:
    with pytest.raises(VerificationError, match=r"^gap: link 3 "):
        check_chain([link(1), link(2), link(4)])


def test_two_records_at_one_place_are_a_fork() -> None:
    other = (link(2)[0], entry(99))
    with pytest.raises(VerificationError, match=r"^fork: link 2 "):
        check_chain([link(1), link(2), other, link(3)])


def test_two_first_records_are_a_fork() -> None:
    with pytest.raises(VerificationError, match=r"^fork: link 1 "):
        check_chain([link(1), (link(1)[0], entry(77))])


def test_two_records_after_one_record_are_a_fork_even_at_different_places() -> None:
    with pytest.raises(VerificationError, match=r"^fork: link 3 "):
        check_chain([link(1), link(2), link(3, prev=1)])


def test_link_that_names_another_record_does_not_match() -> None:
    with pytest.raises(VerificationError, match=r"^prev does not match: link 3 "):
        check_chain([link(1), link(2), link(3, prev=55)])


def test_fork_is_reported_before_gap_and_gap_before_prev() -> None:
    forked_and_gapped = [link(1), (link(1)[0], entry(77)), link(3)]
    with pytest.raises(VerificationError, match=r"^fork"):
        check_chain(forked_and_gapped)
    with pytest.raises(VerificationError, match=r"^gap"):
        check_chain([link(1), link(3, prev=55)])


def test_links_of_two_chains_no_links_or_short_entries_are_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="one chain"):
        check_chain([link(1), link(2, chain="00" * 16)])
    with pytest.raises(ValueError, match="one chain"):
        check_chain([])
    with pytest.raises(ValueError, match="64 bytes"):
        check_chain([(link(1)[0], b"short")])


@pytest.mark.parametrize(
    ("chain", "seq", "prev"),
    [
        ("0f", 1, None),
        ("0F" * 16, 1, None),
        (CHAIN, 0, None),
        (CHAIN, 2, None),
        (CHAIN, 1, "00" * 64),
        (CHAIN, 2, "00" * 63),
        (CHAIN, -1, "00" * 64),
        (CHAIN, 2**53, "00" * 64),
    ],
)
def test_link_outside_its_shape_cannot_be_made(chain: str, seq: int, prev: str | None) -> None:
    with pytest.raises(ValueError, match="claim link"):
        Link(chain, seq, prev)
