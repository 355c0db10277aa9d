"""One question over HTTP, one answer of bounded size and time; nothing followed.

Standard library only. Proxies named in the environment are used, because firms have them.
"""

import http.client
import re
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from email.utils import parsedate_to_datetime
from typing import IO
from urllib.parse import urlsplit

from ledger.errors import MalformedError, UnavailableError
from ledger.record.strict_json import parse_json

CHUNK_BYTES = 16_384

MAX_PROBLEM_BYTES = 4096
MAX_DETAIL_CHARACTERS = 200
"""What is read and said of an answer's own words on why it is none."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Why there is no answer that can be used: a value, for whoever goes on with the others.

    ``reason``: a short stable word; from here unreachable, tls, timeout, redirect, http-error,
    content-type, oversize or cut-short. ``retry_after_seconds``: what the other side asked for
    (RFC 9110 §10.2.3), unbounded; None if it said nothing. ``status``: of an answer that is none of
    those wanted; ``code``, ``detail``: what a problem (RFC 9457) in it says, printable and short.
    """

    reason: str
    text: str
    retry_after_seconds: int | None = None
    status: int | None = None
    code: str = ""
    detail: str = ""


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer like any other that is not 200: an error."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> None:
        """Follow nothing (the parent's name and parameters)."""


def post(
    url: str,
    body: bytes,
    content_type: str,
    *,
    accept: str,
    limit_bytes: int,
    timeout_seconds: float,
) -> bytes:
    """``exchange``, for who has no use for reasons: UnavailableError says what went wrong."""
    answer = exchange(
        url,
        body,
        content_type,
        accept=accept,
        limit_bytes=limit_bytes,
        timeout_seconds=timeout_seconds,
    )
    if isinstance(answer, NoAnswer):
        raise UnavailableError(answer.text)
    return answer


def exchange(
    url: str,
    body: bytes,
    content_type: str,
    *,
    accept: str,
    limit_bytes: int,
    timeout_seconds: float,
    authorization: str | None = None,
) -> bytes | NoAnswer:
    """POST body to url and return the answer's body: status 200, media type accept, whole.

    The errors are those of ``get``.
    """
    headers = {"Content-Type": content_type}
    return _converse(url, body, headers, accept, limit_bytes, timeout_seconds, authorization)


def get(
    url: str,
    *,
    accept: str,
    limit_bytes: int,
    timeout_seconds: float,
    authorization: str | None = None,
) -> bytes | NoAnswer:
    """GET url and return the answer's body: status 200, media type accept, whole.

    No cache on the way answers by itself (RFC 9111 §5.2.1.4). ``limit_bytes``: the longest answer
    taken. ``timeout_seconds``: for each wait on the network and, measured from the start, for the
    whole answer. ``authorization``: the header of that name. Redirects are not followed.

    NoAnswer: no connection, a timeout, another status or media type, a longer or a cut answer.
    ValueError: url is not http or https with a host.
    """
    headers = {"Cache-Control": "no-cache"}
    return _converse(url, None, headers, accept, limit_bytes, timeout_seconds, authorization)


def _converse(
    url: str,
    body: bytes | None,
    headers: dict[str, str],
    accept: str,
    limit_bytes: int,
    timeout_seconds: float,
    authorization: str | None,
) -> bytes | NoAnswer:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url has to be http or https with a host")
    headers |= {"Accept": accept, "User-Agent": "tallystick"}
    if authorization is not None:
        headers["Authorization"] = authorization
    method = "GET" if body is None else "POST"
    request = urllib.request.Request(url, data=body, headers=headers, method=method)  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects)
    deadline = time.monotonic() + timeout_seconds
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            return _body(answer, accept, limit_bytes, deadline)
    except urllib.error.HTTPError as error:
        with error:
            code, detail = _problem(error)
        reason = "redirect" if 300 <= error.code < 400 else "http-error"
        text = f"{parts.hostname} answered with status {error.code}"
        return NoAnswer(reason, text, _retry_after(error.headers), error.code, code, detail)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return NoAnswer(_word(error), f"{parts.hostname} could not be asked: {_why(error)}")


def _problem(answer: urllib.error.HTTPError) -> tuple[str, str]:
    """Code and detail of an answer that is a problem; empty if it has none."""
    if answer.headers.get_content_type() != "application/problem+json":
        return "", ""
    try:
        table = parse_json(answer.read(MAX_PROBLEM_BYTES), limit_bytes=MAX_PROBLEM_BYTES)
    except (MalformedError, OSError, http.client.HTTPException):
        return "", ""
    found = table if isinstance(table, dict) else {}
    code, detail = (_printable(found.get(name)) for name in ("code", "detail"))
    return code, detail


def _printable(value: object) -> str:
    if not isinstance(value, str):
        return ""
    return "".join(one for one in value if one.isprintable())[:MAX_DETAIL_CHARACTERS]


def _word(error: Exception) -> str:
    cause = getattr(error, "reason", error)
    if isinstance(cause, TimeoutError):
        return "timeout"
    if isinstance(cause, ssl.SSLError):
        return "tls"
    return "cut-short" if isinstance(cause, http.client.IncompleteRead) else "unreachable"


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split())[:120] or type(error).__name__


def _retry_after(headers: Message) -> int | None:
    """RFC 9110 §10.2.3: seconds, or a date, which is compared with the sender's own Date."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]{1,9}", text):
        return int(text)
    wanted, sent = _date(text), _date(headers.get("Date", ""))
    if wanted is None or sent is None:
        return None
    return max(0, round((wanted - sent).total_seconds()))


def _date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo is not None else None


def _body(
    answer: http.client.HTTPResponse, accept: str, limit_bytes: int, deadline: float
) -> bytes | NoAnswer:
    """The whole body, or why not."""
    if answer.status != http.client.OK:
        text = f"answer has status {answer.status}, want 200"
        return NoAnswer("http-error", text, _retry_after(answer.headers), answer.status)
    if (kind := answer.headers.get_content_type()) != accept:
        return NoAnswer("content-type", f"answer is {kind!r}, want {accept!r}")
    announced = answer.length
    body = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > limit_bytes:
            return NoAnswer("oversize", f"answer is longer than {limit_bytes} bytes")
        if time.monotonic() > deadline:
            return NoAnswer("timeout", "answer took too long")
    if announced is not None and len(body) != announced:
        text = f"answer has {len(body)} bytes, announced were {announced}"
        return NoAnswer("cut-short", text)
    return bytes(body)
