"""One question over HTTP, one answer of bounded size and time; nothing followed.

Standard library only. Proxies named in the environment are used, because firms have them.
"""

import http.client
import time
import urllib.error
import urllib.request
from typing import IO
from urllib.parse import urlsplit

from ledger.errors import UnavailableError

CHUNK_BYTES = 16_384


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
    """POST body to url and return the answer's body: status 200, media type accept, whole.

    ``limit_bytes``: the longest answer taken. ``timeout_seconds``: for each wait on the network
    and, measured from the start, for the whole answer. Redirects are not followed.

    UnavailableError: no connection, a timeout, another status or media type, a longer or a cut
    answer. ValueError: url is not http or https with a host.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("url has to be http or https with a host")
    headers = {"Content-Type": content_type, "Accept": accept, "User-Agent": "tallystick"}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310
    opener = urllib.request.build_opener(_NoRedirects)
    deadline = time.monotonic() + timeout_seconds
    try:
        with opener.open(request, timeout=timeout_seconds) as answer:
            return _body(answer, accept, limit_bytes, deadline)
    except urllib.error.HTTPError as error:
        error.close()
        raise UnavailableError(f"{parts.hostname} answered with status {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UnavailableError(f"{parts.hostname} could not be asked: {_why(error)}") from error


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", error)
    return " ".join(str(reason).split())[:120] or type(error).__name__


def _body(
    answer: http.client.HTTPResponse, accept: str, limit_bytes: int, deadline: float
) -> bytes:
    """The whole body, or UnavailableError."""
    if answer.status != http.client.OK:
        raise UnavailableError(f"answer has status {answer.status}, want 200")
    if answer.headers.get_content_type() != accept:
        raise UnavailableError(f"answer is {answer.headers.get_content_type()!r}, want {accept!r}")
    announced = answer.length
    body = bytearray()
    while chunk := answer.read1(CHUNK_BYTES):
        body += chunk
        if len(body) > limit_bytes:
            raise UnavailableError(f"answer is longer than {limit_bytes} bytes")
        if time.monotonic() > deadline:
            raise UnavailableError("answer took too long")
    if announced is not None and len(body) != announced:
        raise UnavailableError(f"answer has {len(body)} bytes, announced were {announced}")
    return bytes(body)
