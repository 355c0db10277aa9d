import unicodedata
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.record import shown as shown_module
from ledger.record.manifest import (
    FileEntry,
    check_line,
    format_shown_lines,
    make_lines,
    parse_line,
    parse_shown_lines,
)
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.sdjwt import RESERVED_NAMES, make_disclosure
from ledger.record.shown import MAX_LINE_CHARS, ShownLine, lines_root, prove_line
from ledger.record.strict_json import JsonValue, format_json
from ledger.tlog.merkle import leaf_hash, node_hash

SHA, SM3 = sha256(b"").digest(), sha256(b"sm3").digest()


def counting(size: int) -> bytes:
    """Random bytes of a test: no 16 of them are the same as another 16."""
    return b"".join(sha256(str(i).encode()).digest() for i in range(size // 32 + 1))[:size]


def one(path: str, **changes: Any) -> FileEntry:
    return replace(FileEntry(path, 4096, SHA, 1_700_000_000_000_000), **changes)


def line(path: JsonValue, value: JsonValue, salt: str = "A" * 22) -> str:
    return encode_base64url(format_json([salt, path, value]))


VALUE: dict[str, JsonValue] = {"mtime": 0, "sha256": SHA.hex(), "size": 1}


def test_line_is_canonical_json_of_salt_path_and_file() -> None:
    (text,) = make_lines([one("第12批/配方.txt", sm3=SM3)], lambda size: bytes(range(size)))
    assert decode_base64url(text).decode() == (
        '["AAECAwQFBgcICQoLDA0ODw","第12批/配方.txt",{"mtime":1700000000000000,'
        f'"sha256":"{SHA.hex()}","size":4096,"sm3":"{SM3.hex()}"}}]'
    )


paths = (
    st.lists(
        st.text(st.characters(exclude_categories=["Cs", "Cc", "Cf"], exclude_characters="/\\"),
                min_size=1, max_size=8).filter(lambda part: part not in {".", ".."}),
        min_size=1, max_size=4,
    ).map("/".join)
)  # fmt: skip
digests = st.binary(min_size=32, max_size=32)
read_files = st.builds(
    FileEntry,
    paths,
    st.integers(0, 2**53 - 1),
    digests,
    st.integers(1 - 2**53, 2**53 - 1),
    st.none() | digests,
)
skipped_files = st.builds(
    FileEntry,
    paths,
    st.just(0),
    st.just(b""),
    st.just(0),
    st.none(),
    st.sampled_from(["link", "not utf-8"]),
)
folders = st.lists(
    read_files | skipped_files,
    min_size=1,
    max_size=9,
    unique_by=lambda entry: unicodedata.normalize("NFC", entry.path),
)


@given(folders)
def test_lines_are_disclosures_in_the_order_of_utf_8_and_are_read_back(
    files: list[FileEntry],
) -> None:
    lines = make_lines(files, counting)
    ordered = sorted(files, key=lambda entry: entry.path.encode())
    assert [parse_line(text) for text in lines] == ordered
    salts = counting(16 * len(files))
    for index, (text, entry) in enumerate(zip(lines, ordered, strict=True)):
        value: dict[str, JsonValue] = {"skipped": entry.skipped}
        if entry.skipped is None:
            value = {"mtime": entry.mtime, "sha256": entry.sha256.hex(), "size": entry.size}
            value |= {"sm3": entry.sm3.hex()} if entry.sm3 else {}
        salt = salts[16 * index : 16 * index + 16]
        if entry.path not in RESERVED_NAMES:
            assert text == make_disclosure(entry.path, value, salt).text


def test_more_files_than_one_batch_are_all_there_in_order() -> None:
    files = [one(f"f{i:05}") for i in range(2500)]
    lines = make_lines(files[::-1], counting)
    assert [parse_line(text) for text in lines] == files
    assert len({decode_base64url(text)[:24] for text in lines}) == 2500  # each salt its own


def test_order_is_that_of_utf_8_not_of_utf_16() -> None:
    names = ["\U0001f600", "\uff5a", "a", "B", "é"]
    lines = make_lines([one(name) for name in names], counting)
    assert [parse_line(text).path for text in lines] == ["B", "a", "é", "\uff5a", "\U0001f600"]


GOOD_PATHS = [
    "a",
    "a/b/c",
    ".hidden",
    "..a",
    "a..",
    "...",
    "_sd",
    "a/.../b",
    ". ",
    'quote".txt',
    "ideographic\u3000space",
    "nbsp\u00a0",
    "line\u2028separator",
    "e\u0301",
    "emoji\U0001f600",
    "unassigned\u0378",
    "soft\u00adhyphen",
    "zwj\u200d",
    "~",
    "a:b",
    "x" * 4096,
]
BAD_PATHS = [
    "",
    ".",
    "..",
    "/",
    "/a",
    "a/",
    "a//b",
    "./a",
    "../a",
    "a/.",
    "a/..",
    "a/../b",
    "a/./b",
    "a\\b",
    "a\0",
    "a\nb",
    "a\n",
    "\ta",
    "a\x1f",
    "a\x7f",
    "a\x80",
    "a\x9f",
    "a\u061c",
    "a\u200e",
    "\u200fa",
    "a\u202ab",
    "a\u202e",
    "a\u2066",
    "a\u2069",
    "a\ud800",
    "a\udcff",
    "x" * 4097,
    "载" * 1366,
]


@pytest.mark.parametrize("path", GOOD_PATHS, ids=lambda x: ascii(x)[:20])
def test_path_as_found_is_kept(path: str) -> None:
    for folder in ([one(path)], [one(path), one("other"), one("ö")]):
        lines = make_lines(folder, counting)
        assert path in [parse_line(text).path for text in lines]


@pytest.mark.parametrize("path", BAD_PATHS, ids=lambda x: ascii(x)[:20])
def test_bad_path_is_refused_by_name_alone_and_among_others(path: str) -> None:
    for folder in ([one(path)], [one("other"), one(path), one("é")]):
        with pytest.raises(MalformedError, match=r"^path '") as error:
            make_lines(folder, counting)
        assert str(error.value).isprintable()
        assert str(error.value).encode()


@pytest.mark.parametrize("path", BAD_PATHS[:-3] + BAD_PATHS[-2:], ids=lambda x: ascii(x)[:20])
def test_line_with_a_bad_path_is_refused(path: str) -> None:
    if "\0" in path or "\ud800" in path:
        text = encode_base64url(f'["{"A" * 22}","a\\u{ord(path[1]):04x}",{{}}]'.encode())
    else:
        text = line(path, VALUE)
    with pytest.raises(MalformedError):
        parse_line(text)


@pytest.mark.parametrize(
    ("left", "right"), [("a", "a"), ("é", "e\u0301"), ("d/가", "d/가"), ("A\u030a", "\u212b")]
)
def test_two_paths_equal_under_nfc_are_refused_by_name(left: str, right: str) -> None:
    with pytest.raises(MalformedError, match="twice under NFC"):
        make_lines([one(left), one("b"), one(right)], counting)


def test_paths_that_only_look_alike_are_two() -> None:
    assert len(make_lines([one("a"), one("\u0430"), one("A"), one("\uff41")], counting)) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"size": -1},
        {"size": 2**53},
        {"mtime": 2**53},
        {"mtime": -(2**53)},
        {"sha256": b""},
        {"sha256": bytes(31)},
        {"sm3": b""},
        {"sm3": bytes(33)},
        {"skipped": "link"},
        {"skipped": "", "size": 0, "sha256": b"", "mtime": 0},
        {"skipped": "Not read", "size": 0, "sha256": b"", "mtime": 0},
        {"skipped": 'a"', "size": 0, "sha256": b"", "mtime": 0},
        {"skipped": "a" * 65, "size": 0, "sha256": b"", "mtime": 0},
    ],
    ids=str,
)
def test_file_outside_its_ranges_is_a_callers_mistake(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="file has"):
        make_lines([one("a", **changes)], counting)


def test_no_files_or_too_little_chance_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no files"):
        make_lines([], counting)
    with pytest.raises(ValueError, match="want 16 random bytes, got 15"):
        make_lines([one("a")], lambda size: bytes(size - 1))
    with pytest.raises(ValueError, match="no lines"):
        lines_root([])


@pytest.mark.parametrize(
    "text",
    [
        "",
        "载",
        "W10",
        line(1, VALUE),
        line("a", []),
        line("a", {}),
        line("a", VALUE, salt="A"),
        line("a", {**VALUE, "x": 1}),
        line("a", {"sha256": SHA.hex(), "size": 1}),
        line("a", {"mtime": 0, "size": 1}),
        line("a", {**VALUE, "size": -1}),
        line("a", {**VALUE, "size": "1"}),
        line("a", {**VALUE, "size": True}),
        line("a", {**VALUE, "mtime": None}),
        line("a", {**VALUE, "sha256": SHA.hex().upper()}),
        line("a", {**VALUE, "sha256": SHA.hex()[:-2]}),
        line("a", {**VALUE, "sha256": 1}),
        line("a", {**VALUE, "sm3": None}),
        line("a", {**VALUE, "sm3": ""}),
        line("a", {**VALUE, "skipped": "link"}),
        line("a", {"skipped": ""}),
        line("a", {"skipped": 1}),
        line("a", {"skipped": "Link"}),
        line("a", VALUE) + "=",
        line("a", VALUE) + "\n",
        "A" * (MAX_LINE_CHARS + 1),
    ],
    ids=lambda x: x[:12] + str(len(x)),
)
def test_text_that_is_no_line_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_line(text)


def test_line_with_other_order_and_white_space_is_read() -> None:
    text = encode_base64url(
        f'["{"A" * 22}", "a" , {{"size": 1, "sha256":"{SHA.hex()}", "mtime":0}} ]\n'.encode()
    )
    assert parse_line(text) == FileEntry("a", 1, SHA, 0)


@given(st.text(max_size=60) | st.binary(max_size=80).map(encode_base64url))
def test_any_text_is_no_line(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_line(text)


def test_root_is_that_of_rfc_6962_over_the_ascii_of_the_lines() -> None:
    lines = make_lines([one(name) for name in "abc"], counting)
    a, b, c = (leaf_hash(text.encode("ascii")) for text in lines)
    assert lines_root(lines) == (node_hash(node_hash(a, b), c), 3)
    assert lines_root(lines[:1]) == (a, 1)


@pytest.mark.parametrize("count", [1, 2, 3, 7, 8, 9])
def test_every_line_is_shown_under_the_root_and_at_no_other_place(count: int) -> None:
    files = [one(f"f{i}") for i in range(count)]
    lines = make_lines(files, counting)
    root, _ = lines_root(lines)
    for index, entry in enumerate(files):
        shown = ShownLine(index, lines[index], prove_line(lines, index).path)
        assert check_line(shown, root, count) == entry
        for wrong in (
            replace(shown, text=lines[index - 1]) if count > 1 else None,
            replace(shown, index=(index + 1) % count) if count > 1 else None,
            replace(shown, path=(*shown.path, root)),
            replace(shown, path=shown.path[:-1]) if shown.path else None,
        ):
            if wrong is not None:
                with pytest.raises(VerificationError):
                    check_line(wrong, root, count)
        with pytest.raises(VerificationError):
            check_line(shown, bytes(32), count)
        with pytest.raises(VerificationError):
            check_line(shown, root, 2 * count + 1)


def test_shown_line_beyond_the_count_or_that_is_no_line_is_malformed() -> None:
    lines = make_lines([one("a"), one("b")], counting)
    root, count = lines_root(lines)
    shown = ShownLine(2, lines[1], prove_line(lines, 1).path)
    with pytest.raises(MalformedError, match="less than 2"):
        check_line(shown, root, count)
    with pytest.raises(MalformedError):
        check_line(ShownLine(1, "AAAA", shown.path), root, count)


def test_index_outside_the_lines_cannot_be_proved() -> None:
    lines = make_lines([one("a")], counting)
    for index in (-1, 1):
        with pytest.raises(ValueError, match="index is"):
            prove_line(lines, index)


def shown_example() -> tuple[ShownLine, ...]:
    lines = make_lines([one(f"f{i}") for i in range(5)], counting)
    return tuple(ShownLine(i, lines[i], prove_line(lines, i).path) for i in (0, 2, 4))


def test_shown_lines_are_written_as_specified_and_read_back() -> None:
    shown = (*shown_example(), ShownLine(1000, "AAAA", ()))
    b = format_shown_lines(shown)
    assert parse_shown_lines(b) == shown
    header, first, *_, last, end = b.decode().split("\n")
    assert (header, last, end) == ("tallystick/manifest-lines/v1", "1000 AAAA -", "")
    index, text, hashes = first.split(" ")
    assert (index, text) == ("0", shown[0].text)
    assert [len(one) for one in hashes.split(",")] == [44, 44, 44]


def test_shown_lines_that_do_not_ascend_are_a_callers_mistake() -> None:
    for wrong in ((), shown_example()[::-1], shown_example()[:1] * 2):
        with pytest.raises(ValueError, match="ascending"):
            format_shown_lines(wrong)


HASH = "A" * 43 + "="


@pytest.mark.parametrize(
    "rows",
    [
        [],
        [""],
        ["0 AAAA"],
        ["0 AAAA "],
        ["0  AAAA -"],
        ["0 AAAA - "],
        ["0 AAAA -\r"],
        ["00 AAAA -"],
        ["-1 AAAA -"],
        ["+1 AAAA -"],
        ["x AAAA -"],
        [f"{2**53} AAAA -"],
        ["0 AA+A -"],
        ["0 AA=A -"],
        ["0 AAAA AAAA"],
        [f"0 AAAA {HASH},"],
        [f"0 AAAA ,{HASH}"],
        [f"0 AAAA {HASH},-"],
        [f"0 AAAA {HASH[:-1]}"],
        [f"0 AAAA {'A' * 42}B="],
        ["0 AAAA " + ",".join([HASH] * 54)],
        ["1 AAAA -", "0 AAAA -"],
        ["1 AAAA -", "1 AAAA -"],
        ["1 AAAA -", ""],
    ],
    ids=lambda x: repr(x)[:30],
)
def test_rows_that_are_no_shown_lines_are_refused(rows: list[str]) -> None:
    with pytest.raises(MalformedError):
        parse_shown_lines("\n".join(["tallystick/manifest-lines/v1", *rows, ""]).encode())


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b"",
        lambda b: b"\n",
        lambda b: b[:-1],
        lambda b: b + b"\n",
        lambda b: b + b"x",
        lambda b: b"\n" + b,
        lambda b: b.replace(b"/v1", b"/v2"),
        lambda b: b.replace(b"\n", b"\r\n"),
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: b + b"\xff\n",
    ],
)
def test_bytes_that_are_no_shown_lines_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        parse_shown_lines(change(format_shown_lines(shown_example())))


def checked(b: bytes) -> int:
    """How many lines `b` shows under the example's root; refused ones raise."""
    lines = make_lines([one(f"f{i}") for i in range(5)], counting)
    root, count = lines_root(lines)
    shown = parse_shown_lines(b)
    for each in shown:
        check_line(each, root, count)
    return len(shown)


def test_every_truncation_is_refused_but_at_the_end_of_a_line() -> None:
    b = format_shown_lines(shown_example())
    assert checked(b) == 3
    header_end = b.index(b"\n") + 1
    for size in range(len(b)):
        if size > header_end and b[:size].endswith(b"\n"):
            assert checked(b[:size]) == b[:size].count(b"\n") - 1
        else:
            with pytest.raises(MalformedError):
                checked(b[:size])


def test_every_one_byte_change_is_refused() -> None:
    b = format_shown_lines(shown_example())
    for at in range(len(b)):
        changed = bytearray(b)
        changed[at] ^= 1 + at % 127
        with pytest.raises((MalformedError, VerificationError)):
            checked(bytes(changed))


@given(st.binary(max_size=120).map(lambda tail: b"tallystick/manifest-lines/v1\n" + tail))
def test_any_bytes_are_refused_or_read_back(b: bytes) -> None:
    try:
        shown = parse_shown_lines(b)
    except MalformedError:
        return
    assert format_shown_lines(shown) == b


def test_shown_lines_over_the_limit_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    b = format_shown_lines(shown_example())
    monkeypatch.setattr(shown_module, "MAX_SHOWN_BYTES", len(b) - 1)
    with pytest.raises(MalformedError, match="at most"):
        parse_shown_lines(b)
