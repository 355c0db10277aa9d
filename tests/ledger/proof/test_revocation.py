"""What a bundle holds of revocation: read whole or refused, and what a verdict makes of it."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from asn1crypto import cms, pem
from asn1crypto import crl as asn1_crl
from cryptography.x509 import ocsp

from ledger.errors import MalformedError
from ledger.proof import revocation
from ledger.proof.bundle import Bundle
from ledger.proof.revocation import (
    MAX_ANSWERS,
    Answer,
    Captured,
    Kind,
    about,
    choose_answers,
    find_captured,
    format_answer,
    issuers_above,
    read_answers,
    read_crl,
    read_ocsp,
    why_not,
)
from ledger.proof.stamps import Judge, format_certificate
from ledger.proof.trust import Trust, TrustedTsa
from ledger.proof.verdict import Outcome, Verdict
from ledger.report.timestamp import say_captured
from ledger.timestamp.token import DEVELOPMENT_POLICY, parse_token
from tests.ledger.proof.world import World, codes, judge, of_step, rebuilt
from tests.ledger.timestamp.authority import DER, GEN_TIME, Authority, make_content, make_token
from tests.revoking import DAY, Reason

FOLDER = Path(__file__).parents[4] / "shared" / "timestamps"

ROOT = Authority("Root")
MIDDLE = ROOT.child("Middle")
SIGNER = MIDDLE.signer(common_name="Signer")
LATER = GEN_TIME + DAY
ROOT_CRL, MIDDLE_CRL = ROOT.crl(), MIDDLE.crl()
TRUST = Trust(
    (TrustedTsa("one", hashlib.sha256(ROOT.der).digest()),),
    1,
    sha256="00" * 32,
    require=("revocation",),
)


def token_over(signed_file: bytes) -> bytes:
    content = make_content(signed_file, accuracy={"seconds": 1})
    return make_token(SIGNER, content, certificates=(SIGNER.certificate, MIDDLE.der))


@pytest.fixture(scope="module")
def plain() -> Bundle:
    """One record with one stamp, and the root's certificate."""
    world = World(names=())
    world.append()
    world.record()
    world.stamp(by={"one": token_over})
    return rebuilt(world.bundle(), dict([format_certificate(ROOT.der)]))


def with_answers(plain: Bundle, *ders: bytes, ocsps: tuple[bytes, ...] = ()) -> Bundle:
    kinds: list[tuple[Kind, bytes]] = [("crl", one) for one in ders]
    kinds += [("ocsp", one) for one in ocsps]
    return rebuilt(plain, dict(format_answer(kind, one) for kind, one in kinds))


def ask(plain: Bundle, *ders: bytes, ocsps: tuple[bytes, ...] = ()) -> Verdict:
    return judge(with_answers(plain, *ders, ocsps=ocsps), TRUST)


def signer_crl(when: datetime, reason: Reason | None, **times: datetime) -> bytes:
    return MIDDLE.crl({SIGNER.serial: (when, reason)}, **times)


# The verdict


def test_a_crl_for_each_certificate_is_good_and_proves_what_is_required(plain: Bundle) -> None:
    assert judge(plain, TRUST).exit_code == 3
    assert codes(judge(plain, TRUST), "revocation") == ["no-material"]
    verdict = ask(plain, ROOT_CRL, MIDDLE_CRL)
    assert codes(verdict, "revocation") == ["good"]
    assert verdict.outcome is Outcome.PROVEN


def test_an_ocsp_answer_does_as_well(plain: Bundle) -> None:
    answer = MIDDLE.ocsp(SIGNER.certificate)
    assert ask(plain, ROOT_CRL, ocsps=(answer,)).outcome is Outcome.PROVEN
    bad = MIDDLE.ocsp(SIGNER.certificate, (GEN_TIME, Reason.superseded))
    assert ask(plain, ROOT_CRL, MIDDLE_CRL, ocsps=(answer, bad)).exit_code == 3


@pytest.mark.parametrize(
    ("when", "reason", "counted"),
    [
        (GEN_TIME - DAY, Reason.superseded, False),
        (GEN_TIME, Reason.superseded, False),
        (GEN_TIME + DAY / 2, Reason.superseded, True),
        (GEN_TIME + DAY / 2, Reason.cessation_of_operation, True),
        (GEN_TIME + DAY / 2, Reason.key_compromise, False),
        (GEN_TIME + DAY / 2, None, False),
    ],
)
def test_a_revoked_signer_counts_only_if_it_was_revoked_later_and_harmlessly(
    plain: Bundle, when: datetime, reason: Reason | None, counted: bool
) -> None:
    verdict = ask(plain, ROOT_CRL, signer_crl(when, reason))
    assert codes(verdict, "stamp") == ["counted" if counted else "not-counted"]
    assert verdict.exit_code == (0 if counted else 3)
    if not counted:
        [finding] = of_step(verdict, "stamp")
        assert str(finding.values["reason"]).startswith(f"revoked at {when:%Y-%m-%d}")
        assert codes(verdict, "revocation") == ["required"]


def test_a_revoked_intermediate_is_not_counted_either(plain: Bundle) -> None:
    serial = MIDDLE.certificate.serial_number
    verdict = ask(plain, ROOT.crl({serial: (GEN_TIME - DAY, Reason.superseded)}), MIDDLE_CRL)
    assert codes(verdict, "stamp") == ["not-counted"]


def test_a_good_word_does_not_hide_a_bad_one(plain: Bundle) -> None:
    bad = signer_crl(LATER, Reason.key_compromise, issued=LATER + DAY)
    assert codes(ask(plain, ROOT_CRL, MIDDLE_CRL, bad), "stamp") == ["not-counted"]


@pytest.mark.parametrize(
    ("crl", "code", "number"),
    [
        (Authority("Other").crl(), "unrelated", 1),
        (Authority("Middle").crl(), "unusable", 1),
        (MIDDLE.crl(issued=GEN_TIME - 9 * DAY, until=GEN_TIME - DAY), "stale", 1),
        (
            MIDDLE.crl(issued=GEN_TIME + 9999 * DAY, until=GEN_TIME + 10_000 * DAY),
            "too-late",
            1,
        ),
    ],
)
def test_what_is_of_no_use_is_unchecked_and_said(
    plain: Bundle, crl: bytes, code: str, number: int
) -> None:
    verdict = ask(plain, ROOT_CRL, crl)
    [finding] = of_step(verdict, "revocation")
    assert (finding.code, finding.outcome) == (code, Outcome.UNCHECKED)
    assert (finding.values["number"], finding.values["total"]) == (number, 2)
    assert verdict.exit_code == 3
    assert judge(with_answers(plain, ROOT_CRL, crl), replace(TRUST, require=())).exit_code == 0
    assert ask(plain, ROOT_CRL, MIDDLE_CRL, crl).outcome is Outcome.PROVEN


def test_the_certificate_that_lacks_a_crl_is_named(plain: Bundle) -> None:
    [finding] = of_step(ask(plain, MIDDLE_CRL), "revocation")
    assert (finding.code, finding.values["number"]) == ("unrelated", 2)


def test_a_stale_crl_in_a_token_is_said_too(plain: Bundle) -> None:
    stale = MIDDLE.crl(issued=GEN_TIME - 9 * DAY, until=GEN_TIME - DAY)
    choice = cms.RevocationInfoChoice("crl", asn1_crl.CertificateList.load(stale))
    token = make_token(
        SIGNER,
        certificates=(SIGNER.certificate, MIDDLE.der, ROOT.der),
        parts=lambda fields: {**fields, "crls": [choice]},
    )
    judged = Judge(TRUST, ()).judge_not_before("x", token)
    assert [finding.code for finding in judged.findings] == ["stale"]


@pytest.mark.parametrize("kind", ["crl", "ocsp"])
def test_malformed_material_is_refuted(plain: Bundle, kind: Kind) -> None:
    good = MIDDLE_CRL if kind == "crl" else MIDDLE.ocsp(SIGNER.certificate)
    path, _ = format_answer(kind, good)
    other = format_answer("ocsp" if kind == "crl" else "crl", good)
    for changed in (
        {path: b""},
        {path: good[:-1]},
        {path: good + b"\0"},
        {path: good[:-1] + bytes([good[-1] ^ 1])},
        dict([format_answer(kind, b"junk")]),
        dict([format_answer(kind, good[:-1])]),
        dict([format_answer(kind, pem.armor("X509 CRL", good))]),
        dict([other]),
    ):
        verdict = judge(rebuilt(plain, changed), TRUST)
        assert codes(verdict, "revocation")[0] == "malformed"
        assert verdict.exit_code == 1


def test_every_changed_byte_of_a_crl_is_refuted(plain: Bundle) -> None:
    path, content = format_answer("crl", MIDDLE_CRL)
    for offset in range(0, len(content), 7):
        changed = content[:offset] + bytes([content[offset] ^ 1]) + content[offset + 1 :]
        renamed = rebuilt(plain, dict([format_answer("crl", changed)]))
        assert judge(rebuilt(plain, {path: changed}), TRUST).exit_code == 1
        assert judge(renamed, TRUST).exit_code in {1, 3}


def test_more_or_longer_answers_than_the_limits_are_refuted(
    plain: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    many = [number.to_bytes(4) for number in range(MAX_ANSWERS + 1)]
    assert codes(ask(plain, *many), "revocation")[0] == "malformed"
    monkeypatch.setattr("ledger.timestamp.path.MAX_MATERIAL_BYTES", len(MIDDLE_CRL) - 1)
    verdict = ask(plain, MIDDLE_CRL)
    assert "want 2 to" in str(of_step(verdict, "revocation")[0].values["reason"])
    monkeypatch.setattr(revocation, "MAX_ANSWERS_BYTES", 10)
    assert "want at most" in str(of_step(ask(plain, MIDDLE_CRL), "revocation")[0].values["reason"])


def test_a_lower_bound_is_asked_about_revocation_as_well(plain: Bundle) -> None:
    [path] = [path for path, _ in plain.of_kind("stamp")]
    token = parse_token(plain.files[path]).raw
    answers, faults = read_answers(with_answers(plain, ROOT_CRL, MIDDLE_CRL))
    assert faults == ()
    for given, code in (((), "no-material"), (answers, "good")):
        judged = Judge(TRUST, [ROOT.der], given).judge_not_before("x", token)
        assert [finding.code for finding in judged.findings] == [code]


# Third parties' tokens


def lab(name: str) -> Iterator[bytes]:
    for path in sorted((FOLDER / "trust").glob(name)):
        content = path.read_bytes()
        yield pem.unarmor(content)[2] if pem.detect(content) else content


@pytest.mark.parametrize("token", ["lab-bad_revoked", "lab-ok_ec", "lab-ok_rsa", "lab-ok_sha512"])
def test_lab_tokens_with_crls_get_the_verdict_their_manifest_expects(
    timestamps: Path, token: str
) -> None:
    listed = json.loads((timestamps / "manifest.json").read_bytes())
    [entry] = [one for one in listed if one["file"] == f"tokens/{token}.tsr"]
    [root] = lab("lab-adv.root0.*")
    answers = [read_crl(der) for der in lab("lab-adv-bad_revoked.crl?.*")]
    assert len(answers) == 2
    trust = Trust((TrustedTsa("lab", hashlib.sha256(root).digest()),), 1)
    judged = Judge(trust, [root, *lab("lab-adv.untrusted0.*")], answers).judge_stamp(
        "x", "lab", 1, (timestamps / entry["file"]).read_bytes(), bytes.fromhex(entry["data_hex"])
    )
    found = [finding.code for finding in judged.findings]
    if entry["expected"] == "valid":
        assert found == ["counted", "good"]
    else:
        assert found == ["not-counted"]
        assert "(key_compromise)" in str(judged.findings[0].values["reason"])


# Reading and choosing


def test_a_crl_says_its_issuer_and_its_times() -> None:
    answer = read_crl(MIDDLE_CRL)
    assert (answer.issued, answer.until) == (LATER, GEN_TIME + 30 * DAY)
    assert about([answer], [SIGNER.certificate]) == (answer,)
    assert about([answer], [MIDDLE.der, ROOT.der]) == ()


def test_an_ocsp_answer_says_its_certificate() -> None:
    answer = read_ocsp(MIDDLE.ocsp(SIGNER.certificate))
    other = MIDDLE.signer().certificate
    assert (answer.kind, answer.issued) == ("ocsp", LATER)
    assert about([answer], [SIGNER.certificate]) == (answer,)
    assert about([answer], [other]) == ()


def test_an_ocsp_response_that_is_no_answer_is_malformed() -> None:
    failed = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(MalformedError, match="says try_later"):
        read_ocsp(failed.public_bytes(DER))


def test_every_truncation_is_malformed() -> None:
    for read, der in ((read_crl, MIDDLE_CRL), (read_ocsp, MIDDLE.ocsp(SIGNER.certificate))):
        for length in range(len(der)):
            with pytest.raises(MalformedError):
                read(der[:length])


def test_issuers_are_found_by_name_and_junk_is_passed_over() -> None:
    twin = Authority("Root")
    known = [b"junk", ROOT.der, twin.der, Authority("Other").der, MIDDLE.der]
    assert issuers_above(SIGNER.certificate, known) == (
        SIGNER.certificate,
        MIDDLE.der,
        ROOT.der,
        twin.der,
    )
    with pytest.raises(MalformedError):
        issuers_above(b"junk", known)


def test_the_newest_in_force_and_the_newest_of_all_are_chosen() -> None:
    def made(day: int, *, last: int = 7) -> Answer:
        times = {"issued": GEN_TIME + day * DAY, "until": GEN_TIME + (day + last) * DAY}
        return read_crl(MIDDLE.crl(**times))

    stale, first, second, later, last = made(-9), made(-3), made(-1), made(6), made(13)
    expired = made(9999)
    given = [later, stale, last, second, expired, first]
    assert choose_answers(SIGNER.certificate, given, GEN_TIME) == (second, last)
    assert choose_answers(SIGNER.certificate, [second], GEN_TIME) == (second,)
    assert choose_answers(ROOT.der, given, GEN_TIME) == ()


@pytest.mark.parametrize(
    ("answers", "word", "lacking"),
    [
        ([ROOT_CRL, MIDDLE_CRL], "complete", []),
        ([ROOT_CRL, MIDDLE.crl(issued=GEN_TIME - DAY)], "so-far", []),
        ([MIDDLE_CRL], "partly", [(MIDDLE.der, "unrelated")]),
        (
            [ROOT_CRL, MIDDLE.crl(issued=GEN_TIME - 9 * DAY, until=GEN_TIME - DAY)],
            "partly",
            [(SIGNER.certificate, "stale")],
        ),
        (
            [ROOT_CRL, MIDDLE.crl(issued=GEN_TIME + 9999 * DAY, until=GEN_TIME + 10_000 * DAY)],
            "partly",
            [(SIGNER.certificate, "too-late")],
        ),
        ([], "none", [(SIGNER.certificate, "unrelated"), (MIDDLE.der, "unrelated")]),
    ],
)
def test_what_was_captured_for_a_token_is_told_in_a_word(
    answers: list[bytes], word: str, lacking: list[tuple[bytes, str]]
) -> None:
    found = find_captured(token_over(b"x"), [ROOT.der], list(map(read_crl, answers)))
    assert (found.word, list(found.lacking)) == (word, lacking)
    for language in ("en", "zh"):
        said, sentences = say_captured(found, language)
        assert said
        assert len(sentences) == len(lacking)
        assert all("CN=" in sentence for sentence in sentences)


def test_nothing_is_captured_where_the_signer_is_not_known_or_for_development() -> None:
    alone = make_token(SIGNER, make_content(b"x"), certificates=())
    assert find_captured(alone, [ROOT.der], [read_crl(MIDDLE_CRL)]) == Captured("none")
    trial = make_token(SIGNER, make_content(b"x", policy=DEVELOPMENT_POLICY))
    assert find_captured(trial, [], []) == Captured("development")
    with pytest.raises(MalformedError):
        find_captured(b"junk", [], [])


def test_why_an_answer_does_not_do() -> None:
    assert why_not(SIGNER.certificate, [], GEN_TIME) == "unrelated"
    assert why_not(SIGNER.certificate, [read_crl(ROOT_CRL)], GEN_TIME) == "unrelated"
    assert why_not(
        SIGNER.certificate, [read_crl(MIDDLE_CRL)], datetime.max.replace(tzinfo=UTC)
    ) == ("stale")
