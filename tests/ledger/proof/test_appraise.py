"""One token alone and in a bundle: whoever asks, one algorithm has one outcome."""

import hashlib
from datetime import datetime
from typing import Any

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives.asymmetric import rsa

from ledger.errors import MalformedError, VerificationError
from ledger.proof.appraise import Appraisal, appraise
from ledger.proof.revocation import read_all
from ledger.proof.stamps import Judge
from ledger.proof.trust import Trust, TrustedTsa, WeakFrom
from ledger.proof.verdict import Outcome
from ledger.timestamp.examine import Asked
from ledger.timestamp.opened import open_token
from ledger.timestamp.path import check_path
from ledger.timestamp.request import DIGEST_BYTES
from ledger.timestamp.token import check_strength, check_token, parse_token
from tests.ledger.timestamp.authority import (
    GEN_TIME,
    SM2_WITH_SM3,
    SM3,
    Authority,
    Signer,
    make_content,
    make_token,
)
from tests.revoking import DAY, Reason

MESSAGE = b"message"
ROOT = Authority("Root")
MIDDLE = ROOT.child("Middle")
SIGNER = MIDDLE.signer(common_name="Signer")
RSA = MIDDLE.signer(rsa.generate_private_key(65537, 2048), "Rsa")
SMALL = MIDDLE.signer(rsa.generate_private_key(65537, 1024), "Small")
SM2 = (
    (bytes.fromhex("06082a8648ce3d030107"), bytes.fromhex("06082a811ccf5501822d")),
    (bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06082a811ccf55018375")),
)
"""The object identifiers of P-256 and ECDSA with SHA-256, and SM2's in their place."""
TRUST = Trust((TrustedTsa("one", hashlib.sha256(ROOT.der).digest()),), 1)
KNOWN = (ROOT.der, MIDDLE.der)


def in_signer(**changes: Any) -> Any:
    def parts(fields: dict[str, Any]) -> dict[str, Any]:
        return {**fields, "signer_infos": [{**fields["signer_infos"][0], **changes}]}

    return parts


def by(name: str) -> tsp.ESSCertIDv2:
    hashed = hashlib.new(name, SIGNER.certificate).digest()
    return tsp.ESSCertIDv2({"hash_algorithm": {"algorithm": name}, "cert_hash": hashed})


def with_sm2_key() -> bytes:
    spoiled = Signer(SIGNER.key, SIGNER.certificate.replace(*SM2[0]).replace(*SM2[1]))
    hashed = hashlib.sha256(spoiled.certificate).digest()
    identifier = tsp.ESSCertIDv2({"cert_hash": hashed})
    return make_token(spoiled, identifier=identifier, digest=SM3, scheme=SM2_WITH_SM3)


UNKNOWN_SCHEME = in_signer(signature_algorithm={"algorithm": "1.2.3.4"})
LEFT_OPEN = {
    "imprint sha224": make_token(SIGNER, make_content(algorithm="sha224")),
    "imprint md2": make_token(SIGNER, make_content(algorithm="1.2.840.113549.2.2", imprint=b"x")),
    "digest sha224": make_token(RSA, digest="sha224", scheme="rsassa_pkcs1v15"),
    "scheme of sha224": make_token(RSA, digest="sha224", scheme="sha224_rsa"),
    "scheme nobody knows": make_token(SIGNER, parts=UNKNOWN_SCHEME),
    "attribute of sha224": make_token(SIGNER, identifier=by("sha224")),
    "sm2": with_sm2_key(),
}
TOO_WEAK = {
    **{f"imprint {d}": make_token(SIGNER, make_content(algorithm=d)) for d in ("md5", "sha1")},
    "digest md5, RSA": make_token(RSA, digest="md5", scheme="rsassa_pkcs1v15"),
    **{f"{d}_rsa": make_token(RSA, digest=d, scheme=f"{d}_rsa") for d in ("md5", "sha1")},
    "digest sha1, EC": make_token(SIGNER, digest="sha1", scheme="sha1_ecdsa"),
    "attribute of md5": make_token(SIGNER, identifier=by("md5")),
    "small key": make_token(SMALL, scheme="sha256_rsa"),
}


def imprint_of(bare: bytes, message: bytes) -> bytes | None:
    algorithm = parse_token(bare).imprint_algorithm
    return hashlib.new(algorithm, message).digest() if algorithm in DIGEST_BYTES else None


def strictly(bare: bytes, message: bytes) -> str:
    """What check_token, check_strength and check_path come to."""
    try:
        token = parse_token(bare)
        imprint = imprint_of(bare, message)
        signer = check_token(token, imprint=imprint, certificates=KNOWN)
        check_strength(token, signer)
        check_path(signer, (*token.certificates, *KNOWN), [ROOT.der], token.gen_time)
    except (MalformedError, VerificationError) as error:
        word = str(error).split(":", maxsplit=1)[0]
        return word if word in {"weak", "unchecked"} else "refuted"
    return "good"


def alone(bare: bytes, message: bytes, trust: Trust | None = TRUST) -> str:
    """What an appraisal comes to."""
    asked = Asked(imprint_of(bare, message), certificates=KNOWN, anchors=[ROOT.der])
    appraisal = appraise(open_token(bare), asked, trust=trust)
    if appraisal.outcome is Outcome.UNCHECKED:
        weak = any(check.code == "weak" for check in appraisal.checks)
        return "weak" if weak else "unchecked"
    return "good" if appraisal.outcome is Outcome.PROVEN else "refuted"


def bundled(bare: bytes, message: bytes) -> str:
    """What a bundle's judge comes to."""
    first, *_ = Judge(TRUST, KNOWN).judge_stamp("x", "one", 1, bare, message).findings
    if first.outcome is Outcome.UNCHECKED:
        return "weak" if str(first.values["reason"]).startswith("weak: ") else "unchecked"
    return "good" if first.outcome is Outcome.PROVEN else "refuted"


@pytest.mark.parametrize("bare", LEFT_OPEN.values(), ids=LEFT_OPEN.keys())
def test_an_algorithm_nobody_here_knows_is_unchecked_whoever_asks(bare: bytes) -> None:
    assert strictly(bare, MESSAGE) == alone(bare, MESSAGE) == bundled(bare, MESSAGE) == "unchecked"
    assert alone(bare, MESSAGE, None) == "unchecked"


@pytest.mark.parametrize("bare", TOO_WEAK.values(), ids=TOO_WEAK.keys())
def test_an_algorithm_below_the_floor_is_not_counted_whoever_asks(bare: bytes) -> None:
    assert strictly(bare, MESSAGE) == alone(bare, MESSAGE) == bundled(bare, MESSAGE) == "weak"
    assert alone(bare, MESSAGE, None) == "weak"


@pytest.mark.parametrize("bare", [make_token(SIGNER), make_token(RSA, scheme="sha256_rsa")])
def test_a_good_token_is_good_whoever_asks(bare: bytes) -> None:
    assert strictly(bare, MESSAGE) == alone(bare, MESSAGE) == bundled(bare, MESSAGE) == "good"


ODD = {**LEFT_OPEN, **TOO_WEAK}


@pytest.mark.parametrize("bare", ODD.values(), ids=ODD.keys())
def test_what_is_false_is_refuted_whatever_the_algorithm_and_whoever_asks(bare: bytes) -> None:
    other = b"other bytes"
    if imprint_of(bare, other) is not None:
        assert strictly(bare, other) == alone(bare, other) == bundled(bare, other) == "refuted"


@pytest.mark.parametrize(
    "made",
    [
        {"parts": UNKNOWN_SCHEME},
        {"content": make_content(algorithm="sha224")},
        {"content": make_content(algorithm="sha1")},
        {"digest": "sha1", "scheme": "sha1_ecdsa"},
    ],
)
def test_a_signer_for_another_purpose_is_refuted_whatever_the_algorithm(
    made: dict[str, Any],
) -> None:
    bare = make_token(MIDDLE.signer(critical=False), **made)
    assert strictly(bare, MESSAGE) == alone(bare, MESSAGE) == bundled(bare, MESSAGE) == "refuted"


@pytest.mark.parametrize("digest", ["md5", "sha1"])
def test_a_forged_signature_is_refuted_however_weak(digest: str) -> None:
    forger = Signer(rsa.generate_private_key(65537, 2048), RSA.certificate)
    bare = make_token(forger, digest=digest, scheme=f"{digest}_rsa")
    assert strictly(bare, MESSAGE) == alone(bare, MESSAGE) == bundled(bare, MESSAGE) == "refuted"


def test_an_algorithm_weak_by_the_trust_file_is_not_counted_and_not_refuted() -> None:
    trust = Trust(TRUST.tsas, 1, weak=(WeakFrom("ecdsa", GEN_TIME),))
    assert alone(make_token(SIGNER), MESSAGE, trust) == "weak"


# Revocation


def signer_crl(when: datetime, reason: Reason | None) -> bytes:
    return MIDDLE.crl({SIGNER.serial: (when, reason)})


GOOD_OCSP = MIDDLE.ocsp(SIGNER.certificate)
MATERIAL: dict[str, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {
    "none": ((), ()),
    "one CRL each": ((ROOT.crl(), MIDDLE.crl()), ()),
    "CRL and OCSP": ((ROOT.crl(),), (GOOD_OCSP,)),
    "partly": ((MIDDLE.crl(),), ()),
    "unrelated": ((Authority("Other").crl(),), ()),
    "stale": ((ROOT.crl(), MIDDLE.crl(issued=GEN_TIME - 9 * DAY, until=GEN_TIME - DAY)), ()),
    "of another key": ((ROOT.crl(), Authority("Middle").crl()), ()),
    "junk beside": ((b"junk", ROOT.crl(), MIDDLE.crl()), (b"junk",)),
    "revoked": ((ROOT.crl(), signer_crl(GEN_TIME - DAY, Reason.superseded)), ()),
    "revoked later": ((ROOT.crl(), signer_crl(GEN_TIME + DAY / 2, Reason.superseded)), ()),
    "stolen later": ((ROOT.crl(), signer_crl(GEN_TIME + DAY / 2, Reason.key_compromise)), ()),
    "revoked, by OCSP": (
        (ROOT.crl(), MIDDLE.crl()),
        (MIDDLE.ocsp(SIGNER.certificate, (GEN_TIME - DAY, Reason.superseded)),),
    ),
}


def appraised(crls: tuple[bytes, ...], ocsps: tuple[bytes, ...]) -> Appraisal:
    imprint = hashlib.sha256(MESSAGE).digest()
    asked = Asked(imprint, certificates=KNOWN, crls=crls, ocsps=ocsps)
    return appraise(open_token(make_token(SIGNER)), asked, trust=TRUST)


@pytest.mark.parametrize("name", MATERIAL)
def test_revocation_is_found_alike_alone_and_in_a_bundle(name: str) -> None:
    crls, ocsps = MATERIAL[name]
    checks = {check.name: check for check in appraised(crls, ocsps).checks}
    judge = Judge(TRUST, KNOWN, read_all(crls, ocsps))
    judged = judge.judge_stamp("x", "one", 1, make_token(SIGNER), MESSAGE)
    found = {finding.step: finding for finding in judged.findings}
    if judged.counted is None:
        assert checks["revocation"].outcome == checks["trust-file"].outcome == "refuted"
        reason = found["stamp"].values["reason"]
        assert checks["revocation"].values["reason"] == checks["trust-file"].values["reason"]
        assert checks["trust-file"].values["reason"] == reason
    else:
        assert checks["trust-file"].outcome == "proven"
        assert checks["revocation"].outcome == found["revocation"].outcome.value


def test_what_cannot_be_read_is_passed_over() -> None:
    answers = read_all((b"junk", ROOT.crl()), (b"junk", GOOD_OCSP))
    assert [one.kind for one in answers] == ["crl", "ocsp"]
