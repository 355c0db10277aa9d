"""What people hand over beside a token: certificates, CRLs and OCSP answers, as DER or PEM.

A PEM file may hold several, with text between them (RFC 7468 §2 allows it, ``openssl`` writes it).
Everything in the file must be of the kind asked for: a private key among certificates is refused,
not passed over.

>>> from ledger.timestamp.material import parse_certificates
>>> parse_certificates(b"-----BEGIN PRIVATE KEY-----")
Traceback (most recent call last):
ledger.errors.MalformedError: holds PRIVATE KEY, want CERTIFICATE
"""

import base64
import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import ocsp, x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from ledger.errors import MalformedError
from ledger.timestamp.algorithms import load_public_key
from ledger.timestamp.der import SEQUENCE, load, load_certificate, reading
from ledger.timestamp.path import MAX_MATERIAL_BYTES, load_crl

MAX_MATERIAL_FILE_BYTES = 16 * 1024 * 1024
"""One file: several CRLs of the largest size that is read, in PEM."""

MAX_BLOCKS = 256
"""PEM blocks in one file: a list of every public TSA's root has under 50."""

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 ]{1,40})-----")
_BLOCK = re.compile(
    rb"-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\r?\n([A-Za-z0-9+/=\s]*)-----END \1-----"
)


_SHORT = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "2.5.4.97": "organizationIdentifier",
    "1.2.840.113549.1.9.1": "emailAddress",
}
"""RFC 4514 §3, and two that TSAs use; others are shown as dotted OIDs."""


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """What a certificate says of itself; nothing in it is checked.

    ``subject``, ``issuer``: as in RFC 4514, not safe to display as they are. ``key``: for people,
    ``rsa 4096``, ``ec secp256r1``, or the algorithm's name. ``signature``: a name or dotted OID.
    """

    subject: str
    issuer: str
    serial: int
    not_before: datetime
    not_after: datetime
    sha256: str
    key: str
    signature: str
    is_ca: bool
    is_self_issued: bool


def parse_certificates(content: bytes) -> tuple[bytes, ...]:
    """DER of the certificates in a file, one or more; MalformedError if it holds anything else."""
    return _parse(content, "CERTIFICATE", load_certificate)


def parse_crls(content: bytes) -> tuple[bytes, ...]:
    """DER of the CRLs in a file, one or more; MalformedError if it holds anything else."""
    return _parse(content, "X509 CRL", load_crl)


def parse_ocsps(content: bytes) -> tuple[bytes, ...]:
    """DER of the OCSP answers in a file, one or more; MalformedError if it holds anything else."""
    return _parse(content, "OCSP RESPONSE", _load_ocsp)


def is_pem(content: bytes) -> bool:
    """Whether a file is PEM (or neither) rather than DER."""
    return _BEGIN.search(content) is not None and content[:1] != bytes([SEQUENCE])


def describe(der: bytes) -> CertificateFacts:
    """What the certificate says; MalformedError if it cannot be read."""
    certificate = load_certificate(der)
    with reading("certificate"):
        return CertificateFacts(
            subject=_name(certificate.subject),
            issuer=_name(certificate.issuer),
            serial=certificate.serial_number,
            not_before=certificate.not_valid_before,
            not_after=certificate.not_valid_after,
            sha256=hashlib.sha256(der).hexdigest(),
            key=_key(certificate),
            signature=certificate["signature_algorithm"]["algorithm"].native,
            is_ca=bool(certificate.ca),
            is_self_issued=bool(certificate.self_issued),
        )


def organization(der: bytes) -> str | None:
    """The subject's organization, or None; MalformedError if the certificate cannot be read."""
    certificate = load_certificate(der)
    with reading("certificate"):
        value = certificate.subject.native.get("organization_name")
    return value if isinstance(value, str) else None


def _parse(content: bytes, label: str, check: Callable[[bytes], object]) -> tuple[bytes, ...]:
    if not is_pem(content) and content[:1] != bytes([SEQUENCE]):
        raise MalformedError(f"neither PEM nor DER, want {label}")
    found = _unarmor(content, label) if is_pem(content) else (content,)
    for der in found:
        check(der)
    return found


def _unarmor(content: bytes, label: str) -> tuple[bytes, ...]:
    begun = _BEGIN.findall(content)
    others = sorted({one.decode("ascii") for one in begun} - {label})
    if others:
        raise MalformedError(f"holds {others[0]}, want {label}")
    if len(begun) > MAX_BLOCKS:
        raise MalformedError(f"holds {len(begun)} PEM blocks, want at most {MAX_BLOCKS}")
    bodies = [body for _, body in _BLOCK.findall(content)]
    if len(bodies) != len(begun):
        raise MalformedError("a PEM block is cut short")
    try:
        return tuple(base64.b64decode(b"".join(body.split()), validate=True) for body in bodies)
    except ValueError as error:
        raise MalformedError("a PEM block is not base64") from error


def _load_ocsp(der: bytes) -> None:
    value = load(ocsp.OCSPResponse, der, "OCSP response", MAX_MATERIAL_BYTES)
    with reading("OCSP response"):
        value.native  # noqa: B018 — forces the parse


def _name(name: x509.Name) -> str:
    """The name as RFC 4514 writes it, the most specific part first."""
    parts = []
    for relative in reversed(name.chosen):
        pairs = [f"{_attribute(pair['type'])}={_escape(pair['value'].native)}" for pair in relative]
        parts.append("+".join(sorted(pairs)))
    return ",".join(parts)


def _attribute(kind: x509.NameType) -> str:
    dotted: str = kind.dotted
    return _SHORT.get(dotted, dotted)


def _escape(value: object) -> str:
    """RFC 4514 §2.4, as far as a reader could take one part for two."""
    return re.sub(r'([,+"\\<>;])', r"\\\1", str(value))


def _key(certificate: x509.Certificate) -> str:
    try:
        key = load_public_key(certificate.public_key.dump())
    except MalformedError:
        return str(certificate.public_key.algorithm)  # SM2, say: named, not judged
    if isinstance(key, rsa.RSAPublicKey):
        return f"rsa {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ec {key.curve.name}"
    return str(certificate.public_key.algorithm)
