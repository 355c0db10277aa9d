"""base64url without padding (RFC 7515 §2), canonical only: one text for one value.

>>> encode_base64url(bytes([251, 239]))
'--8'
>>> list(decode_base64url("--8"))
[251, 239]

base64 with padding is in ``ledger.tlog.text``.
"""

from binascii import a2b_base64, b2a_base64
from typing import Final

from ledger.errors import MalformedError

TO_BASE64URL: Final = bytes.maketrans(b"+/", b"-_")
"""Turns base64 into base64url with ``bytes.translate`` (RFC 4648 §5)."""

_TO_BASE64 = bytes.maketrans(b"-_+/=", b"+/   ")  # what base64 alone has becomes foreign to both


def encode_base64url(b: bytes) -> str:
    """``b`` as base64url without padding (RFC 4648 §5)."""
    return b2a_base64(b, newline=False).translate(TO_BASE64URL, b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of ``text``, base64url without padding and with zero bits at the end.

    Raises MalformedError for any text that ``encode_base64url`` does not write.
    """
    try:
        base64 = text.encode("ascii").translate(_TO_BASE64) + b"=" * (-len(text) % 4)
        b = a2b_base64(base64)
    except ValueError:
        raise MalformedError("not base64url") from None
    # The decoder skips foreign characters and ignores spare bits (RFC 4648 §3.3, §3.5).
    if b2a_base64(b, newline=False) != base64:
        raise MalformedError("not canonical base64url")
    return b
