"""openssl and we judge the same tokens, made by openssl: right and wrong in a hundred ways.

Where the two disagree, ``differences.py`` says why, and docs/timestamp-differences.md shows
it: its tables are what this file makes of the cases, so that neither can change alone.
"""

import hashlib
import shutil
from pathlib import Path

import pytest

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.path import check_path
from ledger.timestamp.request import parse_request
from ledger.timestamp.token import (
    check_strength,
    check_token,
    openssl_verifiable,
    parse_token,
)
from tests.bench.corpus import header, read_corpus, row, tally
from tests.bench.peers import OPENSSL, answer
from tests.ledger.timestamp.authority import make_content, make_token
from tests.ledger.timestamp.differences import (
    ABOUT_THE_QUESTION,
    DIFFERENCES,
    WE_ACCEPT,
    WE_REFUSE,
)
from tests.ledger.timestamp.matrix import MADE_BADLY, MADE_WELL
from tests.ledger.timestamp.questions import Case
from tests.ledger.timestamp.responder import Lab, Question

CASES = [*MADE_WELL, *MADE_BADLY, *(case for case, _ in WE_REFUSE + WE_ACCEPT)]
KEY_ID_CASE = "signer named by key identifier"
DOCS = Path(__file__).parents[3] / "docs" / "timestamp-differences.md"


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    return Lab(tmp_path_factory.mktemp("openssl"))


def judge(question: Question) -> tuple[str, str]:
    """Our verdict (good, refuted, not counted, unchecked) and what was said."""
    try:
        token = parse_token(question.received)
        signer = check_token(token, **wanted(question), certificates=question.untrusted)
    except (MalformedError, VerificationError) as error:
        unchecked = str(error).startswith("unchecked:")
        return "unchecked" if unchecked else "refuted", str(error)
    helpers = [*token.certificates, *question.untrusted]
    try:
        check_strength(token, signer)
        path = check_path(signer, helpers, question.roots, token.gen_time, question.crls)
    except (MalformedError, VerificationError) as error:
        return "not counted", str(error)
    if question.crls and path.revocation == "unchecked":
        return "revocation unchecked", ""
    return "good", ""


def wanted(question: Question) -> dict[str, bytes | int | None]:
    """The imprint and nonce that check_token is to compare."""
    if question.query is not None:
        request = parse_request(question.query)
        return {"imprint": request.imprint, "nonce": request.nonce}
    algorithm = parse_token(question.received).imprint_algorithm
    known = algorithm in hashlib.algorithms_available
    return {"imprint": hashlib.new(algorithm, question.message).digest() if known else None}


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_token_made_by_openssl_gets_its_verdict_and_openssl_agrees_or_the_reason_is_known(
    lab: Lab, case: Case
) -> None:
    question = case.make(lab)
    verdict, said = judge(question)
    assert (verdict, case.said in said) == (case.verdict, True), said
    objection = lab.openssl(question)
    differs = (verdict == "good") != (objection == "")
    assert differs == (case.name in DIFFERENCES), objection
    if verdict == "good" and case.name not in ABOUT_THE_QUESTION:
        assert openssl_verifiable(parse_token(question.received)) == (not differs)


def test_no_difference_is_explained_that_no_case_shows() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
    assert DIFFERENCES.keys() <= set(names)


@pytest.mark.parametrize("good", [True, False])
def test_document_shows_exactly_the_differences_measured(good: bool) -> None:
    assert table(good) in DOCS.read_text()


def table(good: bool) -> str:
    """The differences in which we accept (or refuse) what openssl does not, in markdown."""
    rows = [
        f"| {case.name} | {case.verdict} | {DIFFERENCES[case.name]} |"
        for case in CASES
        if case.name in DIFFERENCES and (case.verdict == "good") == good
    ]
    title = "| token | Tallystick says | why |\n|---|---|---|"
    return "\n".join([title, *rows]) + "\n"


def test_document_counts_the_cases_and_the_differences() -> None:
    counts = f"Of {len(CASES)} tokens the two agree on {len(CASES) - len(DIFFERENCES)}."
    assert counts in DOCS.read_text()


@pytest.mark.usefixtures("lab")
@pytest.mark.parametrize("name", ["Tallystick", OPENSSL])
def test_document_shows_what_we_and_openssl_say_of_the_corpus(timestamps: Path, name: str) -> None:
    corpus = read_corpus(timestamps)
    answers = [answer(name, case) for case, _ in corpus]
    text = DOCS.read_text()
    assert header(corpus) in text
    assert row(name, tally(answers, corpus)) in text


@pytest.mark.slow
@pytest.mark.parametrize("part", range(8))
def test_what_openssl_refuses_of_a_token_with_one_byte_changed_we_refuse_too(
    lab: Lab, part: int
) -> None:
    for index in range(part, len(lab.base), 8):
        for change in (1 << index % 8, 0x80 >> index % 8, 0xFF):
            changed = bytearray(lab.base)
            changed[index] ^= change
            question = lab.ask(lab.base)
            question = Question(bytes(changed), question.moment, question.roots)
            if judge(question)[0] == "good":
                assert lab.openssl(question) == "", (index, change)


def test_pss_signature_with_the_longest_salt_is_good(lab: Lab) -> None:
    token = lab.cms(lab.rsa, "-cades", "-keyopt", "rsa_padding_mode:pss")
    assert judge(lab.ask(token))[0] == "good"


@pytest.mark.parametrize("name", ["imprint sha3-256", "digest sha3-256, RSA"])
def test_token_with_a_digest_that_cannot_be_computed_is_unchecked_not_refuted(
    lab: Lab, name: str
) -> None:
    question = next(case for case in CASES if case.name == name).make(lab)
    assert judge(question)[0] == "unchecked"


def test_path_through_a_ca_key_below_the_floor_is_not_counted(lab: Lab) -> None:
    weak = lab.subordinate(lab.root, key=lab.p224.key)
    token = make_token(lab.signer(authority=weak), make_content(gen_time=lab.now))
    assert judge(lab.ask(token, untrusted=(weak.der,)))[0] == "not counted"


def test_token_whose_signer_is_named_by_key_identifier_is_not_named_openssl_verifiable(
    lab: Lab,
) -> None:
    question = next(case for case in CASES if case.name == KEY_ID_CASE).make(lab)
    assert lab.openssl(question) != ""
    assert not openssl_verifiable(parse_token(question.received))
