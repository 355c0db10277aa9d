"""A token's own truth: what is accepted, and one test for each way of being wrong."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto import tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.cms import MAX_TOKEN_BYTES
from ledger.timestamp.token import (
    check_strength,
    check_token,
    openssl_verifiable,
    parse_token,
)
from tests.ledger.timestamp.authority import (
    GEN_TIME,
    POLICY,
    STAMPING,
    Authority,
    Signer,
    make_content,
    make_token,
    respond,
    with_gen_time,
)

IMPRINT = hashlib.sha256(b"message").digest()


@pytest.fixture(scope="module")
def root() -> Authority:
    return Authority()


@pytest.fixture(scope="module")
def signer(root: Authority) -> Signer:
    return root.signer()


@pytest.fixture(scope="module")
def rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


def check(b: bytes, **options: Any) -> bytes:
    return check_token(parse_token(b), **{"imprint": IMPRINT, "nonce": 99, **options})


def test_token_says_what_was_put_in(signer: Signer) -> None:
    bare = make_token(signer)
    token = parse_token(respond(bare))
    assert token.raw == bare
    assert token == parse_token(bare)
    assert token.gen_time == GEN_TIME
    assert token.accuracy == timedelta(seconds=1, milliseconds=500)
    assert (token.serial, token.policy, token.nonce) == (4711, POLICY, 99)
    assert (token.imprint_algorithm, token.imprint) == ("sha256", IMPRINT)
    assert token.signer == signer.certificate
    assert token.certificates == (signer.certificate,)
    assert token.signature_algorithm == "ecdsa-sha256"
    assert not token.is_development
    assert openssl_verifiable(token)
    assert check(bare) == signer.certificate
    check_strength(token, signer.certificate)


@pytest.mark.parametrize("scheme", ["rsassa_pkcs1v15", "sha256_rsa", "rsassa_pss"])
def test_rsa_signatures_are_checked(
    root: Authority, rsa_key: rsa.RSAPrivateKey, scheme: str
) -> None:
    stamper = root.signer(rsa_key)
    token = parse_token(make_token(stamper, scheme=scheme))
    assert check_token(token, imprint=IMPRINT) == stamper.certificate
    check_strength(token, stamper.certificate)
    assert openssl_verifiable(token) == (scheme != "rsassa_pss")
    other = Signer(rsa.generate_private_key(65537, 2048), stamper.certificate)
    with pytest.raises(VerificationError, match="signature does not match"):
        check(make_token(other, scheme=scheme))


def test_ed25519_signatures_are_checked(root: Authority) -> None:
    stamper = root.signer(ed25519.Ed25519PrivateKey.generate())
    token = parse_token(make_token(stamper, scheme="ed25519", digest="sha512"))
    assert check_token(token, imprint=IMPRINT) == stamper.certificate
    check_strength(token, stamper.certificate)
    assert not openssl_verifiable(token)


@pytest.mark.parametrize("algorithm", ["sha384", "sha512", "sm3"])
def test_longer_and_sm3_imprints_are_accepted(signer: Signer, algorithm: str) -> None:
    oid = {"sm3": "1.2.156.10197.1.401"}.get(algorithm, algorithm)
    imprint = hashlib.new(algorithm, b"message").digest()
    token = parse_token(make_token(signer, make_content(algorithm=oid, imprint=imprint)))
    assert token.imprint_algorithm == algorithm
    check_token(token, imprint=imprint)
    check_strength(token, signer.certificate)


def test_imprint_that_cannot_be_computed_is_unchecked_once_the_rest_is_true(
    root: Authority, signer: Signer
) -> None:
    imprint = hashlib.sha224(b"message").digest()
    content = make_content(algorithm="sha224", imprint=imprint)
    bare = make_token(signer, content)
    for given_imprint in (None, imprint):
        with pytest.raises(VerificationError, match=r"^unchecked: imprint algorithm"):
            check(bare, imprint=given_imprint)
    with pytest.raises(VerificationError, match="over other bytes"):
        check(bare)
    forged = make_token(Signer(root.signer().key, signer.certificate), content)
    with pytest.raises(VerificationError, match="signature does not match"):
        check(forged, imprint=imprint)


def test_certificate_not_embedded_is_taken_from_the_callers(signer: Signer) -> None:
    bare = make_token(signer, certificates=())
    assert parse_token(bare).signer is None
    assert check(bare, certificates=[b"junk", signer.certificate]) == signer.certificate
    with pytest.raises(VerificationError, match=r"^unchecked: the signer's certificate"):
        check(bare)


def test_embedded_certificates_without_the_signers_are_refused(
    root: Authority, signer: Signer
) -> None:
    with pytest.raises(VerificationError, match="none of the embedded"):
        check(make_token(signer, certificates=(root.der,)))


def test_token_over_other_bytes_or_with_another_nonce_is_refused(signer: Signer) -> None:
    bare = make_token(signer)
    with pytest.raises(VerificationError, match="over other bytes"):
        check(bare, imprint=bytes(32))
    with pytest.raises(VerificationError, match="nonce"):
        check(bare, nonce=98)
    with pytest.raises(VerificationError, match="nonce"):
        check(make_token(signer, make_content(nonce=None)))
    check(bare, imprint=None, nonce=None)


def test_substituted_certificate_of_the_same_name_and_key_is_refused(root: Authority) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    first = root.signer(key)
    root.serial -= 1
    second = root.signer(key)
    assert first.serial == second.serial
    with pytest.raises(VerificationError, match="names another certificate"):
        check(make_token(first, certificates=(second.certificate,)))
    assert check(make_token(first, certificates=(second.certificate, first.certificate)))


def test_unreadable_public_key_is_malformed(root: Authority, signer: Signer) -> None:
    spoiled = signer.certificate.replace(
        bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a8648ce3d03017f")
    )
    hashed = hashlib.sha256(spoiled).digest()
    stamper = Signer(signer.key, spoiled)
    with pytest.raises(MalformedError, match="public key"):
        check(make_token(stamper, identifier=tsp.ESSCertIDv2({"cert_hash": hashed})))


BAD_SIGNERS = [
    ({"ca": True}, "CA's"),
    ({"purposes": None}, "time stamping alone"),
    ({"purposes": (ExtendedKeyUsageOID.CODE_SIGNING,)}, "time stamping alone"),
    ({"purposes": (*STAMPING, ExtendedKeyUsageOID.CODE_SIGNING)}, "time stamping alone"),
    ({"critical": False}, "not critical"),
    ({"usage": "both"}, "not signing alone"),
    ({"usage": "encipher"}, "not signing alone"),
]


@pytest.mark.parametrize(("options", "message"), BAD_SIGNERS)
def test_signer_that_is_not_for_time_stamping_alone_is_refused(
    root: Authority, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(VerificationError, match=message):
        check(make_token(root.signer(**options)))


def test_signing_key_usage_is_accepted(root: Authority) -> None:
    check(make_token(root.signer(usage="sign")))


BAD_CONTENTS = [
    ({"version": 2}, "version"),
    ({"imprint": bytes(31)}, "imprint has 31"),
    ({"nonce": 1 << 520}, "nonce"),
    ({"serial_number": 1 << 260}, "serial number"),
    ({"accuracy": {"seconds": -1}}, "accuracy"),
    ({"accuracy": {"millis": 1000}}, "accuracy"),
    ({"accuracy": {"seconds": 10**12}}, "accuracy"),
    ({"extensions": [{"extn_id": "1.2.3", "critical": True, "extn_value": b""}]}, "critical"),
]


@pytest.mark.parametrize(("fields", "message"), BAD_CONTENTS)
def test_wrong_content_is_malformed(signer: Signer, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check(make_token(signer, make_content(**fields)))


def test_optional_fields_may_be_absent_or_harmless(signer: Signer) -> None:
    extension = {"extn_id": "1.3.6.1.5.5.7.1.3", "extn_value": b"0\0"}
    content = make_content(accuracy=None, nonce=None, extensions=[extension], ordering=True)
    token = parse_token(make_token(signer, content))
    assert token.accuracy is None
    assert token.nonce is None
    check_token(token, imprint=IMPRINT)


@pytest.mark.parametrize(
    ("text", "microsecond"),
    [
        (b"20260301120000Z", 0),
        (b"20260301120000.5Z", 500_000),
        (b"20260301120000.120Z", 120_000),
        (b"20260301120000.000001Z", 1),
        (b"20260301120000.0000011Z", 2),
        (b"20260301120000.123456789Z", 123_457),
    ],
)
def test_gen_time_is_read_to_the_microsecond_never_early(
    signer: Signer, text: bytes, microsecond: int
) -> None:
    token = parse_token(make_token(signer, with_gen_time(text)))
    assert token.gen_time == datetime(2026, 3, 1, 12, 0, 0, microsecond, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        b"202603011200Z",
        b"20260301120000",
        b"20260301120000+0100",
        b"20260301120000,5Z",
        b"20260301120000.Z",
        b"20260301120060Z",
        b"20260230120000Z",
        b"00000301120000Z",
        b"20260301120000.1234567890Z",
        b"2026030112000\xb2Z",
    ],
)
def test_gen_time_spelled_any_other_way_is_malformed(signer: Signer, text: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_token(make_token(signer, with_gen_time(text)))


def test_tsa_field_that_names_somebody_else_is_seen_by_openssl_only(signer: Signer) -> None:
    for subject, agrees in (("Test TSA", True), ("Somebody", False)):
        name = asn1_x509.Name.build({"common_name": subject})
        content = make_content(tsa=asn1_x509.GeneralName("directory_name", name))
        bare = make_token(signer, content)
        check(bare)
        assert openssl_verifiable(parse_token(bare)) == agrees


def test_weak_algorithms_are_good_but_not_counted(root: Authority, signer: Signer) -> None:
    small = root.signer(rsa.generate_private_key(65537, 1024))
    curve = root.signer(ec.generate_private_key(ec.SECP224R1()))
    old = root.signer(rsa.generate_private_key(65537, 2048))
    sha1, md5 = make_content(algorithm="sha1"), make_content(algorithm="md5")
    identifier = tsp.ESSCertIDv2(
        {
            "hash_algorithm": {"algorithm": "md5"},
            "cert_hash": hashlib.md5(signer.certificate).digest(),
        }
    )
    for stamper, bare, imprint, reason in (
        (signer, make_token(signer, sha1), hashlib.sha1(b"message").digest(), "sha1 imprint"),
        (signer, make_token(signer, md5), hashlib.md5(b"message").digest(), "md5 imprint"),
        (signer, make_token(signer, identifier=identifier), IMPRINT, "md5 signing-certificate"),
        (old, make_token(old, scheme="md5_rsa", digest="md5"), IMPRINT, "md5 signature"),
        (small, make_token(small, scheme="sha256_rsa"), IMPRINT, "rsa key of 1024 bits"),
        (curve, make_token(curve), IMPRINT, "elliptic curve of 224 bits"),
        (old, make_token(old, scheme="sha1_rsa", digest="sha1"), IMPRINT, "sha1 signature"),
    ):
        token = parse_token(bare)
        assert check_token(token, imprint=imprint) == stamper.certificate
        with pytest.raises(VerificationError, match=f"^weak: {reason}"):
            check_strength(token, stamper.certificate)


def test_strength_of_an_unreadable_certificate_is_malformed(signer: Signer) -> None:
    with pytest.raises(MalformedError):
        check_strength(parse_token(make_token(signer)), b"0\0")


def test_response_status_decides_before_the_token(signer: Signer) -> None:
    bare = make_token(signer)
    check(respond(bare, 0))
    check(respond(bare, 1))
    for status in (2, 3, 4, 5, 6):
        with pytest.raises(VerificationError, match=f"status {status}"):
            parse_token(respond(bare, status))
        with pytest.raises(VerificationError, match=f"status {status}"):
            parse_token(respond(None, status))
    with pytest.raises(MalformedError, match="no token"):
        parse_token(respond(None, 0))
    with pytest.raises(MalformedError, match="more than"):
        parse_token(respond(bare + b"\5\0", 0))


def test_size_and_certificate_limits_hold(root: Authority, signer: Signer) -> None:
    with pytest.raises(MalformedError, match=f"{MAX_TOKEN_BYTES}"):
        parse_token(bytes(MAX_TOKEN_BYTES + 1))
    many = tuple(root.signer(signer.key).certificate for _ in range(33))
    with pytest.raises(MalformedError, match="33 certificates"):
        parse_token(make_token(signer, certificates=many))


@given(st.binary(max_size=300))
def test_arbitrary_bytes_are_malformed(b: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_token(b)
