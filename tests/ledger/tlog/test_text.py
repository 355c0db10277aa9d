import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.tlog.text import MAX_DECIMAL, format_base64, parse_base64, parse_decimal


@pytest.mark.parametrize("number", [0, 1, 9, 10, 20852163, MAX_DECIMAL])
def test_decimals_are_read(number: int) -> None:
    assert parse_decimal(str(number), "size") == number


@pytest.mark.parametrize(
    "text",
    [
        "",
        "-1",
        "+1",
        "01",
        "00",
        " 1",
        "1 ",
        "1\n",
        "1_0",
        "1.0",
        "1e3",
        "0x1",
        "\u0661",
        "\uff11",
        "²",
        "9" * 5000,
    ],
)
def test_anything_but_plain_decimals_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="size is"):
        parse_decimal(text, "size")


def test_decimals_from_two_to_the_63_are_refused() -> None:
    for number in (MAX_DECIMAL + 1, 2**64, 10**19):
        with pytest.raises(MalformedError):
            parse_decimal(str(number), "size")


@given(st.binary(max_size=80))
def test_base64_is_read_as_it_is_written(content: bytes) -> None:
    assert parse_base64(format_base64(content), "hash") == content
    assert format_base64(content) == base64.standard_b64encode(content).decode()


@pytest.mark.parametrize(
    "text",
    [
        "A",
        "AA",
        "AAA",
        "AA=",
        "AB==",
        "AAB=",
        "AA==AA==",
        "AA==\n",
        " AA==",
        "A A=",
        "AA-_",
        "====",
        "=AAA",
        "AAAA=",
        "AAAA====",
        "AA\u0660=",
        "\ud800",
        "AQID\x00",
    ],
)
def test_base64_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(MalformedError, match="hash is not"):
        parse_base64(text, "hash")


@given(st.text(alphabet="AB/+=-_ \n", max_size=12))
def test_two_texts_are_never_one_value(text: str) -> None:
    try:
        content = parse_base64(text, "hash")
    except MalformedError:
        return
    assert format_base64(content) == text
