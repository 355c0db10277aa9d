"""Whose key signed the opened records, and whether it was revoked: the step ``key``.

A key has a name if the trust file gives it one, or if a key that the trust file names has enrolled
it: a record of kind ``key-enrolment`` whose claim ``key`` is its thumbprint. The binding is mutual,
or anyone could enrol another's key as their own: a record signed with the enrolled key names the
enrolment (``enrolledBy``).

A record of kind ``key-revocation`` ends a key. What is shown to have been signed before it stands,
what was signed after it is refuted, the rest is open. That nothing was revoked is shown by a key
chain opened whole, up to its head and no further. Other key chains are not excluded.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ledger.proof.bounds import Bounds
from ledger.proof.recorded import SeenChain, SeenRecord
from ledger.proof.trust import Trust
from ledger.proof.verdict import Finding, Outcome, format_upper

ENROLMENT: Final = "key-enrolment"
REVOCATION: Final = "key-revocation"
ENROLLED_BY: Final = "enrolledBy"
"""The relation with which a record names the enrolment of the key that signed it."""


@dataclass(frozen=True, slots=True)
class _Whose:
    """Whose a key is: ``code`` of the finding, the ``name`` if it is proven, who enrolled it."""

    outcome: Outcome
    code: str
    name: str | None = None
    enrolment: SeenRecord | None = None


def is_key_record(one: SeenRecord) -> bool:
    """Whether the record is disclosed to be about a key, and so no part of what is to be proven."""
    return one.record.claims.get("kind") in {ENROLMENT, REVOCATION}


def check_keys(
    seen: Sequence[SeenRecord],
    chains: Sequence[SeenChain],
    bounds: Mapping[str, Bounds],
    included: Collection[str],
    trust: Trust,
) -> list[Finding]:
    """Findings on the key of every opened record: whose it is, then whether it was revoked.

    ``chains`` are those that hold; ``bounds``: of every record, passed along them; ``included``:
    names of the records proven to be in a ledger.
    """
    keys = _Keys(seen, chains, bounds, included, trust)
    of: dict[str, list[SeenRecord]] = {}
    for one in seen:
        if one.opened:
            of.setdefault(one.record.thumbprint, []).append(one)
    return [finding for key, records in of.items() for finding in keys.judge(key, records)]


class _Keys:
    """What the bundle's records say of keys, under one trust file."""

    def __init__(
        self,
        seen: Sequence[SeenRecord],
        chains: Sequence[SeenChain],
        bounds: Mapping[str, Bounds],
        included: Collection[str],
        trust: Trust,
    ) -> None:
        self._bounds = bounds
        self._included = included
        self._trust = trust
        self._enrolments = _about_keys(seen, ENROLMENT)
        self._revocations = _about_keys(seen, REVOCATION)
        self._named_back = _named_back(seen)
        self._place = {
            name: (number, position)
            for number, chain in enumerate(chains)
            for position, name in enumerate(chain.names)
        }
        by_name = {one.name: one for one in seen}
        shown = [(chain, [by_name[name] for name in chain.names]) for chain in chains]
        self._whole = [(chain, records) for chain, records in shown if _is_whole(chain, records)]

    def judge(self, key: str, records: Sequence[SeenRecord]) -> list[Finding]:
        """The findings on one key that signed ``records``."""
        whose = self._whose(key)
        values: dict[str, str | int]
        values = {"key": _short(key), "thumbprint": key, "count": len(records)}
        if whose.name is not None:
            values |= {"name": whose.name}
        if whose.enrolment is not None:
            by = whose.enrolment.record.thumbprint
            values |= {"by": _short(by), "enroller": by, "number": whose.enrolment.number}
        findings = [Finding("key", whose.outcome, whose.code, values)]
        if key in self._revocations:
            return findings + [self._revoked(key, whose, one) for one in records]
        return findings + self._not_revoked(key, whose)

    def _whose(self, key: str) -> _Whose:
        author = self._trust.author(key)
        if author is not None:
            return _Whose(Outcome.PROVEN, "named", author)
        found = [self._judge_enrolment(key, one) for one in self._enrolments.get(key, [])]
        found.sort(key=lambda whose: whose.outcome is not Outcome.PROVEN)
        return found[0] if found else _Whose(Outcome.UNCHECKED, "unknown")

    def _judge_enrolment(self, key: str, enrolment: SeenRecord) -> _Whose:
        by = enrolment.record.thumbprint
        name, back = self._trust.author(by), self._named_back.get(key, set())
        revoked = [one for one in self._revocations.get(by, []) if one.record.thumbprint == by]
        if name is None:
            code = "enrolled-by-unknown"
        elif enrolment.name not in self._included:
            code = "enrolment-not-in-ledger"
        elif any(self._order(enrolment, one) != "before" for one in revoked):
            code = "enroller-revoked"
        elif not back:
            code = "enrolled-one-way"
        elif enrolment.record.entry.hex() not in back:
            code = "enrolled-elsewhere"
        else:
            return _Whose(Outcome.PROVEN, "enrolled", name, enrolment)
        # A name that is not proven is still said: the sentence says what it lacks.
        return _Whose(Outcome.UNCHECKED, code, name, enrolment)

    def _revoked(self, key: str, whose: _Whose, one: SeenRecord) -> Finding:
        """The finding on a record of a key that a record of the bundle revokes."""
        values: dict[str, str | int] = {"key": _short(key), "thumbprint": key}
        all_of_key = self._revocations[key]
        entitled = [each for each in all_of_key if self._may_revoke(each, key, whose)]
        if not entitled:
            values |= {"by": _short(all_of_key[0].record.thumbprint)}
            return Finding("key", Outcome.UNCHECKED, "revoked-by-other", values, one.name)
        for order, outcome, code in (
            ("after", Outcome.REFUTED, "after-revocation"),
            ("open", Outcome.UNCHECKED, "not-before-revocation"),
        ):
            for each in entitled:
                if each.name != one.name and self._order(one, each) == order:
                    values |= {"number": each.number}
                    return Finding("key", outcome, code, values, one.name)
        values |= {"number": entitled[0].number}
        return Finding("key", Outcome.PROVEN, "before-revocation", values, one.name)

    def _may_revoke(self, revocation: SeenRecord, key: str, whose: _Whose) -> bool:
        """Whether the revocation is by the key itself, its enroller, or a key of the same name.

        Anyone's word would let a stranger sink a bundle with a record of their own.
        """
        by, back = revocation.record.thumbprint, self._named_back.get(key, set())
        enrollers = {
            one.record.thumbprint
            for one in self._enrolments.get(key, [])
            if one.record.entry.hex() in back
        }
        if by == key or by in enrollers:
            return True
        return whose.outcome is Outcome.PROVEN and self._trust.author(by) == whose.name

    def _order(self, one: SeenRecord, revocation: SeenRecord) -> str:
        """``before``, ``after`` or ``open``: by place in one chain, else by proven bounds."""
        if one.name == revocation.name:
            return "before"
        here, there = self._place.get(one.name), self._place.get(revocation.name)
        if here is not None and there is not None and here[0] == there[0]:
            return "before" if here[1] < there[1] else "after"
        if _is_until(self._bounds[one.name].upper, self._bounds[revocation.name].lower):
            return "before"
        if _is_until(self._bounds[revocation.name].upper, self._bounds[one.name].lower):
            return "after"
        return "open"

    def _not_revoked(self, key: str, whose: _Whose) -> list[Finding]:
        """What shows that ``key`` is not revoked: a key chain opened whole, up to its head."""
        values: dict[str, str | int] = {"key": _short(key), "thumbprint": key}
        for chain, records in self._whole:
            enrolled = any(one in self._enrolments.get(key, []) for one in records)
            own = all(one.record.thumbprint == key for one in records)
            head = self._bounds[chain.names[-1]].upper
            if head is not None and (enrolled or own):
                values |= {"head": chain.report.head.hex()[:16], "time": format_upper(head)}
                return [Finding("key", Outcome.PROVEN, "no-revocation", values)]
        if whose.outcome is not Outcome.PROVEN:
            return []  # of a key that is nobody's, one open question is enough
        return [Finding("key", Outcome.UNCHECKED, "revocation-unknown", values)]


def _about_keys(seen: Sequence[SeenRecord], kind: str) -> dict[str, list[SeenRecord]]:
    """The records of ``kind`` by the key they are about; one about its own signer enrols nobody."""
    found: dict[str, list[SeenRecord]] = {}
    for one in seen:
        key = one.record.claims.get("key")
        itself = kind == ENROLMENT and key == one.record.thumbprint
        if one.record.claims.get("kind") == kind and isinstance(key, str) and not itself:
            found.setdefault(key, []).append(one)
    return found


def _named_back(seen: Sequence[SeenRecord]) -> dict[str, set[str]]:
    """By key, the entries (hex) that records signed with it name as the key's enrolment."""
    found: dict[str, set[str]] = {}
    for one in seen:
        refs = one.record.claims.get("refs")
        for ref in refs if isinstance(refs, list) else []:
            if isinstance(ref, dict) and ref["rel"] == ENROLLED_BY:
                found.setdefault(one.record.thumbprint, set()).add(str(ref["entry"]))
    return found


def _is_whole(chain: SeenChain, records: Sequence[SeenRecord]) -> bool:
    """Whether a key chain is shown from its beginning, and withholds no revocation."""
    return chain.report.first == 1 and all(
        is_key_record(one) and "key" in one.record.claims for one in records
    )


def _is_until(one: datetime | None, other: datetime | None) -> bool:
    """Both are proven, and ``one`` is no later than ``other``."""
    return one is not None and other is not None and one <= other


def _short(thumbprint: str) -> str:
    return thumbprint[:8] + "…"
