"""Stamps: the tokens of several TSAs over one signed checkpoint file.

Every TSA is asked at once, each gives one answer or one reason, and what came is kept as received.
A stamp is complete when ``wanted`` have answered for a size; until then it is pending, visible,
and asked for again over the same file.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

from ledger.doors.client import Stamp, StampReport
from ledger.errors import LedgerError
from ledger.operator.store.protocol import Attachment, Store
from ledger.operator.tsa import Tsa, request_token
from ledger.timestamp.token import parse_token
from ledger.tlog.merkle import MAX_SIZE

KIND = "stamp"
"""Attachment kind: name is the TSA's, content its response as received."""


class Stamper:
    """Asks TSAs for tokens over signed files and keeps them in ``store``.

    ``tsas`` differ in name; what one of them answered is known by it.

    ``minimum_interval``: the shortest time between two stamped sizes, since public TSAs ask for
    restraint; a later stamp covers everything before it.
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
    ) -> None:
        self._store = store
        self._tsas = tuple(tsas)
        self._wanted = wanted
        self._interval = minimum_interval
        self._clock = clock
        self._random_bytes = random_bytes

    def stamps(self, start: int = 0) -> tuple[Stamp, ...]:
        """Every kept stamp over trees of ``start`` entries or more, smallest tree first."""
        kept = self._store.attachments(KIND, start, MAX_SIZE)
        return tuple(Stamp(one.size, one.name, one.content) for one in kept)

    def stamp(self, size: int, signed_file: bytes) -> StampReport:
        """Ask the TSAs that have not yet answered for ``size``; what is missing stays pending."""
        answered = {stamp.tsa for stamp in self.stamps(size) if stamp.size == size}
        missing = [tsa for tsa in self._tsas if tsa.name not in answered]
        if len(answered) >= self._wanted:
            return self._report(size, answered, {})
        if not missing:
            few = f"only {len(self._tsas)} TSAs are configured, want {self._wanted}"
            return self._report(size, answered, {"another TSA": few})
        if not answered and (wait := self._wait()):
            return self._report(size, answered, dict.fromkeys((t.name for t in missing), wait))
        reasons: dict[str, str] = {}
        with ThreadPoolExecutor(len(missing)) as pool:
            answers = list(pool.map(lambda tsa: self._ask(tsa, signed_file), missing))
        for tsa, answer in zip(missing, answers, strict=True):
            if isinstance(answer, str):
                reasons[tsa.name] = answer
            else:
                # If we die before this line the token is lost and asked for again: no harm.
                self._store.attach(Attachment(size, KIND, tsa.name, answer))
                answered.add(tsa.name)
        return self._report(size, answered, reasons)

    def _ask(self, tsa: Tsa, signed_file: bytes) -> bytes | str:
        """The response as received, or in words why there is none."""
        try:
            response, _ = request_token(tsa, signed_file, self._random_bytes)
        except LedgerError as error:
            return str(error)
        return response

    def _wait(self) -> str | None:
        """Why it is too early for another stamp, or None."""
        latest = self.stamps()[-1:] if self._interval else ()
        if not latest:
            return None
        last = parse_token(latest[0].response).gen_time
        elapsed = self._clock() - last
        # A clock that is behind the last token is wrong, and must not hold stamps up for a year.
        if not -self._interval <= elapsed < self._interval:
            return None
        seconds, next_time = self._interval.total_seconds(), last + self._interval
        return f"one stamp per {seconds:.0f} s: the next from {next_time:%H:%M:%S} UTC"

    def _report(self, size: int, answered: set[str], reasons: dict[str, str]) -> StampReport:
        pending = tuple(sorted(reasons.items()))
        return StampReport(size, self._wanted, tuple(sorted(answered)), pending)
