"""``tally tsa test``: a token of each TSA over random bytes, and what a verifier says of it."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from cli.compose import Clock
from ledger.doors.http import NoAnswer
from ledger.errors import LedgerError
from ledger.operator.attempts import ANSWERED, Attempts
from ledger.operator.stamper import wait_words
from ledger.operator.tsa import (
    WAIT_SECONDS,
    Answered,
    Question,
    Tsa,
    ask_all,
    make_question,
    read_answer,
)
from ledger.proof.stamps import Judge
from ledger.proof.trust import Trust
from ledger.timestamp.der import load_certificate, reading
from ledger.timestamp.token import Token, openssl_verifiable

RANDOM_BYTES = 32


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of asking one TSA: a token, or why there is none.

    ``reason``: why it was not asked. ``doubt``: why the trust file does not count such a token,
    None if it does. ``behind``: how far our clock is from the token's time.
    """

    name: str
    seconds: float = 0.0
    fault: NoAnswer | None = None
    reason: str | None = None
    token: Token | None = None
    doubt: str | None = None
    behind: timedelta = timedelta(0)

    @property
    def failure(self) -> str | None:
        """Why there is no token, a stable word first; None if there is one."""
        if self.fault is not None:
            return f"{self.fault.reason}: {self.fault.text}"
        return self.reason

    def facts(self) -> list[tuple[str, str]]:
        """What the token says, and what is to be said of it; nothing without one."""
        if self.token is None:
            return []
        accuracy = self.token.accuracy
        stated = "not stated" if accuracy is None else f"{accuracy.total_seconds():g} s"
        openssl = "can verify it" if openssl_verifiable(self.token) else "cannot verify it"
        rows = [
            ("time", f"{self.token.gen_time:%Y-%m-%d %H:%M:%S} UTC ({self._clock()})"),
            ("policy", self.token.policy),
            ("accuracy", stated),
            ("signer", signer_name(self.token)),
            ("signature", self.token.signature_algorithm),
            ("root", self.doubt or "known to the trust file"),
            ("openssl", openssl),
        ]
        if self.token.is_development:
            rows.append(("beware", "development TSA: proves nothing"))
        return rows

    def _clock(self) -> str:
        seconds = self.behind.total_seconds()
        where = "behind" if seconds > 0 else "ahead"
        return f"this machine's clock is {abs(seconds):.1f} s {where}"

    def json(self) -> dict[str, Any]:  # Any: a JSON document
        """The same for programs."""
        if self.token is None:
            return {"name": self.name, "ok": False, "reason": self.failure}
        accuracy = self.token.accuracy
        return {
            "name": self.name,
            "ok": True,
            "round_trip_ms": round(self.seconds * 1000),
            "gen_time": self.token.gen_time.isoformat(),
            "clock_behind_seconds": self.behind.total_seconds(),
            "policy": self.token.policy,
            "accuracy_seconds": None if accuracy is None else accuracy.total_seconds(),
            "signer": signer_name(self.token),
            "signature": self.token.signature_algorithm,
            "trusted": self.doubt is None,
            "doubt": self.doubt,
            "openssl_verifiable": openssl_verifiable(self.token),
            "development": self.token.is_development,
        }


@dataclass(frozen=True, slots=True)
class Politeness:
    """When TSAs may be asked: what they were asked last, None if nobody keeps count.

    ``intervals``: between two requests to the TSA of this name.
    """

    attempts: Attempts | None
    intervals: Mapping[str, timedelta]

    def begin(self, name: str, moment: datetime) -> str | None:
        """Why not even a person may ask it now, or None: then it is the caller's turn."""
        if self.attempts is None:
            return None
        interval = self.intervals.get(name, timedelta(0))
        try:
            last = self.attempts.begin(name, 0, moment, anyway_after=interval)
        except LedgerError:
            # Who cannot remember may still ask.
            return None
        return None if last is None else wait_words(last)

    def finish(self, name: str, moment: datetime, fault: NoAnswer | None) -> None:
        """Write down how it ended."""
        if self.attempts is None:
            return
        fault = fault or NoAnswer(ANSWERED, "")
        with contextlib.suppress(LedgerError):
            self.attempts.finish(
                name,
                moment,
                fault.reason,
                fault.text,
                interval=self.intervals.get(name, timedelta(0)),
                retry_after_seconds=fault.retry_after_seconds,
            )


def try_tsas(
    tsas: Sequence[Tsa],
    politeness: Politeness,
    trust: Trust,
    certificates: Sequence[bytes],
    *,
    clock: Clock,
    random_bytes: Callable[[int], bytes],
) -> list[Trial]:
    """Ask all ``tsas`` at once; a result for each, in their order.

    One that another process is asking, or whose minimum interval has not passed, is not asked.
    ``certificates``: of the vault's own development TSAs, for ``trust`` to find.
    """
    content = random_bytes(RANDOM_BYTES)
    trials: dict[str, Trial] = {}
    asked: dict[str, tuple[Tsa, Question]] = {}
    for tsa in tsas:
        if (reason := politeness.begin(tsa.name, clock())) is not None:
            trials[tsa.name] = Trial(tsa.name, reason=reason)
        else:
            asked[tsa.name] = tsa, make_question(content, random_bytes)
    judge, anchors = Judge(trust, certificates), (*certificates, *trust.roots)
    requests = [(tsa, question.request) for tsa, question in asked.values()]
    begun = clock()
    for one in ask_all(requests, WAIT_SECONDS):
        moment = begun + timedelta(seconds=one.seconds)
        trial = _trial(one, asked[one.name][1], content, judge, anchors, moment)
        politeness.finish(one.name, clock(), trial.fault)
        trials[one.name] = trial
    late = NoAnswer("timeout", f"no answer within {WAIT_SECONDS:g} s")
    for name in asked.keys() - trials.keys():
        politeness.finish(name, clock(), late)
        trials[name] = Trial(name, fault=late)
    return [trials[tsa.name] for tsa in tsas]


def _trial(
    one: Answered,
    question: Question,
    content: bytes,
    judge: Judge,
    anchors: Sequence[bytes],
    moment: datetime,
) -> Trial:
    if isinstance(one.answer, NoAnswer):
        return Trial(one.name, one.seconds, one.answer)
    token = read_answer(question, one.answer, anchors)
    if isinstance(token, NoAnswer):
        return Trial(one.name, one.seconds, token)
    doubt = _doubt(judge, one.name, one.answer, content)
    behind = token.gen_time - moment
    return Trial(one.name, one.seconds, token=token, doubt=doubt, behind=behind)


def _doubt(judge: Judge, name: str, response: bytes, content: bytes) -> str | None:
    """Why the trust file does not count the token; None if it does."""
    judged = judge.judge_stamp("token", name, 0, response, content)
    if judged.counted is not None:
        return None
    reasons = [str(finding.values["reason"]) for finding in judged.findings]
    return f"not counted by the trust file: {reasons[0]}"


def signer_name(token: Token) -> str:
    """Whose certificate signed, for people; a dash if the token does not embed it."""
    if token.signer is None:
        return "-"
    try:
        with reading("certificate"):
            name = load_certificate(token.signer).subject.human_friendly
    except LedgerError:
        return "-"
    return str(name)
