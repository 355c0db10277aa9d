"""Stamps: each TSA gives one answer or one reason; what came is kept, what is missing is asked."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519

from ledger.doors.client import Stamp, StampReport
from ledger.doors.http import NoAnswer
from ledger.errors import MalformedError, UnavailableError
from ledger.operator.attempts import FIRST_BACK_OFF, HOLD, Attempts
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.stamper import KIND, Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.operator.store.protocol import Attachment
from ledger.timestamp.request import parse_request
from ledger.timestamp.token import check_token, parse_token
from tests.ledger.timestamp.authority import Authority, make_content, make_token, respond

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    time: datetime = NOW

    def __call__(self) -> datetime:
        return self.time


@dataclass
class Asked:
    """A TSA that counts what it is asked, and can be out of reach or answer nonsense."""

    name: str
    clock: Clock
    fault: str | bytes | NoAnswer | None = None
    requests: list[bytes] = field(default_factory=list)

    def __post_init__(self) -> None:
        made = DevelopmentTsa.create(self.name, lambda: NOW - timedelta(days=1000))
        self.inner = replace(made, clock=self.clock)

    def ask(self, request: bytes) -> bytes | NoAnswer:
        self.requests.append(request)
        if isinstance(self.fault, str):
            raise UnavailableError(self.fault)
        return self.fault if self.fault is not None else self.inner.ask(request)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tsas(clock: Clock) -> list[Asked]:
    return [Asked("one", clock), Asked("two", clock)]


@pytest.fixture
def make(clock: Clock, tsas: list[Asked]) -> Callable[..., Stamper]:
    store = MemoryStore()

    def make_stamper(
        wanted: int = 2, interval: float = 0, count: int = 2, **options: Any
    ) -> Stamper:
        return Stamper(
            store,
            tsas[:count],
            wanted=wanted,
            minimum_interval=timedelta(seconds=interval),
            clock=clock,
            random_bytes=lambda size: bytes(range(1, size + 1)),
            **options,
        )

    return make_stamper


@pytest.fixture
def attempts(tmp_path: Path) -> Iterator[Attempts]:
    made = Attempts(tmp_path / "attempts.sqlite")
    yield made
    made.close()


def test_each_tsa_is_asked_once_and_its_answer_kept(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    for _ in range(2):
        report = stamper.stamp(5, b"signed file")
        assert (report.size, report.answered, report.pending) == (5, ("one", "two"), ())
        assert report.complete
    assert [len(tsa.requests) for tsa in tsas] == [1, 1]
    for stamp in stamper.stamps():
        assert stamp.size == 5
        token = parse_token(stamp.response)
        check_token(token, imprint=token.imprint)


def test_missing_answer_is_pending_with_its_reason_and_asked_for_again_over_the_same_file(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    tsas[0].fault = "no route"
    report = stamper.stamp(5, b"signed file")
    assert not report.complete
    assert report.answered == ("two",)
    assert report.pending == (("one", "unreachable: no route"),)
    tsas[0].fault = None
    assert make().stamp(5, b"signed file").complete
    assert [len(tsa.requests) for tsa in tsas] == [2, 1]


def test_answer_that_does_not_hold_is_not_kept(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    stamper = make()
    tsas[0].fault = b"nonsense"
    [(name, reason)] = stamper.stamp(5, b"signed file").pending
    assert name == "one"
    assert reason
    assert [stamp.tsa for stamp in stamper.stamps()] == ["two"]
    # An answer to another question is no answer.
    tsas[0].fault = tsas[0].inner.ask(tsas[1].requests[0])[:-1]
    assert stamper.stamp(5, b"signed file").answered == ("two",)


def test_no_more_are_asked_than_are_wanted_for_a_complete_stamp(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    tsas[1].fault = "no route"
    assert make(wanted=1).stamp(5, b"signed file").complete
    assert make(wanted=1).stamp(5, b"signed file").pending == ()
    assert len(tsas[1].requests) == 1


def test_fewer_tsas_than_wanted_are_said_and_never_complete(make: Callable[..., Stamper]) -> None:
    for _ in range(2):
        report = make(wanted=2, count=1).stamp(5, b"signed file")
        assert not report.complete
    assert report.pending == (("another TSA", "few-tsas: only 1 configured, want 2"),)


def test_next_size_waits_for_the_interval_but_a_retry_does_not(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock
) -> None:
    stamper = make(interval=60)
    tsas[1].fault = "no route"
    stamper.stamp(5, b"signed file")
    clock.time += timedelta(seconds=30)
    report = stamper.stamp(6, b"another file")
    reason = "interval: one stamp per 60 s, the next from 12:01:00 UTC"
    assert report.pending == (("one", reason), ("two", reason))
    tsas[1].fault = None
    assert stamper.stamp(5, b"signed file").complete
    clock.time += timedelta(seconds=60)
    assert stamper.stamp(6, b"another file").complete


@pytest.mark.parametrize("back", [timedelta(hours=1), timedelta(days=400)])
def test_clock_that_was_set_back_does_not_hold_stamps_up(
    make: Callable[..., Stamper], clock: Clock, back: timedelta
) -> None:
    stamper = make(interval=60)
    stamper.stamp(5, b"signed file")
    clock.time -= back
    assert stamper.stamp(6, b"another file").complete


def test_interval_of_days_is_told_in_full(make: Callable[..., Stamper], clock: Clock) -> None:
    stamper = make(interval=2 * 86400)
    stamper.stamp(5, b"signed file")
    clock.time += timedelta(seconds=1)
    [(_, reason), _] = stamper.stamp(6, b"another file").pending
    assert reason.startswith("interval: one stamp per 172800 s")


def test_stamps_come_by_size_from_the_one_asked_for(make: Callable[..., Stamper]) -> None:
    stamper = make()
    for size in (9, 5):
        stamper.stamp(size, b"file %d" % size)
    assert [stamp.size for stamp in stamper.stamps()] == [5, 5, 9, 9]
    assert [stamp.size for stamp in stamper.stamps(6)] == [9, 9]
    assert isinstance(stamper.stamps()[0], Stamp)
    assert KIND == "stamp"


def words(report: StampReport) -> list[str]:
    """The stable words of what is pending."""
    return [reason.split(":")[0] for _, reason in report.pending]


FILES = {5: b"file 5", 6: b"file 6", 9: b"file 9"}


def test_tsa_that_fails_is_asked_ever_more_rarely_over_the_same_file(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock, attempts: Attempts
) -> None:
    stamper = make(attempts=attempts)
    tsas[0].fault = NoAnswer("timeout", "no answer", None)
    [(_, reason)] = stamper.stamp(5, FILES[5]).pending
    assert reason == "timeout: no answer; asked again from 12:00:05 UTC"
    clock.time += FIRST_BACK_OFF / 2
    # Another process, too: what is known is in the file.
    assert make(attempts=attempts).stamp(5, FILES[5]).pending == (("one", reason),)
    assert len(tsas[0].requests) == 1
    clock.time += FIRST_BACK_OFF / 2
    [(_, reason)] = stamper.stamp(5, FILES[5]).pending
    assert reason.endswith("asked again from 12:00:15 UTC")
    tsas[0].fault = None
    clock.time += 2 * FIRST_BACK_OFF
    assert stamper.stamp(5, FILES[5]).complete
    assert {parse_request(request).imprint for request in tsas[0].requests} == {
        hashlib.sha256(FILES[5]).digest()
    }


def test_retry_after_is_waited_for(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock, attempts: Attempts
) -> None:
    stamper = make(attempts=attempts)
    tsas[0].fault = NoAnswer("http-error", "status 503", 300)
    [(_, reason)] = stamper.stamp(5, FILES[5]).pending
    assert reason == "http-error: status 503; asked again from 12:05:00 UTC"
    clock.time += timedelta(seconds=299)
    assert words(stamper.stamp(5, FILES[5])) == ["http-error"]
    assert len(tsas[0].requests) == 1


def test_minimum_interval_of_a_tsa_is_kept(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock, attempts: Attempts
) -> None:
    intervals = {"one": timedelta(seconds=15)}
    stamper = make(attempts=attempts, intervals=intervals)
    assert stamper.stamp(5, FILES[5]).complete
    clock.time += timedelta(seconds=14)
    report = stamper.stamp(6, FILES[6])
    assert report.answered == ("two",)
    reason = "interval: it was asked at 12:00:00 UTC; asked again from 12:00:15 UTC"
    assert report.pending == (("one", reason),)
    clock.time += timedelta(seconds=1)
    assert stamper.stamp(6, FILES[6]).complete


def test_tsa_another_process_is_asking_is_left_to_it(
    make: Callable[..., Stamper], tsas: list[Asked], attempts: Attempts
) -> None:
    attempts.begin("one", 5, NOW)
    report = make(attempts=attempts).stamp(5, FILES[5])
    assert (report.answered, words(report)) == (("two",), ["asking"])


def test_attempts_that_cannot_be_kept_lose_politeness_alone(
    make: Callable[..., Stamper], tmp_path: Path
) -> None:
    attempts = Attempts(tmp_path / "closed.sqlite")
    attempts.close()
    assert make(attempts=attempts).stamp(5, FILES[5]).complete


def test_young_incomplete_size_is_completed_while_the_newest_has_to_wait(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock
) -> None:
    stamper = make(interval=60)
    tsas[1].fault = "no route"
    stamper.stamp(5, FILES[5])
    tsas[1].fault = None
    clock.time += timedelta(seconds=30)
    assert words(stamper.stamp(6, FILES[6], FILES.__getitem__)) == ["interval", "interval"]
    assert [(one.size, one.tsa) for one in stamper.stamps()] == [(5, "one"), (5, "two")]
    assert stamper.stamps()[1].response.count(hashlib.sha256(FILES[5]).digest()) == 1
    # Now it is complete, and nobody is asked any more.
    stamper.stamp(6, FILES[6], FILES.__getitem__)
    assert [len(tsa.requests) for tsa in tsas] == [1, 2]


def test_incomplete_size_is_superseded_once_the_newest_may_be_stamped(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock
) -> None:
    stamper = make(interval=60)
    tsas[1].fault = "no route"
    stamper.stamp(5, FILES[5])
    clock.time += timedelta(seconds=60)
    stamper.stamp(9, FILES[9], FILES.__getitem__)
    tsas[1].fault = None
    clock.time += timedelta(seconds=1)
    assert stamper.stamp(9, FILES[9], FILES.__getitem__).complete
    stamps = [(one.size, one.tsa) for one in stamper.stamps()]
    assert stamps == [(5, "one"), (9, "one"), (9, "two")]


@dataclass
class Hung:
    """A TSA that does not answer before it is let."""

    name: str
    let: Event = field(default_factory=Event)

    def ask(self, request: bytes) -> bytes:
        self.let.wait(5)
        return b""


def test_hurried_call_waits_no_longer_than_told_and_blames_nobody(
    make: Callable[..., Stamper], tsas: list[Asked], clock: Clock, attempts: Attempts
) -> None:
    hung, called = Hung("two"), []
    tsas[1:] = [hung]  # type: ignore[list-item]  # a Tsa like the other
    stamper = make(attempts=attempts, wait_seconds=0.5, after=lambda *told: called.append(told))
    report = stamper.stamp(5, FILES[5])
    assert (report.answered, words(report)) == (("one",), ["unfinished"])
    last = attempts.last()["two"]
    assert (last.failures, last.again) == (0, NOW + FIRST_BACK_OFF)
    assert called == []
    hung.let.set()


def test_call_that_is_interrupted_holds_nobody_up(
    make: Callable[..., Stamper], tsas: list[Asked], attempts: Attempts
) -> None:
    store = Full()
    stamper = Stamper(
        store,
        tsas,
        wanted=2,
        minimum_interval=timedelta(0),
        clock=tsas[0].clock,
        random_bytes=lambda size: bytes(range(1, size + 1)),
        attempts=attempts,
    )
    with pytest.raises(UnavailableError, match="disk is full"):
        stamper.stamp(5, FILES[5])
    assert max(last.again for last in attempts.last().values()) < NOW + HOLD


class Full(MemoryStore):
    """A store that takes no attachment."""

    def attach(self, attachment: Attachment, *, durable: bool = True) -> None:
        raise UnavailableError("disk is full")


def test_nobody_is_asked_offline(make: Callable[..., Stamper], tsas: list[Asked]) -> None:
    report = make(offline="offline: TALLY_OFFLINE is set").stamp(5, FILES[5])
    assert words(report) == ["offline", "offline"]
    assert [tsa.requests for tsa in tsas] == [[], []]


def test_hook_gets_every_new_token_once_and_its_failure_loses_none(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    called: list[tuple[int, str, bytes]] = []

    def after(size: int, name: str, response: bytes) -> None:
        called.append((size, name, response))
        if name == "one":
            raise MalformedError("no CRL is there")

    stamper = make(after=after)
    report = stamper.stamp(5, FILES[5])
    assert report.complete
    assert report.pending == (("one", "after: the token is kept, but no CRL is there"),)
    assert stamper.stamp(5, FILES[5]).pending == ()
    assert called == [(one.size, one.tsa, one.response) for one in stamper.stamps()]


@dataclass
class Public:
    """A TSA with a root and a signature of its own kind."""

    name: str
    key: Any
    scheme: str
    digest: str

    def __post_init__(self) -> None:
        self.signer = Authority(self.name).signer(self.key)

    def ask(self, request: bytes) -> bytes:
        asked = parse_request(request)
        content = make_content(imprint=asked.imprint, nonce=asked.nonce)
        return respond(make_token(self.signer, content, digest=self.digest, scheme=self.scheme))


def test_stamp_is_complete_only_with_a_token_that_openssl_can_check(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    odd = Public("odd", ed25519.Ed25519PrivateKey.generate(), "ed25519", "sha512")
    tsas[:] = [odd, tsas[0]]  # type: ignore[list-item]  # a Tsa like the other
    tsas[1].fault = "no route"
    report = make(wanted=1).stamp(5, FILES[5])
    assert report.answered == ("odd",)
    assert not report.complete
    lacking = "openssl: none of the tokens can be checked with openssl"
    assert report.pending == (("one", "unreachable: no route"), ("another TSA", lacking))
    tsas[1].fault = None
    assert make(wanted=1).stamp(5, FILES[5]).complete


def test_token_signed_with_sm2_is_kept_and_does_not_count(
    make: Callable[..., Stamper], tsas: list[Asked]
) -> None:
    sm2 = Public("sm2", None, "1.2.156.10197.1.501", "1.2.156.10197.1.401")
    tsas[:] = [sm2, *tsas]  # type: ignore[list-item]  # a Tsa like the others
    tsas[2].fault = "no route"
    report = make(count=3).stamp(5, FILES[5])
    assert report.answered == ("one", "sm2")
    assert (report.complete, words(report)) == (False, ["unreachable", "sm2"])
    tsas[2].fault = None
    assert make(count=3).stamp(5, FILES[5]).complete


def test_last_stamp_is_found_however_long_ago(make: Callable[..., Stamper], clock: Clock) -> None:
    stamper = make(interval=60)
    assert stamper.stamp(3, b"file 3").complete
    reason = "interval: one stamp per 60 s, the next from 12:01:00 UTC"
    for size in (4, 5, 1000, 10**9):
        assert dict(stamper.stamp(size, b"newer").pending) == {"one": reason, "two": reason}
