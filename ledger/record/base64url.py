"""base64url without padding (RFC 7515 §2), canonical only: one text for one value.

>>> encode_base64url(bytes([251, 239]))
'--8'
>>> list(decode_base64url("--8"))
[251, 239]

base64 with padding is in ``ledger.tlog.text``.
"""

import base64

from ledger.errors import MalformedError


def encode_base64url(b: bytes) -> str:
    """``b`` as base64url without padding (RFC 4648 §5)."""
    return base64.urlsafe_b64encode(b).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of ``text``, base64url without padding and with zero bits at the end.

    Raises MalformedError for any text that ``encode_base64url`` does not write.
    """
    try:
        b = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError:
        raise MalformedError("not base64url") from None
    # The decoder skips foreign characters and ignores spare bits (RFC 4648 §3.3, §3.5).
    if encode_base64url(b) != text:
        raise MalformedError("not canonical base64url")
    return b
