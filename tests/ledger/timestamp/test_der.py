"""Bytes to ASN.1: one whole, well nested element, or MalformedError."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.timestamp.der import (
    MAX_CERTIFICATE_BYTES,
    MAX_DEPTH,
    check_nesting,
    load_certificate,
    reading,
    split,
)
from tests.ledger.timestamp.authority import Authority


def nested(depth: int) -> bytes:
    b = b"\x05\0"
    for _ in range(depth):
        header = bytes([0x30, len(b)]) if len(b) < 128 else bytes([0x30, 0x81, len(b)])
        b = header + b
    return b


@pytest.mark.parametrize(
    "text",
    [
        "0500",
        "3000",
        "3003020101",
        "04818000" + "00" * 127,
        "3080020101" + "0000",
        "30803080" + "0000" + "0000",
        "2480040101" + "0000",
    ],
)
def test_well_nested_element_is_accepted(text: str) -> None:
    check_nesting(bytes.fromhex(text), "it", 1000)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "has 0 bytes"),
        ("30", "has 1 bytes"),
        ("0501", "cut short"),
        ("3002", "cut short"),
        ("30020201", "cut short"),
        ("3003020201", "cut short"),
        ("05000500", "followed by 2"),
        ("1f0100", "long tag"),
        ("30031f0100", "long tag"),
        ("0480", "primitive element of unknown length"),
        ("3080", "cut short"),
        ("308000", "cut short"),
        ("3080020101", "cut short"),
        ("3004308002010000", "cut short|followed"),
        ("04810100", "more octets than needed"),
        ("0482008000", "more octets than needed|cut short"),
        ("0485000000000100", "impossible length"),
        ("048400", "impossible length"),
        ("04ff", "impossible length"),
    ],
)
def test_anything_else_is_malformed(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check_nesting(bytes.fromhex(text), "it", 1000)


def test_depth_and_size_are_bounded() -> None:
    check_nesting(nested(MAX_DEPTH), "it", 1000)
    with pytest.raises(MalformedError, match=f"deeper than {MAX_DEPTH}"):
        check_nesting(nested(MAX_DEPTH + 1), "it", 1000)
    with pytest.raises(MalformedError, match="deeper"):
        check_nesting(b"\x30\x80" * 5000, "it", 10_000)
    with pytest.raises(MalformedError, match="want 2 to 3"):
        check_nesting(nested(1), "it", 3)


def test_split_gives_the_parts_exactly_as_they_stand() -> None:
    for text in ("3006020101020102", "30800201010201020000"):
        assert split(bytes.fromhex(text)) == (b"\2\1\1", b"\2\1\2")
    assert split(b"\x30\0") == ()
    for primitive in (b"", b"\2\1\1"):
        with pytest.raises(MalformedError, match="primitive"):
            split(primitive)


@given(st.binary(max_size=64))
def test_element_that_nests_well_is_its_parts(b: bytes) -> None:
    try:
        check_nesting(b, "it", 64)
    except MalformedError:
        return
    if b[0] & 0x20:
        assert b"".join(split(b)) in b


def test_library_errors_become_malformed_and_quote_no_hostile_bytes() -> None:
    with pytest.raises(MalformedError) as caught, reading("it"):
        raise ValueError("bad \x1b[31m\u202e text\n" + "x" * 1000)
    message = str(caught.value)
    assert message.isascii()
    assert message.isprintable()
    assert len(message) < 250
    with pytest.raises(MalformedError, match="unreadable"), reading("it"):
        raise KeyError
    with pytest.raises(ZeroDivisionError), reading("it"):
        raise ZeroDivisionError


def test_certificates_are_read_wholly() -> None:
    der = Authority().der
    assert load_certificate(der).dump() == der
    for wrong in (der[:-1], der + b"\0", b"\x30\0", bytes(MAX_CERTIFICATE_BYTES + 1)):
        with pytest.raises(MalformedError):
            load_certificate(wrong)
