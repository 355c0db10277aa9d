"""Certificates, CRLs and OCSP answers in files: DER, PEM, several, and everything else refused."""

import pytest
from asn1crypto import pem
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError
from ledger.timestamp.material import (
    MAX_BLOCKS,
    describe,
    is_pem,
    organization,
    parse_certificates,
    parse_crls,
    parse_ocsps,
)
from tests.ledger.timestamp.authority import BEGIN, DER, END, Authority

ROOT = Authority()
OTHER = Authority("Other")


def test_der_and_pem_with_text_and_crlf_are_read_alike() -> None:
    armored = pem.armor("CERTIFICATE", ROOT.der)
    assert parse_certificates(ROOT.der) == parse_certificates(armored) == (ROOT.der,)
    assert parse_certificates(armored.replace(b"\n", b"\r\n")) == (ROOT.der,)
    second = b"subject=CN = Other\n" + pem.armor("CERTIFICATE", OTHER.der)
    assert parse_certificates(armored + second) == (ROOT.der, OTHER.der)
    assert is_pem(second)
    assert not is_pem(ROOT.der)


def test_crls_and_ocsp_answers_are_read() -> None:
    crl, answer = ROOT.crl(), ROOT.ocsp(OTHER.der)
    assert parse_crls(crl) == parse_crls(pem.armor("X509 CRL", crl)) == (crl,)
    assert parse_ocsps(answer) == parse_ocsps(pem.armor("OCSP RESPONSE", answer)) == (answer,)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "neither PEM nor DER, want CERTIFICATE"),
        (b"junk", "neither PEM nor DER"),
        (ROOT.der[:-1], "cut short"),
        (ROOT.der + b"\0", "followed by 1 more bytes"),
        (ROOT.crl(), "certificate is not what its standard says"),
        (pem.armor("X509 CRL", ROOT.crl()), "holds X509 CRL, want CERTIFICATE"),
        (pem.armor("CERTIFICATE", ROOT.der) + b"-----BEGIN PRIVATE KEY-----", "PRIVATE KEY"),
        (pem.armor("CERTIFICATE", ROOT.der)[:-20], "a PEM block is cut short"),
        (b"-----BEGIN CERTIFICATE-----\n=A==\n-----END CERTIFICATE-----", "not base64"),
        (b"-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "has 0 bytes"),
        (b"-----BEGIN CERTIFICATE-----\n" * (MAX_BLOCKS + 1), "257 PEM blocks, want at most 256"),
    ],
)
def test_anything_else_is_refused(content: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_certificates(content)


@given(st.binary(max_size=80))
def test_junk_raises_only_malformed(junk: bytes) -> None:
    for parse in (parse_certificates, parse_crls, parse_ocsps):
        with pytest.raises(MalformedError):
            parse(junk)
        with pytest.raises(MalformedError):
            parse(b"-----BEGIN CERTIFICATE-----\n" + junk)


def test_a_certificate_says_who_it_is_as_rfc_4514_writes_it() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    attributes = [
        (NameOID.COUNTRY_NAME, "CN"),
        (NameOID.ORGANIZATION_NAME, "A, B & Co. Ltd"),
        (NameOID.TITLE, "unusual"),
        (NameOID.COMMON_NAME, "时间戳\u202e"),
    ]
    name = x509.Name([x509.NameAttribute(kind, value) for kind, value in attributes])
    der = (
        x509.CertificateBuilder()
        .issuer_name(name)
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(0x1234)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .sign(key, hashes.SHA256())
        .public_bytes(DER)
    )
    said = describe(der)
    assert said.subject == "CN=时间戳\u202e,2.5.4.12=unusual,O=A\\, B & Co. Ltd,C=CN"
    assert (said.serial, said.not_before, said.not_after) == (0x1234, BEGIN, END)
    assert (said.key, said.signature) == ("ec secp256r1", "sha256_ecdsa")
    assert (said.is_ca, said.is_self_issued) == (False, True)
    assert organization(der) == "A, B & Co. Ltd"
    assert organization(ROOT.der) is None
    with pytest.raises(MalformedError):
        describe(b"0\x00")
