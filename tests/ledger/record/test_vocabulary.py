import re

import pytest

from ledger.errors import MalformedError, NotFoundError
from ledger.record.vocabulary import check_term, find_term, terms, vocabulary

KINDS = """carrier measure novelty-search value access clue agreement countersignature key-enrolment
key-revocation destruction supersession custody renewal successor note"""
STAGES = "idea design experiment failed-experiment interim-result review final production"

# The articles for which the design of record has read the Order, and the other rules it names.
ARTICLES = re.compile(r"Order 126 Art\. (5|6|7|9(\([1-8]\))?|18\([12]\)(\([1-5]\))?|20|25)")
OTHER = {"W3C PROV", "Online Litigation Rules Art. 18"}


@pytest.mark.parametrize(
    ("claim", "codes"),
    [
        ("kind", KINDS.split()),
        ("stage", STAGES.split()),
        ("trigger", ["automatic", "manual", "import"]),
        ("meaning", ["read-and-understood"]),
        ("scheme", ["lines", "ipynb-cells", "bytes-64k"]),
    ],
)
def test_closed_lists_have_exactly_their_terms(claim: str, codes: list[str]) -> None:
    assert [term.code for term in terms(claim)] == codes


def test_articles_are_the_measures_of_9_and_the_facts_of_18() -> None:
    codes = [f"9({i})" for i in range(1, 9)]
    codes += [f"18({k})({i})" for k in (1, 2) for i in range(1, 6)]
    assert [term.code for term in terms("article")] == codes


def test_every_term_has_both_languages_and_cites_only_rules_that_were_read() -> None:
    for claim, table in vocabulary().items():
        for term in table.values():
            assert re.search("[\u4e00-\u9fff]", term.zh), (claim, term)
            assert re.fullmatch("[ -~]+", term.en), (claim, term)
            assert term.source is None or term.source in OTHER or ARTICLES.fullmatch(term.source)


def test_no_display_names_two_terms_of_one_claim() -> None:
    for claim, table in vocabulary().items():
        for language in ("zh", "en"):
            words = [getattr(term, language) for term in table.values()]
            assert len(set(words)) == len(words), claim


def test_words_that_belong_to_the_court_are_not_used() -> None:
    for table in vocabulary().values():
        for term in table.values():
            assert not re.search("证明|确认|认定", term.zh)


@pytest.mark.parametrize("words", ["failed-experiment", "failed experiment", "失败的实验"])
def test_term_is_found_by_code_and_by_display(words: str) -> None:
    assert find_term("stage", words).code == "failed-experiment"


def test_unknown_words_are_refused_with_the_known_ones_as_a_hint() -> None:
    with pytest.raises(NotFoundError) as error:
        find_term("trigger", "by hand")
    assert error.value.hint == "terms of trigger: automatic, manual, import"


def test_unknown_code_is_refused_without_being_repeated() -> None:
    check_term("kind", "carrier")
    with pytest.raises(MalformedError) as error:
        check_term("kind", "Carrier-canary")
    assert "canary" not in str(error.value)


def test_claim_without_vocabulary_is_a_callers_mistake() -> None:
    with pytest.raises(ValueError, match="no vocabulary"):
        terms("title")
    with pytest.raises(ValueError, match="no vocabulary"):
        check_term("title", "x")
