"""The table of words: complete in both languages, and saying no more than is proven."""

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

import ledger.proof
from ledger.proof.verdict import (
    STEPS,
    Finding,
    Outcome,
    Verdict,
    format_lower,
    format_upper,
    headline,
    safe,
    say,
    words,
)

SOURCE = Path(ledger.proof.__file__).parent
FORBIDDEN = re.compile(
    "证明|确认|认定|created at|qualified|blockchain-certified|区块链|合格", re.IGNORECASE
)
BLANKS = re.compile(r"\{([^}]*)\}")


def leaves(table: Any) -> list[dict[str, str]]:
    """Every {en, zh} in the table."""
    if not isinstance(table, dict):
        return []
    if "en" in table or "zh" in table:
        return [table]
    return [leaf for value in table.values() for leaf in leaves(value)]


def test_everything_is_said_in_both_languages_with_the_same_blanks() -> None:
    found = leaves(words())
    assert len(found) > 100
    for leaf in found:
        assert leaf.keys() == {"en", "zh"}
        assert leaf["en"].strip()
        assert leaf["zh"].strip()
        assert set(BLANKS.findall(leaf["en"])) == set(BLANKS.findall(leaf["zh"])), leaf


def test_no_word_says_more_than_a_verdict_can() -> None:
    for leaf in leaves(words()):
        for text in leaf.values():
            assert not FORBIDDEN.search(text), text


def test_every_step_and_outcome_has_its_words_and_no_other() -> None:
    table = words()
    assert table.keys() == {"outcomes", "steps", "findings", "folder", "headline"}
    assert table["outcomes"].keys() == {outcome.value for outcome in Outcome}
    assert tuple(table["steps"]) == STEPS
    for step in STEPS:
        assert table["steps"][step].keys() == {"label", "proves", "does_not_prove"}
        assert f"{step}/required" in table["findings"]
    assert list(table["findings"]) == sorted(table["findings"])
    assert {key.split("/")[0] for key in table["findings"]} <= set(STEPS)


def literals(node: ast.expr) -> list[str]:
    """The texts an expression can be, if it is one, or a choice between some."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return [node.value]
    if isinstance(node, ast.IfExp):
        return literals(node.body) + literals(node.orelse)
    return []


def raised() -> set[tuple[str, str]]:
    """(step, code) of each finding that is written out in the source."""
    found: set[tuple[str, str]] = set()
    for path in SOURCE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
                continue
            if node.func.id == "Finding" and len(node.args) >= 3:
                step, code = node.args[0], node.args[2]
            elif node.func.id == "_refuted":
                step, code = node.args[0], node.args[1]
            else:
                continue
            found |= {(one, two) for one in literals(step) for two in literals(code)}
    return found


def test_every_code_of_the_source_has_its_sentence() -> None:
    found = raised()
    assert len(found) > 30
    assert {f"{step}/{code}" for step, code in found} <= words()["findings"].keys()


def test_every_sentence_has_its_code_in_the_source() -> None:
    text = "".join(path.read_text(encoding="utf-8") for path in SOURCE.glob("*.py"))
    for key in words()["findings"]:
        assert f'"{key.split("/")[1]}"' in text, key


def test_values_are_made_safe_before_they_are_shown() -> None:
    values = {"name": "a\u202eb\n{reason}\x1b[31m"}
    for language in ("en", "zh"):
        text = say(Finding("carrier", Outcome.REFUTED, "no-match", values), language)
        assert "a\\u{202e}b\\u{a}{reason}\\u{1b}[31m" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("第12批 结果.csv", "第12批 结果.csv"),
        ("a\u200bb", "a\\u{200b}b"),
        ("a\ufeffb", "a\\u{feff}b"),
        ("a\ud800b", "a\\u{d800}b"),
        ("a\u2028b", "a\\u{2028}b"),
        ("\U000e0041", "\\u{e0041}"),
    ],
)
def test_invisible_characters_are_shown(text: str, shown: str) -> None:
    assert safe(text) == shown


# Times round outward


WHOLE = datetime(2026, 11, 22, 12, 6, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("microseconds", "upper", "lower"),
    [(0, 1, 1), (1, 2, 1), (999_999, 2, 1)],
)
def test_displayed_times_round_outward(microseconds: int, upper: int, lower: int) -> None:
    moment = WHOLE + timedelta(microseconds=microseconds)
    assert format_upper(moment) == f"2026-11-22 12:06:0{upper} UTC"
    assert format_lower(moment) == f"2026-11-22 12:06:0{lower} UTC"


def test_times_of_other_zones_are_shown_in_utc() -> None:
    moment = WHOLE.astimezone(timezone(timedelta(hours=8)))
    assert format_upper(moment) == format_lower(moment) == "2026-11-22 12:06:01 UTC"


def test_times_at_the_ends_of_the_calendar_are_shown() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert format_upper(last.replace(microsecond=0)) == "9999-12-31 23:59:59 UTC"
    assert format_upper(last) == "10000-01-01 00:00:00 UTC"
    assert format_lower(last) == "9999-12-31 23:59:59 UTC"
    assert format_lower(datetime.min.replace(tzinfo=UTC)) == "0001-01-01 00:00:00 UTC"


# The outcome


def verdict(*findings: Finding, not_after: datetime | None = WHOLE) -> Verdict:
    return Verdict(
        findings=findings,
        records=(),
        tokens=(),
        carrier_checked=False,
        independent=False,
        not_after=not_after,
        first_not_after=not_after,
        not_before=None,
        checked_at=WHOLE,
        clock="",
        tool="",
        trust_sha256="",
        bundle_sha256="",
    )


GOOD = Finding("index", Outcome.PROVEN, "complete", {"files": 1}, required=True)
UNSURE = Finding("chain", Outcome.UNCHECKED, "not-shown")
BAD = Finding("index", Outcome.REFUTED, "mismatch", {"path": "x"})


def test_outcomes_and_exit_codes() -> None:
    needed = Finding("chain", Outcome.UNCHECKED, "not-shown", required=True)
    for findings, outcome, code in (
        ((GOOD,), Outcome.PROVEN, 0),
        ((GOOD, UNSURE), Outcome.PROVEN, 0),
        ((GOOD, needed), Outcome.UNCHECKED, 3),
        ((GOOD, needed, BAD), Outcome.REFUTED, 1),
        ((UNSURE,), Outcome.UNCHECKED, 3),
        ((), Outcome.UNCHECKED, 3),
    ):
        judged = verdict(*findings)
        assert (judged.outcome, judged.exit_code) == (outcome, code)
        assert headline(judged)
        assert headline(judged, "zh")


def test_without_a_bound_on_time_nothing_is_proven() -> None:
    judged = verdict(GOOD, not_after=None)
    assert judged.outcome is Outcome.UNCHECKED
    assert headline(judged) == "NOT PROVEN, could not be checked: -"


def test_the_headline_names_the_first_fault_and_what_stayed_unchecked() -> None:
    assert headline(verdict(BAD)) == "REFUTED at index: x is not the file the index lists"
    assert headline(verdict(GOOD, UNSURE)).endswith("12:06:01 UTC   (unchecked: chain)")
    assert headline(verdict(UNSURE)) == "NOT PROVEN, could not be checked: chain"
    assert headline(verdict(BAD), "zh") == "核验不一致，环节 文件（index）：x 与索引所列不一致"
    needed = Finding("key", Outcome.UNCHECKED, "required", required=True)
    told = "NOT PROVEN, could not be checked: key   (also unchecked: chain)"
    assert headline(verdict(GOOD, UNSURE, needed)) == told
    told = "未核验完成：密钥（key）（另有未核验：链（chain））"
    assert headline(verdict(GOOD, UNSURE, needed), "zh") == told
    two = verdict(UNSURE, Finding("key", Outcome.UNCHECKED, "required"))
    assert headline(two, "zh") == "未核验完成：链（chain）、密钥（key）"
