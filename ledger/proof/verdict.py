"""The verdict: findings in a fixed order, three outcomes, one table of words.

A finding is a step id, an outcome and a code; its words come from ``words.json``, shared with the
browser verifier, so that both say the same in both languages. Unknown is not false: a step that
could not run is ``unchecked``, never ``refuted``, and never silently left out.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.resources import files
from typing import Any, Literal

from ledger.proof.reasons import in_chinese

Language = Literal["en", "zh"]

STEPS = (
    "index",
    "record.signature",
    "record.disclosures",
    "entry.sha256",
    "entry.sm3",
    "carrier",
    "manifest",
    "inclusion",
    "checkpoint.ledger",
    "checkpoint.ml-dsa",
    "cosignatures",
    "consistency",
    "stamp",
    "revocation",
    "time.not-after",
    "time.not-before",
    "chain",
    "key",
    "evidence",
    "ageing",
)
"""Step ids in the order they are checked and reported."""


class Outcome(StrEnum):
    """What a step, or the whole bundle, came to."""

    PROVEN = "proven"
    REFUTED = "refuted"
    UNCHECKED = "unchecked"


@dataclass(frozen=True, slots=True)
class Finding:
    """One step's outcome. ``record`` and ``tsa`` name what it is about; None: the whole bundle.

    ``code`` selects the sentence in ``words.json``; ``values`` fills its blanks, and is what
    ``--json`` shows. ``required`` findings decide the verdict.
    """

    step: str
    outcome: Outcome
    code: str
    values: Mapping[str, str | int] = field(default_factory=dict)
    record: str | None = None
    tsa: str | None = None
    required: bool = False

    def __post_init__(self) -> None:
        if self.step not in STEPS:
            raise ValueError(f"unknown step {self.step!r}")


@dataclass(frozen=True, slots=True)
class RecordBounds:
    """One record of the bundle as the timeline draws it.

    ``name``: first 16 hex digits of its entry. ``opened``: claims beyond its link are shown.
    ``not_before`` and ``not_after`` are the proven bounds, None where none is proven;
    ``claimed_time`` is the author's word only. ``title`` is the disclosed title or label.
    """

    name: str
    seq: int | None
    opened: bool
    title: str | None
    claimed_time: datetime | None
    not_before: datetime | None
    not_after: datetime | None
    index: int | None
    kind: str | None = None
    stage: str | None = None


@dataclass(frozen=True, slots=True)
class TokenReport:
    """What one timestamp token says, for the appraiser. ``counted``: it entered the bound."""

    path: str
    tsa: str
    size: int
    gen_time: datetime
    accuracy: timedelta
    serial: str
    policy: str
    counted: bool
    development: bool
    openssl_verifiable: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class ComparedFolder:
    """A folder given as a carrier: what the verdict is about in it, and what it is not about.

    ``compared``: files at paths that the bundle discloses; ``other``: its other files, which are
    not judged; ``absent``: paths that the bundle discloses and the folder does not have.
    """

    name: str
    compared: int
    other: int
    absent: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """The whole answer. ``independent``: the time is proven without trusting the operator.

    ``folders``: those that the verifier gave; the findings are on their files.
    """

    findings: tuple[Finding, ...]
    records: tuple[RecordBounds, ...]
    tokens: tuple[TokenReport, ...]
    carrier_checked: bool
    independent: bool
    not_after: datetime | None
    first_not_after: datetime | None
    not_before: datetime | None
    checked_at: datetime
    clock: str
    tool: str
    trust_sha256: str
    bundle_sha256: str
    folders: tuple[ComparedFolder, ...] = ()

    @property
    def outcome(self) -> Outcome:
        """Refuted if anything is; else unchecked if a required finding is; else proven."""
        if any(f.outcome is Outcome.REFUTED for f in self.findings):
            return Outcome.REFUTED
        required = [f for f in self.findings if f.required]
        # No bound on time, nothing proven: whatever else is required, there is no sentence to say.
        if not required or self.not_after is None:
            return Outcome.UNCHECKED
        if any(f.outcome is Outcome.UNCHECKED for f in required):
            return Outcome.UNCHECKED
        return Outcome.PROVEN

    @property
    def subject(self) -> str:
        """What was compared: a ``carrier``, an ``excerpt`` of one, or nothing: ``record``."""
        if not self.carrier_checked:
            return "record"
        held = {f.code for f in self.findings if f.step == "carrier" and f.outcome == "proven"}
        return "excerpt" if held <= {"excerpt", "excerpt-of-size", "pieces"} else "carrier"

    @property
    def exit_code(self) -> int:
        """0 proven, 1 refuted, 3 could not be checked."""
        return {Outcome.PROVEN: 0, Outcome.REFUTED: 1, Outcome.UNCHECKED: 3}[self.outcome]

    @property
    def first_fault(self) -> Finding | None:
        """The first refuted finding in the fixed order, or None."""
        return next((f for f in self.findings if f.outcome is Outcome.REFUTED), None)

    @property
    def development(self) -> bool:
        """True if any counted time comes from a development TSA, which proves nothing."""
        return any(token.development and token.counted for token in self.tokens)

    @property
    def unchecked_steps(self) -> tuple[str, ...]:
        """Step ids with an unchecked finding, in order, each once."""
        steps = (f.step for f in self.findings if f.outcome is Outcome.UNCHECKED)
        return tuple(dict.fromkeys(steps))

    @property
    def missing_steps(self) -> tuple[str, ...]:
        """Those of ``unchecked_steps`` that keep the verdict from being proven."""
        required = {f.step for f in self.findings if f.required}
        return tuple(step for step in self.unchecked_steps if step in required)


@cache
def words() -> dict[str, Any]:
    """The shared table of words (``words.json``): outcomes, steps, findings, headlines."""
    # Any: a JSON document of our own, read with fixed keys below.
    table: dict[str, Any] = json.loads(files(__package__).joinpath("words.json").read_bytes())
    return table


def say(finding: Finding, language: Language = "en") -> str:
    """The sentence for a finding, its blanks filled and made safe to display."""
    template: str = words()["findings"][f"{finding.step}/{finding.code}"][language]
    return template.format_map(shown_values(finding.values, language))


def shown_values(values: Mapping[str, str | int], language: Language) -> dict[str, str]:
    """``values`` as sentences show them: safe to display, and a ``reason`` in the language."""
    return {
        name: safe(say_reason(str(value), language) if name == "reason" else str(value))
        for name, value in values.items()
    }


def say_reason(reason: str, language: Language) -> str:
    """A reason, which is in English, in ``language``; one that has no Chinese stays as it is."""
    return in_chinese(reason) if language == "zh" else reason


def say_folder(folder: ComparedFolder, language: Language = "en") -> str:
    """How much of a folder was compared, and that nothing is said of the rest."""
    template: str = words()["folder"]["absent" if folder.absent else "compared"][language]
    return template.format(
        name=safe(folder.name), compared=folder.compared, other=folder.other, absent=folder.absent
    )


def meaning(finding: Finding, language: Language = "en") -> tuple[str, str]:
    """What this step proves and what it does not prove, one line each."""
    step = words()["steps"][finding.step]
    return step["proves"][language], step["does_not_prove"][language]


def headline(verdict: Verdict, language: Language = "en") -> str:
    """The last line: the outcome in capitals, the bound, and what stayed unchecked."""
    table = words()["headline"]
    subject = verdict.subject
    if verdict.outcome is Outcome.REFUTED:
        fault = verdict.first_fault
        assert fault is not None  # noqa: S101 - refuted means that there is one
        step = _named([fault.step], language)
        return str(table["refuted"][language].format(step=step, fault=say(fault, language)))
    if verdict.outcome is Outcome.UNCHECKED:
        steps = verdict.missing_steps or verdict.unchecked_steps
        rest = _named([step for step in verdict.unchecked_steps if step not in steps], language)
        said: str = table["unchecked"][language].format(steps=_named(steps, language) or "-")
        return said + (table["also"][language].format(steps=rest) if rest else "")
    trust = "independent" if verdict.independent else "operator"
    assert verdict.not_after is not None  # noqa: S101 - else the outcome is not proven
    text: str = table["proven"][language].format(
        trust=table[trust][language],
        subject=table[subject][language],
        time=format_upper(verdict.not_after),
    )
    if verdict.unchecked_steps:
        text += table["but"][language].format(steps=_named(verdict.unchecked_steps, language))
    if verdict.development:
        text += table["development"][language]
    return text


def _named(steps: Sequence[str], language: Language) -> str:
    """Step ids as a headline lists them, in Chinese each behind its label."""
    if language == "en":
        return ", ".join(steps)
    table = words()["steps"]
    return "、".join(f"{table[step]['label'][language]}（{step}）" for step in steps)


def order_findings(findings: Sequence[Finding]) -> tuple[Finding, ...]:
    """Findings by step, then in the order given (records by chain order, then TSA)."""
    return tuple(sorted(findings, key=lambda finding: STEPS.index(finding.step)))


def format_upper(time: datetime) -> str:
    """A ``not later than`` time as displayed: whole seconds, rounded up (outward), UTC."""
    whole = time.astimezone(UTC)
    if whole.microsecond:
        if whole > datetime.max.replace(microsecond=0, tzinfo=UTC):
            return "10000-01-01 00:00:00 UTC"  # datetime ends with the year 9999
        whole = whole.replace(microsecond=0) + timedelta(seconds=1)
    return _format(whole)


def format_lower(time: datetime) -> str:
    """A ``not earlier than`` time as displayed: whole seconds, rounded down (outward), UTC."""
    return _format(time.astimezone(UTC))


def _format(time: datetime) -> str:
    # Not strftime: on some systems its %Y does not fill years below 1000 with zeros.
    return f"{time.replace(tzinfo=None).isoformat(sep=' ', timespec='seconds')} UTC"


def safe(text: str) -> str:
    r"""``text`` with control, bidi and other invisible characters shown as ``\u{…}``.

    >>> safe("a\u202eb")
    'a\\u{202e}b'
    """
    return "".join(c if c.isprintable() else f"\\u{{{ord(c):x}}}" for c in text)
