r"""The fields of a bundle's files: every byte of a file belongs to exactly one, and has its name.

What an attack changes is told by the field it is in, and what is not evidence is listed by field.
A name is the file's kind and the part, ``proof.index``; ``stamp.serial`` and the like are in
``ledger.proof.token_fields``. Nothing is checked here: content that is not in its format is one
field with the part ``content``.

>>> [field.name for field in fields_of("consistency/1-2", b"A" * 44 + b"\n")]
['consistency.hash']
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from ledger.errors import MalformedError
from ledger.proof.bundle import place_of
from ledger.proof.token_fields import answer_spans, token_spans
from ledger.record.rfc4648 import decode_base64url

Span = tuple[int, int, str]
"""Start, stop and the part's name."""

_ELEMENT = re.compile(rb'"(?:[^"\\]|\\.)*"|[0-9]+')
_VALUE = re.compile(rb'"(sha256|sm3|size|mtime|offset|skipped)":')
_INDEX = re.compile(rb'"(entry|path|sha256)":"[^"]*"|"(size|v)":[0-9]+')
_KEY_ID_CHARACTERS = 6
"""Of a signature line's base64: the key ID is its first 4 bytes."""


@dataclass(frozen=True, slots=True)
class Field:
    """Bytes ``start`` to ``stop`` (half open) of a file, and what they are."""

    name: str
    start: int
    stop: int


def fields_of(path: str, content: bytes) -> tuple[Field, ...]:
    """The fields of the file at ``path``, in order, without a gap; none for an empty file.

    MalformedError if no bundle has such a path.
    """
    kind = place_of(path).kind
    try:
        spans = sorted(_READERS[kind](content)) if kind in _READERS else []
    except (MalformedError, IndexError, ValueError):
        spans = []
    return tuple(_tiled(kind, spans or [(0, len(content), "content")], len(content)))


def _tiled(kind: str, spans: Iterable[Span], length: int) -> Iterator[Field]:
    """The spans with what lies between them as ``frame``."""
    at = 0
    for start, stop, part in spans:
        if at < start:
            yield Field(f"{kind}.frame", at, start)
        if start < stop:
            yield Field(f"{kind}.{part}", start, stop)
        at = stop
    if at < length:
        yield Field(f"{kind}.frame", at, length)


def _decoded(pattern: re.Pattern[bytes], content: bytes) -> Iterator[re.Match[str]]:
    """Matches of ``pattern`` as text; offsets stay those of the bytes, since ASCII surrounds."""
    text = content.decode("latin-1")
    return re.finditer(pattern.pattern.decode("ascii"), text)


def _rows(content: bytes, start: int = 0) -> Iterator[tuple[int, int]]:
    """Start and stop of each line from ``start`` on, its newline included."""
    while start < len(content):
        stop = content.find(b"\n", start) + 1 or len(content)
        yield start, stop
        start = stop


def _record(content: bytes) -> Iterator[Span]:
    jwt, at = content.index(b"~"), 0
    for part in ("header", "payload", "signature"):
        stop = content.find(b".", at, jwt) + 1 or jwt
        yield at, stop, part
        at = stop
    at = jwt + 1
    while at < len(content):
        stop = content.index(b"~", at)
        yield from _disclosure(content, at, stop, ("salt", "name", "value"))
        at = stop + 1


def _disclosure(
    content: bytes, start: int, stop: int, parts: tuple[str, str, str]
) -> Iterator[Span]:
    """Salt, name and value of a disclosure; a character on a border belongs to what follows."""
    json = decode_base64url(content[start:stop].decode("ascii"))
    elements = _ELEMENT.finditer(json)
    cuts = [(0, parts[0]), (next(elements).end(), parts[1]), (next(elements).end(), parts[2])]
    if parts[1] != "name":
        cuts += [(m.start(), m[1].decode("ascii")) for m in _VALUE.finditer(json, cuts[2][0])]
    ends = [*(at for at, _ in cuts[1:]), len(json)]
    for (at, part), end in zip(cuts, ends, strict=True):
        last = stop if end == len(json) else start + end * 4 // 3
        yield start + at * 4 // 3, last, part


def _lines(content: bytes, named: str) -> Iterator[Span]:
    """Shown lines; ``named``: what the second element of a line is."""
    for start, stop in list(_rows(content))[1:]:
        index, text, hashes = content[start:stop].split(b" ")
        yield start, start + len(index) + 1, "index"
        line = start + len(index) + 1
        yield from _disclosure(content, line, line + len(text), ("salt", named, "value"))
        yield stop - len(hashes), stop, "hash"


def _proof(content: bytes) -> Iterator[Span]:
    blank = content.index(b"\n\n") + 1
    for start, stop in _rows(content[:blank]):
        row = content[start:stop]
        if row.startswith((b"extra ", b"index ")):
            yield start, stop, row[:5].decode("ascii")
        elif start:
            yield start, stop, "hash"
    yield from ((a, b, f"checkpoint-{part}") for a, b, part in _note(content, blank + 1))


def _note(content: bytes, start: int) -> Iterator[Span]:
    body = content.index(b"\n\n", start) + 1
    for part, (at, stop) in zip(
        ("origin", "size", "root"), _rows(content[:body], start), strict=False
    ):
        yield at, stop, part
    yield from _signatures(content, body + 1)


def _signatures(content: bytes, start: int) -> Iterator[Span]:
    """Signature lines; the longer of a ledger's two is the ML-DSA-44 one."""
    for at, stop in _rows(content, start):
        encoded = content.rindex(b" ", at, stop) + 1
        kind = "ml-dsa" if stop - encoded > 1000 else "ed25519"
        yield at, encoded, "signer"
        middle = min(encoded + _KEY_ID_CHARACTERS, stop)
        yield encoded, middle, "key-id"
        yield middle, stop, kind


def _vkeys(content: bytes) -> Iterator[Span]:
    for start, stop in _rows(content):
        name = content.index(b"+", start) + 1
        key_id = content.index(b"+", name) + 1
        yield start, name, "name"
        yield name, key_id, "key-id"
        yield key_id, stop, "key"


def _sums(content: bytes) -> Iterator[Span]:
    for start, stop in _rows(content):
        middle = min(start + 64, stop)
        yield start, middle, "digest"
        yield middle, stop, "path"


def _consistency(content: bytes) -> Iterator[Span]:
    yield from ((start, stop, "hash") for start, stop in _rows(content))


def _certificate(content: bytes) -> Iterator[Span]:
    yield content.index(b"\n") + 1, content.rindex(b"-----END"), "content"


def _index(content: bytes) -> Iterator[Span]:
    yield from ((*m.span(), m[1] or m[2]) for m in _decoded(_INDEX, content))


_READERS: Mapping[str, Callable[[bytes], Iterator[Span]]] = {
    "record": _record,
    "lines": lambda content: _lines(content, "path"),
    "part-lines": lambda content: _lines(content, "piece"),
    "proof": _proof,
    "checkpoint": lambda content: _note(content, 0),
    "cosignatures": lambda content: _signatures(content, 0),
    "consistency": _consistency,
    "stamp": token_spans,
    "not-before": token_spans,
    "crl": lambda content: answer_spans("crl", content),
    "ocsp": lambda content: answer_spans("ocsp", content),
    "certificate": _certificate,
    "vkeys": _vkeys,
    "sums": _sums,
    "index": _index,
}
"""By kind of file; what has no reader (README.txt, carriers, excerpts) is one field."""
