"""What the pages show of a ledger: one moment of it, and one entry, as plain values."""

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

from ledger.errors import NotFoundError
from ledger.operator.diary import Diary, Stamped
from ledger.operator.gaps import Day, Gap, StampTimes, by_day, find_gaps
from ledger.operator.local import LocalLedger
from ledger.operator.schedule import Schedule
from ledger.operator.sequencer import CHECKPOINT
from ledger.operator.stamper import KIND as STAMP
from ledger.operator.store.protocol import Attachment, Store
from ledger.timestamp.token import parse_token
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import leaf_hash
from ledger.tlog.note import format_vkey, parse_note
from ledger.tlog.tile import TILE_WIDTH, Tile, format_entries_path, format_tile_path

DAYS = 30
"""How far back the state page looks: a month of days still fits a small chart."""

FRESH_SECONDS = 5.0
"""For so long one reading serves every visitor: they cost the ledger nothing then."""

MAX_ROWS = 64
"""Tokens read to find the first of each TSA; one that was out for longer is not looked for."""


@dataclass(frozen=True, slots=True)
class TsaState:
    """One TSA: its last token, and why it has none over the newest tree, or None.

    ``reason`` begins with a stable word, as in ``StampReport``.
    """

    name: str
    last: Stamped | None
    reason: str | None


@dataclass(frozen=True, slots=True)
class State:
    """A ledger at ``now``. ``root``: None before the first entry.

    ``stamped``: the size of the newest tree with a token; ``waiting_since``: since when there is a
    tree without one, None if there is none. ``closed``: why nothing more is appended, or None.
    ``lacking``: why a stamp is not complete although no TSA is to blame. ``faults``: what the
    schedule could not do in its last round. ``days``: oldest first. ``development``: its TSAs are
    its own, and prove nothing.
    """

    origin: str
    keys: tuple[str, ...]
    now: datetime
    size: int
    root: bytes | None
    stamped: int
    waiting_since: datetime | None
    closed: str | None
    tsas: tuple[TsaState, ...]
    lacking: str | None
    faults: Mapping[str, str]
    gaps: tuple[Gap, ...]
    days: tuple[Day, ...]
    development: bool


@dataclass(frozen=True, slots=True)
class EntryState:
    """One entry and where it lies: the smallest published tree with it, and its stamps.

    ``stamps``: of each TSA the first over a tree with the entry. ``paths``: entry bundle, and the
    tile of its leaf, in the newest tree.
    """

    index: int
    entry: bytes
    leaf_hash: bytes
    size: int
    checkpoint: int
    stamps: tuple[Stamped, ...]
    paths: tuple[str, ...]


class StateReader:
    """Reads the state of ``ledger``, at most once in ``FRESH_SECONDS``. Thread-safe.

    ``tsas``, ``wanted``, ``stamp_interval``: as the ledger's stamper has them. ``development``: as
    in ``State``.
    """

    def __init__(
        self,
        ledger: LocalLedger,
        schedule: Schedule,
        diary: Diary,
        *,
        tsas: Sequence[str],
        wanted: int,
        stamp_interval: timedelta,
        clock: Callable[[], datetime],
        development: bool,
    ) -> None:
        self._ledger = ledger
        self._development = development
        self._schedule = schedule
        self._diary = diary
        self._tsas = tuple(tsas)
        self._wanted = wanted
        self._interval = stamp_interval
        self._clock = clock
        # A day more, so that of the first day shown all is known.
        self._times = StampTimes(ledger, diary, timedelta(days=DAYS + 1))
        self._lock = threading.Lock()
        self._state: State | None = None

    def read(self) -> State:
        """The state now, or up to ``FRESH_SECONDS`` ago; UnavailableError."""
        with self._lock:
            now, state = self._clock(), self._state
            if state is None or abs((now - state.now).total_seconds()) >= FRESH_SECONDS:
                state = self._read(now)
                self._state = state
            return state

    def _read(self, now: datetime) -> State:
        size, root = self._head()
        stamped = self._times.read(size, now)
        # A day more: a wait may have ended on a later day than it began.
        waits = self._diary.waits(now - timedelta(days=DAYS + 1))
        newest = max((one.size for one in stamped), default=0)
        last = self._diary.last_wait()
        waits_still = last is not None and last.size > newest
        closed = self._ledger.closed
        report = self._schedule.report
        return State(
            origin=self._ledger.origin,
            keys=tuple(map(format_vkey, self._ledger.keys)),
            now=now,
            size=size,
            root=root,
            stamped=newest,
            waiting_since=last.since if last is not None and waits_still else None,
            closed=None if closed is None else str(closed),
            tsas=self._tsa_states(stamped),
            lacking=None if report is None else report.lacking,
            faults=self._schedule.faults,
            gaps=find_gaps(
                stamped,
                waits,
                tsas=self._tsas,
                wanted=self._wanted,
                stamp_interval=self._interval,
                now=now,
            ),
            days=by_day(stamped, waits, DAYS, now),
            development=self._development,
        )

    def _head(self) -> tuple[int, bytes | None]:
        try:
            checkpoint = parse_checkpoint(parse_note(self._ledger.checkpoint()).text)
        except NotFoundError:
            return 0, None
        return checkpoint.size, checkpoint.root

    def _tsa_states(self, stamped: Sequence[Stamped]) -> tuple[TsaState, ...]:
        report = self._schedule.report
        reasons = {} if report is None else dict(report.pending)
        last = {one.tsa: one for one in stamped}
        return tuple(TsaState(name, last.get(name), reasons.get(name)) for name in self._tsas)


def read_entry(ledger: LocalLedger, store: Store, tsas: Sequence[str], index: int) -> EntryState:
    """The entry at ``index``, 0 or more; NotFoundError if the ledger does not have it yet.

    ``tsas``: whose stamps are looked for, through ``MAX_ROWS`` tokens and no more.
    """
    size = parse_checkpoint(parse_note(ledger.checkpoint()).text).size
    if not 0 <= index < size:
        raise NotFoundError(f"no entry {index}: the ledger has {size}")
    (entry,) = store.entries(index, index + 1)
    published = next(_rows(store, CHECKPOINT, index + 1, size), None)
    first: dict[str, Stamped] = {}
    for row in islice(_rows(store, STAMP, index + 1, size), MAX_ROWS):
        if row.name not in first:
            first[row.name] = Stamped(row.size, row.name, parse_token(row.content).gen_time)
        if first.keys() >= set(tsas):
            break
    number = index // TILE_WIDTH
    width = min(TILE_WIDTH, size - number * TILE_WIDTH)
    paths = format_entries_path(number, width), format_tile_path(Tile(0, number, width))
    return EntryState(
        index=index,
        entry=entry,
        leaf_hash=leaf_hash(entry),
        size=size,
        checkpoint=size if published is None else published.size,
        stamps=tuple(first.values()),
        paths=paths,
    )


def _rows(store: Store, kind: str, start: int, size: int) -> Iterator[Attachment]:
    """Rows of ``kind`` over trees of ``start`` to ``size`` entries, as they are wanted.

    While there are none every step looks four times as far: a long history is never read whole.
    """
    step = 1
    while start <= size:
        stop = min(start + step, size + 1)
        rows = store.attachments(kind, start, stop)
        yield from rows
        start, step = stop, 1 if rows else step * 4
