"""Stamps: the tokens of several TSAs over one signed checkpoint file.

Every TSA is asked at once, each gives one answer or one reason, and what came is kept as received.
A stamp is complete when ``wanted`` have answered for a size, with at least one token that openssl
can check; until then it is pending, visible, and asked for again over the same file.

Which size is asked for. The newest, if it has a token already or if ``minimum_interval`` has passed
since the first token of the last size stamped. Else that last size, while it is incomplete: it is
young, its missing tokens cost no second stamp, and they are the next upper bound to be had. Once
the interval has passed an incomplete size is superseded and never asked for again: a token over the
newer file comes at the same moment, covers the same entries and those after them, so that the
bounds of k TSAs on any entry are no later for it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ledger.doors.client import Stamp, StampReport
from ledger.doors.http import NoAnswer
from ledger.errors import LedgerError, UnavailableError
from ledger.operator.attempts import ASKING, UNFINISHED, Attempt, Attempts
from ledger.operator.store.protocol import Attachment, Store
from ledger.operator.tsa import (
    WAIT_SECONDS,
    Question,
    Tsa,
    ask_all,
    make_question,
    read_answer,
)
from ledger.timestamp.token import openssl_verifiable, parse_token
from ledger.tlog.merkle import MAX_SIZE

KIND = "stamp"
"""Attachment kind: name is the TSA's, content its response as received."""

After = Callable[[int, str, bytes], None]
"""Called with size, name of the TSA and its response, once that is kept."""


class Stamper:
    """Asks TSAs for tokens over signed files and keeps them in ``store``.

    ``tsas`` differ in name; what one of them answered is known by it.

    ``minimum_interval``: the shortest time between two stamped sizes, since public TSAs ask for
    restraint; a later stamp covers everything before it. ``attempts``: remembers who is not to be
    asked yet; without, everyone is asked. ``intervals``: the shortest time between two requests to
    the TSA of this name. ``anchors``: as in ``read_answer``. ``offline``: why nobody may be asked,
    if so.

    ``wait_seconds``: for all answers together. What comes later is lost, and asked for again; a
    shorter wait than the default leaves slow TSAs unblamed, and never calls ``after``.

    ``after``: for what belongs to a token and takes time, such as revocation lists; see After. What
    LedgerError it raises is told among the reasons: the token is kept already.
    """

    def __init__(
        self,
        store: Store,
        tsas: Sequence[Tsa],
        *,
        wanted: int,
        minimum_interval: timedelta,
        clock: Callable[[], datetime],
        random_bytes: Callable[[int], bytes],
        attempts: Attempts | None = None,
        intervals: Mapping[str, timedelta] | None = None,
        anchors: Sequence[bytes] = (),
        offline: str | None = None,
        wait_seconds: float = WAIT_SECONDS,
        after: After | None = None,
    ) -> None:
        self._store = store
        self._tsas = tuple(tsas)
        self._wanted = wanted
        self._interval = minimum_interval
        self._clock = clock
        self._random_bytes = random_bytes
        self._attempts = attempts
        self._intervals = intervals or {}
        self._anchors = tuple(anchors)
        self._offline = offline
        self._wait_seconds = wait_seconds
        self._hurried = wait_seconds < WAIT_SECONDS
        self._after = after

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every kept stamp over trees of ``start`` entries or more, smallest tree first."""
        kept = self._store.attachments(KIND, start, MAX_SIZE)
        return tuple(Stamp(one.size, one.name, one.content) for one in kept)

    def stamp(
        self, size: int, signed_file: bytes, earlier: Callable[[int], bytes] | None = None
    ) -> StampReport:
        """Ask the TSAs that have not yet answered for ``size``; what is missing stays pending.

        ``size``: the newest. ``earlier``: gives the signed file of an earlier size, that it may be
        completed while ``size`` has to wait.
        """
        kept = self._kept(size)
        if self._report(size, kept, {}).complete:
            return self._report(size, kept, {})
        if not kept and (last := self._last(size)) and (wait := self._wait(last)):
            unfinished = self._kept(last[0].size)
            if earlier and not self._report(last[0].size, unfinished, {}).complete:
                self._ask_missing(last[0].size, earlier(last[0].size), unfinished)
            return self._report(size, kept, dict.fromkeys(self._names(), wait))
        reasons = self._ask_missing(size, signed_file, kept)
        return self._report(size, self._kept(size), reasons)

    def _names(self) -> list[str]:
        return [tsa.name for tsa in self._tsas]

    def _kept(self, size: int) -> dict[str, bytes]:
        """Responses over ``size`` by the TSA's name."""
        return {one.name: one.content for one in self._store.attachments(KIND, size, size + 1)}

    def _last(self, newest: int) -> tuple[Attachment, ...]:
        """What is kept over the greatest size with a token, in the order it came."""
        if not self._interval:
            return ()
        stop, step = newest + 1, 1
        while stop > 0:
            # The last stamp is near the head: the longer ago, the more is read at once.
            start = max(0, stop - step)
            kept = self._store.attachments(KIND, start, stop)
            if kept:
                return tuple(one for one in kept if one.size == kept[-1].size)
            stop, step = start, step * 4
        return ()

    def _wait(self, last: Sequence[Attachment]) -> str | None:
        """Why it is too early for another stamp after the last one, or None."""
        begun = parse_token(last[0].content).gen_time
        elapsed = self._clock() - begun
        # A clock that is behind the last token is wrong, and must not hold stamps up for a year.
        if not -self._interval <= elapsed < self._interval:
            return None
        seconds, next_time = self._interval.total_seconds(), begun + self._interval
        return f"interval: one stamp per {seconds:.0f} s, the next from {_clock_time(next_time)}"

    def _ask_missing(
        self, size: int, signed_file: bytes, kept: Mapping[str, bytes]
    ) -> dict[str, str]:
        """Ask whom it may, keep what holds, and give the reasons for what is missing."""
        reasons: dict[str, str] = {}
        asked: dict[str, tuple[Tsa, Question]] = {}
        for tsa in self._tsas:
            if tsa.name in kept:
                continue
            if (reason := self._offline or self._begin(tsa.name, size)) is not None:
                reasons[tsa.name] = reason
            else:
                asked[tsa.name] = tsa, make_question(signed_file, self._random_bytes)
        fresh: list[tuple[str, bytes]] = []
        try:
            for name, answer in self._answers(asked):
                if isinstance(answer, NoAnswer):
                    reasons[name] = self._failed(name, answer)
                else:
                    # If we die before this line the token is lost and asked for again: no harm.
                    self._store.attach(Attachment(size, KIND, name, answer))
                    self._finish(name)
                    fresh.append((name, answer))
                del asked[name]
        except BaseException:
            # We are interrupted, or cannot keep what comes: somebody may ask them again soon.
            for name in asked:
                self._finish(name, NoAnswer(UNFINISHED, "interrupted"))
            raise
        word = UNFINISHED if self._hurried else "timeout"
        late = NoAnswer(word, f"no answer within {self._wait_seconds:g} s")
        reasons |= {name: self._failed(name, late) for name in asked}
        return reasons | self._call_after(size, fresh)

    def _answers(
        self, asked: Mapping[str, tuple[Tsa, Question]]
    ) -> Iterator[tuple[str, bytes | NoAnswer]]:
        """A response that holds, or why there is none, of each that answers in time."""
        questions = dict(asked)
        requests = [(tsa, question.request) for tsa, question in questions.values()]
        for one in ask_all(requests, self._wait_seconds):
            answer = one.answer
            if isinstance(answer, bytes):
                token = read_answer(questions[one.name][1], answer, self._anchors)
                answer = token if isinstance(token, NoAnswer) else answer
            yield one.name, answer

    def _begin(self, name: str, size: int) -> str | None:
        """Why a TSA is not to be asked now, or None: then this attempt is written down."""
        if self._attempts is None:
            return None
        try:
            last = self._attempts.begin(name, size, self._clock())
        except UnavailableError:
            # Who cannot remember may still ask.
            return None
        return None if last is None else wait_words(last)

    def _finish(self, name: str, fault: NoAnswer | None = None) -> Attempt | None:
        if self._attempts is None:
            return None
        interval = self._intervals.get(name, timedelta(0))
        now = self._clock()
        try:
            if fault is None:
                return self._attempts.finish(name, now, interval=interval)
            return self._attempts.finish(
                name,
                now,
                fault.reason,
                fault.text,
                interval=interval,
                retry_after_seconds=fault.retry_after_seconds,
            )
        except LedgerError:
            return None

    def _failed(self, name: str, fault: NoAnswer) -> str:
        ended = self._finish(name, fault)
        return f"{fault.reason}: {fault.text}" if ended is None else wait_words(ended)

    def _call_after(self, size: int, fresh: Sequence[tuple[str, bytes]]) -> dict[str, str]:
        reasons: dict[str, str] = {}
        if self._after is None or self._hurried:
            return reasons
        for name, response in fresh:
            try:
                self._after(size, name, response)
            except LedgerError as error:
                reasons[name] = f"after: the token is kept, but {error}"
        return reasons

    def _report(
        self, size: int, kept: Mapping[str, bytes], reasons: Mapping[str, str]
    ) -> StampReport:
        """What stands, and why not more; ``lacking`` says what no single TSA is to blame for."""
        lacking: str | None = None
        tokens = [parse_token(response) for response in kept.values()]
        if len({*self._names(), *kept}) < self._wanted:
            lacking = f"few-tsas: only {len(self._tsas)} configured, want {self._wanted}"
        elif len(kept) >= self._wanted and not any(map(openssl_verifiable, tokens)):
            lacking = "openssl: none of the tokens can be checked with openssl"
        elif sum(not token.is_sm2 for token in tokens) < self._wanted <= len(kept):
            lacking = "sm2: a token signed with SM2 cannot be checked here, and does not count"
        pending = [*sorted(reasons.items())]
        if lacking is not None:
            pending.append(("another TSA", lacking))
        return StampReport(size, self._wanted, tuple(sorted(kept)), tuple(pending), lacking)


def wait_words(last: Attempt) -> str:
    """Why a TSA is waited for, its word first, and from when it is asked again."""
    again = f"asked again from {_clock_time(last.again)}"
    if last.reason == ASKING:
        return f"{ASKING}: another process is asking it; {again}"
    if last.text:
        return f"{last.reason}: {last.text}; {again}"
    return f"interval: it was asked at {_clock_time(last.started)}; {again}"


def _clock_time(moment: datetime) -> str:
    return f"{moment:%H:%M:%S} UTC"
