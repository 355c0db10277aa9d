"""Paths to pinned anchors, at a moment."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.path import MAX_STEPS, TrustedPath, check_path
from tests.ledger.timestamp.authority import (
    BEGIN,
    DER,
    END,
    GEN_TIME,
    STAMPING,
    Authority,
    Signer,
)

DAY = timedelta(days=1)
REASONS = x509.ReasonFlags


def test_path_through_an_intermediate_is_found(
    root: Authority, middle: Authority, signer: Signer, trusted: Any
) -> None:
    expected = TrustedPath(root.der, (signer.certificate, middle.der), "unchecked")
    assert trusted() == expected
    noise = [b"junk", Authority("Other").der, middle.der, signer.certificate, root.der]
    assert check_path(signer.certificate, noise, [root.der], GEN_TIME) == expected


def test_pinned_intermediate_is_an_anchor(middle: Authority, signer: Signer) -> None:
    path = check_path(signer.certificate, [], [middle.der], GEN_TIME)
    assert path == TrustedPath(middle.der, (signer.certificate,), "unchecked")


def test_no_anchor_no_path(root: Authority, middle: Authority, signer: Signer) -> None:
    embedded = [middle.der, root.der]
    for anchors in ([], [Authority("Other").der], [signer.certificate]):
        with pytest.raises(VerificationError, match="no path to a pinned anchor"):
            check_path(signer.certificate, embedded, anchors, GEN_TIME)
    with pytest.raises(VerificationError, match="no path to a pinned anchor"):
        check_path(signer.certificate, [], [root.der], GEN_TIME)


def test_anchor_of_the_same_name_with_another_key_is_not_trusted(
    root: Authority, middle: Authority, signer: Signer
) -> None:
    impostor = Authority(root.common_name)
    with pytest.raises(VerificationError, match="no trusted path"):
        check_path(signer.certificate, [middle.der], [impostor.der], GEN_TIME)
    found = check_path(signer.certificate, [middle.der], [impostor.der, root.der], GEN_TIME)
    assert found.anchor == root.der


def test_everything_is_judged_at_the_moment(root: Authority, trusted: Any) -> None:
    assert trusted(moment=BEGIN)
    assert trusted(moment=END)
    with pytest.raises(VerificationError, match="expired at 2030-01-01T00:00:00Z"):
        trusted(moment=END + timedelta(microseconds=1))
    with pytest.raises(VerificationError, match="not valid before 2020-01-01T00:00:00Z"):
        trusted(moment=BEGIN - timedelta(microseconds=1))
    short = root.signer(begin=GEN_TIME - DAY, end=GEN_TIME + DAY)
    assert check_path(short.certificate, [], [root.der], GEN_TIME)
    with pytest.raises(VerificationError, match="expired at 2026-03-02T12:00:00Z"):
        check_path(short.certificate, [], [root.der], GEN_TIME + 2 * DAY)
    with pytest.raises(VerificationError, match="not valid before 2026-02-28T12:00:00Z"):
        check_path(short.certificate, [], [root.der], GEN_TIME - 2 * DAY)


def test_naive_moment_is_the_callers_mistake(trusted: Any) -> None:
    with pytest.raises(ValueError, match="aware"):
        trusted(moment=GEN_TIME.replace(tzinfo=None))


def test_unreadable_signer_or_anchor_is_malformed(root: Authority, signer: Signer) -> None:
    for leaf, anchor in ((b"junk", root.der), (signer.certificate, b"junk")):
        with pytest.raises(MalformedError):
            check_path(leaf, [], [anchor], GEN_TIME)


def test_end_entity_cannot_be_an_intermediate(root: Authority) -> None:
    stamper = root.signer(common_name="Not a CA")
    fake = Authority("Not a CA", stamper.key, x509.load_der_x509_certificate(stamper.certificate))
    leaf = fake.signer()
    with pytest.raises(VerificationError, match="no trusted path"):
        check_path(leaf.certificate, [stamper.certificate], [root.der], GEN_TIME)


def test_intermediate_for_other_purposes_is_refused(root: Authority) -> None:
    web = root.child("Web CA", purposes=(ExtendedKeyUsageOID.SERVER_AUTH,))
    stamping = root.child("TSA CA", purposes=STAMPING)
    with pytest.raises(VerificationError, match="not for time stamping"):
        check_path(web.signer().certificate, [web.der], [root.der], GEN_TIME)
    assert check_path(stamping.signer().certificate, [stamping.der], [root.der], GEN_TIME)


def test_certificate_signed_with_sha1_is_refused(root: Authority) -> None:
    certificate = asn1_x509.Certificate.load(root.signer().certificate)
    certificate["tbs_certificate"]["signature"] = {"algorithm": "sha1_ecdsa"}
    certificate["signature_algorithm"] = {"algorithm": "sha1_ecdsa"}
    body = certificate["tbs_certificate"].dump(force=True)
    certificate["signature_value"] = root.key.sign(body, ec.ECDSA(hashes.SHA1()))
    with pytest.raises(VerificationError, match=r"^weak: sha1 signature in the chain$"):
        check_path(certificate.dump(force=True), [], [root.der], GEN_TIME)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (ec.generate_private_key(ec.SECP224R1()), "elliptic curve of 224 bits"),
        (rsa.generate_private_key(65537, 1024), "rsa key of 1024 bits"),
        (dsa.generate_private_key(1024), "dsa key of 1024 bits"),
    ],
    ids=["ec", "rsa", "dsa"],
)
def test_weak_key_of_a_ca_is_named_between_and_at_the_anchor(
    root: Authority, key: Any, reason: str
) -> None:
    certificate = root._sign("Weak CA", key.public_key(), ca=True)
    weak = Authority("Weak CA", key, certificate)
    leaf, below = weak.signer(), weak.child("Below")
    for signer, helpers, anchor in (
        (leaf, [weak.der], root.der),
        (leaf, [], weak.der),
        (below.signer(), [below.der], weak.der),
    ):
        with pytest.raises(VerificationError, match=rf"^weak: {reason} in the chain$"):
            check_path(signer.certificate, helpers, [anchor], GEN_TIME)


def test_strong_way_up_is_taken_where_there_is_a_weak_one_too(root: Authority) -> None:
    small = rsa.generate_private_key(65537, 1024)
    strong = root.child("Two Ways")
    other = Authority("Weak Root", small)
    weak = other._sign("Two Ways", strong.key.public_key(), ca=True).public_bytes(DER)
    path = check_path(
        strong.signer().certificate, [weak, strong.der], [other.der, root.der], GEN_TIME
    )
    assert path.anchor == root.der


def test_anchors_own_signature_is_not_looked_at(root: Authority) -> None:
    anchor = asn1_x509.Certificate.load(root.der)
    anchor["tbs_certificate"]["signature"] = {"algorithm": "sha1_ecdsa"}
    anchor["signature_algorithm"] = {"algorithm": "sha1_ecdsa"}
    pinned = anchor.dump(force=True)
    assert check_path(root.signer().certificate, [], [pinned], GEN_TIME).anchor == pinned


def test_search_among_hostile_certificates_ends(root: Authority) -> None:
    crowd = [Authority("Crowd").der for _ in range(24)]
    leaf = Authority("Crowd").signer()
    assert MAX_STEPS < 24 * 24
    with pytest.raises(VerificationError, match="no path to a pinned anchor"):
        check_path(leaf.certificate, crowd, [root.der], GEN_TIME)


def test_every_truncation_of_the_signers_certificate_is_refused(
    root: Authority, middle: Authority, signer: Signer
) -> None:
    for end in range(len(signer.certificate)):
        with pytest.raises(MalformedError):
            check_path(signer.certificate[:end], [middle.der], [root.der], GEN_TIME)


def test_every_changed_certificate_or_crl_byte_raises_only_the_errors_of_the_house(
    root: Authority, middle: Authority, signer: Signer
) -> None:
    crl = middle.crl({7: (GEN_TIME, REASONS.superseded)})
    for index in range(len(signer.certificate)):
        changed = bytearray(signer.certificate)
        changed[index] ^= 1 << index % 8
        with pytest.raises((MalformedError, VerificationError)):
            check_path(bytes(changed), [middle.der], [root.der], GEN_TIME)
    for index in range(len(crl)):
        changed = bytearray(crl)
        changed[index] ^= 1 << index % 8
        crls = [root.crl(), bytes(changed)]
        path = check_path(signer.certificate, [middle.der], [root.der], GEN_TIME, crls)
        assert path.revocation == "unchecked"


def test_root_expired_at_the_moment_is_refused() -> None:
    root = Authority("Short Root")
    root.certificate = root._sign(
        "Short Root", root.key.public_key(), ca=True, end=datetime(2025, 1, 1, tzinfo=UTC)
    )
    leaf = root.signer()
    with pytest.raises(VerificationError, match="anchor expired at 2025-01-01"):
        check_path(leaf.certificate, [], [root.certificate.public_bytes(DER)], GEN_TIME)
