"""The CMS envelope of a token: SignedData with exactly one signer (RFC 5652, RFC 5035).

Structure is checked while parsing, truth by the checks at the end. The bytes that were signed are
taken as they were received, never encoded again.

Faults that leave the rest readable have a name (of ``ledger.timestamp.examine.CHECKS``) and go to
a ``Fault``: ``refuse`` raises, and only ``examine`` gives another one, to look at what is left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import (
    cms,
    tsp,  # noqa: F401 — importing it teaches cms the attributes of RFC 5035
    x509,
)

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.algorithms import (
    Scheme,
    check_checkable,
    check_signature,
    digest,
    digest_name,
    load_public_key,
    parse_scheme,
)
from ledger.timestamp.der import SEQUENCE, SET, load, load_certificate, reading, split

MAX_TOKEN_BYTES = 262_144
"""One token or response. Real ones are 1 to 7 KB; some TSAs embed a CRL of a hundred more."""

MAX_CERTIFICATES = 32
"""Certificates in one token: a chain is 2 to 5 long."""

SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
"""The content type of what a token is, as it stands in it (RFC 5652 §5.1)."""

CT_TST_INFO = "1.2.840.113549.1.9.16.1.4"
CONTENT_TYPE = "1.2.840.113549.1.9.3"
MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
SIGNING_CERTIFICATE = "1.2.840.113549.1.9.16.2.12"
SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
OCSP_RESPONSE = "1.3.6.1.5.5.7.16.2"  # RFC 5940 §2: an OCSP answer among the CRLs

OTHER_REVOCATION = 0xA1

Fault = Callable[[str, str], None]
"""Takes the name of the check that fails, and what is wrong."""


def refuse(check: str, message: str) -> None:  # noqa: ARG001 — a Fault
    """Raise MalformedError(message): what parsing does with any fault."""
    raise MalformedError(message)


@dataclass(frozen=True, slots=True)
class CertificateId:
    """ESSCertID: names the signer's certificate by digest, and perhaps by issuer and serial.

    ``version``: 1 (RFC 2634, SHA-1) or 2 (RFC 5816). ``issuer``: comparable form of the name.
    """

    version: int
    algorithm: str
    digest: bytes
    issuer: str | None = None
    serial: int | None = None


@dataclass(frozen=True, slots=True)
class SignedContent:
    """A parsed SignedData of one signer. All bytes are slices of what was received.

    ``signed_attributes``: with the SET tag, as signed (RFC 5652 §5.4). The signer is named by
    ``issuer`` and ``serial`` or by ``key_id``. ``certificates``, ``crls``, ``ocsps``: DER, in the
    order received; ``foreign``: something among certificates or CRLs that is neither.
    """

    content: bytes
    digest_algorithm: str
    scheme: Scheme
    signed_attributes: bytes
    message_digest: bytes
    certificate_ids: tuple[CertificateId, ...]
    signature: bytes
    issuer: str | None
    serial: int | None
    key_id: bytes | None
    certificates: tuple[bytes, ...]
    crls: tuple[bytes, ...]
    ocsps: tuple[bytes, ...]
    foreign: bool


def parse_signed(b: bytes, fault: Fault = refuse) -> SignedContent:
    """Parse a bare ContentInfo holding a TSTInfo; MalformedError if anything is out of place.

    With a fault that returns, the value can have holes (no certificate_ids, empty
    signed_attributes or message_digest, the first of several signers): only to be looked at.
    """
    info = load(cms.ContentInfo, b, "timestamp token", MAX_TOKEN_BYTES)
    _check_wrappers(b)
    with reading("timestamp token"):
        if info["content_type"].native != "signed_data":
            raise MalformedError("timestamp token is not signed data")
        signed = info["content"]
        if int(signed["version"]) != 3:
            # RFC 5652 §5.1: 3 because eContentType is not id-data; 4, 5 need what we refuse.
            raise MalformedError(f"signed data has version {int(signed['version'])}, want 3")
        capsule = signed["encap_content_info"]
        if capsule["content_type"].dotted != CT_TST_INFO:
            kind = capsule["content_type"].dotted
            fault("content-type", f"content type is {kind}, want TSTInfo")
        signers = signed["signer_infos"]
        if len(signers) != 1:
            fault("signers", f"token has {len(signers)} signers, want 1")
        digests = [digest_name(algorithm) for algorithm in signed["digest_algorithms"]]
        certificates, foreign = _certificates(signed["certificates"])
        crls, ocsps, other = _revocations(signed["crls"])
        return _signer(
            signers[0],
            bytes(capsule["content"]),
            digests,
            certificates=certificates,
            crls=crls,
            ocsps=ocsps,
            foreign=foreign or other or bool(ocsps),
            fault=fault,
        )


def _check_wrappers(b: bytes) -> None:
    """Each explicit tag holds one element: asn1crypto would pass over a second one."""
    wrapped = split(b)[1:2]
    inner = split(wrapped[0]) if wrapped else ()
    if len(inner) != 1 or len(split(inner[0])) < 3:
        raise MalformedError("timestamp token is not one signed data")
    capsule = split(split(inner[0])[2])
    if len(capsule) != 2 or len(split(capsule[1])) != 1:
        raise MalformedError("timestamp token is not over one content")


def _signer(
    signer: Any,  # noqa: ANN401 — asn1crypto SignerInfo
    content: bytes,
    digests: Sequence[str],
    *,
    fault: Fault,
    **embedded: Any,  # noqa: ANN401 — the fields of SignedContent that come from SignedData
) -> SignedContent:
    digest_algorithm = digest_name(signer["digest_algorithm"])
    if digest_algorithm not in digests:
        raise MalformedError(f"the signer's digest {digest_algorithm} is not announced")
    signed_attributes, values = _attributes(signer["signed_attrs"], fault)
    unsigned = signer["unsigned_attrs"]
    unsigned.native  # noqa: B018 — forces the parse; nothing in it is believed
    if signed_attributes:
        _check_present(values, fault)
    issuer, serial, key_id = _signer_id(signer)
    return SignedContent(
        content=content,
        digest_algorithm=digest_algorithm,
        scheme=parse_scheme(signer["signature_algorithm"], digest_algorithm),
        signed_attributes=signed_attributes,
        message_digest=bytes(values.get(MESSAGE_DIGEST, b"")),
        certificate_ids=_certificate_ids(values),
        signature=bytes(signer["signature"]),
        issuer=issuer,
        serial=serial,
        key_id=key_id,
        **embedded,
    )


def _signer_id(signer: Any) -> tuple[str | None, int | None, bytes | None]:  # noqa: ANN401
    """RFC 5652 §5.3: version 1 names issuer and serial, version 3 the subject key identifier."""
    sid, version = signer["sid"], int(signer["version"])
    if sid.name == "issuer_and_serial_number" and version == 1:
        return sid.chosen["issuer"].hashable, int(sid.chosen["serial_number"]), None
    if sid.name == "subject_key_identifier" and version == 3:
        return None, None, bytes(sid.chosen)
    raise MalformedError(f"signer info has version {version} with {sid.name}")


def _check_present(values: dict[str, Any], fault: Fault) -> None:
    """RFC 5652 §11.1, §11.2 and RFC 3161 §2.4.2: the attributes that a token is signed with."""
    if MESSAGE_DIGEST not in values:
        fault("signed-attributes", "no message-digest attribute")
    if CONTENT_TYPE not in values or values[CONTENT_TYPE].dotted != CT_TST_INFO:
        fault("content-type", "the content-type attribute is not TSTInfo")
    if SIGNING_CERTIFICATE not in values and SIGNING_CERTIFICATE_V2 not in values:
        fault("signing-certificate", "no signing-certificate attribute")


def _attributes(attributes: Any, fault: Fault) -> tuple[bytes, dict[str, Any]]:  # noqa: ANN401
    """The signed bytes, and the single value of each attribute we read, by OID."""
    encoded: bytes = attributes.dump()
    if not encoded:
        fault("signed-attributes", "no signed attributes")
        return b"", {}
    if encoded[0] != 0xA0 or encoded[1] == 0x80:
        raise MalformedError("signed attributes are not DER")  # RFC 5652 §5.3
    values: dict[str, Any] = {}
    seen = set()
    for attribute in attributes:
        oid = attribute["type"].dotted
        if oid in seen:
            raise MalformedError(f"signed attribute {oid} occurs twice")
        seen.add(oid)
        if oid in (CONTENT_TYPE, MESSAGE_DIGEST, SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2):
            if len(attribute["values"]) != 1:
                raise MalformedError(f"signed attribute {oid} has not one value")
            values[oid] = attribute["values"][0]
    return bytes([SET]) + encoded[1:], values


def _certificate_ids(values: dict[str, Any]) -> tuple[CertificateId, ...]:
    """The first ESSCertID of each signing-certificate attribute: the signer's (RFC 5035 §5.4)."""
    found = []
    for oid, version in ((SIGNING_CERTIFICATE, 1), (SIGNING_CERTIFICATE_V2, 2)):
        if oid not in values:
            continue
        values[oid].native  # noqa: B018 — forces the parse
        if not len(values[oid]["certs"]):
            raise MalformedError("a signing-certificate attribute names no certificate")
        first = values[oid]["certs"][0]
        algorithm = "sha1" if version == 1 else digest_name(first["hash_algorithm"])
        issuer, serial = _issuer_serial(first["issuer_serial"])
        hashed = bytes(first["cert_hash"])
        found.append(CertificateId(version, algorithm, hashed, issuer, serial))
    return tuple(found)


def _issuer_serial(value: Any) -> tuple[str | None, int | None]:  # noqa: ANN401
    if not value:
        return None, None
    names = value["issuer"]
    if len(names) != 1 or names[0].name != "directory_name":
        raise MalformedError("the signing certificate's issuer is not one directory name")
    return names[0].chosen.hashable, int(value["serial_number"])


def _certificates(value: Any) -> tuple[tuple[bytes, ...], bool]:  # noqa: ANN401
    """The X.509 certificates as received; whether there was anything else among them."""
    parts = split(value.dump()) if value else ()
    if len(parts) > MAX_CERTIFICATES:
        raise MalformedError(f"token has {len(parts)} certificates, want at most 32")
    plain = tuple(part for part in parts if part[0] == SEQUENCE)
    return plain, len(plain) != len(parts)


def _revocations(value: Any) -> tuple[tuple[bytes, ...], tuple[bytes, ...], bool]:  # noqa: ANN401
    """CRLs, OCSP answers, and whether there was anything else."""
    crls, ocsps, foreign = [], [], False
    for part in split(value.dump()) if value else ():
        if part[0] == SEQUENCE:
            crls.append(part)
            continue
        fields = split(part) if part[0] == OTHER_REVOCATION else ()
        kind = cms.ObjectIdentifier.load(fields[0]).dotted if len(fields) == 2 else None
        if kind == OCSP_RESPONSE:
            ocsps.append(fields[1])
        else:
            foreign = True
    return tuple(crls), tuple(ocsps), foreign


def names_signer(signed: SignedContent, certificate: x509.Certificate) -> bool:
    """Whether certificate is the one the SignerInfo names."""
    with reading("certificate"):
        if signed.key_id is not None:
            return bool(certificate.key_identifier == signed.key_id)
        same_serial = certificate.serial_number == signed.serial
        return bool(same_serial and certificate.issuer.hashable == signed.issuer)


def is_identified(signed: SignedContent, der: bytes, certificate: x509.Certificate) -> bool:
    """Whether every signing-certificate attribute names certificate, whose bytes are der.

    VerificationError, with ``unchecked:``, if one uses a digest that we cannot compute.
    """
    for wanted in signed.certificate_ids:
        if digest(wanted.algorithm, der) != wanted.digest:
            return False
        if wanted.issuer is not None and (
            wanted.issuer != certificate.issuer.hashable
            or wanted.serial != certificate.serial_number
        ):
            return False
    return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A certificate a SignerInfo names: ``der`` as received, and ``certificate`` parsed from it."""

    der: bytes
    certificate: x509.Certificate


def find_signer(signed: SignedContent, certificates: Sequence[bytes]) -> Signer | None:
    """The certificate the signer is named by, or None; one that is also identified first.

    VerificationError: SignerInfo and signing-certificate attribute name different certificates, or
    (with ``unchecked:``) the attribute uses a digest that we cannot compute.
    """
    named, identified = [], False
    for der in certificates:
        try:
            certificate = load_certificate(der)
        except MalformedError:
            continue  # a certificate nobody can read cannot have signed
        fits = is_identified(signed, der, certificate)
        identified = identified or fits
        if names_signer(signed, certificate):
            if fits:
                return Signer(der, certificate)
            named.append(Signer(der, certificate))
    if identified:
        raise VerificationError("the signer info does not name the certificate that is attested")
    return named[0] if named else None


def check_identified(signed: SignedContent, signer: Signer) -> None:
    """Raise VerificationError unless what is signed names signer's certificate (RFC 5816 §2.2)."""
    if not is_identified(signed, signer.der, signer.certificate):
        raise VerificationError("the signing-certificate attribute names another certificate")


def check_message_digest(signed: SignedContent) -> None:
    """Raise VerificationError unless the signed digest is that of the content (RFC 5652 §5.4).

    It begins with UNCHECKED if the digest is one that we cannot compute.
    """
    if digest(signed.digest_algorithm, signed.content) != signed.message_digest:
        raise VerificationError("the message-digest attribute is not the content's digest")


def check_signature_value(signed: SignedContent, signer: Signer) -> None:
    """Raise VerificationError unless signer's key signed the attributes; MalformedError: no key.

    It begins with UNCHECKED if such a signature cannot be checked here; the key is not read then.
    """
    check_checkable(signed.scheme)
    with reading("public key"):
        key = load_public_key(signer.certificate.public_key.dump())
    check_signature(signed.scheme, key, signed.signature, signed.signed_attributes)
