"""docs/formats.md: each block is what its inputs give, each finding is there, the example holds."""

import random
import re
from functools import cache

import pytest

from ledger.doors.bundle_files import read_bundle
from ledger.proof.bundle import Bundle
from ledger.proof.mutations import mutate, one_of_each_field
from ledger.proof.rearranged import rearrangements
from ledger.proof.verdict import STEPS, Finding, Outcome, words
from ledger.record.claims import CARRIER_CLAIMS, CLAIMS
from ledger.record.vocabulary import vocabulary
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.note import parse_note, parse_vkey
from tests.docs.blocks import BLOCKS, PAGE, block
from tests.docs.example import (
    DOCS,
    FOLDER,
    TRUST,
    VERDICT,
    Example,
    format_trust,
    format_verdict,
    is_kept,
    read_example,
    verdict,
    vkeys,
)

TEXT = (DOCS / "formats.md").read_text("utf-8")
ROW = re.compile(r"^\| `([a-z0-9.-]+/[a-z0-9-]+)` \| ([^|]+) \|([^|]*)\|", re.MULTILINE)
INTEGERS = set(
    "count files first have index k last new number old opened shown size start stop total".split()
)
TEXTS = {"carrier/line.count", "time.not-after/proven.first"}
BLANKS = re.compile(r"\{([^}]*)\}")


@pytest.fixture(scope="module")
def example() -> Example:
    return read_example()


@cache
def rows() -> dict[str, tuple[str, set[str]]]:
    """Each finding of the page, with its outcome and its values."""
    found = ROW.findall(TEXT)
    assert len({key for key, _, _ in found}) == len(found)
    return {key: (outcome, set(re.findall(r"\w+", values))) for key, outcome, values in found}


@pytest.mark.parametrize("name", BLOCKS)
def test_each_block_is_what_its_inputs_give(name: str, example: Example) -> None:
    assert dict(PAGE.findall(TEXT))[name] == block(name, example)


def test_no_block_of_the_page_is_left_unchecked() -> None:
    names = [name for name, _ in PAGE.findall(TEXT)]
    assert sorted(names) == sorted(BLOCKS)
    assert len(names) == TEXT.count("```example")


def test_the_example_is_what_its_inputs_give(example: Example) -> None:
    made, held = example.bundle(), read_bundle(FOLDER)
    assert made.carriers == held.carriers
    assert made.files == held.files


def test_what_was_signed_with_randomness_holds(example: Example) -> None:
    for size in (3, 5):
        note = parse_note(example.files[f"checkpoints/{size}"])
        assert len(check_signatures(note, [parse_vkey(key) for key in vkeys()[:2]])) == 2
        assert parse_checkpoint(note.text) == example.checkpoint(size)


def test_the_trust_file_names_the_keys_of_the_example() -> None:
    assert TRUST.read_text("utf-8") == format_trust(anchors())


def anchors() -> dict[str, str]:
    """What the trust file pins, by name: the roots are new whenever the example is made."""
    found = re.findall(r'name = "(dev-\w+)"\nanchor = "(\w+)"', TRUST.read_text("utf-8"))
    return dict(found)


def test_the_verdict_on_the_example_is_the_one_shown() -> None:
    assert VERDICT.read_text("utf-8") == format_verdict()


def test_every_file_of_the_example_can_be_made_again_or_is_checked(example: Example) -> None:
    made = {*example.made(), "bundle.json", "SHA256SUMS"}
    assert {path for path in example.files if path not in made} == {
        path for path in example.files if is_kept(path)
    }


@pytest.mark.parametrize("path", sorted(path for path in read_bundle(FOLDER).files))
def test_the_verdict_sees_each_file_of_the_example(path: str) -> None:
    held = read_bundle(FOLDER)
    changed = bytes([held.files[path][0] ^ 1]) + held.files[path][1:]
    assert verdict(Bundle({**held.files, path: changed}, held.carriers)).exit_code == 1


def test_the_page_lists_every_finding_and_no_other() -> None:
    required = {f"{step}/required" for step in STEPS}
    assert {*rows(), *required} == set(words()["findings"])


def test_the_page_names_every_value_that_a_sentence_shows() -> None:
    for key, (_, values) in rows().items():
        blanks = set(BLANKS.findall(words()["findings"][key]["en"]))
        assert blanks <= values, key


WITHOUT_TSA = {"stamp/malformed", "stamp/not-counted", "time.not-before/malformed"}
"""The page says in words when their values have no tsa."""
OF_A_LINE = {"carrier/sha256-differs", "carrier/sm3-differs", "carrier/sm3-not-made"}
"""The page says in words what else their values have if they are about a manifest line."""


def allowed(key: str) -> list[set[str]]:
    """The values that a finding can have."""
    values = rows()[key][1]
    if key in WITHOUT_TSA:
        return [values, values - {"tsa"}]
    return [values, values | {"index", "count", "path"}] if key in OF_A_LINE else [values]


def check_findings(findings: tuple[Finding, ...]) -> set[str]:
    """Outcome and values of each are those of the page; which there were."""
    keys = set()
    for finding in findings:
        key = f"{finding.step}/{finding.code}"
        if finding.code == "required":
            assert (finding.outcome, finding.values) == (Outcome.UNCHECKED, {})
            continue
        keys.add(key)
        assert finding.outcome.value in rows()[key][0], finding
        assert set(finding.values) in allowed(key), finding
        for name, value in finding.values.items():
            text = name not in INTEGERS or f"{key}.{name}" in TEXTS
            assert isinstance(value, str) is text, finding
    return keys


def test_the_page_has_the_outcomes_and_values_that_verdicts_have() -> None:
    held = read_bundle(FOLDER)
    dice = random.Random(3)
    sorts = {one.name: one for one in rearrangements(held, dice)}
    mutations = [*sorts.values(), *one_of_each_field(held, dice)]
    keys = check_findings(verdict().findings)
    for mutation in mutations:
        changed = mutate(held, mutation, rebuilt=mutation.rebuildable)
        keys |= check_findings(verdict(changed).findings)
    assert len(keys) > 50


def test_the_page_gives_only_outcomes_that_exist() -> None:
    known = {outcome.value for outcome in Outcome}
    assert all(set(outcome.split(", ")) <= known for outcome, _ in rows().values())


def test_the_page_has_the_steps_in_their_order() -> None:
    _, section = TEXT.split("### Order\n", 1)
    table = section.split("###", 1)[0].split("|---|---|---|\n", 1)[1].split("\n\n", 1)[0]
    cells = [row.split("|")[1] for row in table.splitlines()]
    assert re.findall(r"`([^`]+)`", "".join(cells)) == list(STEPS)


def test_the_page_has_every_claim_and_every_term() -> None:
    _, section = TEXT.split("### Claims\n", 1)
    first = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    named = set(re.findall(r"`([^`]+)`", "".join(first)))
    assert {*CLAIMS, *CARRIER_CLAIMS} <= named
    for claim, codes in vocabulary().items():
        if claim != "provenance":  # its terms are the members of the claim
            assert f"| `{claim}` | {', '.join(codes)} |" in TEXT
        else:
            assert all(f"`{code}`" in section for code in codes)
