"""What was asked of each TSA last, what it answered, and when it may be asked again.

Several processes share one file, so a TSA is asked by one of them at a time, never sooner than its
minimum interval after the last time, and ever more rarely while it fails. Nothing of a proof is
in here: losing the file loses nothing but politeness, so a damaged one is made anew.
"""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ledger.doors.sqlite import make_schema, open_database, transaction
from ledger.errors import MalformedError, NotFoundError, UnavailableError

ANSWERED = "answered"
ASKING = "asking"
UNFINISHED = "unfinished"
"""Words for an attempt beside the reasons for a failure; unfinished: nobody waited for its end."""

HOLD = timedelta(seconds=40)
"""How long a TSA is left to the process that is asking it: beyond every wait for an answer."""

FIRST_BACK_OFF = timedelta(seconds=5)
LONGEST_BACK_OFF = timedelta(minutes=10)
"""Doubling from the one to the other: a line that is back is noticed within ten minutes."""

LONGEST_RETRY_AFTER = timedelta(hours=1)
"""The bound on what a TSA may ask for, and on every wait: a clock set back must not hold stamps up
for a year."""

MAX_TEXT_CHARACTERS = 200

SCHEMA_VERSION = 1

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS attempts (
        tsa TEXT PRIMARY KEY, size INTEGER NOT NULL, started INTEGER NOT NULL,
        reason TEXT NOT NULL, text TEXT NOT NULL, failures INTEGER NOT NULL,
        again INTEGER NOT NULL, answered INTEGER) STRICT""",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

_DAMAGED = (sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_CORRUPT)


@dataclass(frozen=True, slots=True)
class Attempt:
    """The last attempt at one TSA. Moments are aware UTC.

    ``size``: of the tree whose signed file was sent. ``reason``: ``answered``, ``asking``,
    ``unfinished``, or the word for the failure, said in full by ``text``. ``failures``: in a row.
    ``again``: not to be asked before. ``answered``: when it last gave a token that was kept.
    """

    tsa: str
    size: int
    started: datetime
    reason: str
    text: str
    failures: int
    again: datetime
    answered: datetime | None

    def waits(self, now: datetime) -> bool:
        """Whether it is not to be asked at ``now``.

        A wait longer than any that is given out comes from a clock that was wrong.
        """
        return now < self.again <= now + LONGEST_RETRY_AFTER


class Attempts:
    """The attempts in the SQLite file at ``path``; made if it is not there. Thread-safe.

    UnavailableError, here and from every method, if the file cannot be asked; one that is no
    database or of another kind is replaced.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._open(path)
        except (MalformedError, UnavailableError) as error:
            if isinstance(error, UnavailableError) and not _is_damage(error.__cause__):
                raise
            for tail in ("", "-wal", "-shm"):
                _remove(path.with_name(path.name + tail))
            self._open(path)

    def _open(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._database = open_database(path)
        try:
            with self._asking() as connection:
                # A crash of the machine may lose the last attempts: see above.
                connection.execute("PRAGMA synchronous=NORMAL").fetchall()
                make_schema(self._database, _SCHEMA, version=SCHEMA_VERSION, name="attempts")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            self._database.close()

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._lock:
                yield self._database.conn
        except sqlite3.Error as error:
            raise UnavailableError(f"the attempts could not be asked: {error}") from error

    def last(self) -> dict[str, Attempt]:
        """The last attempt at each TSA ever asked, by name."""
        with self._asking() as connection:
            rows = connection.execute("SELECT * FROM attempts ORDER BY tsa").fetchall()
        return {row[0]: _attempt(row) for row in rows}

    def begin(
        self, tsa: str, size: int, now: datetime, *, anyway_after: timedelta | None = None
    ) -> Attempt | None:
        """Take the turn at ``tsa`` until ``finish``, and return None; or what is to be waited for.

        ``anyway_after``: for a person who asks: whatever the back-off, if so long has passed since
        the last attempt began. If we die before ``finish``, it may be asked again after ``HOLD``.
        """
        with self._asking() as connection, transaction(self._database):
            last = _find(connection, tsa)
            if last is not None and last.waits(now):
                passed = anyway_after is not None and now - last.started >= anyway_after
                if last.reason == ASKING or not passed:
                    return last
            failures, answered = (last.failures, last.answered) if last else (0, None)
            begun = Attempt(tsa, size, now, ASKING, "", failures, now + HOLD, answered)
            _put(connection, begun)
            return None

    def finish(
        self,
        tsa: str,
        now: datetime,
        reason: str = ANSWERED,
        text: str = "",
        *,
        interval: timedelta = timedelta(0),
        retry_after_seconds: int | None = None,
    ) -> Attempt:
        """Write down how the attempt ended, and when the next may be made.

        Not before ``interval`` after its beginning; after a failure not before the back-off, nor
        before what the TSA asked for, up to ``LONGEST_RETRY_AFTER``. ``unfinished`` is nobody's
        fault: it does not count as a failure. NotFoundError if it was not begun.
        """
        with self._asking() as connection, transaction(self._database):
            last = _find(connection, tsa)
            if last is None:
                raise NotFoundError(f"no attempt at {tsa} was begun")
            failures = last.failures + 1
            wait = min(FIRST_BACK_OFF * 2 ** min(last.failures, 20), LONGEST_BACK_OFF)
            if reason == UNFINISHED:
                failures, wait = last.failures, FIRST_BACK_OFF
            elif reason == ANSWERED:
                failures, wait = 0, timedelta(0)
            asked = timedelta(seconds=min(retry_after_seconds or 0, 1 << 20))
            wait = max(wait, min(asked, LONGEST_RETRY_AFTER))
            ended = Attempt(
                tsa=tsa,
                size=last.size,
                started=last.started,
                reason=reason,
                text=text[:MAX_TEXT_CHARACTERS],
                failures=failures,
                again=max(now + wait, last.started + interval),
                answered=now if reason == ANSWERED else last.answered,
            )
            _put(connection, ended)
            return ended

    def forget(self, tsa: str) -> None:
        """Forget a TSA: another may get its name."""
        with self._asking() as connection, transaction(self._database):
            connection.execute("DELETE FROM attempts WHERE tsa = ?", (tsa,))


def _is_damage(cause: BaseException | None) -> bool:
    return getattr(cause, "sqlite_errorcode", None) in _DAMAGED


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise UnavailableError(f"cannot remove the damaged {path}: {error.strerror}") from error


def _find(connection: sqlite3.Connection, tsa: str) -> Attempt | None:
    row = connection.execute("SELECT * FROM attempts WHERE tsa = ?", (tsa,)).fetchone()
    return None if row is None else _attempt(row)


def _put(connection: sqlite3.Connection, one: Attempt) -> None:
    moments = [_number(one.started), _number(one.again)]
    answered = None if one.answered is None else _number(one.answered)
    connection.execute(
        "INSERT OR REPLACE INTO attempts VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (one.tsa, one.size, moments[0], one.reason, one.text, one.failures, moments[1], answered),
    )


def _attempt(row: tuple[str, int, int, str, str, int, int, int | None]) -> Attempt:
    tsa, size, started, reason, text, failures, again, answered = row
    return Attempt(
        tsa,
        size,
        _moment(started),
        reason,
        text,
        failures,
        _moment(again),
        None if answered is None else _moment(answered),
    )


def _number(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def _moment(number: int) -> datetime:
    return _EPOCH + number * _MICROSECOND
