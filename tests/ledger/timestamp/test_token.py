"""A token's own truth: what is accepted, and one test for each way of being wrong."""

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto import cms, core, tsp
from asn1crypto import x509 as asn1_x509
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import LedgerError, MalformedError, VerificationError
from ledger.operator.devtsa import DevelopmentTsa
from ledger.timestamp.cms import MAX_TOKEN_BYTES
from ledger.timestamp.path import check_path
from ledger.timestamp.request import format_request
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


def test_signer_named_by_key_identifier_is_found(root: Authority) -> None:
    tsa = DevelopmentTsa.create("one", lambda: GEN_TIME)
    stamper = Signer(tsa.key, tsa.certificate)
    key_id = asn1_x509.Certificate.load(tsa.certificate).key_identifier
    assert check(make_token(stamper, by_key_id=key_id)) == tsa.certificate
    with pytest.raises(VerificationError, match="does not name the certificate"):
        check(make_token(stamper, by_key_id=bytes(20)))


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
    for algorithm in ("rsassa_pkcs1v15", "1.2.3.4"):
        change = in_signer(signature_algorithm={"algorithm": algorithm})
        with pytest.raises(VerificationError, match="does not fit the key"):
            check(make_token(signer, parts=change))


def test_unknown_digest_is_refused_not_guessed(signer: Signer) -> None:
    def change(listed: dict[str, Any]) -> dict[str, Any]:
        unknown = {"algorithm": "md5"}
        info = in_signer(digest_algorithm=unknown, signature_algorithm={"algorithm": "1.2.3"})
        return {**info(listed), "digest_algorithms": [unknown]}

    with pytest.raises(VerificationError, match="not one we can compute"):
        check(make_token(signer, parts=change))


def test_sm2_signature_is_unchecked_not_false(signer: Signer) -> None:
    def change(listed: dict[str, Any]) -> dict[str, Any]:
        sm3 = {"algorithm": "1.2.156.10197.1.401"}
        sm2 = {"algorithm": "1.2.156.10197.1.501"}
        info = in_signer(digest_algorithm=sm3, signature_algorithm=sm2)
        return {**info(listed), "digest_algorithms": [sm3]}

    bare = make_token(signer, parts=change)
    token = parse_token(bare)
    assert token.is_sm2
    assert token.signature_algorithm == "sm2-sm3"
    assert not openssl_verifiable(token)
    with pytest.raises(VerificationError, match=r"^unchecked: sm2"):
        check(bare)


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


def test_unknown_imprint_algorithm_is_refused(signer: Signer) -> None:
    content = make_content(algorithm="md5", imprint=bytes(16))
    with pytest.raises(VerificationError, match="imprint algorithm"):
        check(make_token(signer, content), imprint=None)


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
    sha1 = make_content(algorithm="sha1")
    for stamper, bare, imprint, reason in (
        (signer, make_token(signer, sha1), hashlib.sha1(b"message").digest(), "sha1 imprint"),
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


def test_second_element_inside_an_explicit_tag_is_refused(signer: Signer) -> None:
    info = cms.ContentInfo.load(make_token(signer))
    inner = info["content"].untag().dump() + core.Null().dump()
    wrapped = core.Any(cms.ContentType("signed_data")).dump() + _element(0xA0, inner)
    with pytest.raises(MalformedError):
        parse_token(_element(0x30, wrapped))


def _element(tag: int, contents: bytes) -> bytes:
    return bytes([tag, 0x82]) + len(contents).to_bytes(2) + contents


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


class Mutations:
    """A development token, and what it is worth after a change.

    Two places may change without changing the value, for nothing signs them and nothing is read
    from them: the status, granted to grantedWithMods; and the letter case of the issuer's name in
    the SignerInfo, which RFC 5280 §7.1 compares without case (the signing-certificate attribute,
    which is signed, decides). Everything else is refused.
    """

    def __init__(self) -> None:
        self.tsa = DevelopmentTsa.create("one", lambda: GEN_TIME)
        self.response = self.tsa.answer(format_request(IMPRINT, 99))
        self.value = self.judge(self.response)
        issuer = asn1_x509.Certificate.load(self.tsa.certificate).issuer.dump()
        self.sid = self.response.rindex(issuer)
        self.harmless = {self.response.index(b"\x02\x01\x00") + 2}
        self.harmless |= set(range(self.sid, self.sid + len(issuer)))

    def judge(self, response: bytes) -> tuple[object, ...]:
        token = parse_token(response)
        signer = check_token(token, imprint=IMPRINT, nonce=99)
        check_strength(token, signer)
        path = check_path(signer, token.certificates, [self.tsa.root], token.gen_time)
        said = (token.gen_time, token.accuracy, token.serial, token.policy, token.imprint)
        return (*said, signer, path)

    def check_change(self, index: int, change: int) -> None:
        changed = bytearray(self.response)
        changed[index] ^= change
        try:
            value = self.judge(bytes(changed))
        except (MalformedError, VerificationError):
            return
        assert value == self.value
        assert index in self.harmless, f"byte {index} may not change by {change}"


@pytest.fixture(scope="module")
def mutations() -> Mutations:
    return Mutations()


def test_every_byte_changed_in_one_bit_is_refused_or_harmless(mutations: Mutations) -> None:
    for index in range(len(mutations.response)):
        mutations.check_change(index, 1 << index % 8)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(16))
def test_every_one_byte_change_is_refused_or_harmless(mutations: Mutations, part: int) -> None:
    for index in range(part, len(mutations.response), 16):
        for change in range(1, 256):
            mutations.check_change(index, change)


def test_every_truncation_and_trailing_byte_is_refused(mutations: Mutations) -> None:
    response = mutations.response
    for end in range(len(response)):
        with pytest.raises(LedgerError):
            mutations.judge(response[:end])
    for extra in (b"\0", b"\0\0", response):
        with pytest.raises(MalformedError):
            mutations.judge(response + extra)


@given(st.data())
def test_spliced_and_patched_tokens_raise_only_the_errors_of_the_house(data: st.DataObject) -> None:
    response = bytearray(SPLICED.response)
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(response) - 1))
        stop = data.draw(st.integers(start, min(len(response), start + 8)))
        response[start:stop] = data.draw(st.binary(max_size=8))
    try:
        assert SPLICED.judge(bytes(response)) == SPLICED.value
    except (MalformedError, VerificationError):
        return


SPLICED = Mutations()
