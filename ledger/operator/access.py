"""Who may append to a hosted ledger: bearer tokens, what each may do, and how much.

Of a token's secret (``grant``) only the SHA-256 is kept; it has 256 random bits, so that there is
nothing a slow hash would protect. The text is given out once, by ``new``.

A token that is not good is refused with the same words whatever is wrong with it. Nobody is ever
locked out: a wrong token costs its sender a refusal and nobody else anything.

Revoking in one process is seen within ``FRESH_SECONDS`` in another. What a token has spent of its
quota, and its rate, are counted by the one process that serves; the quota's count is written
behind (``write_if_due``), so that a crash forgives up to ``WRITE_SECONDS`` of it. Counting does not
wait for that.
"""

import hashlib
import hmac
import secrets
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path

from ledger.doors.sqlite import make_schema, open_database, transaction
from ledger.errors import MalformedError, NotFoundError, UnavailableError
from ledger.operator.grant import (
    APPEND,
    ID_BYTES,
    SCOPES,
    SECRET_BYTES,
    Grant,
    format_token,
    parse_token_text,
)

ACCESS_FILE = "access.sqlite"
"""Its name in the ledger's home."""

WRITE_SECONDS = 5.0
"""The quota's count is written no more often: a durable write per request would halve the rate."""

FRESH_SECONDS = 1.0
"""For so long what was read of a token is good. To ask the file on each request would cost a fifth
of the rate: a thread that asks it hands the interpreter over, and has to get it back."""

BURST_SECONDS = 2
"""A token that was quiet may send the requests of so many seconds at once."""

SCHEMA_VERSION = 1

_SCHEMA = (
    """CREATE TABLE tokens (
        id TEXT PRIMARY KEY, account TEXT NOT NULL, scopes TEXT NOT NULL, digest BLOB NOT NULL,
        made INTEGER NOT NULL, expires INTEGER, revoked INTEGER, quota INTEGER, rate INTEGER)
        STRICT""",
    """CREATE TABLE spent (
        id TEXT PRIMARY KEY REFERENCES tokens, day INTEGER NOT NULL, entries INTEGER NOT NULL)
        STRICT""",
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SECOND = timedelta(seconds=1)
_DAY = timedelta(days=1)

_NOBODY = bytes(32)
"""Compared with when there is no such token, so that all refusals take the same path."""


_Row = tuple[str, str, str, bytes, int, int | None, int | None, int | None, int | None]
"""A row of ``tokens``."""


class LimitError(UnavailableError):
    """The token's quota or rate is used up; ``retry_after_seconds``: when to ask again, 1 or more.

    An UnavailableError of its own only to carry that number.
    """

    def __init__(self, message: str, retry_after_seconds: int) -> None:
        super().__init__(message, hint=f"try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


@dataclass(slots=True)
class _Use:
    """What one token did in this process: its quota of one day, and its rate."""

    day: int = -1
    entries: int = 0
    written: int = 0
    requests: float = 0.0
    at: float = 0.0


class Access:
    """The tokens in the SQLite file at ``path``; made if it is not there. Thread-safe.

    UnavailableError, here and from every method, if the file cannot be asked; MalformedError if
    it is of another kind. ``monotonic``: seconds, for the rate.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._clock = clock
        self._monotonic = monotonic
        self._random_bytes = random_bytes
        self._lock = threading.Lock()  # of what is counted; whoever has the file's never takes it
        self._file_lock = threading.Lock()
        self._uses: dict[str, _Use] = {}
        self._read: dict[str, tuple[float, tuple[Grant, bytes]]] = {}
        self._written_at = monotonic()
        self._unwritten = False
        self._database = open_database(path)
        try:
            with self._asking():
                make_schema(self._database, _SCHEMA, version=SCHEMA_VERSION, name="access")
        except BaseException:
            self._database.close()
            raise

    def close(self) -> None:
        """Write what was spent, and close the connection."""
        try:
            self.write()
        finally:
            with self._file_lock:
                self._database.close()

    @contextmanager
    def _asking(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._file_lock:
                yield self._database.conn
        except sqlite3.Error as error:
            raise UnavailableError(f"the tokens could not be asked: {error}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        with self._asking() as connection, transaction(self._database):
            yield connection

    def new(
        self,
        account: str,
        scopes: Sequence[str] = (APPEND,),
        expires: datetime | None = None,
        quota: int | None = None,
        rate: int | None = None,
    ) -> str:
        """Make a token for ``account`` and return its text, which is nowhere kept: show it once.

        ``expires``: aware, else ValueError. MalformedError for an account, scope or limit that
        cannot be.
        """
        if expires is not None:
            if expires.tzinfo is None:
                raise ValueError("expiry has no time zone")
            expires = expires.astimezone(UTC).replace(microsecond=0)
        # In the order of SCOPES, each once; one that is unknown stays, for Grant to refuse.
        named = tuple(sorted(set(scopes), key=[*SCOPES, *scopes].index))
        made = self._clock().replace(microsecond=0)
        while True:
            id_ = self._random_bytes(ID_BYTES).hex()
            secret = self._random_bytes(SECRET_BYTES)
            grant = Grant(id_, account, named, made, expires, None, quota, rate)
            try:
                with self._writing() as connection:
                    connection.execute(
                        "INSERT INTO tokens VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                        _row(grant, hashlib.sha256(secret).digest()),
                    )
            except UnavailableError as error:
                if not isinstance(error.__cause__, sqlite3.IntegrityError):
                    raise
                # Another token has this id, of four thousand million: draw again.
                continue
            return format_token(id_, secret)

    def check(self, text: str) -> Grant:
        """The grant of the token ``text``, good now; else NotFoundError with one and the same text.

        One look-up by key; the digests are compared in constant time. A revocation counts within
        ``FRESH_SECONDS``.
        """
        try:
            id_, secret = parse_token_text(text)
        except MalformedError:
            id_, secret = "", b""  # which nobody has
        grant, kept = self._known(id_) or (None, _NOBODY)
        same = hmac.compare_digest(hashlib.sha256(secret).digest(), kept)
        if grant is not None and same and grant.holds(self._clock()):
            return grant
        raise NotFoundError("no such token", hint="ask the operator for a token that is good")

    def _known(self, id_: str) -> tuple[Grant, bytes] | None:
        """A token's grant and digest, as they were read at most ``FRESH_SECONDS`` ago."""
        now = self._monotonic()
        read, known = self._read.get(id_, (now - FRESH_SECONDS, None))
        if known is None or now - read >= FRESH_SECONDS:
            with self._asking() as connection:
                row = connection.execute("SELECT * FROM tokens WHERE id = ?", (id_,)).fetchone()
            if row is None:
                # Not kept: whoever guesses fills nothing.
                return None
            known = _grant(row), row[3]
            self._read[id_] = now, known
        return known

    def list(self) -> tuple[tuple[Grant, int], ...]:
        """Every grant ever made, oldest first, and how many entries it has spent today."""
        today = self._today()
        with self._asking() as connection:
            rows = connection.execute("SELECT * FROM tokens ORDER BY made, rowid").fetchall()
            spent = dict(
                connection.execute("SELECT id, entries FROM spent WHERE day = ?", (today,))
            )
        with self._lock:
            now = {id_: use.entries for id_, use in self._uses.items() if use.day == today}
        return tuple((_grant(row), (spent | now).get(row[0], 0)) for row in rows)

    def revoke(self, id_: str) -> Grant:
        """Revoke a token for good, durably; it stays in the list. NotFoundError.

        Revoking again changes nothing.
        """
        now = _number(self._clock())
        with self._writing() as connection:
            connection.execute(
                "UPDATE tokens SET revoked = ? WHERE id = ? AND revoked IS NULL", (now, id_)
            )
            row = connection.execute("SELECT * FROM tokens WHERE id = ?", (id_,)).fetchone()
        self._read.pop(id_, None)
        if row is None:
            raise NotFoundError(
                f"no token has the id {id_!r}", hint="tally ledger token list shows the ids"
            )
        return _grant(row)

    def pace(self, grant: Grant) -> None:
        """Count one request; LimitError if the rate of the grant's token is used up."""
        if grant.rate is None:
            return
        with self._lock:
            use, now = self._uses.setdefault(grant.id, _Use()), self._monotonic()
            # A bucket that leaks `rate` a second; one never used has been empty for ever.
            use.requests = max(0.0, use.requests - (now - use.at) * grant.rate)
            use.at = now
            too_many = use.requests + 1 - BURST_SECONDS * grant.rate
            if too_many <= 0:
                use.requests += 1
                return
        raise LimitError(
            f"more than {grant.rate} requests a second", max(1, ceil(too_many / grant.rate))
        )

    def spend(self, grant: Grant, entries: int) -> int | None:
        """Take ``entries`` (1 or more) off today's quota; return what is left, None for no limit.

        LimitError, and nothing taken, if not so many are left; UnavailableError if what was spent
        before could not be written, and still cannot. The day is the UTC day.
        """
        if entries < 1:
            raise ValueError(f"{entries} entries, want 1 or more")
        if self._unwritten:
            self.write()
        today = self._today()
        with self._lock:
            use = self._use(grant, today)
            left = None if grant.quota is None else grant.quota - use.entries - entries
            if left is None or left >= 0:
                use.entries += entries
        if left is not None and left < 0:
            raise LimitError(
                f"quota of {grant.quota} entries a day has {left + entries} left, want {entries}",
                self._seconds_of_today_left(),
            )
        return left

    def give_back(self, grant: Grant, entries: int) -> None:
        """Undo a ``spend`` of today whose entries were not appended."""
        with self._lock:
            use = self._uses.get(grant.id)
            if use is not None and use.day == self._today():
                use.entries = max(0, use.entries - entries)

    def write(self) -> None:
        """Write what was spent. If we die before, so much of the quota is forgiven."""
        with self._lock:
            changed = {i: u for i, u in self._uses.items() if u.entries != u.written}
            rows = [(id_, use.day, use.entries) for id_, use in changed.items()]
        if rows:
            with self._writing() as connection:
                connection.executemany("INSERT OR REPLACE INTO spent VALUES (?, ?, ?)", rows)
        with self._lock:
            for id_, day, entries in rows:
                if changed[id_].day == day:
                    changed[id_].written = entries
        self._unwritten = False

    def write_if_due(self) -> None:
        """Write what was spent, if ``WRITE_SECONDS`` went by; if it cannot be, ``spend`` tells."""
        now = self._monotonic()
        with self._lock:
            if now - self._written_at < WRITE_SECONDS:
                return
            self._written_at = now
        try:
            self.write()
        except UnavailableError:
            self._unwritten = True

    def _use(self, grant: Grant, today: int) -> _Use:
        """What the grant's token spent today; asks the file once a day and token."""
        use = self._uses.setdefault(grant.id, _Use())
        if use.day != today:
            with self._asking() as connection:
                row = connection.execute(
                    "SELECT entries FROM spent WHERE id = ? AND day = ?", (grant.id, today)
                ).fetchone()
            use.day, use.entries = today, row[0] if row else 0
            use.written = use.entries
        return use

    def _today(self) -> int:
        return (self._clock() - _EPOCH) // _DAY

    def _seconds_of_today_left(self) -> int:
        return max(1, ceil((_DAY - (self._clock() - _EPOCH) % _DAY).total_seconds()))


def _row(grant: Grant, digest: bytes) -> tuple[str | bytes | int | None, ...]:
    return (
        grant.id,
        grant.account,
        " ".join(grant.scopes),
        digest,
        _number(grant.made),
        None if grant.expires is None else _number(grant.expires),
        None if grant.revoked is None else _number(grant.revoked),
        grant.quota,
        grant.rate,
    )


def _grant(row: _Row) -> Grant:
    id_, account, scopes, _, made, expires, revoked, quota, rate = row
    return Grant(
        id_,
        account,
        tuple(scopes.split()),
        _moment(made),
        None if expires is None else _moment(expires),
        None if revoked is None else _moment(revoked),
        quota,
        rate,
    )


def _number(moment: datetime) -> int:
    """Whole seconds since 1970."""
    return (moment - _EPOCH) // _SECOND


def _moment(number: int) -> datetime:
    return _EPOCH + number * _SECOND
