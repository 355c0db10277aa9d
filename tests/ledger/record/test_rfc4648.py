import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.record.rfc4648 import decode_base64url, encode_base64url


@pytest.mark.parametrize(
    ("b", "text"),
    [(b"", ""), (b"f", "Zg"), (b"fo", "Zm8"), (b"foo", "Zm9v"), (b"\xfb\xff\xbf", "-_-_")],
)
def test_known_bytes_have_their_known_text(b: bytes, text: str) -> None:
    assert encode_base64url(b) == text
    assert decode_base64url(text) == b


@pytest.mark.parametrize(
    "text",
    ["Zg==", "Zg=", "Z", "Zm9vZ", "Zh", "Zm9", "+/+/", "Zm9v\n", " Zm9v", "Zm 9v", "Zm.9v", "载体",
     "=", "====", "Zm9v=", "\x00", "\uff3ag"],
    ids=ascii,
)  # fmt: skip
def test_text_that_is_not_canonical_is_refused(text: str) -> None:
    with pytest.raises(MalformedError):
        decode_base64url(text)


@given(st.binary(max_size=100))
def test_what_is_encoded_is_decoded(b: bytes) -> None:
    assert decode_base64url(encode_base64url(b)) == b


@given(st.text(max_size=12) | st.text("AQgwZz09-_=+/", max_size=9))
def test_any_text_is_refused_or_is_the_one_text_of_its_bytes(text: str) -> None:
    try:
        b = decode_base64url(text)
    except MalformedError:
        return
    assert encode_base64url(b) == text
