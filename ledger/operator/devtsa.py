"""A time-stamping authority of our own, for development and tests: it proves nothing.

It answers RFC 3161 requests in process, signed by its own root, with its clock and its random
numbers handed in. Its certificates and its policy OID say what it is, so that every surface can.

>>> from datetime import UTC, datetime
>>> from ledger.operator.devtsa import DevelopmentTsa
>>> from ledger.timestamp.request import format_request
>>> from ledger.timestamp.token import parse_token
>>> tsa = DevelopmentTsa.create("one", lambda: datetime(2026, 1, 2, tzinfo=UTC))
>>> token = parse_token(tsa.answer(format_request(bytes(32), nonce=1)))
>>> token.gen_time.isoformat(), token.is_development
('2026-01-02T00:00:00+00:00', True)
"""

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import MalformedError
from ledger.timestamp.der import SEQUENCE
from ledger.timestamp.request import (
    DIGEST_OIDS,
    IMPRINT_ALGORITHMS,
    TimestampRequest,
    parse_request,
)
from ledger.timestamp.token import DEVELOPMENT_POLICY

WARNING = "DEVELOPMENT TSA proves nothing"
VALIDITY = timedelta(days=365 * 30)
"""Long: a ledger made while developing is looked at again, and the certificates prove nothing."""

BEFORE_CREATION = timedelta(days=1)
"""Certificates begin this long before creation, so that a clock set back a little still works."""

MAX_NAME_CHARACTERS = 64  # X.520 ub-organizational-unit-name

RandomBytes = Callable[[int], bytes]
Clock = Callable[[], datetime]

_REJECTION = 2


@dataclass(frozen=True, slots=True)
class DevelopmentTsa:
    """One development TSA: ``create`` makes it, ``to_pem`` and ``from_pem`` keep it.

    ``name``: shown to people, and in its certificates. ``root``: DER of its root certificate, to
    be pinned where its tokens are to be accepted. The root's key is thrown away at creation.
    """

    name: str
    root: bytes
    certificate: bytes
    clock: Clock
    random_bytes: RandomBytes = secrets.token_bytes
    key: ec.EllipticCurvePrivateKey = field(repr=False, kw_only=True)

    @classmethod
    def create(
        cls, name: str, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes
    ) -> "DevelopmentTsa":
        """A new one with new keys. ``clock`` returns aware datetimes.

        ValueError unless name is 1 to 64 printable characters and the clock is aware.
        """
        if not 1 <= len(name) <= MAX_NAME_CHARACTERS or not name.isprintable():
            raise ValueError(f"name has to be 1 to {MAX_NAME_CHARACTERS} printable characters")
        root_key = ec.generate_private_key(ec.SECP256R1())
        key = ec.generate_private_key(ec.SECP256R1())
        begin = _now(clock).replace(microsecond=0) - BEFORE_CREATION
        root_name = _name(f"{WARNING}: root", name)
        root = _root(root_name, root_key, begin, random_bytes)
        certificate = _signer(
            root_name, root_key, _name(WARNING, name), key.public_key(), begin, random_bytes
        )
        return cls(name, root, certificate, clock, random_bytes, key=key)

    def to_pem(self) -> bytes:
        """The signer's private key, its certificate and the root; keep it as secret as a test."""
        key = self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        pem = serialization.Encoding.PEM
        certificates = (self.certificate, self.root)
        return key + b"".join(
            x509.load_der_x509_certificate(der).public_bytes(pem) for der in certificates
        )

    @classmethod
    def from_pem(
        cls, pem: bytes, clock: Clock, random_bytes: RandomBytes = secrets.token_bytes
    ) -> "DevelopmentTsa":
        """The TSA that ``to_pem`` wrote; MalformedError if pem is anything else."""
        try:
            key = serialization.load_pem_private_key(pem, password=None)
            certificate, root = x509.load_pem_x509_certificates(pem)
            names = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
            name = names[0].value
            certificate.verify_directly_issued_by(root)
        except (ValueError, TypeError, IndexError, InvalidSignature) as error:
            raise MalformedError("not the PEM file of a development TSA") from error
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(name, str):
            raise MalformedError("not the PEM file of a development TSA")
        if key.public_key() != certificate.public_key():
            raise MalformedError("the private key is not the certificate's")
        der = serialization.Encoding.DER
        return cls(
            name,
            root.public_bytes(der),
            certificate.public_bytes(der),
            clock,
            random_bytes,
            key=key,
        )

    def answer(self, request: bytes) -> bytes:
        """The TimeStampResp to request: a token, or a rejection that says why (RFC 3161 §2.4.2).

        Never raises for what request holds. The time is the clock's, to the microsecond.
        """
        try:
            asked = parse_request(request)
        except MalformedError:
            return _reject("bad_data_format")
        if asked.algorithm not in IMPRINT_ALGORITHMS:
            return _reject("bad_alg")
        if asked.policy not in (None, DEVELOPMENT_POLICY):
            return _reject("unaccepted_policy")
        if asked.extensions:
            return _reject("unaccepted_extensions")
        content = self._content(asked).dump()
        certificates = [self.certificate] if asked.certificate_wanted else []
        token = self._signed(content, certificates)
        response: bytes = tsp.TimeStampResp(
            {"status": {"status": 0}, "time_stamp_token": token}
        ).dump()
        return response

    def ask(self, request: bytes) -> bytes:
        """The same as ``answer``: what the stamper calls on any TSA."""
        return self.answer(request)

    def _content(self, asked: TimestampRequest) -> tsp.TSTInfo:
        fields: dict[str, Any] = {  # Any: asn1crypto takes nested native values
            "version": 1,
            "policy": DEVELOPMENT_POLICY,
            "message_imprint": {
                "hash_algorithm": {"algorithm": DIGEST_OIDS[asked.algorithm]},
                "hashed_message": asked.imprint,
            },
            "serial_number": 1 + int.from_bytes(self.random_bytes(8)),
            "gen_time": _now(self.clock),
            "accuracy": {"seconds": 1},
        }
        if asked.nonce is not None:
            fields["nonce"] = asked.nonce
        return tsp.TSTInfo(fields)

    def _signed(self, content: bytes, certificates: list[bytes]) -> cms.ContentInfo:
        """RFC 5652 §5.1, RFC 5816: one signer, ESSCertIDv2 with SHA-256, ECDSA with SHA-256."""
        certificate = asn1_x509.Certificate.load(self.certificate)
        identifier = tsp.ESSCertIDv2({"cert_hash": hashlib.sha256(self.certificate).digest()})
        attributes = cms.CMSAttributes(
            [
                {"type": "content_type", "values": ["tst_info"]},
                {"type": "message_digest", "values": [hashlib.sha256(content).digest()]},
                {
                    "type": "signing_certificate_v2",
                    "values": [tsp.SigningCertificateV2({"certs": [identifier]})],
                },
            ]
        )
        signer = {
            "version": "v1",
            "sid": cms.SignerIdentifier(
                {
                    "issuer_and_serial_number": cms.IssuerAndSerialNumber(
                        {
                            "issuer": certificate.issuer,
                            "serial_number": certificate.serial_number,
                        }
                    )
                }
            ),
            "digest_algorithm": {"algorithm": "sha256"},
            "signed_attrs": attributes,
            "signature_algorithm": {"algorithm": "sha256_ecdsa"},
            "signature": self.key.sign(attributes.dump(), ec.ECDSA(hashes.SHA256())),
        }
        fields: dict[str, Any] = {
            "version": "v3",
            "digest_algorithms": [{"algorithm": "sha256"}],
            "encap_content_info": {
                "content_type": "tst_info",
                "content": cms.ParsableOctetString(content),
            },
            "signer_infos": [signer],
        }
        if certificates:
            fields["certificates"] = [
                cms.CertificateChoices({"certificate": asn1_x509.Certificate.load(der)})
                for der in certificates
            ]
        return cms.ContentInfo({"content_type": "signed_data", "content": cms.SignedData(fields)})


def _now(clock: Clock) -> datetime:
    moment = clock()
    if moment.tzinfo is None:
        raise ValueError("the clock has to return aware datetimes")
    return moment.astimezone(UTC)


def _reject(failure: str) -> bytes:
    """A TimeStampResp without a token: asn1crypto's class demands one, RFC 3161 does not."""
    status: bytes = tsp.PKIStatusInfo({"status": _REJECTION, "fail_info": {failure}}).dump()
    return bytes([SEQUENCE, len(status)]) + status


def _name(common: str, unit: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
        ]
    )


def _builder(
    issuer: x509.Name,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    random_bytes: RandomBytes,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key)
        .serial_number(1 + int.from_bytes(random_bytes(15)))
        .not_valid_before(begin)
        .not_valid_after(begin + VALIDITY)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _usage(*, certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=certificates,
        crl_sign=certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _root(
    name: x509.Name, key: ec.EllipticCurvePrivateKey, begin: datetime, random_bytes: RandomBytes
) -> bytes:
    return (
        _builder(name, name, key.public_key(), begin, random_bytes)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certificates=True), critical=True)
        .sign(key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )


def _signer(
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
    subject: x509.Name,
    key: ec.EllipticCurvePublicKey,
    begin: datetime,
    random_bytes: RandomBytes,
) -> bytes:
    """RFC 3161 §2.3: the extended key usage is critical and timeStamping alone."""
    stamping = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key())
    return (
        _builder(issuer, subject, key, begin, random_bytes)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certificates=False), critical=True)
        .add_extension(stamping, critical=True)
        .add_extension(authority, critical=False)
        .sign(issuer_key, hashes.SHA256())
        .public_bytes(serialization.Encoding.DER)
    )
