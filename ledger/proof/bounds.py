"""Bounds on time for each record: from its own tokens, then passed along its chain.

A record's hash stands in the link of the next one. So a record existed no later than any later
record of its chain, and was signed no earlier than any earlier one.

TSAs that are all right cannot put a record's lower bound after its upper bound. Where they do, one
of them is wrong and nobody can tell which: then neither bound is proven.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from ledger.proof.recorded import SeenChain
from ledger.proof.stamps import CountedTime, lower_bounds, upper_bounds
from ledger.proof.verdict import Finding, Outcome, format_lower, format_upper


@dataclass(frozen=True, slots=True)
class Limit:
    """One bound: its time, and whether a development TSA has part in it."""

    time: datetime
    development: bool


@dataclass(frozen=True, slots=True)
class Bounds:
    """One record's bounds. ``uppers``, ``lowers``: one counted time per TSA, best first.

    ``later``, ``earlier``: the bounds that the records after and before it in its chain have.
    """

    uppers: tuple[CountedTime, ...] = ()
    lowers: tuple[CountedTime, ...] = ()
    k: int = 2
    later: Limit | None = None
    earlier: Limit | None = None

    @property
    def own_upper(self) -> Limit | None:
        """The k-th smallest ``latest`` of distinct TSAs, or None."""
        if len(self.uppers) < self.k:
            return None
        return Limit(self.uppers[self.k - 1].latest, _any_development(self.uppers[: self.k]))

    @property
    def own_lower(self) -> Limit | None:
        """The k-th latest ``earliest`` of distinct TSAs, or None."""
        if len(self.lowers) < self.k:
            return None
        return Limit(self.lowers[self.k - 1].earliest, _any_development(self.lowers[: self.k]))

    @property
    def best_upper(self) -> Limit | None:
        """The better of its own upper bound and its chain's; its own if they are equal."""
        own, later = self.own_upper, self.later
        if own is None or (later is not None and later.time < own.time):
            return later
        return own

    @property
    def best_lower(self) -> Limit | None:
        """The better of its own lower bound and its chain's; its own if they are equal."""
        own, earlier = self.own_lower, self.earlier
        if own is None or (earlier is not None and earlier.time > own.time):
            return earlier
        return own

    @property
    def contradictory(self) -> bool:
        """Signed after it existed: no such record can be, so some TSA's time is wrong."""
        lower = self.best_lower
        if lower is None:
            return False
        upper = self.best_upper
        return upper is not None and lower.time > upper.time

    @property
    def upper(self) -> datetime | None:
        """It existed no later than this; None where nothing is proven."""
        best = self.best_upper
        return None if best is None or self.contradictory else best.time

    @property
    def lower(self) -> datetime | None:
        """It was signed no earlier than this; None where nothing is proven."""
        best = self.best_lower
        return None if best is None or self.contradictory else best.time

    @property
    def independent(self) -> bool:
        """The upper bound is proven and rests on no development TSA."""
        best = self.best_upper
        return best is not None and not best.development and not self.contradictory


def make_bounds(over: Sequence[CountedTime], named: Sequence[CountedTime], k: int) -> Bounds:
    """Bounds from the tokens ``over`` checkpoints that include a record and those it ``named``."""
    return Bounds(tuple(upper_bounds(over)), tuple(lower_bounds(named)), k)


def pass_along(bounds: Mapping[str, Bounds], chains: Sequence[SeenChain]) -> dict[str, Bounds]:
    """Upper bounds passed backward and lower bounds forward along each chain that holds."""
    passed = dict(bounds)
    for chain in chains:
        later: Limit | None = None
        for name in reversed(chain.names):
            passed[name] = replace(passed[name], later=later)
            later = passed[name].best_upper
        earlier: Limit | None = None
        for name in chain.names:
            passed[name] = replace(passed[name], earlier=earlier)
            earlier = passed[name].best_lower
    return passed


def upper_finding(name: str, bounds: Bounds) -> Finding:
    """``time.not-after`` of one record."""
    step, counts = "time.not-after", {"have": len(bounds.uppers), "k": bounds.k}
    if bounds.contradictory:
        return _contradiction(step, name, bounds)
    upper = bounds.best_upper
    if upper is None:
        return Finding(step, Outcome.UNCHECKED, "too-few", counts, name)
    values: dict[str, str | int] = {"time": format_upper(upper.time), **counts}
    if upper != bounds.own_upper:
        return Finding(step, Outcome.PROVEN, "chain", values, name)
    tsas = ", ".join(time.tsa for time in bounds.uppers)
    values |= {"tsas": tsas, "first": format_upper(bounds.uppers[0].latest)}
    return Finding(step, Outcome.PROVEN, "proven", values, name)


def lower_finding(name: str, bounds: Bounds, named: bool) -> Finding:
    """``time.not-before`` of one record; ``named``: it discloses tokens as a lower bound."""
    step, counts = "time.not-before", {"have": len(bounds.lowers), "k": bounds.k}
    if bounds.contradictory:
        return _contradiction(step, name, bounds)
    lower = bounds.best_lower
    if lower is not None:
        values: dict[str, str | int] = {"time": format_lower(lower.time), **counts}
        code = "proven" if lower == bounds.own_lower else "chain"
        return Finding(step, Outcome.PROVEN, code, values, name)
    return Finding(step, Outcome.UNCHECKED, "too-few" if named else "none", counts, name)


def _contradiction(step: str, name: str, bounds: Bounds) -> Finding:
    lower, upper = bounds.best_lower, bounds.best_upper
    values: dict[str, str | int] = {
        "lower": "-" if lower is None else format_lower(lower.time),
        "upper": "-" if upper is None else format_upper(upper.time),
    }
    return Finding(step, Outcome.UNCHECKED, "contradiction", values, name)


def _any_development(times: Sequence[CountedTime]) -> bool:
    return any(time.development for time in times)
