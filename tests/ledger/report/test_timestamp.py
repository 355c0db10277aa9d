"""A token's appraisal in two languages, as text, as JSON and as a page that fetches nothing."""

import hashlib
import json
import re
from datetime import UTC, datetime
from string import Formatter

import pytest

from ledger.proof.appraise import CHECKS, Appraisal, appraise
from ledger.proof.verdict import Language, Outcome
from ledger.report.style import POLICY
from ledger.report.timestamp import Source, format_shown, format_text, headline, say, words
from ledger.report.timestamp_html import format_html
from ledger.report.timestamp_json import format_json
from ledger.report.timestamp_openssl import CertificateFile, format_commands
from ledger.report.trust import words as trust_words
from ledger.timestamp.examine import Asked, Check
from ledger.timestamp.opened import open_token
from ledger.timestamp.token import parse_token
from tests.ledger.report.test_html import Page
from tests.ledger.timestamp.authority import Authority, make_content, make_token, respond

IMPRINT = hashlib.sha256(b"message").digest()
HOSTILE = "<script>alert(1)</script>\u202egpj\x1b[31m"
ROOT = Authority(HOSTILE[:25] + "\u202e")
CONTENT = respond(make_token(ROOT.signer(common_name="Signer & <b>")))
SOURCE = Source(HOSTILE, CONTENT, HOSTILE, ("openssl <x>",), None, "tool", datetime.now(UTC))
LANGUAGES: tuple[Language, ...] = ("en", "zh")
CODES = (
    "no-token not-reached bare no-data no-request no-nonce no-certificate no-anchor no-path"
    " no-material partly unknown-algorithm weak sm2 no-trust-file"
)


def judged(content: bytes = CONTENT, imprint: bytes | None = IMPRINT) -> Appraisal:
    return appraise(open_token(content), Asked(imprint, anchors=[ROOT.der]))


APPRAISALS = (
    judged(),
    judged(imprint=bytes(32)),
    judged(imprint=None),
    judged(respond(None, 2)),
    judged(make_token(ROOT.signer(), make_content(version=2))),
    judged(make_token(ROOT.signer(), make_content(algorithm="sha1")), imprint=None),
)


def test_the_words_are_there_for_every_check_and_code_with_the_same_blanks() -> None:
    assert tuple(words()["checks"]) == CHECKS
    assert list(words()["unchecked"]) == CODES.split()
    for table in (words(), trust_words()):
        for path, entry in walk(table, ""):
            blanks = [
                {name for _, name, _, _ in Formatter().parse(entry[language]) if name}
                for language in LANGUAGES
            ]
            assert blanks[0] == blanks[1], path
            assert "证明" not in entry["zh"]


def walk(table: object, path: str) -> list[tuple[str, dict[str, str]]]:
    if not isinstance(table, dict):
        return []
    if set(table) == set(LANGUAGES):
        return [(path, table)]
    return [found for key, value in table.items() for found in walk(value, f"{path}/{key}")]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("appraisal", APPRAISALS)
def test_every_outcome_is_told_and_nothing_hostile_gets_through(
    appraisal: Appraisal, language: Language
) -> None:
    text = format_text(appraisal, SOURCE, language)
    assert text.split("\n")[-1] == headline(appraisal, language)
    assert "\u202e" not in text
    assert "\x1b" not in text
    page = Page(format_html(appraisal, SOURCE, language))
    assert headline(appraisal, language) in page.text
    assert "\u202e" not in page.text
    assert {tag for tag, _ in page.tags}.isdisjoint({"script", "b", "a", "img", "link"})
    assert all(say(check, language) in page.text for check in appraisal.checks)
    for tag, attributes in page.tags:
        assert not attributes.keys() & {"style", "src", "href"}, tag
        assert not any(name.startswith("on") for name in attributes)
    assert json.loads(json.dumps(format_json(appraisal, SOURCE)))["exit_code"] in {0, 1, 3}


def test_the_page_carries_the_policy_of_the_verdicts_page() -> None:
    text = format_html(APPRAISALS[0], SOURCE, "en")
    assert f'http-equiv="Content-Security-Policy" content="{POLICY}"' in text
    [style] = re.findall(r"<style>(.*?)</style>", text, flags=re.DOTALL)
    assert "http" not in style


def test_outcomes_and_exit_codes() -> None:
    assert [one.exit_code for one in APPRAISALS] == [0, 1, 3, 1, 1, 3]
    assert APPRAISALS[0].outcome is Outcome.PROVEN
    assert APPRAISALS[2].outcome is Outcome.UNCHECKED
    assert APPRAISALS[0].first_fault is None


def test_a_headline_names_what_stayed_unchecked_but_not_what_was_never_asked_for() -> None:
    assert headline(APPRAISALS[0], "en").endswith("(unchecked: revocation)")
    assert "request" not in headline(APPRAISALS[0], "en")


def test_a_time_is_rounded_outward_and_a_far_one_stays_in_range() -> None:
    far = judged(make_token(ROOT.signer(), make_content(gen_time=datetime.max.replace(tzinfo=UTC))))
    assert far.bounds is not None
    assert far.bounds[0] == far.bounds[1]
    assert far.exit_code == 1
    format_html(far, SOURCE, "en")


@pytest.mark.parametrize("appraisal", APPRAISALS)
def test_a_time_stands_on_the_page_only_where_it_is_proven(appraisal: Appraisal) -> None:
    text = format_html(appraisal, SOURCE, "en")
    assert ("2026-03-01 12:00:02 UTC" in text) == (appraisal.outcome is Outcome.PROVEN)


def test_shown_says_that_nothing_was_checked() -> None:
    opened = open_token(make_token(ROOT.signer(), attributes=lambda listed: listed[:2]))
    text = format_shown(opened, SOURCE, "en")
    assert text.startswith("shown only: nothing below was checked\n")
    assert "signing-certificate: no signing-certificate attribute" in text


def test_colours_only_where_asked() -> None:
    assert "\x1b[32mproven\x1b[0m" in format_text(APPRAISALS[0], SOURCE, "en", colour=True)


def test_values_of_a_check_are_made_safe() -> None:
    check = Check("chain", "refuted", "refuted", {"reason": "a\u202eb{c}"})
    assert say(check) == "a\\u{202e}b{c}"


def test_openssl_lines_quote_names_and_convert_der() -> None:
    token = parse_token(CONTENT)
    lines = format_commands(
        token,
        bare=True,
        token_name="my token",
        over=("data", "x"),
        roots=[CertificateFile("a b.der", pem=False), CertificateFile("c.pem", pem=True)],
        intermediates=[],
        partial=True,
    )
    assert lines == (
        "openssl x509 -in 'a b.der' -out 'a b.der.pem'",
        "cat 'a b.der.pem' c.pem > roots.pem",
        (
            "openssl ts -verify -in 'my token' -token_in -data x -CAfile roots.pem -partial_chain"
            " -attime 1772366400"
        ),
    )
