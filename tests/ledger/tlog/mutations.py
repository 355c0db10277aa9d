"""What every parser of this room must stand: cut, changed, lengthened bytes."""

from collections.abc import Callable, Iterator
from typing import TypeVar

from ledger.errors import MalformedError

T = TypeVar("T")

REPLACEMENTS = (0x00, 0x01, 0x09, 0x0A, 0x0D, 0x20, 0x2B, 0x30, 0x3D, 0x41, 0x7F, 0x80, 0xC2, 0xFF)
"""Instead of each byte: itself with a bit flipped, and one of each kind that formats care for."""


def truncations(content: bytes) -> Iterator[bytes]:
    """Every shorter prefix of ``content``."""
    for stop in range(len(content)):
        yield content[:stop]


def one_byte_changes(content: bytes) -> Iterator[bytes]:
    """``content`` with one byte replaced, removed, doubled, or one more at either end."""
    for i, byte in enumerate(content):
        for other in {byte ^ 1, byte ^ 0x20, *REPLACEMENTS} - {byte}:
            yield content[:i] + bytes([other]) + content[i + 1 :]
        yield content[:i] + content[i + 1 :]
        yield content[: i + 1] + content[i:]
    for byte in REPLACEMENTS:
        yield bytes([byte]) + content
        yield content + bytes([byte])


def require_one_to_one(
    contents: Iterator[bytes],
    parse: Callable[[bytes], T],
    format_: Callable[[T], bytes],
    *,
    never: T | None = None,
) -> int:
    """Each of ``contents`` is malformed, or is exactly what its value is written as.

    No value may equal ``never``. Returns how many were accepted.
    """
    accepted = 0
    for content in contents:
        try:
            value = parse(content)
        except MalformedError:
            continue
        accepted += 1
        assert format_(value) == content
        assert value != never
    return accepted
