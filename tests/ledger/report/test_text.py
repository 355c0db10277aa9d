import json
from dataclasses import replace
from datetime import timedelta

import pytest

from ledger.proof.verdict import Finding, Language, Outcome, Verdict, headline
from ledger.report.text import format_json, format_text


def test_text_ends_with_the_headline(verdict: Verdict, refuted: Verdict) -> None:
    for each in (verdict, refuted):
        assert format_text(each, "zh").splitlines()[-1] == headline(each, "zh")


def test_every_refuted_or_unchecked_finding_has_its_line(
    refuted: Verdict, unchecked: Verdict
) -> None:
    assert sum(line.startswith("refuted ") for line in _lines(refuted)) == 1
    assert sum(line.startswith("unchecked ") for line in _lines(unchecked)) == 2


def test_a_table_in_chinese_stands_in_columns(verdict: Verdict) -> None:
    rows = _lines(verdict, "zh")
    proven = [row for row in rows if row.startswith("核验一致 ")]
    assert all(row.startswith("核验一致   ") for row in proven), proven


def test_every_time_of_a_development_tsa_says_that_it_proves_nothing(development: Verdict) -> None:
    timed = [line for line in _lines(development) if "no later than" in line]
    assert len(timed) == 2
    assert all("development TSA: proves nothing" in line for line in timed)


def test_a_time_of_other_tsas_says_nothing_of_development(verdict: Verdict) -> None:
    assert "development" not in format_text(verdict, "en")


def test_colour_is_only_there_when_asked_for(verdict: Verdict) -> None:
    plain, coloured = format_text(verdict, "en"), format_text(verdict, "en", colour=True)
    assert "\x1b" not in plain
    assert "\x1b[32mproven\x1b[0m" in coloured
    assert coloured.replace("\x1b[0m", "").count("\x1b[") == coloured.count("\x1b[0m")


def test_control_and_bidi_characters_of_a_bundle_are_shown(refuted: Verdict) -> None:
    text = format_text(refuted, "en")
    assert "\\u{202e}gpj\\u{1b}[31m" in text
    assert text.replace("\n", "").isprintable()


def test_json_has_every_finding_with_its_meaning(verdict: Verdict) -> None:
    document = format_json(verdict)
    assert len(document["findings"]) == len(verdict.findings)
    for finding in document["findings"]:
        assert {
            "step", "outcome", "code", "values", "record", "tsa", "required",
            "sentence", "proves", "does_not_prove",
        } == finding.keys()  # fmt: skip


@pytest.mark.parametrize("key", ["tool", "trust_sha256", "bundle_sha256", "clock", "independent"])
def test_json_says_what_was_checked_and_with_what(verdict: Verdict, key: str) -> None:
    assert format_json(verdict)[key] == getattr(verdict, key)


def test_json_keeps_what_is_exact_and_can_be_written(refuted: Verdict) -> None:
    document = json.loads(json.dumps(format_json(refuted)))
    assert document["not_after"] == "2026-07-02T09:30:04.250000Z"
    assert document["displayed"]["not_after"] == "2026-07-02 09:30:05 UTC"
    assert document["tokens"][0]["serial"] == "123456789012345678"
    assert document["outcome"] == "refuted"
    assert document["exit_code"] == 1


def test_a_verdict_on_nothing_is_formatted(verdict: Verdict) -> None:
    empty = replace(verdict, findings=(), records=(), tokens=())
    assert format_text(empty, "en") == "NOT PROVEN, could not be checked: -"
    assert format_json(empty)["findings"] == []


def _lines(verdict: Verdict, language: Language = "en") -> list[str]:
    return format_text(verdict, language).splitlines()


def test_the_stamps_on_which_the_time_rests_are_not_folded(verdict: Verdict) -> None:
    paths = [f"stamps/{size}/a.tsr" for size in range(1, 7)]
    stamps = [
        Finding("stamp", Outcome.PROVEN, "counted", {"tsa": "A", "path": path}, tsa="A")
        for path in paths
    ]
    token = verdict.tokens[0]
    assert verdict.not_after is not None
    times = {path: verdict.not_after - timedelta(days=6 - n) for n, path in enumerate(paths)}
    times["stamps/5/a.tsr"] = verdict.not_after - token.accuracy
    tokens = [replace(token, path=path, gen_time=time) for path, time in times.items()]
    many = replace(verdict, findings=tuple(stamps), tokens=tuple(tokens))
    shown = [path for path in paths if any(path in line for line in _lines(many))]
    assert shown == [*paths[:3], "stamps/5/a.tsr"]
