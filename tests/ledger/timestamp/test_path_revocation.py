"""What CRLs and OCSP answers show of a path's certificates at a moment."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ledger.errors import VerificationError
from ledger.timestamp.path import check_path, check_revocation
from tests.ledger.timestamp.authority import (
    BEGIN,
    DER,
    END,
    GEN_TIME,
    Authority,
    Signer,
)

DAY = timedelta(days=1)
REASONS = x509.ReasonFlags


def test_material_for_every_certificate_makes_revocation_good(
    root: Authority, middle: Authority, trusted: Any
) -> None:
    both = [root.crl(), middle.crl()]
    assert trusted(crls=both).revocation == "good"
    assert trusted(crls=[b"junk", *both, Authority("Other").crl()]).revocation == "good"
    before = {"issued": GEN_TIME - DAY}
    assert trusted(crls=[root.crl(**before), middle.crl(**before)]).revocation == "good"


def test_missing_stale_forged_or_late_material_leaves_revocation_unchecked(
    root: Authority, middle: Authority, trusted: Any
) -> None:
    stale = middle.crl(issued=GEN_TIME - 9 * DAY, until=GEN_TIME - DAY)
    forged = Authority("Test Middle").crl()
    late = middle.crl(issued=END + DAY, until=END + 30 * DAY)
    for crls in ([], [root.crl()], [middle.crl()]):
        assert trusted(crls=crls).revocation == "unchecked"
    for bad in (stale, forged, late):
        assert trusted(crls=[root.crl(), bad]).revocation == "unchecked"


@pytest.mark.parametrize(
    ("at", "reason", "stands"),
    [
        (GEN_TIME - DAY, REASONS.superseded, False),
        (GEN_TIME, REASONS.superseded, False),
        (GEN_TIME + timedelta(seconds=1), REASONS.superseded, True),
        (GEN_TIME + DAY, REASONS.cessation_of_operation, True),
        (GEN_TIME + DAY, REASONS.affiliation_changed, True),
        (GEN_TIME + DAY, REASONS.key_compromise, False),
        (GEN_TIME + DAY, REASONS.ca_compromise, False),
        (GEN_TIME + DAY, REASONS.certificate_hold, False),
        (GEN_TIME + DAY, None, False),
    ],
)
def test_revocation_is_judged_by_date_and_reason(
    root: Authority,
    middle: Authority,
    signer: Signer,
    trusted: Any,
    at: datetime,
    reason: x509.ReasonFlags | None,
    stands: bool,
) -> None:
    crls = [root.crl(), middle.crl({signer.serial: (at, reason)}, issued=GEN_TIME + 2 * DAY)]
    if stands:
        assert trusted(crls=crls).revocation == "good"
        return
    with pytest.raises(VerificationError, match=f"^revoked at {at:%Y-%m-%dT%H:%M:%SZ}"):
        trusted(crls=crls)


def test_older_material_cannot_hide_newer(
    root: Authority, middle: Authority, signer: Signer, trusted: Any
) -> None:
    newer = middle.crl({signer.serial: (GEN_TIME + DAY, REASONS.key_compromise)})
    older = middle.crl(issued=GEN_TIME - DAY)
    for crls in ([older, newer], [newer, older], [newer], [newer, b"junk"]):
        with pytest.raises(VerificationError, match="key_compromise"):
            trusted(crls=crls)


def test_revoked_intermediate_sinks_the_path(
    root: Authority, middle: Authority, trusted: Any
) -> None:
    serial = middle.certificate.serial_number
    crl = root.crl({serial: (GEN_TIME - DAY, REASONS.ca_compromise)})
    with pytest.raises(VerificationError, match="ca_compromise"):
        trusted(crls=[crl])


def with_identifiers(authority: Authority, issuer: Authority) -> Authority:
    """The subordinate CA with the key identifiers that a public CA's certificates have."""
    old = authority.certificate
    above = x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer.key.public_key())
    builder = (
        x509.CertificateBuilder()
        .issuer_name(old.issuer)
        .subject_name(old.subject)
        .public_key(old.public_key())
        .serial_number(old.serial_number)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(old.public_key()), False)
        .add_extension(above, False)
    )
    for extension in old.extensions:
        builder = builder.add_extension(extension.value, extension.critical)
    certificate = builder.sign(issuer.key, hashes.SHA256())
    return Authority(authority.common_name, authority.key, certificate)


@pytest.mark.parametrize("identified", [False, True])
def test_material_of_a_pinned_intermediate_counts_without_the_root_above(identified: bool) -> None:
    above = Authority("Above")
    pinned = above.child("Pinned")
    pinned = with_identifiers(pinned, above) if identified else pinned
    below = pinned.child("Below")
    leaf = below.signer()

    def ask(*crls: bytes, ocsps: tuple[bytes, ...] = ()) -> str:
        known = [below.der, above.der]
        path = check_path(leaf.certificate, known, [pinned.der], GEN_TIME, crls, ocsps)
        assert path.anchor == pinned.der
        return path.revocation

    assert ask(pinned.crl(), below.crl()) == "good"
    assert ask(pinned.crl(), ocsps=(below.ocsp(leaf.certificate),)) == "good"
    assert ask(below.crl(), ocsps=(pinned.ocsp(below.der),)) == "good"
    serial = below.certificate.serial_number
    with pytest.raises(VerificationError, match="ca_compromise"):
        ask(pinned.crl({serial: (GEN_TIME - DAY, REASONS.ca_compromise)}))
    # Neither the root above nor a namesake speaks for it.
    namesake = above.child("Pinned")
    for stranger in (Authority("Pinned"), namesake, Authority("Pinned", above.key)):
        assert ask(stranger.crl(), below.crl()) == "unchecked"
        revoked = stranger.crl({serial: (GEN_TIME - DAY, REASONS.ca_compromise)})
        assert ask(revoked, below.crl()) == "unchecked"
    assert ask(above.crl(), below.crl()) == "unchecked"


def test_a_long_crl_is_read_and_asked(
    root: Authority, middle: Authority, signer: Signer, trusted: Any
) -> None:
    others = dict.fromkeys(range(10**6, 10**6 + 300), (BEGIN, None))
    assert trusted(crls=[root.crl(), middle.crl(others)]).revocation == "good"
    listed = {**others, signer.serial: (BEGIN, REASONS.superseded)}
    with pytest.raises(VerificationError, match="superseded"):
        trusted(crls=[middle.crl(listed)])


def test_a_crl_with_an_entry_that_cannot_be_read_shows_nothing(
    root: Authority, middle: Authority, trusted: Any
) -> None:
    crl = middle.crl({10**30: (BEGIN, None)})
    moment = crl.rindex(b"\x17\x0d")  # the entry's date is the last time in the list
    for spoiled in (
        crl[: moment + 2] + b"x" + crl[moment + 3 :],
        crl.replace((10**30).to_bytes(13), bytes(13)),
    ):
        assert trusted(crls=[root.crl(), spoiled]).revocation == "unchecked"


def test_ocsp_answers_count_whether_or_not_the_certificate_names_a_responder(
    root: Authority,
) -> None:
    named = root.signer(ocsp_url="http://ocsp.invalid")
    unnamed = root.signer()

    def check(leaf: Signer, *answers: bytes) -> str:
        path = check_path(leaf.certificate, [], [root.der], GEN_TIME, ocsps=answers)
        return path.revocation

    good = root.ocsp(named.certificate)
    assert check(named, b"junk", good) == "good"
    assert check(unnamed, root.ocsp(unnamed.certificate)) == "good"
    with pytest.raises(VerificationError, match=r"^revoked at 2026-02-28"):
        check(unnamed, root.ocsp(unnamed.certificate, (GEN_TIME - DAY, REASONS.superseded)))
    assert check(named, root.ocsp(unnamed.certificate)) == "unchecked"
    assert check(named, Authority(root.common_name).ocsp(named.certificate)) == "unchecked"
    with pytest.raises(VerificationError, match=r"^revoked at 2026-02-28"):
        check(named, good, root.ocsp(named.certificate, (GEN_TIME - DAY, REASONS.superseded)))
    with pytest.raises(VerificationError, match="key_compromise"):
        check(named, root.ocsp(named.certificate, (GEN_TIME + DAY, REASONS.key_compromise)))
    after = root.ocsp(named.certificate, (GEN_TIME + DAY, REASONS.superseded), GEN_TIME + 2 * DAY)
    assert check(named, after) == "good"


@pytest.mark.parametrize(
    ("purpose", "vouched", "shown"),
    [
        (ExtendedKeyUsageOID.OCSP_SIGNING, True, "good"),
        # RFC 6960 §4.2.2.2.1: without ocsp-nocheck the responder's own revocation is a question.
        (ExtendedKeyUsageOID.OCSP_SIGNING, False, "unchecked"),
        (ExtendedKeyUsageOID.TIME_STAMPING, True, "unchecked"),
    ],
)
def test_ocsp_answers_of_a_responder_count_if_the_ca_made_it_one(
    root: Authority, purpose: Any, vouched: bool, shown: str
) -> None:
    leaf = root.signer()
    key = ec.generate_private_key(ec.SECP256R1())
    builder = (
        x509.CertificateBuilder()
        .issuer_name(root.certificate.subject)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Responder")]))
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(BEGIN)
        .not_valid_after(END)
        .add_extension(x509.ExtendedKeyUsage([purpose]), critical=False)
    )
    if vouched:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)
    certificate = builder.sign(root.key, hashes.SHA256())
    issued = GEN_TIME + DAY
    answer = (
        ocsp.OCSPResponseBuilder()
        .add_response(
            cert=x509.load_der_x509_certificate(leaf.certificate),
            issuer=root.certificate,
            algorithm=hashes.SHA256(),
            cert_status=ocsp.OCSPCertStatus.GOOD,
            this_update=issued,
            next_update=issued + DAY,
            revocation_time=None,
            revocation_reason=None,
        )
        .responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        .certificates([certificate])
        .sign(key, hashes.SHA256())
        .public_bytes(DER)
    )
    path = check_path(leaf.certificate, [], [root.der], GEN_TIME, ocsps=[answer])
    assert path.revocation == shown
    assert check_revocation(path, GEN_TIME, ocsps=[answer]) == (shown == "good",)


def test_revoked_by_ocsp_without_a_reason_never_stood(root: Authority) -> None:
    leaf = root.signer(ocsp_url="http://ocsp.invalid")
    answer = root.ocsp(leaf.certificate, (GEN_TIME + DAY, None), GEN_TIME + 2 * DAY)
    with pytest.raises(VerificationError, match=r"^revoked at"):
        check_path(leaf.certificate, [], [root.der], GEN_TIME, ocsps=[answer])


def test_spoiled_material_never_makes_a_revoked_signer_good(
    root: Authority, middle: Authority, signer: Signer
) -> None:
    crl = middle.crl({signer.serial: (GEN_TIME - DAY, REASONS.key_compromise)})
    for index in range(0, len(crl), 3):
        changed = bytearray(crl)
        changed[index] ^= 1 << index % 8
        crls = [root.crl(), bytes(changed)]
        path = check_path(signer.certificate, [middle.der], [root.der], GEN_TIME, crls)
        assert path.revocation == "unchecked"
