import json
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.record import parts as parts_module
from ledger.record.parts import (
    BYTES,
    LINES,
    PIECE_BYTES,
    Part,
    check_cover,
    check_part_line,
    count_lines,
    format_shown_parts,
    make_part_lines,
    parse_part_line,
    parse_shown_parts,
    split_bytes,
    split_cells,
    split_lines,
)
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.shown import MAX_LINE_CHARS, ShownLine, lines_root, prove_line, show_lines
from ledger.record.strict_json import MAX_INTEGER, JsonValue, format_json

TABLE = "编号,炉温\r\n1,830\n\n2,845".encode()
ROWS = ["编号,炉温\r\n".encode(), b"1,830\n", b"\n", b"2,845"]


def salts(size: int) -> bytes:
    return random.Random(7).randbytes(size)


def pieces(content: bytes, parts: Sequence[Part]) -> list[bytes]:
    """What each of ``parts`` names, having checked all that a part says."""
    found = [content[part.offset : part.stop] for part in parts]
    assert [part.index for part in parts] == list(range(len(parts)))
    assert [sha256(one).digest() for one in found] == [part.sha256 for part in parts]
    assert b"".join(found) == content
    assert all(found)
    return found


def blocks_of(content: bytes, cuts: Sequence[int]) -> list[bytes]:
    """``content`` in blocks that end at ``cuts``."""
    ends = sorted({cut % (len(content) + 1) for cut in cuts} | {0, len(content)})
    return [content[a:b] for a, b in pairwise(ends)] + [b""]


# How a file is cut


def test_lines_end_with_a_line_feed_that_they_include() -> None:
    assert pieces(TABLE, list(split_lines([TABLE]))) == ROWS
    assert pieces(b"\n\n", list(split_lines([b"\n\n"]))) == [b"\n", b"\n"]
    assert pieces("a\rb\u2028c".encode(), list(split_lines(["a\rb\u2028c".encode()])))[1:] == []


def test_an_empty_file_has_no_parts() -> None:
    assert list(split_lines([])) == list(split_lines([b""])) == list(split_bytes([b""])) == []
    assert count_lines([]) == count_lines([b"", b""]) == 0


texts = st.text(alphabet="a,\n\r配😀", max_size=60).map(str.encode)
cuts = st.lists(st.integers(0, 10**6), max_size=8)


@given(texts, cuts)
def test_lines_of_any_text_in_any_blocks_are_the_text(content: bytes, cuts: list[int]) -> None:
    parts = list(split_lines(blocks_of(content, cuts)))
    assert pieces(content, parts) == content.splitlines(keepends=True) or b"\r" in content
    assert parts == list(split_lines([content]))
    assert count_lines(blocks_of(content, cuts)) == len(parts)


@given(st.binary(max_size=60), cuts)
def test_any_bytes_are_cut_into_lines_or_refused(content: bytes, cuts: list[int]) -> None:
    try:
        content.decode()
        good = b"\0" not in content
    except UnicodeDecodeError:
        good = False
    if good:
        pieces(content, list(split_lines(blocks_of(content, cuts))))
        return
    for cut in (count_lines, lambda blocks: list(split_lines(blocks))):
        with pytest.raises(MalformedError, match="no text"):
            cut(blocks_of(content, cuts))


@pytest.mark.parametrize("bad", [b"\xff", b"ab\xe9", "配".encode()[:2], b"a\0b", b"\xed\xa0\x80"])
def test_a_file_that_is_no_text_has_no_lines(bad: bytes) -> None:
    with pytest.raises(MalformedError, match="no text"):
        list(split_lines([b"good\n", bad]))
    with pytest.raises(MalformedError, match="no text"):
        count_lines([b"good\n", bad])


@given(st.integers(0, 3 * PIECE_BYTES + 2), cuts)
def test_pieces_of_64_kib_in_any_blocks_are_the_file(size: int, cuts: list[int]) -> None:
    content = random.Random(size).randbytes(size)
    parts = list(split_bytes(blocks_of(content, cuts)))
    found = pieces(content, parts)
    assert all(len(one) == PIECE_BYTES for one in found[:-1])
    check_cover(parts, BYTES, len(parts), size)


def test_pieces_of_64_kib_at_their_edges() -> None:
    for size, want in ((1, 1), (PIECE_BYTES, 1), (PIECE_BYTES + 1, 2), (2 * PIECE_BYTES, 2)):
        assert len(pieces(bytes(size), list(split_bytes([bytes(size)])))) == want


NOTEBOOK = (
    ' {"nbformat": 4, "x": [1.5e3, {"cells": []}], "cells" :\n'
    '[ {"cell_type": "markdown", "source": ["# 配方 ], ["]} ,\n'
    '  {"cell_type": "code", "outputs": [{"a": [[[[[[[[[[[[1]]]]]]]]]]]]}]}\n,'
    '{"cell_type": "raw", "source": "}]\\"😀\\ud83d"}  ], "nbformat_minor": 5} \n'
).encode()


def test_a_piece_of_a_notebook_begins_with_its_cell_and_ends_before_the_next() -> None:
    found = pieces(NOTEBOOK, split_cells(NOTEBOOK))
    assert len(found) == 3
    assert found[0].startswith(b' {"nbformat": 4')
    assert found[0].endswith(b"]} ,\n  ")
    assert found[1].startswith(b'{"cell_type": "code"')
    assert found[1].endswith(b"\n,")
    assert found[2].startswith(b'{"cell_type": "raw"')
    assert found[2].endswith(b"} \n")


def test_notebook_of_one_cell_is_one_piece() -> None:
    content = b'{"cells": [{"cell_type": "code"}], "nbformat": 4}'
    assert pieces(content, split_cells(content)) == [content]


CELL = '{"cell_type": "code"}'


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"nbformat": 4}',
        '{"cells": [], "nbformat": 4}',
        '{"cells": {}, "nbformat": 4}',
        '{"cells": [1], "nbformat": 4}',
        '{"cells": [{}], "nbformat": 4}',
        '{"cells": [{"cell_type": 1}], "nbformat": 4}',
        f'{{"cells": [{CELL}]}}',
        f'{{"cells": [{CELL}], "nbformat": 3}}',
        f'{{"cells": [{CELL}], "nbformat": true}}',
        f'{{"cells": [{CELL}], "nbformat": 4.0}}',
        f'{{"cells": [{CELL}], "nbformat": 4, "nbformat": 4}}',
        f'{{"cells": [{CELL}], "cells": [{CELL}], "nbformat": 4}}',
        '{"cells": [{"cell_type": "a", "cell_type": "a"}], "nbformat": 4}',
        f'{{"cells": [{CELL}], "nbformat": 4, "x": NaN}}',
        f'{{"cells": [{CELL}], "nbformat": 4, }}',
        f'{{"cells": [{CELL},], "nbformat": 4}}',
        f'{{"cells": [{CELL}] "nbformat": 4}}',
        f'{{"cells": [{CELL}], "nbformat": 4}} x',
        f'{{"cells": [{CELL}], "nbformat": 4, 1: 2}}',
        f'\ufeff{{"cells": [{CELL}], "nbformat": 4}}',
        '{"cells": ' + "[" * 100_000,
    ],
)
def test_what_is_no_notebook_has_no_cells(bad: str) -> None:
    with pytest.raises(MalformedError, match="not JSON in UTF-8"):
        split_cells(bad.encode())


def test_notebook_that_is_not_utf8_is_refused() -> None:
    with pytest.raises(MalformedError, match="not JSON in UTF-8"):
        split_cells(NOTEBOOK.replace("配".encode(), b"\xff"))


def test_every_truncation_of_a_notebook_is_refused() -> None:
    whole = NOTEBOOK.rstrip()
    for length in range(len(whole)):
        with pytest.raises(MalformedError):
            split_cells(whole[:length])


def test_one_byte_changed_in_a_notebook_leaves_pieces_that_are_the_file() -> None:
    for offset in range(len(NOTEBOOK)):
        for byte in (NOTEBOOK[offset] ^ 1, ord('"'), ord("]"), 0xFF):
            changed = NOTEBOOK[:offset] + bytes([byte]) + NOTEBOOK[offset + 1 :]
            try:
                parts = split_cells(changed)
            except MalformedError:
                continue
            pieces(changed, parts)


def test_notebook_over_the_limit_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts_module, "MAX_NOTEBOOK_BYTES", len(NOTEBOOK))
    assert split_cells(NOTEBOOK)
    with pytest.raises(MalformedError, match="at most"):
        split_cells(NOTEBOOK + b" ")


cells = st.lists(
    st.fixed_dictionaries({"cell_type": st.text(), "source": st.text()}), min_size=1, max_size=5
)


@given(cells, st.sampled_from([None, 1, "\t"]), st.booleans())
def test_cells_of_any_notebook_are_the_notebook(
    made: list[dict[str, str]], indent: int | str | None, escaped: bool
) -> None:
    document = {"metadata": {"cells": [1.5]}, "cells": made, "nbformat": 4}
    content = json.dumps(document, indent=indent, ensure_ascii=escaped).encode()
    assert len(pieces(content, split_cells(content))) == len(made)


# Lines of the list


def test_line_is_canonical_json_of_salt_index_and_piece() -> None:
    part = Part(119, 4096, 17, sha256(b"row").digest())
    (text,) = make_part_lines([part], lambda size: bytes(range(size)))
    assert decode_base64url(text).decode() == (
        f'["AAECAwQFBgcICQoLDA0ODw",119,{{"offset":4096,"sha256":"{part.sha256.hex()}","size":17}}]'
    )
    assert parse_part_line(text) == part


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(1, 2**40))
def test_a_line_says_the_part_it_was_made_of(index: int, offset: int, size: int) -> None:
    part = Part(index, offset, size, bytes(range(32)))
    assert parse_part_line(make_part_lines([part], salts)[0]) == part


@pytest.mark.parametrize(
    "changes",
    [
        {"size": 0},
        {"index": -1},
        {"offset": -1},
        {"sha256": bytes(31)},
        {"index": MAX_INTEGER + 1},
        {"offset": MAX_INTEGER},
    ],
)
def test_parts_that_no_file_has_make_no_lines(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="part"):
        make_part_lines([replace(Part(0, 0, 1, bytes(32)), **changes)], salts)


def test_salts_are_drawn_whole() -> None:
    with pytest.raises(ValueError, match="want 16 random bytes, got 15"):
        make_part_lines([Part(0, 0, 1, bytes(32))], lambda size: bytes(size - 1))


DIGEST = "ab" * 32
GOOD: dict[str, JsonValue] = {"offset": 0, "sha256": DIGEST, "size": 1}


def line(index: JsonValue, value: JsonValue, salt: str = "A" * 22) -> str:
    return encode_base64url(format_json([salt, index, value]))


BAD_VALUES: list[JsonValue] = [
    None,
    1,
    [],
    {},
    {"offset": 0, "sha256": DIGEST},
    {**GOOD, "sm3": DIGEST},
    {**GOOD, "size": 0},
    {**GOOD, "size": -1},
    {**GOOD, "size": True},
    {**GOOD, "size": "1"},
    {**GOOD, "offset": -1},
    {**GOOD, "offset": None},
    {**GOOD, "offset": MAX_INTEGER},
    {**GOOD, "sha256": "AB" * 32},
    {**GOOD, "sha256": DIGEST[:-1]},
    {**GOOD, "sha256": 7},
]


@pytest.mark.parametrize("value", BAD_VALUES)
def test_line_of_another_shape_is_refused(value: JsonValue) -> None:
    with pytest.raises(MalformedError):
        parse_part_line(line(0, value))


@pytest.mark.parametrize("index", ["", "0", -1, True, None, [], {}])
def test_line_with_another_index_is_refused(index: JsonValue) -> None:
    assert parse_part_line(line(0, GOOD)).index == 0
    with pytest.raises(MalformedError):
        parse_part_line(line(index, GOOD))


def test_line_over_the_limit_or_with_another_salt_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parse_part_line("A" * (MAX_LINE_CHARS + 1))
    with pytest.raises(MalformedError, match="128 bits"):
        parse_part_line(line(0, GOOD, "A" * 21))


SIX = b"1\n22\n333\n4444\n55555\n666666"
PARTS = list(split_lines([SIX]))
SEALED = make_part_lines(PARTS, salts)
ROOT, COUNT = lines_root(SEALED)


def refused(check: Callable[..., object], *arguments: object) -> bool:
    try:
        check(*arguments)
    except LedgerError:
        return True
    return False


def test_every_truncation_and_every_changed_byte_of_a_line_is_refused() -> None:
    good = show_lines(SEALED, [3])[0]
    text = good.text
    others = [text[:length] for length in range(len(text))] + [text + "A", text + "="]
    others += [f"{text[:at]}{c}{text[at + 1 :]}" for at in range(len(text)) for c in "AB-é"]
    for other in others:
        if other != text:
            shown = replace(good, text=other)
            assert refused(check_part_line, shown, ROOT, COUNT)


def test_each_line_is_checked_at_its_place_alone() -> None:
    for part, shown in zip(PARTS, show_lines(SEALED, range(COUNT)), strict=True):
        assert check_part_line(shown, ROOT, COUNT) == part
        for other in (shown.index + 1, COUNT, 2 * COUNT):
            moved = replace(shown, index=other)
            assert refused(check_part_line, moved, ROOT, COUNT)
        with pytest.raises(VerificationError):
            check_part_line(shown, bytes(32), COUNT)


def test_line_that_names_itself_another_piece_is_refused() -> None:
    swapped = [SEALED[1], SEALED[0]]
    with pytest.raises(VerificationError, match="line 0 names itself piece 1"):
        check_part_line(show_lines(swapped, [0])[0], *lines_root(swapped))


def test_shown_lines_come_back_and_are_told_from_a_manifest() -> None:
    shown = show_lines(SEALED, [0, 2, 5])
    b = format_shown_parts(shown)
    assert b.startswith(b"tallystick/part-lines/v1\n0 ")
    assert parse_shown_parts(b) == shown
    assert [one.path for one in shown] == [prove_line(SEALED, at).path for at in (0, 2, 5)]
    with pytest.raises(MalformedError, match=r"part-lines/v1"):
        parse_shown_parts(b.replace(b"part-lines", b"manifest-lines"))
    with pytest.raises(ValueError, match="ascending"):
        format_shown_parts(shown[::-1])
    with pytest.raises(ValueError, match="indexes of 0 to 5"):
        show_lines(SEALED, [6])


def test_every_truncation_and_changed_byte_of_shown_lines_is_refused_or_means_itself() -> None:
    b = format_shown_parts(show_lines(SEALED, [2, 3]))

    def holds(content: bytes) -> bool:
        """Whether all of ``content`` is lines in the tree; it is formatted back if it is lines."""
        lines = parse_shown_parts(content)
        assert format_shown_parts(lines) == content
        return bool([check_part_line(one, ROOT, COUNT) for one in lines])

    assert holds(b)
    for other in [b[:length] for length in range(len(b))] + [b + b"\n", b + b"4", b"\n" + b]:
        # What is cut at the end of a line is a file of fewer lines.
        assert refused(holds, other) or other.count(b"\n") == 2
    for at in range(len(b)):
        other = b[:at] + bytes([b[at] ^ 1]) + b[at + 1 :]
        assert refused(holds, other), at


# Where pieces can stand


def test_pieces_of_one_file_are_accepted_wherever_they_are_shown() -> None:
    for size in (None, len(SIX)):
        for shown in ([0], [5], [0, 1], [1, 2, 5], [0, 5], range(6)):
            check_cover([PARTS[at] for at in shown], LINES, COUNT, size)


@pytest.mark.parametrize(
    ("shown", "size"),
    [
        ([replace(PARTS[0], offset=1)], None),
        ([replace(PARTS[2], offset=1)], None),
        ([PARTS[1], replace(PARTS[2], offset=6)], None),
        ([PARTS[1], replace(PARTS[2], offset=4)], None),
        ([PARTS[1], replace(PARTS[3], offset=5)], None),
        ([PARTS[3], replace(PARTS[1], index=4)], None),
        ([PARTS[5]], len(SIX) + 1),
        ([PARTS[5]], len(SIX) - 1),
        ([PARTS[4]], PARTS[4].stop),
        ([PARTS[2]], PARTS[2].stop + 2),
    ],
)
def test_pieces_that_no_file_has_are_refused(shown: list[Part], size: int | None) -> None:
    with pytest.raises(VerificationError, match="not where it can"):
        check_cover(shown, LINES, COUNT, size)


@pytest.mark.parametrize(
    "wrong",
    [
        Part(1, PIECE_BYTES, 7, bytes(32)),
        Part(1, PIECE_BYTES + 1, PIECE_BYTES, bytes(32)),
        Part(2, 2 * PIECE_BYTES, PIECE_BYTES + 1, bytes(32)),
    ],
)
def test_pieces_that_are_not_of_64_kib_are_refused(wrong: Part) -> None:
    with pytest.raises(VerificationError, match="not one of 64 KiB"):
        check_cover([wrong], BYTES, 3, None)
    check_cover([Part(1, PIECE_BYTES, PIECE_BYTES, bytes(32))], BYTES, 3, None)


def test_a_shown_line_is_what_the_list_has() -> None:
    assert show_lines(SEALED, []) == ()
    assert show_lines(SEALED[:1], [0]) == (ShownLine(0, SEALED[0], ()),)
