"""One append, from who asks to what is durable, in steps of which none waits.

Whoever runs them waits between: for the body after the first, for the commit after the second.
"""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

import flask

from ledger.errors import MalformedError
from ledger.operator.batcher import Committed
from ledger.operator.grant import APPEND, Grant
from ledger.operator.hosted import HostedLedger
from ledger.operator.sequencer import ENTRY_BYTES
from ledger.record.rfc4648 import decode_base64url
from ledger.record.strict_json import parse_json
from service.auth import authorize
from service.problems import problem

APPEND_PATH = "/v1/entries"

MAX_ENTRIES = 1000
"""In one request. More gain nothing: requests that wait are committed together."""

MAX_BODY_BYTES = 1 << 17
"""A thousand entries as JSON are 90 KB."""

OCTETS = "application/octet-stream"
ENTRY_CHARACTERS = 86


@dataclass(frozen=True, slots=True)
class Taken:
    """Entries that were taken; ``left``: of the token's quota, None if it has none."""

    answer: Future[Committed]
    left: int | None


class Appending:
    """Takes appends for ``hosted``, which was started."""

    def __init__(self, hosted: HostedLedger) -> None:
        self._hosted = hosted

    def after_each(self, call: Callable[[], object]) -> None:
        """Have ``call`` called, in another thread, whenever answers of ``Taken`` are there."""
        self._hosted.batcher.after_each(call)

    def begin(self, authorization: str) -> Grant:
        """Whose append it is; errors and aborts as of ``authorize``."""
        return authorize(self._hosted.access, authorization, APPEND)

    def submit(self, grant: Grant, media_type: str, body: bytes) -> Taken:
        """Queue the entries in ``body``. What is not appended in the end costs no quota.

        MalformedError, LimitError, UnavailableError, or an abort for ``media_type``.
        """
        entries = _read_entries(media_type, body)
        access = self._hosted.access
        left = access.spend(grant, len(entries))
        try:
            answer = self._hosted.batcher.submit(entries)
        except BaseException:
            access.give_back(grant, len(entries))
            raise

        def settle(done: Future[Committed]) -> None:
            if done.cancelled() or done.exception() is not None:
                access.give_back(grant, len(entries))

        answer.add_done_callback(settle)
        return Taken(answer, left)


def read_entry(text: object) -> bytes:
    """An entry written as base64url; MalformedError."""
    if not isinstance(text, str) or len(text) != ENTRY_CHARACTERS:
        raise MalformedError(f"an entry is not {ENTRY_CHARACTERS} characters of base64url")
    return decode_base64url(text)


def _read_entries(media_type: str, body: bytes) -> list[bytes]:
    if media_type == OCTETS:
        entries = [body[at : at + ENTRY_BYTES] for at in range(0, len(body), ENTRY_BYTES)]
        if not entries or len(entries[-1]) != ENTRY_BYTES:
            raise MalformedError(f"body has {len(body)} bytes, want 64 for each entry")
    elif media_type == "application/json":
        value = parse_json(body, limit_bytes=MAX_BODY_BYTES)
        if not isinstance(value, dict) or set(value) != {"entries"}:
            raise MalformedError('body is not {"entries": […]}')
        rows = value["entries"]
        if not isinstance(rows, list) or not rows:
            raise MalformedError("entries is no list of one or more")
        entries = [read_entry(row) for row in rows]
    else:
        flask.abort(problem("media-type", f"want application/json or {OCTETS}"))
    if len(entries) > MAX_ENTRIES:
        raise MalformedError(f"{len(entries)} entries, want at most {MAX_ENTRIES}")
    return entries
