"""What is read beforehand for a bundle: only what it shows, and no file again and again."""

import pytest

from ledger.proof.bundle import Bundle
from ledger.proof.disclosed import shown_places
from ledger.proof.excerpted import MAX_PLACES, SeenParts, pieces_finding
from ledger.record.parts import Part, format_shown_parts, make_part_lines
from ledger.record.shown import show_lines


def shows(*places: tuple[int, int]) -> bytes:
    parts = [Part(index, *place, bytes(32)) for index, place in enumerate(places)]
    return format_shown_parts(show_lines(make_part_lines(parts, bytes), range(len(parts))))


@pytest.mark.parametrize("again", [[(0, 4), (0, 4)], [(0, 4), (3, 9)], [(4, 4), (0, 4)]])
def test_pieces_that_lie_over_one_another_have_no_file_read(again: list[tuple[int, int]]) -> None:
    first, second, third = (f"parts/{n:016x}.lines" for n in range(3))
    files = {first: shows((0, 4), (4, 2)), second: shows(*again), third: b"malformed"}
    assert shown_places(Bundle(files, {})) == ((0, 4), (4, 2))
    assert shown_places(Bundle({}, {})) == ()


def test_many_places_are_not_all_named() -> None:
    parts = tuple(Part(index, index * 10, 5, bytes(32)) for index in range(MAX_PLACES + 1))
    seen = SeenParts("lines", 99, None, parts, (), {})
    places = str(pieces_finding("x", seen, 1, 1, "").values["places"]).split(", ")
    assert (places[0], places[-2:]) == ("1-5", ["191-195", "…"])
