import json
from itertools import product
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.record.strict_json import MAX_DEPTH, MAX_INTEGER, format_json, parse_json
from tests.ledger.record import slow_json

LIMIT = 100_000


def parse(text: str | bytes) -> object:
    return parse_json(text if isinstance(text, bytes) else text.encode(), limit_bytes=LIMIT)


KNOWN: list[tuple[str, object]] = [
    ("null", None),
    ("true", True),
    ("false", False),
    ("0", 0),
    ("-7", -7),
    ("9007199254740991", MAX_INTEGER),
    ("-9007199254740991", -MAX_INTEGER),
    ('""', ""),
    ('"载体"', "载体"),
    ('"\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u00E9"', '"\\/\b\f\n\r\téé'),
    ('"\\ud83d\\ude00"', "😀"),
    ('"\x7f\u2028\ufeff"', "\x7f\u2028\ufeff"),
    ("[]", []),
    ('["",",",""]', ["", ",", ""]),
    ('["a","b"]', ["a", "b"]),
    ('["a", "b","\\u0063"]', ["a", "b", "c"]),
    ('["a","b",["c","d"]]', ["a", "b", ["c", "d"]]),
    (" [ 1 , 2 ]\r\n", [1, 2]),
    ("{}", {}),
    ('\t{ "a" : [ { } ] , "b" : "" } ', {"a": [{}], "b": ""}),
    ('{"_sd_alg": "sha-256", "v": 1}', {"_sd_alg": "sha-256", "v": 1}),
    ("[" * MAX_DEPTH + "]" * MAX_DEPTH, [[[[[[[[]]]]]]]]),
    (
        '[[],[],[],[],{},"[[[[[[[[[","\\\\",["\\"{{{{{{{{{"]]',
        [[]] * 4 + [{}, "[" * 9, "\\", ['"' + "{" * 9]],
    ),
    ('"\\\\u0000\\\\ud800"', "\\u0000\\ud800"),
]

REFUSED: list[str | bytes] = [
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "-",
    "+1",
    "-0",
    "01",
    "-01",
    "1.0",
    "1e3",
    "1E3",
    ".5",
    "9007199254740992",
    "-9007199254740992",
    "9" * 5000,
    "٣",
    "1 2",
    "[1,]",
    '["a","b",]',
    '["a""b"]',
    '["a","b"',
    '["a","b]',
    '["a","\x01"]',
    '[,"a"]',
    "[,1]",
    "[1 2]",
    "[",
    "]",
    "[1",
    "[1,",
    "{",
    "{]",
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,"a":1}',
    '{"a":1 "b":2}',
    "{a:1}",
    "{1:1}",
    "{'a':1}",
    '{"a":1,"a":2}',
    '{"a":1,"\\u0061":2}',
    '"',
    '"a',
    '"\\',
    '"\\x41"',
    '"\\u12"',
    '"\\u12G4"',
    '"\\u\uff11\uff12\uff13\uff14"',
    '"\\u+123"',
    '"\\u0000"',
    '"\x00"',
    '"\x1f"',
    '"a\nb"',
    '"\\ud800"',
    '"\\udc00"',
    '"\\ud800\\ud800"',
    '"\\ud800x"',
    '"\\ude00\\ud83d"',
    "'a'",
    "\u00a01",
    "\ufeff1",
    "\x0b1",
    "1//",
    "/**/1",
    "[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1),
    '{"a":' * (MAX_DEPTH + 1) + "1" + "}" * (MAX_DEPTH + 1),
    "[" * 50_000,
    "{}" + "[" * 50_000,
    '"' + "[" * 50_000,
    '["' + '\\"' * 50_000,
    '"\\\\\\u0000"',
    '"\\ud83d\\\\ude00"',
    '"\\\\ud83d\\ude00"',
    '[{"a":["\\u0000"]}]',
    '{"\\udc00":1}',
    b"\xff",
    b'"\xc0\x80"',
    b'"\xed\xa0\x80"',
    b'"\xe8\xbd"',
    '"a"'.encode("utf-16"),
]

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
).filter(lambda value: depth_of(value) <= MAX_DEPTH)


def depth_of(value: Any) -> int:
    if isinstance(value, dict):
        value = list(value.values())
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list) else 0


@pytest.mark.parametrize(("text", "value"), KNOWN, ids=lambda x: repr(x)[:30])
def test_known_texts_have_their_known_values(text: str, value: object) -> None:
    assert parse(text) == value
    assert type(parse(text)) is type(value)


@pytest.mark.parametrize("text", REFUSED, ids=lambda x: repr(x)[:30])
def test_text_outside_the_dialect_is_refused(text: str | bytes) -> None:
    with pytest.raises(MalformedError):
        parse(text)


def test_text_over_the_limit_is_refused_and_at_the_limit_accepted() -> None:
    assert parse_json(b"[1]", limit_bytes=3) == [1]
    with pytest.raises(MalformedError, match="4 bytes, want at most 3"):
        parse_json(b"[10]", limit_bytes=3)


def test_canonical_form_is_as_specified() -> None:
    value: Any = {"\uff5a": 1, "😀": 2, "b": [True, None], "a": '"\\/\b\f\n\r\t\x01\x1f\x7f载'}
    # U+FF5A comes before U+1F600 in UTF-8, after it in UTF-16.
    want = '{"a":"\\"\\\\/\\b\\f\\n\\r\\t\\u0001\\u001f\x7f载","b":[true,null],"\uff5a":1,"😀":2}'
    assert format_json(value).decode() == want


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        b"a",
        (1,),
        {1: 2},
        {1: 2, "a": 3},
        "\0",
        "\ud800",
        {"\0": 1},
        {"\udc00": 1},
        2**53,
        -(2**53),
        {1},
    ],
    ids=repr,
)
def test_value_that_the_dialect_has_no_text_for_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"JSON|integer|NUL|surrogate|key"):
        format_json(value)


def test_value_nested_too_deep_is_not_formatted() -> None:
    value: Any = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert parse_json(format_json(value), limit_bytes=LIMIT) == value
    with pytest.raises(ValueError, match="deeper"):
        format_json([value])


@given(values)
def test_what_is_written_is_read_back(value: Any) -> None:
    written = format_json(value)
    assert parse(written) == value
    assert format_json(parse_json(written, limit_bytes=LIMIT)) == written
    assert json.loads(written) == value


@given(values, st.sampled_from([None, 0, 1]), st.booleans())
def test_what_the_standard_library_writes_is_read(
    value: Any, indent: int | None, ensure_ascii: bool
) -> None:
    assert parse(json.dumps(value, indent=indent, ensure_ascii=ensure_ascii)) == value


@given(values, st.data())
def test_every_truncation_of_a_container_is_refused(value: Any, data: st.DataObject) -> None:
    written = format_json([value][:MAX_DEPTH] if depth_of(value) < MAX_DEPTH else [])
    cut = data.draw(st.integers(0, len(written) - 1))
    with pytest.raises(MalformedError):
        parse(written[:cut])


@given(st.binary(max_size=60) | st.text('{}[]:,"\\u0018daefnrtls \n-', max_size=40).map(str.encode))
def test_any_bytes_are_read_as_the_standard_library_does_or_refused(b: bytes) -> None:
    try:
        value = parse(b)
    except MalformedError:
        return
    assert json.loads(b) == value


@given(values, st.data())
def test_one_changed_byte_is_refused_or_read_as_the_standard_library_does(
    value: Any, data: st.DataObject
) -> None:
    written = bytearray(format_json(value))
    written[data.draw(st.integers(0, len(written) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        read = parse(bytes(written))
    except MalformedError:
        return
    assert json.loads(bytes(written)) == read


def same(b: bytes) -> None:
    """``b`` is read, down to types and the order of keys, as the slow reader does, or refused."""
    try:
        read = repr(parse(b))
    except MalformedError:
        read = "refused"
    try:
        assert read == repr(slow_json.read(b))
    except slow_json.RefusedError:
        assert read == "refused"


@pytest.mark.parametrize("alphabet", ['{}[]:,"1 ', '"\\u0a\n', "-019.eE+"])
def test_every_short_text_is_read_as_the_slow_reader_does(alphabet: str) -> None:
    for size in range(5):
        for text in product(alphabet, repeat=size):
            same("".join(text).encode())


PIECES = [
    *'{}[]:,"-0123456789.eEu \n\t\r\0\x1f\x7fa',
    "\\",
    '"a"',
    '"b":',
    "null",
    "true",
    "NaN",
    "-0",
]
PIECES += [
    "\\u0000",
    "\\ud83d",
    "\\ude00",
    "\\u00e9",
    '\\"',
    "\\\\",
    "[[[[",
    "]]]]",
    "\ufeff",
    "\u0661",
    "é",
]
PIECES += ["9007199254740991", "9007199254740992"]


@given(
    st.binary(max_size=30)
    | st.lists(st.sampled_from(PIECES), max_size=12).map("".join).map(str.encode)
)
def test_any_bytes_are_read_as_the_slow_reader_does(b: bytes) -> None:
    same(b)
    same(b'"' + b + b'"')
    same(b"[" + b + b"]")


@given(values, st.booleans(), st.data())
def test_changed_text_is_read_as_the_slow_reader_does(
    value: Any, ensure_ascii: bool, data: st.DataObject
) -> None:
    text = json.dumps(value, ensure_ascii=ensure_ascii)
    begin = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(begin, min(begin + 3, len(text))))
    changed = text[:begin] + data.draw(st.sampled_from(PIECES)) + text[end:]
    same(text.encode())
    same(changed.encode())
