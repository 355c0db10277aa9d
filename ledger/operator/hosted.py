"""A hosted ledger in its home folder, with everything that serves many holders.

    ledger.toml      its settings                 keys.pem        what it signs with
    store.sqlite     the log                      access.sqlite   who may append
    attempts.sqlite  what TSAs were asked last    diary.sqlite    its covers, and what waited
    serving          locked by the one process that serves it

Its guard lies elsewhere: ledger.toml says where.
"""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Self

from ledger.doors.files import check_private, free_bytes, make_folder, read_limited, write_durably
from ledger.doors.keys import load_ledger_keys, make_ledger_keys
from ledger.doors.sqlite import is_busy, turn
from ledger.errors import ConflictError, NotFoundError, UnavailableError, VerificationError
from ledger.operator.access import ACCESS_FILE, Access
from ledger.operator.attempts import Attempts
from ledger.operator.batcher import Batcher, Group
from ledger.operator.capture import Capture
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.diary import DIARY_FILE, Diary
from ledger.operator.guard import Guard
from ledger.operator.hosted_settings import (
    DEVELOPMENT_TSAS,
    MAX_SETTINGS_BYTES,
    SETTINGS_FILE,
    HostedSettings,
    format_settings,
    parse_settings,
)
from ledger.operator.local import LOW_DISK_BYTES, LocalLedger
from ledger.operator.schedule import Schedule
from ledger.operator.sequencer import LedgerKeys
from ledger.operator.stamper import Stamper
from ledger.operator.store.sqlite import SqliteStore
from ledger.operator.tsa import Tsa, http_tsa
from ledger.proof.roots import read_roots
from ledger.tlog.merkle import TreeHead
from ledger.tlog.tile import Tile

KEYS_FILE = "keys.pem"
STORE_FILE = "store.sqlite"
ATTEMPTS_FILE = "attempts.sqlite"
SERVING = "serving"
MAX_TSA_BYTES = 1 << 16
"""A development TSA's keys and certificates as PEM: some 3 KB."""

Clock = Callable[[], datetime]


def system_clock() -> datetime:
    """The system clock, aware."""
    return datetime.now(UTC)


def hold(home: Path, stack: ExitStack) -> None:
    """Keep others from opening the ledger in ``home`` until ``stack`` is closed.

    UnavailableError if another process has it open, for it serves it.
    """
    try:
        stack.enter_context(turn(home / SERVING, 0))
    except UnavailableError as error:
        if not is_busy(error.__cause__):
            raise
        raise UnavailableError(
            f"another process serves the ledger in {home}", hint="stop it first"
        ) from error


def make_hosted(home: Path, settings: HostedSettings, clock: Clock = system_clock) -> None:
    """Make a hosted ledger in ``home``: its keys, its guard, and with the last write its settings.

    ConflictError if there is one, or another ledger's guard. If we die at any point, the same call
    goes on: what is there is used.
    """
    if (home / SETTINGS_FILE).exists():
        raise ConflictError(f"there is a ledger in {home}", hint="each has a folder of its own")
    make_folder(home, mode=0o700)
    if not (home / KEYS_FILE).exists():
        make_ledger_keys(home / KEYS_FILE)
    if settings.development:
        for name in DEVELOPMENT_TSAS:
            path = home / f"{name}.pem"
            if not path.exists():
                write_durably(path, DevelopmentTsa.create(name, clock).to_pem())
    try:
        with HostedLedger(home, settings, create=True, clock=clock) as hosted:
            if hosted.ledger.closed is not None:
                raise hosted.ledger.closed
    except VerificationError as error:
        text = f"the guard in {settings.guard} is another ledger's"
        raise ConflictError(text, hint="each ledger has a guard of its own") from error
    write_durably(home / SETTINGS_FILE, format_settings(settings))


def read_settings(home: Path, environment: Mapping[str, str] = os.environ) -> HostedSettings:
    """The settings of the ledger in ``home``; NotFoundError, MalformedError, UnavailableError."""
    try:
        content = read_limited(home / SETTINGS_FILE, MAX_SETTINGS_BYTES)
    except NotFoundError as error:
        raise NotFoundError(
            f"no hosted ledger in {home}", hint="tally ledger init makes one"
        ) from error
    return parse_settings(content, environment)


def hosted_development_tsas(home: Path, clock: Clock) -> list[DevelopmentTsa]:
    """The development TSAs of the ledger in ``home``; NotFoundError, MalformedError."""
    contents = [read_limited(home / f"{name}.pem", MAX_TSA_BYTES) for name in DEVELOPMENT_TSAS]
    return [DevelopmentTsa.from_pem(content, clock) for content in contents]


def hosted_keys(home: Path, origin: str) -> LedgerKeys:
    """What the ledger in ``home`` signs with; others must not be able to read it."""
    check_private(home / KEYS_FILE)
    return LedgerKeys(origin, *load_ledger_keys(home / KEYS_FILE))


class TimedStore(SqliteStore):
    """A SqliteStore that tells ``observe`` how many seconds each durable commit took."""

    def __init__(self, path: Path, observe: Callable[[float], None], *, create: bool) -> None:
        super().__init__(path, create=create)
        self._observe = observe

    def commit(
        self,
        expected: TreeHead,
        new: TreeHead,
        entries: Sequence[bytes],
        tiles: Mapping[Tile, bytes],
    ) -> None:
        """As ``Store.commit``."""
        started = time.perf_counter()
        super().commit(expected, new, entries, tiles)
        self._observe(time.perf_counter() - started)


class HostedLedger:
    """The ledger in ``home``, held by this process alone until ``close``.

    Nothing runs yet: ``batcher`` and ``schedule`` begin with ``start``. A ledger that must not be
    continued is open to read (``ledger.closed`` tells why). UnavailableError if another process
    serves it; NotFoundError, MalformedError for what is not there or not so.

    ``create``: make its store if there is none. ``observe``: as in ``Batcher``. ``committed``: is
    told the seconds of each durable commit.
    """

    def __init__(
        self,
        home: Path,
        settings: HostedSettings,
        *,
        create: bool = False,
        clock: Clock = system_clock,
        observe: Callable[[Group], None] = lambda _: None,
        committed: Callable[[float], None] = lambda _: None,
    ) -> None:
        self.home = home
        self.settings = settings
        self.clock = clock
        self._observe = observe
        self._signed_at = time.monotonic()
        self._started = False
        with ExitStack() as stack:
            hold(home, stack)
            self.store = TimedStore(home / STORE_FILE, committed, create=create)
            stack.callback(self.store.close)
            guard = self._find_guard(stack, create=create)
            self.access = Access(home / ACCESS_FILE, clock=clock)
            stack.callback(self.access.close)
            self.diary = Diary(home / DIARY_FILE)
            stack.callback(self.diary.close)
            self.ledger = self._open(guard, stack)
            self._stack = stack.pop_all()

    def _find_guard(self, stack: ExitStack, *, create: bool) -> Guard | None:
        """The guard, if it is where the settings say; a new one only for a ledger that is made."""
        try:
            guard = Guard(self.guard_path, create=create)
        except NotFoundError:
            return None
        stack.callback(guard.close)
        return guard

    def _open(self, guard: Guard | None, stack: ExitStack) -> LocalLedger:
        settings, clock = self.settings, self.clock
        tsas, roots = self._tsas()
        development = settings.development
        attempts = None if development else Attempts(self.home / ATTEMPTS_FILE)
        if attempts is not None:
            stack.callback(attempts.close)
        anchors = (*roots, *read_roots())
        capture = Capture(self.store, anchors, clock=clock)
        stamper = Stamper(
            self.store,
            tsas,
            wanted=settings.wanted,
            minimum_interval=self.stamp_interval,
            clock=clock,
            random_bytes=secrets.token_bytes,
            attempts=attempts,
            intervals={
                tsa.name: timedelta(seconds=tsa.minimum_interval_seconds) for tsa in settings.tsas
            },
            anchors=anchors,
            after=capture.after,
        )
        keys = hosted_keys(self.home, settings.origin)
        return LocalLedger(
            self.store, guard, keys, stamper, roots, capture, free_bytes=self.free_bytes
        )

    def _tsas(self) -> tuple[list[Tsa], tuple[bytes, ...]]:
        if not self.settings.development:
            return [http_tsa(tsa) for tsa in self.settings.tsas], ()
        made = hosted_development_tsas(self.home, self.clock)
        return list(made), tuple(tsa.root for tsa in made)

    @property
    def guard_path(self) -> Path:
        """Where its guard lies."""
        return Path(self.settings.guard)

    @property
    def stamp_interval(self) -> timedelta:
        """The shortest time between two stamped trees."""
        return timedelta(seconds=self.settings.stamp_interval_seconds)

    def free_bytes(self) -> int:
        """What is free where there is least: beside the store, or beside the guard."""
        places = (self.home, self.guard_path.parent)
        return min(free_bytes(place) for place in places if place.is_dir())

    @property
    def has_room(self) -> bool:
        """Whether the disk has what an append wants; UnavailableError."""
        return self.free_bytes() >= LOW_DISK_BYTES

    @property
    def checkpoint_age_seconds(self) -> float:
        """Since the newest checkpoint was signed, or since this process opened the ledger."""
        return time.monotonic() - self._signed_at

    def _committed(self, group: Group) -> None:
        self._signed_at = time.monotonic()
        self._observe(group)
        self.access.write_if_due()

    def start(self, *, scheduled: bool = True) -> None:
        """Let it take entries and do its scheduled work. Once only.

        Not ``scheduled``: the schedule makes a round only when it is told to.
        """
        self.batcher = Batcher(self.ledger, self._committed)
        self.schedule = Schedule(
            self.ledger,
            lambda entries: self.batcher.submit(entries).result().indexes,
            self.diary,
            stamp_interval=self.stamp_interval,
            clock=self.clock,
            random_bytes=secrets.token_bytes,
            each_round=self.access.write_if_due,
        )
        self._started = True
        if scheduled and self.ledger.closed is None:
            self.schedule.start()

    def close(self) -> None:
        """Commit what waits, end what runs, and let another process have it."""
        if self._started:
            self._started = False
            self.schedule.stop()
            self.batcher.close()
        self._stack.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
