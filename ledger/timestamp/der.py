"""ASN.1 bytes to asn1crypto values, whole or not at all (X.690).

asn1crypto reads lazily and answers bad bytes with whatever error it meets first. Everything in
this folder therefore reads through here: the nesting of the bytes is checked by a reader of our
own before asn1crypto sees them, and every error asn1crypto or cryptography has for bad bytes
becomes MalformedError.

>>> from ledger.timestamp.der import split
>>> [part.hex() for part in split(bytes.fromhex("3006020101020102"))]
['020101', '020102']
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from asn1crypto import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.x509 import DuplicateExtension, InvalidVersion

from ledger.errors import MalformedError

MAX_DEPTH = 32
"""Nesting of elements. Real tokens reach 17; the bound keeps recursion in libraries shallow."""

MAX_CERTIFICATE_BYTES = 16_384
"""One certificate. Real ones are 1 to 3 KB; one with a post-quantum key and signature fits."""

CONSTRUCTED = 0x20
SEQUENCE = 0x30
SET = 0x31

PARSER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
    UnsupportedAlgorithm,
    DuplicateExtension,
    InvalidVersion,
)
"""What the ASN.1 and X.509 libraries raise for bytes they do not like."""


@contextmanager
def reading(what: str) -> Iterator[None]:
    """Turn every error a library has for bad bytes into MalformedError("… in ``what``")."""
    try:
        yield
    except PARSER_ERRORS as error:
        raise MalformedError(f"{what} is not what its standard says ({brief(error)})") from error


def brief(error: BaseException) -> str:
    """The error in at most 160 printable characters: it may quote hostile bytes."""
    text = " ".join(str(error).split())[:160]
    return "".join(c if c.isascii() and c.isprintable() else "?" for c in text) or "unreadable"


def _header(b: bytes, start: int, stop: int) -> tuple[int, int | None]:
    """Offset of the contents and of their end (None: indefinite length) of the element at start.

    X.690 §8.1: one tag octet (no tag number above 30 occurs in what we read), then the length in
    as few octets as it takes (§10.1), or 0x80 for a constructed element that ends in 00 00.
    """
    if stop - start < 2:
        raise MalformedError(f"an element is cut short at byte {start}")
    tag, length = b[start], b[start + 1]
    if tag & 0x1F == 0x1F:
        raise MalformedError(f"a long tag at byte {start}")
    if length == 0x80:
        if not tag & CONSTRUCTED:
            raise MalformedError(f"a primitive element of unknown length at byte {start}")
        return start + 2, None
    content = start + 2
    if length > 0x80:
        octets = length & 0x7F
        content += octets
        if octets > 4 or content > stop:
            raise MalformedError(f"an impossible length at byte {start}")
        length = int.from_bytes(b[start + 2 : content])
        if length < 0x80 or length >> 8 * (octets - 1) == 0:
            raise MalformedError(f"a length in more octets than needed at byte {start}")
    if content + length > stop:
        raise MalformedError(f"an element is cut short at byte {start}")
    return content, content + length


def _end(b: bytes, start: int, stop: int, depth: int) -> int:
    """The offset after the element at start; everything inside it is checked on the way."""
    if depth > MAX_DEPTH:
        raise MalformedError(f"elements are nested deeper than {MAX_DEPTH}")
    content, end = _header(b, start, stop)
    if end is None:
        while b[content : content + 2] != b"\0\0":
            content = _end(b, content, stop, depth + 1)
        if content + 2 > stop:
            raise MalformedError(f"an element is cut short at byte {start}")
        return content + 2
    if b[start] & CONSTRUCTED:
        while content < end:
            content = _end(b, content, end, depth + 1)
    return end


def check_nesting(b: bytes, what: str, limit_bytes: int) -> None:
    """Raise MalformedError unless b is exactly one well nested element of at most limit_bytes.

    Lengths are minimal; indefinite lengths are allowed where X.690 allows them, because CMS is
    BER and TSAs send it. Contents of primitive elements are not looked at.
    """
    if not 2 <= len(b) <= limit_bytes:
        raise MalformedError(f"{what} has {len(b)} bytes, want 2 to {limit_bytes}")
    end = _end(b, 0, len(b), 0)
    if end != len(b):
        raise MalformedError(f"{what} is followed by {len(b) - end} more bytes")


def split(b: bytes) -> tuple[bytes, ...]:
    """The elements inside the constructed element b, each exactly as it stands.

    ``b`` has passed ``check_nesting``. MalformedError if it is not constructed.
    """
    if not b or not b[0] & CONSTRUCTED:
        raise MalformedError("an element that should hold others is primitive")
    start, end = _header(b, 0, len(b))
    stop = len(b) - 2 if end is None else end
    parts = []
    while start < stop:
        after = _end(b, start, stop, 0)
        parts.append(b[start:after])
        start = after
    return tuple(parts)


KEPT_CERTIFICATES = 512
"""Certificates whose parse is kept: each is read ten times on the way to a verdict."""


def load(spec: Any, b: bytes, what: str, limit_bytes: int) -> Any:  # noqa: ANN401
    """Parse the whole of b as the asn1crypto class spec; lazy parts stay lazy.

    Any: asn1crypto publishes no types. Read fields of the value inside ``reading`` only.
    """
    check_nesting(b, what, limit_bytes)
    with reading(what):
        return spec.load(b, strict=True)


@lru_cache(maxsize=KEPT_CERTIFICATES)
def load_certificate(b: bytes) -> x509.Certificate:
    """Parse one DER certificate wholly, extensions included; MalformedError otherwise.

    The same bytes give the same value, which is not to be changed.
    """
    certificate = load(x509.Certificate, b, "certificate", MAX_CERTIFICATE_BYTES)
    with reading("certificate"):
        certificate.native  # noqa: B018 — reading it is what forces the parse
        certificate.critical_extensions  # noqa: B018 — decodes the extensions it knows
        certificate.subject.hashable  # noqa: B018
        certificate.issuer.hashable  # noqa: B018
    return certificate
