"""The table of an attack for people: words, counts, page, and the page of what is not evidence."""

import json
import random
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ledger.proof.attack import attack, choose_mutations
from ledger.proof.bundle import Bundle
from ledger.proof.fields import fields_of
from ledger.proof.mutations import CATCHES, OPERATIONS, Mutation
from ledger.proof.not_evidence import NOT_EVIDENCE
from ledger.proof.rearranged import KINDS
from ledger.proof.verdict import Language, Outcome
from ledger.proof.verify import verify
from ledger.report.attack import (
    Attacked,
    caught_by_step,
    describe,
    describe_field,
    format_json,
    format_text,
    reason,
    reasons,
    summary,
    words,
)
from ledger.report.attack_html import format_html
from tests.ledger.proof.everything import everything, forger
from tests.ledger.proof.world import CHECKED, World, trust_in

LANGUAGES: tuple[Language, ...] = ("en", "zh")

DOCUMENT = """# What is not evidence

A change to a bundle leaves its verdict *proven* only where this page says so, and then the verdict
says nothing that it did not say before: no earlier time, no other record, no other carrier. (With
`bundle.json` and `SHA256SUMS` untouched, nothing stays proven at all.) `tally attack X.zip` tries
it on your own bundle; the tests try more than 20,000 changes. The table is the program's own.

| where | why |
|---|---|
"""


def rendered() -> str:
    """docs/not-evidence.md, as it has to be."""
    rows = []
    for key, names in reasons():
        where = "<br>".join(describe_field(name, "en") for name in names)
        rows.append(f"| {where} | {reason(key, 'en')}<br>{reason(key, 'zh')} |\n")
    return DOCUMENT + "".join(rows)


@pytest.fixture(scope="module")
def attacked() -> Attacked:
    world = World(names=("dev-one",))
    world.record(claims={"title": "<b>\u202e"})
    world.stamp()
    bundle, trust = world.bundle({0: ("title",)}), trust_in("dev-one", k=1)

    def judge(changed: Bundle, given: object) -> object:
        assert given == {}
        return verify(changed, trust, {}, checked_at=CHECKED, clock="by hand", tool="tests")

    mutations = choose_mutations(bundle, {}, forger(), 60, random.Random(1))
    attempts = tuple(attack(bundle, {}, mutations, judge))  # type: ignore[arg-type]
    return Attacked(judge(bundle, {}), attempts, 1)  # type: ignore[arg-type]


def test_the_page_of_what_is_not_evidence_is_the_programs_table(project_root: Path) -> None:
    assert (project_root / "docs" / "not-evidence.md").read_text(encoding="utf-8") == rendered()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_change_has_words(language: Language) -> None:
    bundle = everything()
    fields = {f.name for path, held in bundle.files.items() for f in fields_of(path, held)}
    names = {f"{field}/{operation}" for field in fields for operation in OPERATIONS}
    names |= {one.name for one in choose_mutations(bundle, {}, forger(), 300, random.Random(1))}
    for name in names | {name for name in NOT_EVIDENCE if "/" in name}:
        assert describe(Mutation(name, (), ""), language)
    for name in NOT_EVIDENCE:
        assert describe_field(name, language)
    for key in set(NOT_EVIDENCE.values()):
        assert reason(key, language)


def test_no_word_is_left_over_and_each_is_there_in_both_languages() -> None:
    table = words()
    assert set(table["kinds"]) == set(CATCHES)
    assert set(table["operations"]) == set(OPERATIONS)
    assert set(table["reasons"]) == set(NOT_EVIDENCE.values())
    assert {f"left-out/{kind}" for kind in KINDS} <= set(table["sorts"])
    for section in table.values():
        for said in section.values():
            assert said.keys() == {"en", "zh"}
            assert all(said.values())


def test_the_text_ends_with_the_counts(attacked: Attacked) -> None:
    counts = attacked.counts
    assert sum(counts.values()) == len(attacked.attempts) == 60
    assert counts["slipped"] == 0
    assert not attacked.slipped
    last = format_text(attacked, "en").splitlines()[-1]
    assert last == (
        f"60 changes, {counts['caught']} caught, {counts['free']} to what is not evidence,"
        " 0 slipped"
    )
    assert "漏过" in format_text(attacked, "zh").splitlines()[-1]
    assert "\x1b[" in format_text(attacked, "en", colour=True)
    assert "\x1b[" not in format_text(attacked, "en")


def test_each_caught_change_names_the_step(attacked: Attacked) -> None:
    by_step = caught_by_step(attacked.attempts)
    assert sum(by_step.values()) == attacked.counts["caught"]
    assert {"index", "inclusion", "stamp"} <= by_step.keys()


def test_the_json_has_a_row_for_each_change_and_its_two_attempts(attacked: Attacked) -> None:
    document = json.loads(json.dumps(format_json(attacked)))
    assert document["changes"] == len(document["rows"]) == 60
    row = next(row for row in document["rows"] if row["name"] == "left-out/record")
    assert row["outcome"] == "caught"
    assert [one["index_rebuilt"] for one in row["attempts"]] == [False, True]
    free = next(row for row in document["rows"] if row["name"] == "left-out/readme")
    assert [one["verdict"] for one in free["attempts"]] == ["unchecked", "proven"]
    assert [one["not_evidence"] for one in free["attempts"]] == [None, "readme"]


class Tags(HTMLParser):
    """Every tag of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []

    def handle_starttag(self, tag: str, attrs: object) -> None:
        assert attrs is not None
        self.seen.append(tag)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_has_every_row_and_nothing_active(attacked: Attacked, language: Language) -> None:
    page = format_html(attacked, language)
    parser = Tags()
    parser.feed(page)
    assert not {"script", "img", "link", "a", "iframe"} & set(parser.seen)
    assert summary(attacked, language) in page
    rows = 60 + len(caught_by_step(attacked.attempts)) + len(set(NOT_EVIDENCE.values())) + 3
    assert parser.seen.count("tr") == rows
    assert "\u202e" not in page
    assert 'class="notice"' in page


def test_a_change_that_slips_is_told_first(attacked: Attacked) -> None:
    tried = tuple(
        tuple(type(one)(one.mutation, one.rebuilt, Outcome.PROVEN, None) for one in several)
        for several in attacked.attempts
    )
    bad = Attacked(attacked.verdict, tried, 1)
    assert bad.slipped
    assert bad.counts["slipped"] == 60
    assert "SLIPPED" in format_text(bad, "en")
    assert 'class="headline refuted"' in format_html(bad, "en")
    one = tried[0][0]
    more = type(one)(one.mutation, True, Outcome.PROVEN, None, "readme", "time")
    assert "says more than before: time" in format_text(
        Attacked(attacked.verdict, ((more,),), 1), "en"
    )
