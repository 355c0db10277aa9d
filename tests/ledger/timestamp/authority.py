"""A certificate authority and a token maker that can be told to do one thing wrong."""

import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

GEN_TIME = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)
BEGIN = datetime(2020, 1, 1, tzinfo=UTC)
END = datetime(2030, 1, 1, tzinfo=UTC)
DER = serialization.Encoding.DER
STAMPING = (ExtendedKeyUsageOID.TIME_STAMPING,)
POLICY = "1.3.6.1.4.1.99999.1"
SM3, SM2_WITH_SM3 = "1.2.156.10197.1.401", "1.2.156.10197.1.501"


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


@dataclass
class Authority:
    """A CA: its own certificate, and what it issues. ``serial`` counts up."""

    common_name: str = "Test Root"
    key: Any = field(default_factory=lambda: ec.generate_private_key(ec.SECP256R1()))
    certificate: x509.Certificate = None  # type: ignore[assignment]
    serial: int = 100

    def __post_init__(self) -> None:
        if self.certificate is None:
            self.certificate = self._sign(self.common_name, self.key.public_key(), ca=True)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(DER)

    def child(self, common_name: str, **options: Any) -> "Authority":
        """A subordinate CA."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(common_name, key.public_key(), ca=True, **options)
        return Authority(common_name, key, certificate)

    def signer(self, key: Any = None, common_name: str = "Test TSA", **options: Any) -> "Signer":
        """A time-stamping end entity; options as in ``_sign``."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        options = {"purposes": STAMPING, **options}
        return Signer(key, self._sign(common_name, key.public_key(), **options).public_bytes(DER))

    def _sign(
        self,
        subject: str,
        key: Any,
        *,
        ca: bool = False,
        purposes: tuple[x509.ObjectIdentifier, ...] | None = None,
        critical: bool = True,
        usage: str | None = None,
        begin: datetime = BEGIN,
        end: datetime = END,
        ocsp_url: str | None = None,
        algorithm: Any = None,
    ) -> x509.Certificate:
        self.serial += 1
        builder = (
            x509.CertificateBuilder()
            .issuer_name(name(self.common_name))
            .subject_name(name(subject))
            .public_key(key)
            .serial_number(self.serial)
            .not_valid_before(begin)
            .not_valid_after(end)
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
        )
        if purposes is not None:
            builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=critical)
        if ca or usage:
            builder = builder.add_extension(_usage(usage or "ca"), critical=True)
        if ocsp_url:
            access = x509.AccessDescription(
                AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url)
            )
            builder = builder.add_extension(
                x509.AuthorityInformationAccess([access]), critical=False
            )
        return builder.sign(self.key, algorithm or hashes.SHA256())

    def crl(
        self,
        revoked: dict[int, tuple[datetime, x509.ReasonFlags | None]] | None = None,
        issued: datetime = GEN_TIME + timedelta(days=1),
        until: datetime = GEN_TIME + timedelta(days=30),
    ) -> bytes:
        """A CRL; revoked: serial -> when and why."""
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name(self.common_name))
            .last_update(issued)
            .next_update(until)
        )
        for serial, (at, reason) in (revoked or {}).items():
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
            if reason is not None:
                entry = entry.add_extension(x509.CRLReason(reason), critical=False)
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(self.key, hashes.SHA256()).public_bytes(DER)

    def ocsp(
        self,
        certificate: bytes,
        revoked: tuple[datetime, x509.ReasonFlags | None] | None = None,
        issued: datetime = GEN_TIME + timedelta(days=1),
    ) -> bytes:
        """An OCSP answer about certificate, signed by this authority itself."""
        status = ocsp.OCSPCertStatus.REVOKED if revoked else ocsp.OCSPCertStatus.GOOD
        return (
            ocsp.OCSPResponseBuilder()
            .add_response(
                cert=x509.load_der_x509_certificate(certificate),
                issuer=self.certificate,
                algorithm=hashes.SHA256(),
                cert_status=status,
                this_update=issued,
                next_update=issued + timedelta(days=7),
                revocation_time=revoked[0] if revoked else None,
                revocation_reason=revoked[1] if revoked else None,
            )
            .responder_id(ocsp.OCSPResponderEncoding.HASH, self.certificate)
            .sign(self.key, hashes.SHA256())
            .public_bytes(DER)
        )


def _usage(kind: str) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=kind in ("sign", "both"),
        content_commitment=False,
        key_encipherment=kind in ("both", "encipher"),
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=kind == "ca",
        crl_sign=kind == "ca",
        encipher_only=False,
        decipher_only=False,
    )


@dataclass(frozen=True)
class Signer:
    """A signing key and its certificate (DER)."""

    key: Any
    certificate: bytes

    @property
    def serial(self) -> int:
        return asn1_x509.Certificate.load(self.certificate).serial_number


def make_content(message: bytes = b"message", **changes: Any) -> bytes:
    """A TSTInfo over message; changes replace fields, None removes one."""
    algorithm = changes.pop("algorithm", "sha256")
    hashed = changes.pop("imprint", None)
    fields: dict[str, Any] = {
        "version": 1,
        "policy": POLICY,
        "message_imprint": {
            "hash_algorithm": {"algorithm": algorithm},
            "hashed_message": hashed or hashlib.new(algorithm, message).digest(),
        },
        "serial_number": 4711,
        "gen_time": GEN_TIME,
        "accuracy": {"seconds": 1, "millis": 500},
        "nonce": 99,
    }
    fields.update(changes)
    kept = {key: value for key, value in fields.items() if value is not None}
    return tsp.TSTInfo(kept).dump()


def with_gen_time(text: bytes) -> bytes:
    """A TSTInfo whose genTime is spelled text."""
    return make_content(gen_time=core.GeneralizedTime(contents=text))


def make_token(
    signer: Signer,
    content: bytes | None = None,
    *,
    digest: str = "sha256",
    scheme: str = "sha256_ecdsa",
    certificates: tuple[bytes, ...] | None = None,
    identifier: Any = None,
    attributes: Any = lambda listed: listed,
    parts: Any = lambda fields: fields,
    by_key_id: bytes | None = None,
) -> bytes:
    """A bare token. ``attributes`` and ``parts`` may change the signed attributes (before they
    are signed) and the fields of SignedData (after).
    """
    content = make_content() if content is None else content
    certificate = asn1_x509.Certificate.load(signer.certificate)
    if identifier is None:
        hashed = hashlib.sha256(signer.certificate).digest()
        identifier = tsp.ESSCertIDv2({"cert_hash": hashed})
    listed = attributes(
        [
            {"type": "content_type", "values": ["tst_info"]},
            {"type": "message_digest", "values": [_hashed(digest, content)]},
            {
                "type": "signing_certificate_v2",
                "values": [tsp.SigningCertificateV2({"certs": [identifier]})],
            },
        ]
    )
    signed = cms.CMSAttributes(listed) if listed is not None else None
    message = signed.dump() if signed is not None else content
    sid: Any = cms.IssuerAndSerialNumber(
        {"issuer": certificate.issuer, "serial_number": certificate.serial_number}
    )
    info: dict[str, Any] = {
        "version": "v1",
        "sid": cms.SignerIdentifier({"issuer_and_serial_number": sid}),
        "digest_algorithm": {"algorithm": digest},
        "signature_algorithm": signature_algorithm(scheme, digest),
        "signature": sign(signer.key, scheme, digest, message),
    }
    if by_key_id is not None:
        info["version"] = "v3"
        info["sid"] = cms.SignerIdentifier({"subject_key_identifier": by_key_id})
    if signed is not None:
        info["signed_attrs"] = signed
    fields: dict[str, Any] = {
        "version": "v3",
        "digest_algorithms": [{"algorithm": digest}],
        "encap_content_info": {
            "content_type": "tst_info",
            "content": cms.ParsableOctetString(content),
        },
        "certificates": [
            cms.CertificateChoices({"certificate": asn1_x509.Certificate.load(der)})
            for der in ((signer.certificate,) if certificates is None else certificates)
        ],
        "signer_infos": [info],
    }
    fields = parts(fields)
    return cms.ContentInfo(
        {"content_type": "signed_data", "content": cms.SignedData(fields)}
    ).dump()


def _hashed(digest: str, content: bytes) -> bytes:
    return hashlib.new({SM3: "sm3"}.get(digest, digest), content).digest()


def signature_algorithm(scheme: str, digest: str) -> dict[str, Any]:
    if scheme != "rsassa_pss":
        return {"algorithm": scheme}
    return {
        "algorithm": "rsassa_pss",
        "parameters": {
            "hash_algorithm": {"algorithm": digest},
            "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": {"algorithm": digest}},
            "salt_length": 32,
        },
    }


def sign(key: Any, scheme: str, digest: str, message: bytes) -> bytes:
    known = {"md5": hashes.MD5, "sha1": hashes.SHA1, "sha256": hashes.SHA256}
    algorithm = known.get(digest, hashes.SHA512)()
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return key.sign(message)
    if isinstance(key, rsa.RSAPrivateKey):
        if scheme == "rsassa_pss":
            return key.sign(message, padding.PSS(padding.MGF1(algorithm), 32), algorithm)
        return key.sign(message, padding.PKCS1v15(), algorithm)
    return key.sign(message, ec.ECDSA(algorithm))


def respond(token: bytes | None, status: int = 0) -> bytes:
    """A TimeStampResp around token."""
    encoded = tsp.PKIStatusInfo({"status": status}).dump() + (token or b"")
    length = len(encoded)
    header = bytes([0x30, length]) if length < 128 else b"\x30\x82" + length.to_bytes(2)
    return header + encoded
