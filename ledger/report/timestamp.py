"""A token's appraisal, or just what a token says, as a terminal shows it and as ``--json`` has it.

Words are in ``timestamp_words.json``; the words for outcomes are the verdict's.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from importlib.resources import files
from typing import Any

from ledger.errors import MalformedError
from ledger.proof.appraise import Appraisal
from ledger.proof.revocation import Captured
from ledger.proof.verdict import (
    Language,
    Outcome,
    format_lower,
    format_upper,
    safe,
    say_reason,
    shown_values,
)
from ledger.proof.verdict import words as verdict_words
from ledger.timestamp.examine import Check
from ledger.timestamp.material import describe
from ledger.timestamp.opened import OpenedToken
from ledger.timestamp.token import Token, openssl_verifiable

_COLOURS = {"proven": "32", "refuted": "31", "unchecked": "33"}


@dataclass(frozen=True, slots=True)
class Source:
    """What was read: the token file's name and bytes; ``against``: what it was checked against.

    ``commands``: how to do the same with openssl, empty if it cannot. ``trust_sha256``: of the
    trust file, if one was given.
    """

    name: str
    content: bytes
    against: str | None = None
    commands: tuple[str, ...] = ()
    trust_sha256: str | None = None
    tool: str = ""
    checked_at: datetime | None = None


@cache
def words() -> dict[str, Any]:
    """The table of words (``timestamp_words.json``)."""
    # Any: a JSON document of our own, read with fixed keys below.
    table: dict[str, Any] = json.loads(
        files(__package__).joinpath("timestamp_words.json").read_bytes()
    )
    return table


def fact(key: str, language: Language) -> str:
    """The word for a fact."""
    text: str = words()["facts"][key][language]
    return text


def say(check: Check, language: Language = "en") -> str:
    """The sentence for a check's outcome, its blanks filled and made safe to display."""
    table = words()
    known = table["unchecked"] if check.outcome == "unchecked" else table["checks"][check.name]
    text: str = known[check.code][language]
    return text.format_map(shown_values(check.values, language))


def label(check: Check, language: Language) -> str:
    """What a check is called."""
    text: str = words()["checks"][check.name]["label"][language]
    return text


def proves(check: Check, language: Language) -> str:
    """What a check shows when it is proven, in one line."""
    text: str = words()["checks"][check.name]["proves"][language]
    return text


def say_captured(captured: Captured, language: Language = "en") -> tuple[str, tuple[str, ...]]:
    """One word for what was captured of revocation, and a sentence for each thing lacking."""
    table = words()
    word: str = table["captured"][captured.word][language]
    said = []
    for der, lack in captured.lacking:
        text: str = table["lacking"][lack][language]
        said.append(text.format(subject=safe(describe(der).subject)))
    return word, tuple(said)


def headline(appraisal: Appraisal, language: Language = "en") -> str:
    """The last line: the outcome in capitals, the bound, and what stayed unchecked."""
    table = words()["headline"]
    fault = appraisal.first_fault
    if fault is not None:
        said = say(fault, language)
        return str(table["refuted"][language].format(check=_named([fault], language), fault=said))
    if appraisal.outcome is Outcome.UNCHECKED:
        named = [c for c in appraisal.checks if c.name in appraisal.required]
        missing = [c for c in named if c.outcome == "unchecked"]
        if [c.code for c in missing] == ["no-data"]:
            return str(table["no-data"][language])
        weak = [c for c in missing if c.code == "weak"]
        names = _named(weak or missing, language)
        return str(table["weak" if weak else "unchecked"][language].format(checks=names))
    assert appraisal.bounds is not None  # noqa: S101 - else the outcome is not proven
    text: str = table["proven"][language].format(time=format_upper(appraisal.bounds[1]))
    if unchecked := _worth_naming(appraisal):
        text += table["but"][language].format(checks=_named(unchecked, language))
    return text + (table["development"][language] if appraisal.development else "")


def _worth_naming(appraisal: Appraisal) -> list[Check]:
    """What stayed unchecked, apart from what was never asked for."""
    asked = {"bare", "no-request", "no-trust-file"}
    checks = (check for check in appraisal.checks if check.outcome == "unchecked")
    return [check for check in checks if check.code not in asked]


def _named(checks: Sequence[Check], language: Language) -> str:
    """Checks as a headline lists them, in Chinese each behind its label."""
    if language == "en":
        return ", ".join(check.name for check in checks)
    return "、".join(f"{label(check, language)}（{check.name}）" for check in checks)


def format_text(
    appraisal: Appraisal, source: Source, language: Language, *, colour: bool = False
) -> str:
    """One line a check, what the token says, how to do it by hand; then the headline, last."""
    rows = [_row(check, language, colour) for check in appraisal.checks]
    opened = appraisal.opened
    rows += ["", *_facts(opened, source, language, appraisal)]
    path = appraisal.path
    if path is not None:
        placed = [*path.certificates, path.anchor]
        rows += _certificates(list(zip(_roles(len(placed)), placed, strict=True)), language)
    if opened.token is not None:
        rows += ["", *_openssl(openssl_verifiable(opened.token), source, language)]
    last = safe(headline(appraisal, language))
    return "\n".join([*rows, "", _paint(last, f"1;{_COLOURS[appraisal.outcome.value]}", colour)])


def format_shown(opened: OpenedToken, source: Source, language: Language) -> str:
    """What a token says, nothing of it checked."""
    rows = [fact("shown-only", language), "", *_facts(opened, source, language)]
    embedded = () if opened.token is None else opened.token.certificates
    rows += _certificates([("embedded", der) for der in embedded], language)
    rows += ["", *_faults(opened, language)]
    return "\n".join(rows).rstrip("\n")


def _faults(opened: OpenedToken, language: Language) -> Iterator[str]:
    for name, text in opened.faults.items():
        yield f"{name}: {safe(say_reason(text, language))}"


def _roles(count: int) -> list[str]:
    return ["signer", *["intermediate"] * (count - 2), "anchor"]


def _row(check: Check, language: Language, colour: bool) -> str:
    outcome = str(verdict_words()["outcomes"][check.outcome][language])
    text = f"{_pad(outcome, 10)} {_pad(label(check, language), 20)} {say(check, language)}"
    return text.replace(outcome, _paint(outcome, _COLOURS[check.outcome], colour), 1)


def facts(
    opened: OpenedToken, language: Language, appraisal: Appraisal | None = None
) -> list[tuple[str, str]]:
    """What the token says as (word, value); the values are not yet safe to display."""
    token, response = opened.token, opened.response
    kind = "token" if response.status is None else "response"
    found = [(fact("kind", language), fact(kind, language).format(status=response.status))]
    if response.token is None:
        failures = ", ".join(response.failures) or fact("none", language)
        return [*found, ("", fact("no-token", language).format(failures=failures))]
    if token is None:
        return found
    if token.is_development or (appraisal is not None and appraisal.development):
        found.append(("!", fact("development", language)))
    nonce = fact("none", language) if token.nonce is None else f"{token.nonce:x}"
    return [
        *found,
        (fact("genTime", language), format_time(token.gen_time) or ""),
        (fact("accuracy", language), _accuracy(token, appraisal, language)),
        (fact("serial", language), f"{token.serial} (0x{token.serial:x})"),
        (fact("policy", language), token.policy),
        (fact("imprint", language), f"{token.imprint_algorithm} {token.imprint.hex()}"),
        (fact("signature", language), token.signature_algorithm),
        (fact("nonce", language), nonce),
    ]


def _accuracy(token: Token, appraisal: Appraisal | None, language: Language) -> str:
    if token.accuracy is not None:
        seconds = token.accuracy / timedelta(seconds=1)
        return fact("stated", language).format(seconds=f"{seconds:g}")
    if appraisal is None:
        return fact("unstated", language)
    seconds = appraisal.accuracy / timedelta(seconds=1)
    return fact("assumed", language).format(seconds=f"{seconds:g}")


def _facts(
    opened: OpenedToken, source: Source, language: Language, appraisal: Appraisal | None = None
) -> Iterator[str]:
    digest = hashlib.sha256(source.content).hexdigest()
    about = [(fact("file", language), f"{source.name}, SHA-256 {digest}")]
    if source.against is not None:
        about.append((fact("against", language), source.against))
    for word, value in [*about, *facts(opened, language, appraisal)]:
        yield f"{_pad(word, 20)} {safe(value)}"


def _certificates(placed: list[tuple[str, bytes]], language: Language) -> Iterator[str]:
    for role, der in placed:
        yield ""
        word = fact(role, language)
        try:
            said = describe(der)
        except MalformedError as error:
            why = safe(say_reason(str(error), language))
            yield f"{_pad(word, 20)} {fact('unreadable', language)}: {why}"
            continue
        validity = (
            f"{format_lower(said.not_before)} {fact('to', language)} {format_lower(said.not_after)}"
        )
        for name, value in (
            (word, said.subject),
            (f"  {fact('issuer', language)}", said.issuer),
            (f"  {fact('serial', language)}", f"{said.serial} (0x{said.serial:x})"),
            (f"  {fact('validity', language)}", validity),
            (f"  {fact('key', language)}", f"{said.key}, {said.signature}"),
            ("  SHA-256", said.sha256),
        ):
            yield f"{_pad(name, 20)} {safe(value)}"


def _openssl(verifiable: bool, source: Source, language: Language) -> Iterator[str]:
    yield f"openssl {fact(openssl_fact(verifiable, source), language)}"
    if verifiable:
        yield from (f"  {safe(command)}" for command in source.commands)


def openssl_fact(verifiable: bool, source: Source) -> str:
    """Which of the words says whether openssl can check the token, and if so with what."""
    if not verifiable:
        return "openssl-no"
    return "openssl-yes" if source.commands else "openssl-more"


def _pad(text: str, width: int) -> str:
    """``text`` padded to ``width`` columns; a CJK character takes two."""
    columns = sum(2 if ord(c) > 0x2E80 else 1 for c in text)
    return text + " " * max(0, width - columns)


def _paint(text: str, code: str, colour: bool) -> str:
    return f"\x1b[{code}m{text}\x1b[0m" if colour else text


def format_time(time: datetime | None) -> str | None:
    """RFC 3339, UTC, with microseconds where there are any."""
    return None if time is None else time.astimezone(UTC).isoformat().replace("+00:00", "Z")
