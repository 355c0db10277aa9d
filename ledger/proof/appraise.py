"""One token by itself, as an appraiser is asked about it: every check, and what they come to.

The verdict on a bundle counts tokens; here one is looked at alone, under roots that the appraiser
names or under a trust file with its limits and windows. How many authorities a trust file wants
(k) is no question for one token. Everything is judged at the token's own genTime.
"""

import hashlib
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ledger.proof.revocation import read_all
from ledger.proof.stamps import FIRST_TIME, LAST_TIME, CountedTime, Judge
from ledger.proof.trust import DEFAULT_ACCURACY, Trust
from ledger.proof.verdict import Outcome
from ledger.timestamp.algorithms import UNCHECKED
from ledger.timestamp.examine import CHECKS as TOKEN_CHECKS
from ledger.timestamp.examine import Asked, Check, Examination, examine, faulted
from ledger.timestamp.opened import OpenedToken
from ledger.timestamp.path import TrustedPath
from ledger.timestamp.token import Token

CHECKS = (*TOKEN_CHECKS, "trust-file")
"""The names of the checks, in the order in which they are reported."""

OPTIONAL = frozenset({"status", "nonce", "request", "revocation", "trust-file"})
"""May stay unchecked and the token be proven: a bare token has no status, and so on."""


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What is known of one token.

    ``required``: the checks that have to be proven. ``tsa``: the trust file's name for it, if it
    was judged under one. ``accuracy``: what counts; ``accuracy_stated``: whether it is the token's
    own word. ``development``: made by a development TSA, which proves nothing.
    """

    opened: OpenedToken
    checks: tuple[Check, ...]
    required: frozenset[str]
    signer: bytes | None
    path: TrustedPath | None
    tsa: str | None
    accuracy: timedelta
    accuracy_stated: bool
    development: bool

    @property
    def outcome(self) -> Outcome:
        """Refuted if a check is; else unchecked if a required one is; else proven."""
        if any(check.outcome == "refuted" for check in self.checks):
            return Outcome.REFUTED
        if any(c.outcome == "unchecked" for c in self.checks if c.name in self.required):
            return Outcome.UNCHECKED
        return Outcome.PROVEN

    @property
    def exit_code(self) -> int:
        """0 proven, 1 refuted, 3 could not be checked."""
        return {Outcome.PROVEN: 0, Outcome.REFUTED: 1, Outcome.UNCHECKED: 3}[self.outcome]

    @property
    def first_fault(self) -> Check | None:
        """The first refuted check in the fixed order, or None."""
        return next((check for check in self.checks if check.outcome == "refuted"), None)

    @property
    def bounds(self) -> tuple[datetime, datetime] | None:
        """The earliest and the latest moment the token can mean; None without a readable one."""
        token = self.opened.token
        if token is None:
            return None
        if not FIRST_TIME <= token.gen_time <= LAST_TIME:
            return token.gen_time, token.gen_time
        return token.gen_time - self.accuracy, token.gen_time + self.accuracy


def appraise(
    opened: OpenedToken,
    asked: Asked,
    *,
    trust: Trust | None = None,
    require_revocation: bool = False,
) -> Appraisal:
    """Run every check of an opened token; never raises for what token or material hold.

    ``trust``: judge under this trust file. Its pinned certificates are the anchors then, among its
    roots, ``asked.certificates`` and what the token embeds, and ``asked.anchors`` is not used.
    """
    if trust is not None:
        asked = replace(asked, anchors=_pinned(opened, asked, trust))
    examination = examine(opened, asked)
    counted, limits = _under(trust, examination, asked)
    token = opened.token
    stated = token is not None and token.accuracy is not None
    optional = OPTIONAL
    if require_revocation or (trust is not None and "revocation" in trust.require):
        optional -= {"revocation"}
    if trust is not None:
        optional -= {"trust-file"}
    return Appraisal(
        opened=opened,
        checks=(*examination.checks, limits),
        required=frozenset(CHECKS) - optional,
        signer=examination.signer,
        path=examination.path,
        tsa=None if counted is None else counted.tsa,
        accuracy=_accuracy(token, counted),
        accuracy_stated=stated,
        development=(token is not None and token.is_development)
        or (counted is not None and counted.development),
    )


def _pinned(opened: OpenedToken, asked: Asked, trust: Trust) -> tuple[bytes, ...]:
    """The certificates at hand that trust pins; only a pinned one is an anchor."""
    embedded = () if opened.token is None else opened.token.certificates
    pinned = {tsa.anchor for tsa in trust.tsas}
    known = dict.fromkeys((*embedded, *asked.certificates, *trust.roots))
    return tuple(der for der in known if hashlib.sha256(der).digest() in pinned)


def _under(
    trust: Trust | None, examination: Examination, asked: Asked
) -> tuple[CountedTime | None, Check]:
    """Whether trust would count the token, as the verdict on a bundle decides it."""
    token = examination.opened.token
    if trust is None:
        return None, Check("trust-file", "unchecked", "no-trust-file")
    if token is None or examination.path is None:
        return None, Check("trust-file", "unchecked", "not-reached")
    answers = read_all(asked.crls, asked.ocsps)
    judged = Judge(trust, asked.certificates, answers).judge_not_before("", token.raw)
    if judged.counted is not None:
        return judged.counted, Check("trust-file", "proven", "proven", {"tsa": judged.counted.tsa})
    if judged.report is not None and (judged.report.reason or "").startswith(UNCHECKED):
        return None, Check("trust-file", "unchecked", "not-reached")
    reasons = [str(finding.values.get("reason", "")) for finding in judged.findings]
    return None, faulted("trust-file", "; ".join(reasons))


def _accuracy(token: Token | None, counted: CountedTime | None) -> timedelta:
    if token is not None and token.accuracy is not None:
        return token.accuracy
    return DEFAULT_ACCURACY if counted is None else counted.accuracy
