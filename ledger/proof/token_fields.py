"""Where the fields of a timestamp token, a CRL and an OCSP answer stand in their bytes.

Tags and lengths in front of a field belong to the ``frame`` around it, or to the field itself where
it is one element (RFC 3161 §2.4.2, RFC 5652 §5, RFC 5280 §5.1, RFC 6960 §4.2.1).
"""

from collections.abc import Iterator, Sequence

from asn1crypto import core

from ledger.timestamp.cms import (
    CONTENT_TYPE,
    MESSAGE_DIGEST,
    SIGNING_CERTIFICATE,
    SIGNING_CERTIFICATE_V2,
)
from ledger.timestamp.der import SEQUENCE, SET, split
from ledger.timestamp.token import parse_token

Span = tuple[int, int, str]
Element = tuple[int, int]
"""Start and stop of an element in the bytes."""

SIGNING_TIME = "1.2.840.113549.1.9.5"

_ATTRIBUTES = {
    CONTENT_TYPE: "attribute-content-type",
    MESSAGE_DIGEST: "attribute-message-digest",
    SIGNING_TIME: "attribute-signing-time",
    SIGNING_CERTIFICATE: "attribute-signing-certificate",
    SIGNING_CERTIFICATE_V2: "attribute-signing-certificate",
}
_SIGNED = {0xA0: "certificates", 0xA1: "revocation"}
_INFO = ("info-version", "policy", "imprint", "serial", "gen-time")
_INFO_MORE = {SEQUENCE: "accuracy", 1: "ordering", 2: "nonce", 0xA0: "tsa", 0xA1: "extensions"}
_PRIMITIVE_OCTETS = 0x04


def token_spans(content: bytes) -> Iterator[Span]:
    """The fields of a response or bare token; MalformedError or an error of indexing if none."""
    whole = (0, len(content))
    outer = _inside(content, whole)
    if content[outer[0][0]] == SEQUENCE:
        yield *outer[0], "status"
        whole = outer[1]
    content_type, wrapped = _inside(content, whole)
    yield *content_type, "content-type"
    (signed,) = _inside(content, wrapped)
    version, digests, capsule, *more = _inside(content, signed)
    yield *version, "version"
    yield *digests, "digests"
    yield from _capsule(content, capsule)
    for element in more:
        if content[element[0]] == SET:
            for signer in _inside(content, element):
                yield from _signer(content, signer)
        elif _SIGNED[content[element[0]]] == "certificates":
            yield from _certificates(content, element)
        else:
            yield *element, "revocation"


def answer_spans(kind: str, content: bytes) -> Iterator[Span]:
    """The fields of a CRL, or of an OCSP answer as far as its status."""
    elements = _inside(content, (0, len(content)))
    names = ("list", "algorithm", "signature") if kind == "crl" else ("status", "answer")
    yield from _named(elements, names)


def _inside(content: bytes, element: Element) -> list[Element]:
    """The elements inside a constructed one, by their places in ``content``."""
    start, stop = element
    parts = split(content[start:stop])
    at = start + 2
    if content[start + 1] != 0x80:  # of indefinite length: no length octets, two zeros at the end
        at = stop - sum(map(len, parts))
    found = []
    for part in parts:
        found.append((at, at + len(part)))
        at += len(part)
    return found


def _named(elements: Sequence[Element], names: Sequence[str]) -> Iterator[Span]:
    for element, name in zip(elements, names, strict=False):
        yield *element, name


def _capsule(content: bytes, capsule: Element) -> Iterator[Span]:
    kind, wrapped = _inside(content, capsule)
    yield *kind, "content-type"
    (octets,) = _inside(content, wrapped)
    if content[octets[0]] != _PRIMITIVE_OCTETS:
        yield *octets, "info"  # in pieces, as BER allows
        return
    length = content[octets[0] + 1]
    start = octets[0] + 2 + (length & 0x7F if length > 0x80 else 0)
    elements = _inside(content, (start, octets[1]))
    yield from _named(elements, _INFO)
    for element in elements[len(_INFO) :]:
        yield *element, _INFO_MORE[content[element[0]]]


def _certificates(content: bytes, element: Element) -> Iterator[Span]:
    signer = parse_token(content).signer
    for start, stop in _inside(content, element):
        own = content[start:stop] == signer
        yield start, stop, "signer-certificate" if own else "certificate"


def _signer(content: bytes, signer: Element) -> Iterator[Span]:
    version, sid, digest, attributes, scheme, signature, *more = _inside(content, signer)
    yield *version, "signer-version"
    yield *sid, "signer-id"
    yield *digest, "signer-digest"
    for attribute in _inside(content, attributes):
        oid, _ = _inside(content, attribute)
        dotted = core.ObjectIdentifier.load(content[slice(*oid)]).dotted
        yield *attribute, _ATTRIBUTES.get(dotted, "attribute-other")
    yield *scheme, "signature-algorithm"
    yield *signature, "signature"
    yield from ((*element, "unsigned") for element in more)
