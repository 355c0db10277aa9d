"""Bounds on time for each record: from its own tokens, then passed along its chain.

A record's hash stands in the link of the next one. So a record existed no later than any later
record of its chain, and was signed no earlier than any earlier one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ledger.proof.recorded import SeenChain
from ledger.proof.stamps import CountedTime, lower_bounds, upper_bounds
from ledger.proof.verdict import Finding, Outcome, format_lower, format_upper


@dataclass(frozen=True, slots=True)
class Bounds:
    """One record's bounds. ``uppers``, ``lowers``: one counted time per TSA, best first.

    ``later``, ``earlier``: the bounds its chain gives, if they are better than its own.
    """

    uppers: tuple[CountedTime, ...] = ()
    lowers: tuple[CountedTime, ...] = ()
    k: int = 2
    later: datetime | None = None
    earlier: datetime | None = None

    @property
    def own_upper(self) -> datetime | None:
        """The k-th smallest ``latest`` of distinct TSAs, or None."""
        return self.uppers[self.k - 1].latest if len(self.uppers) >= self.k else None

    @property
    def own_lower(self) -> datetime | None:
        """The k-th latest ``earliest`` of distinct TSAs, or None."""
        return self.lowers[self.k - 1].earliest if len(self.lowers) >= self.k else None

    @property
    def upper(self) -> datetime | None:
        """No later than this: the better of its own bound and its chain's."""
        return min((t for t in (self.own_upper, self.later) if t is not None), default=None)

    @property
    def lower(self) -> datetime | None:
        """Signed no earlier than this: the better of its own bound and its chain's."""
        return max((t for t in (self.own_lower, self.earlier) if t is not None), default=None)


def make_bounds(over: Sequence[CountedTime], named: Sequence[CountedTime], k: int) -> Bounds:
    """Bounds from the tokens ``over`` checkpoints that include a record and those it ``named``."""
    return Bounds(tuple(upper_bounds(over)), tuple(lower_bounds(named)), k)


def pass_along(bounds: Mapping[str, Bounds], chains: Sequence[SeenChain]) -> dict[str, Bounds]:
    """Upper bounds passed backward and lower bounds forward along each chain that holds."""
    passed = dict(bounds)
    for chain in chains:
        later: datetime | None = None
        for name in reversed(chain.names):
            own = passed[name]
            passed[name] = own = Bounds(own.uppers, own.lowers, own.k, later, own.earlier)
            later = own.upper
        earlier: datetime | None = None
        for name in chain.names:
            own = passed[name]
            passed[name] = own = Bounds(own.uppers, own.lowers, own.k, own.later, earlier)
            earlier = own.lower
    return passed


def upper_finding(name: str, bounds: Bounds) -> Finding:
    """``time.not-after`` of one record."""
    step, counts = "time.not-after", {"have": len(bounds.uppers), "k": bounds.k}
    if bounds.upper is None:
        return Finding(step, Outcome.UNCHECKED, "too-few", counts, name)
    values: dict[str, str | int] = {"time": format_upper(bounds.upper), **counts}
    if bounds.upper != bounds.own_upper:
        return Finding(step, Outcome.PROVEN, "chain", values, name)
    tsas = ", ".join(time.tsa for time in bounds.uppers)
    values |= {"tsas": tsas, "first": format_upper(bounds.uppers[0].latest)}
    return Finding(step, Outcome.PROVEN, "proven", values, name)


def lower_finding(name: str, bounds: Bounds, named: bool) -> Finding:
    """``time.not-before`` of one record; ``named``: it discloses tokens as a lower bound."""
    step, counts = "time.not-before", {"have": len(bounds.lowers), "k": bounds.k}
    if bounds.lower is not None:
        values: dict[str, str | int] = {"time": format_lower(bounds.lower), **counts}
        code = "proven" if bounds.lower == bounds.own_lower else "chain"
        return Finding(step, Outcome.PROVEN, code, values, name)
    return Finding(step, Outcome.UNCHECKED, "too-few" if named else "none", counts, name)
