"""The verdict as a terminal shows it, and as ``--json`` gives it."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

from ledger.proof.verdict import (
    ComparedFolder,
    Finding,
    Language,
    Outcome,
    RecordBounds,
    TokenReport,
    Verdict,
    format_lower,
    format_upper,
    headline,
    meaning,
    safe,
    say,
    say_folder,
    words,
)

_COLOURS = {Outcome.PROVEN: "32", Outcome.REFUTED: "31", Outcome.UNCHECKED: "33"}
_HIDDEN = {
    "en": "          and {count} more checks that hold (--json lists every one)",
    "zh": "          另有 {count} 项核验一致（--json 列出全部）",
}
_DETAIL = frozenset({"entry.sha256", "entry.sm3", "record.disclosures", "index"})
"""Steps that are shown only when they are not proven: they say nothing a reader can use."""


_ALIKE = 3
"""Proven findings shown of one kind: a bundle of a hundred records still fits a screen."""


def format_text(verdict: Verdict, language: Language, *, colour: bool = False) -> str:
    """One line a finding that a reader can use, how many more hold, the headline last."""
    shown = _choose(verdict)
    rows = [_row(finding, verdict, language, colour) for finding in shown]
    hidden = len(verdict.findings) - len(shown)
    if hidden:
        rows.append(_HIDDEN[language].format(count=hidden))
    rows += [say_folder(folder, language) for folder in verdict.folders]
    code = _COLOURS[verdict.outcome]
    return "\n".join([*rows, _paint(safe(headline(verdict, language)), f"1;{code}", colour)])


def _choose(verdict: Verdict) -> list[Finding]:
    """Everything that is not proven; of what is, the first few of each kind, and what bounds."""
    bounding = _bounding(verdict)
    alike: Counter[tuple[str, str]] = Counter()
    chosen = []
    for finding in verdict.findings:
        kind = (finding.step, finding.code)
        alike[kind] += 1
        few = finding.step not in _DETAIL and alike[kind] <= _ALIKE
        few = few or (finding.step == "stamp" and finding.values.get("path") in bounding)
        if finding.outcome is not Outcome.PROVEN or few:
            chosen.append(finding)
    return chosen


def _bounding(verdict: Verdict) -> set[str]:
    """Paths of the stamps on which the headline's time, and the first TSA's, rest."""
    times = [time for time in (verdict.not_after, verdict.first_not_after) if time is not None]
    return {
        token.path
        for token in verdict.tokens
        if token.counted and any(time - token.gen_time == token.accuracy for time in times)
    }


def _row(finding: Finding, verdict: Verdict, language: Language, colour: bool) -> str:
    table = words()
    outcome = table["outcomes"][finding.outcome.value][language]
    label = table["steps"][finding.step]["label"][language]
    names = [record.name for record in verdict.records]
    number = f" {names.index(finding.record) + 1}" if finding.record in names else ""
    number = number if len(names) > 1 else ""
    text = f"{_pad(outcome, 10)} {_pad(label + number, 20)} {say(finding, language)}"
    if verdict.development and finding.step.startswith("time."):
        text += table["headline"]["development"][language]  # no such time stands without it
    return text.replace(outcome, _paint(outcome, _COLOURS[finding.outcome], colour), 1)


def _pad(text: str, width: int) -> str:
    """``text`` padded to ``width`` columns; a CJK character takes two."""
    columns = sum(2 if ord(c) > 0x2E80 else 1 for c in text)
    return text + " " * max(0, width - columns)


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def format_json(verdict: Verdict) -> dict[str, Any]:  # Any: a JSON document
    """The verdict as a JSON document; keys are stable, times RFC 3339 with microseconds."""
    return {
        "outcome": verdict.outcome.value,
        "exit_code": verdict.exit_code,
        "headline": {"en": headline(verdict, "en"), "zh": headline(verdict, "zh")},
        "carrier_checked": verdict.carrier_checked,
        "independent": verdict.independent,
        "development": verdict.development,
        "not_after": _time(verdict.not_after),
        "first_not_after": _time(verdict.first_not_after),
        "not_before": _time(verdict.not_before),
        "displayed": {
            "not_after": format_upper(verdict.not_after) if verdict.not_after else None,
            "not_before": format_lower(verdict.not_before) if verdict.not_before else None,
        },
        "unchecked": list(verdict.unchecked_steps),
        "folders": [_folder(folder) for folder in verdict.folders],
        "findings": [_finding(finding) for finding in verdict.findings],
        "records": [_record(record) for record in verdict.records],
        "tokens": [_token(token) for token in verdict.tokens],
        "checked_at": _time(verdict.checked_at),
        "clock": verdict.clock,
        "tool": verdict.tool,
        "trust_sha256": verdict.trust_sha256,
        "bundle_sha256": verdict.bundle_sha256,
    }


def _folder(folder: ComparedFolder) -> dict[str, Any]:  # Any: a JSON document
    return {
        "name": folder.name,
        "compared": folder.compared,
        "not_disclosed": folder.other,
        "absent": folder.absent,
        "sentence": {"en": say_folder(folder, "en"), "zh": say_folder(folder, "zh")},
    }


def _finding(finding: Finding) -> dict[str, Any]:  # Any: a JSON document
    english, chinese = meaning(finding, "en"), meaning(finding, "zh")
    return {
        "step": finding.step,
        "outcome": finding.outcome.value,
        "code": finding.code,
        "record": finding.record,
        "tsa": finding.tsa,
        "required": finding.required,
        "values": dict(finding.values),
        "sentence": {"en": say(finding, "en"), "zh": say(finding, "zh")},
        "proves": {"en": english[0], "zh": chinese[0]},
        "does_not_prove": {"en": english[1], "zh": chinese[1]},
    }


def _record(record: RecordBounds) -> dict[str, Any]:  # Any: a JSON document
    return {
        "name": record.name,
        "seq": record.seq,
        "opened": record.opened,
        "title": record.title,
        "kind": record.kind,
        "stage": record.stage,
        "claimed_time": _time(record.claimed_time),
        "not_before": _time(record.not_before),
        "not_after": _time(record.not_after),
        "index": record.index,
    }


def _token(token: TokenReport) -> dict[str, Any]:  # Any: a JSON document
    return {
        "path": token.path,
        "tsa": token.tsa,
        "size": token.size,
        "gen_time": _time(token.gen_time),
        "accuracy_seconds": token.accuracy / timedelta(seconds=1),
        "serial": token.serial,
        "policy": token.policy,
        "counted": token.counted,
        "development": token.development,
        "openssl_verifiable": token.openssl_verifiable,
        "reason": token.reason,
    }


def _time(time: datetime | None) -> str | None:
    return None if time is None else time.isoformat().replace("+00:00", "Z")
