r"""Decimals and base64 as every text format of the log writes them, and no other way.

>>> parse_decimal("20852163", "size")
20852163
>>> parse_base64("AQID", "hash")
b'\x01\x02\x03'

Both forms are one to one: what is accepted is exactly what the format functions would write, so
two readers cannot take one text for two values, nor two texts for one value.
"""

import binascii
import re

from ledger.errors import MalformedError

MAX_DECIMAL = 2**63 - 1
"""Sizes, indexes and POSIX times are below 2^63 in all the C2SP formats."""

_DECIMAL = re.compile(r"0|[1-9][0-9]{0,18}")


def parse_decimal(text: str, name: str) -> int:
    """The number in ``text``: ASCII digits, no sign, no leading zero, at most 2^63 - 1.

    ``name`` says in messages what the number is. Raises MalformedError.
    """
    if _DECIMAL.fullmatch(text) is None:
        raise MalformedError(f"{name} is {text[:40]!r}, want a decimal without leading zero")
    number = int(text)
    if number > MAX_DECIMAL:
        raise MalformedError(f"{name} is {number}, want at most {MAX_DECIMAL}")
    return number


def parse_base64(text: str, name: str) -> bytes:
    """The bytes of ``text``, base64 of RFC 4648 §4, padded, unused bits zero, nothing between.

    ``name`` says in messages what the bytes are. Raises MalformedError.
    """
    try:
        content = binascii.a2b_base64(text.encode("ascii"), strict_mode=True)
    except (UnicodeEncodeError, binascii.Error) as error:
        raise MalformedError(f"{name} is not base64") from error
    if format_base64(content) != text:
        raise MalformedError(f"{name} is not canonical base64")
    return content


def format_base64(content: bytes) -> str:
    """``content`` in base64 of RFC 4648 §4, padded."""
    return binascii.b2a_base64(content, newline=False).decode("ascii")
