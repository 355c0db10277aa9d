"""What is amiss with a trust file: what makes it dangerous, or unable to prove anything.

A trust file decides what a verdict means. One that lets a single operator vouch for a time accepts
too much; one that asks for what cannot be had accepts nothing, and looks strict. Neither is a
malformed file, so nothing refuses it; here it is named.

>>> from datetime import UTC, datetime
>>> from ledger.proof.trust import parse_trust
>>> [remark.code for remark in lint_trust(parse_trust(b""), datetime(2026, 1, 1, tzinfo=UTC))]
['no-tsa', 'no-revocation', 'no-ledger']
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import combinations
from typing import Literal
from urllib.parse import urlsplit

from ledger.errors import MalformedError
from ledger.proof.trust import Trust, TrustedTsa
from ledger.timestamp.der import load_certificate
from ledger.timestamp.material import CertificateFacts, describe, organization
from ledger.tlog.note import COSIGNATURE_ML_DSA_44
from ledger.tlog.policy import NO_QUORUM

NOT_JUDGED = frozenset({"evidence", "ageing"})
"""Steps that no check here has a finding for: to require one is to prove nothing."""

SIGNATURES = ("rsa", "ecdsa", "ed25519")
DIGESTS = ("sha256", "sha384", "sha512", "sm3")
"""What a token that counts rests on: one of each."""

ALWAYS = datetime(1, 1, 1, tzinfo=UTC)
NEVER = datetime(9999, 12, 31, tzinfo=UTC)

_LEGAL_FORMS = frozenset("ag bv co corp corporation gmbh inc limited llc ltd nv plc sa sl".split())
_SECOND_LEVEL = frozenset("ac co com edu gov net org".split())

Level = Literal["dangerous", "vacuous", "note"]


@dataclass(frozen=True, slots=True)
class Remark:
    """One thing to know about a trust file; ``code`` and ``values`` select and fill its words.

    ``dangerous``: it accepts what it should not. ``vacuous``: it can prove nothing. ``note``: worth
    knowing, and perhaps meant.
    """

    code: str
    level: Level
    values: Mapping[str, str | int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Anchor:
    """A TSA of the trust file with its certificate, if that is held, and what it says."""

    tsa: TrustedTsa
    der: bytes | None
    facts: CertificateFacts | None

    @property
    def window(self) -> tuple[datetime, datetime]:
        """From when to when a time can count: the trust file's window and the certificate's."""
        begins = [self.tsa.valid_from, self.facts.not_before if self.facts else None]
        ends = [self.tsa.valid_to, self.facts.not_after if self.facts else None]
        return (
            max((one for one in begins if one is not None), default=ALWAYS),
            min((one for one in ends if one is not None), default=NEVER),
        )


def find_anchors(trust: Trust) -> tuple[Anchor, ...]:
    """Each TSA of trust in its order, with the certificate among ``trust.roots`` that it pins."""
    held = {hashlib.sha256(root).digest(): root for root in trust.roots}
    return tuple(_anchor(tsa, held.get(tsa.anchor)) for tsa in trust.tsas)


def _anchor(tsa: TrustedTsa, der: bytes | None) -> Anchor:
    try:
        return Anchor(tsa, der, None if der is None else describe(der))
    except MalformedError:
        return Anchor(tsa, None, None)


def lint_trust(
    trust: Trust, now: datetime, operators: Mapping[bytes, str] | None = None
) -> tuple[Remark, ...]:
    """Everything amiss with trust at the moment now (aware), in a fixed order.

    ``trust.roots``: the certificates at hand; what is said of an anchor rests on them.
    ``operators``: names of operators by anchor that are known apart from the file.
    """
    anchors = find_anchors(trust)
    return (
        *_on_number(trust, anchors),
        *_on_development(anchors),
        *_on_operators(anchors, operators or {}),
        *_on_required(trust),
        *_on_anchors(anchors, now),
        *_on_weak(trust, now),
        *_on_ledger(trust),
    )


def lint_exit_code(remarks: tuple[Remark, ...]) -> int:
    """1 if anything is dangerous, else 3 if it can prove nothing, else 0."""
    levels = {remark.level for remark in remarks}
    return 1 if "dangerous" in levels else 3 if "vacuous" in levels else 0


def _on_number(trust: Trust, anchors: tuple[Anchor, ...]) -> Iterator[Remark]:
    usable = _usable(trust, anchors)
    if not trust.tsas:
        yield Remark("no-tsa", "vacuous")
    elif len(usable) < trust.k:
        yield Remark("k-unreachable", "vacuous", {"k": trust.k, "count": len(usable)})
    if trust.k == 1:
        yield Remark("k-one", "dangerous")


def _usable(trust: Trust, anchors: tuple[Anchor, ...]) -> set[str]:
    """Names of the TSAs that some token can still count for, one for each pinned signer key."""
    last = _nothing_counts_from(trust)
    usable: set[str] = set()
    keys: set[bytes] = set()
    for anchor in anchors:
        begin, end = anchor.window
        key = anchor.tsa.signer_spki
        if begin > end or begin >= last or (key is not None and key in keys):
            continue
        usable.add(anchor.tsa.name)
        keys |= set() if key is None else {key}
    return usable


def _nothing_counts_from(trust: Trust) -> datetime:
    """From when on every digest, or every kind of signature, is weak by the trust file."""
    first: dict[str, datetime] = {}
    for weak in trust.weak:
        first[weak.algorithm] = min(weak.moment, first.get(weak.algorithm, NEVER))
    both = [first.get("rsa-pkcs1", NEVER), first.get("rsa-pss", NEVER)]
    first["rsa"] = min(first.get("rsa", NEVER), max(both))
    return min(max(first.get(name, NEVER) for name in kinds) for kinds in (SIGNATURES, DIGESTS))


def _on_development(anchors: tuple[Anchor, ...]) -> Iterator[Remark]:
    for anchor in anchors:
        if anchor.tsa.development:
            yield Remark("development", "dangerous", {"tsa": anchor.tsa.name})


def _on_operators(anchors: tuple[Anchor, ...], known: Mapping[bytes, str]) -> Iterator[Remark]:
    """Two names of one operator: it could meet k by itself."""
    said: set[frozenset[str]] = set()
    for one, other in combinations(anchors, 2):
        names = frozenset({one.tsa.name, other.tsa.name})
        reason = _in_common(one, other, known)
        if len(names) == 2 and reason is not None and names not in said:
            said.add(names)
            values = {"first": one.tsa.name, "second": other.tsa.name, "reason": reason}
            yield Remark("same-operator", "dangerous", values)


def _in_common(one: Anchor, other: Anchor, known: Mapping[bytes, str]) -> str | None:
    """What shows that two anchors are of one operator, or None."""
    first, second = known.get(one.tsa.anchor), known.get(other.tsa.anchor)
    if first is not None and first == second:
        return first
    if one.tsa.signer_spki is not None and one.tsa.signer_spki == other.tsa.signer_spki:
        return one.tsa.signer_spki.hex()
    for find in (_organization, _domain):
        mine, theirs = find(one), find(other)
        if mine and mine == theirs:
            return mine
    if _certifies(one, other) or _certifies(other, one):
        return "certificate"
    return None


def _organization(anchor: Anchor) -> str:
    """The subject's organization without its legal form: ``digicert`` for DigiCert, Inc."""
    name = None if anchor.der is None else organization(anchor.der)
    words = re.findall(r"\w+", (name or "").casefold())
    return " ".join(word for word in words if word not in _LEGAL_FORMS)


def _domain(anchor: Anchor) -> str:
    """The domain of the TSA's URL that someone registered, as far as a name tells."""
    try:
        host = urlsplit(anchor.tsa.url or "").hostname or ""
    except ValueError:
        return ""
    labels = host.split(".")
    if len(labels) < 2 or labels[-1].isdigit():
        return host
    long = len(labels[-1]) == 2 and labels[-2] in _SECOND_LEVEL
    return ".".join(labels[-3:] if long else labels[-2:])


def _certifies(upper: Anchor, lower: Anchor) -> bool:
    """Whether one anchor's certificate names the other as its issuer."""
    if upper.der is None or lower.der is None or upper.der == lower.der:
        return False
    above, below = load_certificate(upper.der), load_certificate(lower.der)
    return bool(below.issuer == above.subject and below.issuer != below.subject)


def _on_required(trust: Trust) -> Iterator[Remark]:
    for step in trust.required_steps:
        if step in NOT_JUDGED:
            yield Remark("not-judged", "vacuous", {"step": step})
    logs = () if trust.policy is None else trust.policy.logs
    if "checkpoint.ledger" in trust.require and not logs:
        yield Remark("no-log-key", "vacuous", {"step": "checkpoint.ledger"})
    second = [log for log in logs if log.key.type == COSIGNATURE_ML_DSA_44]
    if "checkpoint.ml-dsa" in trust.require and not second:
        yield Remark("no-log-key", "vacuous", {"step": "checkpoint.ml-dsa"})
    if "cosignatures" in trust.require and not (trust.policy and trust.policy.witnesses):
        yield Remark("no-witness-key", "vacuous")
    if "revocation" not in trust.require:
        yield Remark("no-revocation", "note")


def _on_anchors(anchors: tuple[Anchor, ...], now: datetime) -> Iterator[Remark]:
    for anchor in anchors:
        tsa, facts = anchor.tsa, anchor.facts
        begin, end = anchor.window
        values = {"tsa": tsa.name, "anchor": tsa.anchor.hex()[:16]}
        if facts is None:
            yield Remark("unknown-anchor", "note", values)
        elif facts.not_after < now:
            yield Remark("anchor-expired", "note", {**values, "time": _day(facts.not_after)})
        if begin > end:
            yield Remark("window-empty", "note", values)
        elif tsa.valid_to is not None and tsa.valid_to < now:
            yield Remark("window-ended", "note", {**values, "time": _day(tsa.valid_to)})
        elif tsa.valid_from is not None and tsa.valid_from > now:
            yield Remark("window-ahead", "note", {**values, "time": _day(tsa.valid_from)})


def _on_weak(trust: Trust, now: datetime) -> Iterator[Remark]:
    for weak in trust.weak:
        if weak.moment > now:
            values = {"algorithm": weak.algorithm, "time": _day(weak.moment)}
            yield Remark("weak-ahead", "note", values)


def _on_ledger(trust: Trust) -> Iterator[Remark]:
    if trust.policy is None or not trust.policy.logs:
        yield Remark("no-ledger", "note")
    elif trust.policy.quorum == NO_QUORUM:
        yield Remark("no-witness", "note")


def _day(moment: datetime) -> str:
    return moment.astimezone(UTC).date().isoformat()
