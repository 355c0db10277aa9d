"""The envelope: one signer, who signed this content and named itself truly."""

import hashlib
from typing import Any

import pytest
from asn1crypto import cms, core, crl, ocsp, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ledger.errors import MalformedError, VerificationError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.timestamp.algorithms import MAX_SALT_BYTES
from ledger.timestamp.token import Token, check_token, openssl_verifiable, parse_token
from tests.ledger.timestamp.authority import (
    GEN_TIME,
    SM2_WITH_SM3,
    SM3,
    Authority,
    Signer,
    make_token,
    signature_algorithm,
)

IMPRINT = hashlib.sha256(b"message").digest()


@pytest.fixture(scope="module")
def signer() -> Signer:
    return Authority().signer()


def check(b: bytes) -> bytes:
    return check_token(parse_token(b), imprint=IMPRINT, nonce=99)


def test_signer_named_by_key_identifier_is_found() -> None:
    tsa = DevelopmentTsa.create("one", lambda: GEN_TIME)
    stamper = Signer(tsa.key, tsa.certificate)
    key_id = asn1_x509.Certificate.load(tsa.certificate).key_identifier
    named = make_token(stamper, by_key_id=key_id)
    assert check(named) == tsa.certificate
    assert not openssl_verifiable(parse_token(named))
    with pytest.raises(VerificationError, match="does not name the certificate"):
        check(make_token(stamper, by_key_id=bytes(20)))


def test_old_and_double_certificate_identifiers_are_accepted(signer: Signer) -> None:
    certificate = asn1_x509.Certificate.load(signer.certificate)
    hashed = hashlib.sha1(signer.certificate).digest()
    issuer = [asn1_x509.GeneralName("directory_name", certificate.issuer)]
    named = {"issuer": issuer, "serial_number": certificate.serial_number}

    def old(listed: list[Any], serial: int = certificate.serial_number) -> Any:
        identifier = {"cert_hash": hashed, "issuer_serial": {**named, "serial_number": serial}}
        value = tsp.SigningCertificate({"certs": [identifier]})
        return {"type": "signing_certificate", "values": [value]}

    only = make_token(signer, attributes=lambda listed: [*listed[:2], old(listed)])
    assert [found.version for found in parse_token(only).signed.certificate_ids] == [1]
    check(only)
    check(make_token(signer, attributes=lambda listed: [*listed, old(listed)]))
    with pytest.raises(VerificationError, match="names another certificate"):
        check(make_token(signer, attributes=lambda listed: [*listed, old(listed, 5)]))


def drop(index: int) -> Any:
    return lambda listed: [one for at, one in enumerate(listed) if at != index]


BAD_ATTRIBUTES = [
    (lambda listed: None, "signed attributes|message-digest"),
    (drop(0), "content-type"),
    (drop(1), "message-digest"),
    (drop(2), "signing-certificate"),
    (lambda listed: [{"type": "content_type", "values": ["data"]}, *listed[1:]], "content-type"),
    (lambda listed: [*listed, listed[1]], "twice"),
    (
        lambda listed: [listed[0], {"type": "message_digest", "values": [b"1", b"2"]}, listed[2]],
        "not one value",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_ATTRIBUTES)
def test_wrong_signed_attributes_are_malformed(signer: Signer, change: Any, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check(make_token(signer, attributes=change))


def test_wrong_message_digest_is_refused(signer: Signer) -> None:
    def change(listed: list[Any]) -> list[Any]:
        return [listed[0], {"type": "message_digest", "values": [bytes(32)]}, listed[2]]

    with pytest.raises(VerificationError, match="message-digest"):
        check(make_token(signer, attributes=change))


def changed(**fields: Any) -> Any:
    return lambda listed: {**listed, **fields}


def in_signer(**fields: Any) -> Any:
    return lambda listed: {**listed, "signer_infos": [{**listed["signer_infos"][0], **fields}]}


BAD_ENVELOPES = [
    (changed(version="v2"), "version"),
    (changed(version="v5"), "version"),
    (changed(digest_algorithms=[{"algorithm": "sha512"}]), "not announced"),
    (lambda listed: {**listed, "signer_infos": []}, "0 signers"),
    (lambda listed: {**listed, "signer_infos": listed["signer_infos"] * 2}, "2 signers"),
    (
        changed(encap_content_info={"content_type": "data", "content": b"x"}),
        "want TSTInfo",
    ),
    (changed(encap_content_info={"content_type": "tst_info"}), "one content"),
    (in_signer(version="v3"), "signer info has version"),
    (in_signer(signature_algorithm={"algorithm": "sha512_ecdsa"}), "is over sha512"),
    (
        in_signer(signature_algorithm={"algorithm": "ed25519"}),
        "is over sha512",
    ),
    (
        in_signer(
            signature_algorithm=cms.SignedDigestAlgorithm.load(
                bytes.fromhex("300d06082a8648ce3d040302020107")
            )
        ),
        "parameters",
    ),
]


@pytest.mark.parametrize(("change", "message"), BAD_ENVELOPES)
def test_wrong_envelope_is_malformed(signer: Signer, change: Any, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        check(make_token(signer, parts=change))


def test_signature_scheme_that_does_not_fit_the_key_is_refused(signer: Signer) -> None:
    change = in_signer(signature_algorithm={"algorithm": "rsassa_pkcs1v15"})
    with pytest.raises(VerificationError, match=r"^signature algorithm .* does not fit the key"):
        check(make_token(signer, parts=change))


def test_signature_scheme_nobody_knows_is_unchecked_not_false(signer: Signer) -> None:
    change = in_signer(signature_algorithm={"algorithm": "1.2.3.4"})
    with pytest.raises(VerificationError, match=r"^unchecked: signature algorithm 1\.2\.3\.4 "):
        check(make_token(signer, parts=change))


def test_unknown_digest_is_unchecked_not_guessed(signer: Signer) -> None:
    def change(listed: dict[str, Any]) -> dict[str, Any]:
        unknown = {"algorithm": "sha224"}
        info = in_signer(digest_algorithm=unknown, signature_algorithm={"algorithm": "1.2.3"})
        return {**info(listed), "digest_algorithms": [unknown]}

    with pytest.raises(VerificationError, match=UNCHECKED_DIGEST):
        check(make_token(signer, parts=change))


UNCHECKED_DIGEST = r"^unchecked: digest algorithm .* is not one we can compute$"


def test_digest_that_is_not_known_to_be_broken_is_unchecked_not_false(
    signer: Signer, rsa_signer: Signer
) -> None:
    with pytest.raises(VerificationError, match=UNCHECKED_DIGEST):
        check(make_token(rsa_signer, digest="sha224", scheme="rsassa_pkcs1v15"))
    identifier = tsp.ESSCertIDv2(
        {
            "hash_algorithm": {"algorithm": "sha224"},
            "cert_hash": hashlib.sha224(signer.certificate).digest(),
        }
    )
    bare = make_token(signer, identifier=identifier)
    with pytest.raises(VerificationError, match=UNCHECKED_DIGEST):
        check(bare)
    assert parse_token(bare).signer is None
    with pytest.raises(VerificationError, match="over other bytes"):
        check_token(parse_token(bare), imprint=bytes(32))


def salted(key: rsa.RSAPrivateKey, length: int, named: int | None = None) -> Any:
    """Signed again with RSA-PSS and a salt of so many bytes; named: what the token says."""

    def change(fields: dict[str, Any]) -> dict[str, Any]:
        info = fields["signer_infos"][0]
        message = info["signed_attrs"].dump()
        algorithm = signature_algorithm("rsassa_pss", "sha256")
        algorithm["parameters"]["salt_length"] = length if named is None else named
        mask = padding.PSS(padding.MGF1(hashes.SHA256()), length)
        info["signature"] = key.sign(message, mask, hashes.SHA256())
        return in_signer(signature_algorithm=algorithm)(fields)

    return change


@pytest.fixture(scope="module")
def rsa_signer() -> Signer:
    return Authority().signer(rsa.generate_private_key(65537, 2048))


@pytest.mark.parametrize("length", [0, 1, 64, 65, 222])
def test_pss_salt_of_any_length_that_the_key_can_hold_is_good(
    rsa_signer: Signer, length: int
) -> None:
    change = salted(rsa_signer.key, length)
    assert check(make_token(rsa_signer, parts=change)) == rsa_signer.certificate


@pytest.mark.parametrize("named", [221, 223, 256, MAX_SALT_BYTES])
def test_pss_salt_of_another_length_than_named_does_not_match(
    rsa_signer: Signer, named: int
) -> None:
    change = salted(rsa_signer.key, 222, named)
    with pytest.raises(VerificationError, match=r"^rsa-pss-sha256 signature does not match$"):
        check(make_token(rsa_signer, parts=change))


@pytest.mark.parametrize("named", [-1, MAX_SALT_BYTES + 1, 1 << 64])
def test_pss_salt_that_no_key_can_hold_is_malformed(rsa_signer: Signer, named: int) -> None:
    with pytest.raises(MalformedError, match="PSS salt"):
        parse_token(make_token(rsa_signer, parts=salted(rsa_signer.key, 32, named)))


def test_sm2_signature_is_unchecked_not_false(signer: Signer) -> None:
    bare = make_token(signer, digest=SM3, scheme=SM2_WITH_SM3)
    token = parse_token(bare)
    assert token.is_sm2
    assert token.signature_algorithm == "sm2-sm3"
    assert not openssl_verifiable(token)
    with pytest.raises(VerificationError, match=r"^unchecked: sm2"):
        check(bare)


def test_second_element_inside_an_explicit_tag_is_refused(signer: Signer) -> None:
    info = cms.ContentInfo.load(make_token(signer))
    inner = info["content"].untag().dump() + core.Null().dump()
    wrapped = core.Any(cms.ContentType("signed_data")).dump() + _element(0xA0, inner)
    with pytest.raises(MalformedError):
        parse_token(_element(0x30, wrapped))


def _element(tag: int, contents: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(contents).to_bytes(2) + contents


def test_embedded_crls_and_ocsp_answers_are_found(signer: Signer) -> None:
    authority = Authority()
    listed = crl.CertificateList.load(authority.crl())
    answer = ocsp.OCSPResponse.load(authority.ocsp(signer.certificate))

    def other(kind: str) -> cms.RevocationInfoChoice:
        fields = {"other_rev_info_format": kind, "other_rev_info": answer}
        return cms.RevocationInfoChoice("other", cms.OtherRevocationInfoFormat(fields))

    def embed(*choices: Any) -> Token:
        return parse_token(make_token(signer, parts=changed(crls=list(choices))))

    plain = cms.RevocationInfoChoice("crl", listed)
    assert embed(plain).signed.crls == (listed.dump(),)
    assert openssl_verifiable(embed(plain))
    both = embed(plain, other("1.3.6.1.5.5.7.16.2"))
    assert (both.signed.crls, both.signed.ocsps) == ((listed.dump(),), (answer.dump(),))
    assert not openssl_verifiable(both)
    unknown = embed(other("1.2.3"))
    assert (unknown.signed.crls, unknown.signed.ocsps) == ((), ())
    assert not openssl_verifiable(unknown)
