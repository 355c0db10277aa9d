"""Attempts on a bundle for people: a table of changes, what caught each, and the counts.

Words are in ``attack_words.json``; what a verdict says comes from its own table.
"""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ledger.proof.attack import Attempt
from ledger.proof.mutations import Mutation
from ledger.proof.not_evidence import NOT_EVIDENCE
from ledger.proof.verdict import Language, Verdict, format_lower, headline, safe, say

Json = dict[str, Any]
"""A JSON document; Any: what it holds is its own description."""

_COLOURS = {"caught": "0", "free": "33", "slipped": "31;1"}


@dataclass(frozen=True, slots=True)
class Attacked:
    """One run: the verdict on the bundle as it is, each mutation's attempts, the dice's seed."""

    verdict: Verdict
    attempts: tuple[tuple[Attempt, ...], ...]
    seed: int

    @property
    def slipped(self) -> bool:
        """Whether any change left a verdict proven that it must not."""
        return any(outcome_of(tried) == "slipped" for tried in self.attempts)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many changes were caught, free (not evidence), slipped."""
        found = Counter(outcome_of(tried) for tried in self.attempts)
        return {name: found[name] for name in ("caught", "free", "slipped")}


@cache
def words() -> Json:
    """The table of words (``attack_words.json``)."""
    table: Json = json.loads(files(__package__).joinpath("attack_words.json").read_bytes())
    return table


def text(key: str, language: Language, **values: str | int) -> str:
    """A sentence of the table, its blanks filled."""
    template: str = words()["texts"][key][language]
    return template.format_map({name: safe(str(value)) for name, value in values.items()})


def outcome_of(tried: Sequence[Attempt]) -> str:
    """``caught``, ``free`` or ``slipped``: what one change came to in all its attempts."""
    if any(one.slipped for one in tried):
        return "slipped"
    return "caught" if all(one.caught for one in tried) else "free"


def telling(tried: Sequence[Attempt]) -> Attempt:
    """The attempt that tells most: what slipped, else the one behind an index made anew."""
    return max(tried, key=lambda one: (one.slipped, one.rebuilt))


def describe(mutation: Mutation, language: Language) -> str:
    """What a mutation changes, in plain words."""
    table = words()
    field, _, operation = mutation.name.partition("/")
    kind, dot, part = field.partition(".")
    if not dot:
        told: str = table["sorts"][mutation.name][language]
        return told
    what, where = table["kinds"][kind][language], table["parts"][part][language]
    how: str = table["operations"][operation][language]
    return f"{what}，{where}：{how}" if language == "zh" else f"{what}, {where}: {how}"


def describe_field(name: str, language: Language) -> str:
    """What a key of ``NOT_EVIDENCE`` means: a field, one change to a field, or a rearrangement."""
    if "/" in name:
        return describe(Mutation(name, (), ""), language)
    kind, _, part = name.partition(".")
    table = words()
    what, where = table["kinds"][kind][language], table["parts"][part][language]
    return f"{what}，{where}" if language == "zh" else f"{what}, {where}"


def place(mutation: Mutation, language: Language) -> str:
    """The file, and the byte in it."""
    if mutation.offset is None:
        return mutation.path
    return f"{mutation.path}, {text('byte', language, offset=mutation.offset)}"


def told(attempt: Attempt, language: Language) -> str:
    """What the verdict said of it, and why it may stand where it stands."""
    finding = attempt.finding
    said = text("unchanged", language)
    if finding is not None:
        said = f"{finding.step}: {say(finding, language)}"
    if attempt.caught:
        return said
    if finding is not None:
        said = text("now", language, said=said)
    if attempt.excess is not None:
        return f"{text('said-more', language, what=attempt.excess)}; {said}"
    if attempt.reason is None:
        return said
    return f"{said}. {reason(attempt.reason, language)}"


def reason(key: str, language: Language) -> str:
    """Why something is not evidence."""
    said: str = words()["reasons"][key][language]
    return said


def reasons() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each reason with the names of what it is about, in the table's order."""
    for key in dict.fromkeys(NOT_EVIDENCE.values()):
        yield key, tuple(name for name, why in NOT_EVIDENCE.items() if why == key)


def summary(attacked: Attacked, language: Language) -> str:
    """The last line: how many changes, how many caught."""
    return text("summary", language, changes=len(attacked.attempts), **attacked.counts)


def caught_by_step(attempts: Iterable[Sequence[Attempt]]) -> Mapping[str, int]:
    """How many changes each step caught, the most first."""
    found: Counter[str] = Counter()
    for tried in attempts:
        one = telling(tried)
        if outcome_of(tried) == "caught" and one.finding is not None:
            found[one.finding.step] += 1
    return dict(found.most_common())


def format_text(attacked: Attacked, language: Language, *, colour: bool = False) -> str:
    """The table for a terminal, and the counts as its last line."""
    lines = [headline(attacked.verdict, language), ""]
    for number, tried in enumerate(attacked.attempts, 1):
        outcome = outcome_of(tried)
        one = telling(tried)
        label = text(outcome, language)
        if colour:
            label = f"\x1b[{_COLOURS[outcome]}m{label}\x1b[0m"
        where = safe(place(one.mutation, language))
        lines.append(f"{number:4}  {label}  {describe(one.mutation, language)} ({where})")
        lines.append(f"      {told(one, language)}")
    return "\n".join([*lines, "", summary(attacked, language)])


def format_json(attacked: Attacked) -> Json:
    """The run as a JSON document; words in English."""
    verdict = attacked.verdict
    return {
        "changes": len(attacked.attempts),
        **attacked.counts,
        "seed": attacked.seed,
        "bundle_sha256": verdict.bundle_sha256,
        "trust_sha256": verdict.trust_sha256,
        "checked_at": format_lower(verdict.checked_at),
        "tool": verdict.tool,
        "rows": [_row(number, tried) for number, tried in enumerate(attacked.attempts, 1)],
    }


def _row(number: int, tried: Sequence[Attempt]) -> Json:
    mutation = tried[0].mutation
    return {
        "number": number,
        "name": mutation.name,
        "what": describe(mutation, "en"),
        "path": mutation.path,
        "offset": mutation.offset,
        "outcome": outcome_of(tried),
        "attempts": [
            {
                "index_rebuilt": one.rebuilt,
                "verdict": one.outcome.value,
                "step": None if one.finding is None else one.finding.step,
                "finding": None if one.finding is None else say(one.finding),
                "not_evidence": one.reason,
                "says_more": one.excess,
            }
            for one in tried
        ],
    }
