"""Between the server and the Flask application: requests are taken off the wire here.

granian gives each request to one thread's event loop (its interface RSGI). Here an append's body
is read, with a time for it, and its commit is waited for; neither keeps a thread, so that slow
senders and a slow disk stop nobody else. Then the application answers it at once. All other
requests are answered by the application in threads of their own, for they read from the disk.

What is handed on is WSGI (PEP 3333) with an empty body, and for an append, under ``TAKEN``, what
``Appending`` gave or the error it raised.
"""

import asyncio
import contextlib
import io
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Protocol, TypeAlias
from wsgiref.types import WSGIApplication, WSGIEnvironment

from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined] # it is meant to be
from werkzeug.exceptions import (
    BadRequest,
    ClientDisconnected,
    LengthRequired,
    RequestEntityTooLarge,
    RequestTimeout,
)
from werkzeug.http import parse_options_header

from ledger.operator.access import LimitError
from ledger.operator.batcher import Committed
from service.appending import APPEND_PATH, MAX_BODY_BYTES, Appending, Taken

TAKEN = "tallystick.taken"
STARTED = "tallystick.started"
"""In the WSGI environment: a ``Taken`` or an Exception; ``time.perf_counter()`` at the start."""

THREADS = 16
"""Requests that read from the disk at once."""

BODIES = 512
"""Bodies that are being read at once, of all tokens: 64 MiB."""

BODIES_OF_ONE = 128
"""Of one token: whoever dawdles in so many keeps three others from doing the same, and no more."""

BODY_SECONDS = 10.0
"""For a body to arrive, its turn to be read included."""

MAX_DIGITS = 19
"""Of a length; more are not read as a number."""

Headers: TypeAlias = list[tuple[str, str]]
Answer: TypeAlias = tuple[int, Headers, bytes]


class Scope(Protocol):
    """A request's head, as granian gives it."""

    http_version: str
    server: str
    client: str
    scheme: str
    method: str
    path: str
    query_string: str
    headers: Any


class Exchange(Protocol):
    """A request's body, and where its answer goes."""

    async def __call__(self) -> bytes:
        """The whole body."""

    def response_bytes(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer."""


class Front:
    """Answers each request with ``application``; appends are taken by ``appending`` first.

    Of one event loop.
    """

    def __init__(self, application: WSGIApplication, appending: Appending) -> None:
        self._application = application
        self._appending = appending
        self._threads = ThreadPoolExecutor(THREADS, "answer")
        self._turns = asyncio.Semaphore(BODIES)
        self._turns_of: dict[str, asyncio.Semaphore] = {}
        self._done: deque[asyncio.Future[None]] = deque()

    def __rsgi_init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Told once, before the first request, which loop it is."""

        def wake() -> None:
            # Closed at the end: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._wake)

        self._appending.after_each(wake)

    async def __rsgi__(self, scope: Scope, exchange: Exchange) -> None:
        """Take one request and answer it."""
        environ = _environ(scope)
        if scope.method == "POST" and scope.path == APPEND_PATH:
            environ[TAKEN] = await self._take(environ, exchange)
            answer = _answer(self._application, environ)
        else:
            loop = asyncio.get_running_loop()
            answer = await loop.run_in_executor(self._threads, _answer, self._application, environ)
        exchange.response_bytes(*answer)

    async def _take(self, environ: WSGIEnvironment, exchange: Exchange) -> Taken | Exception:
        try:
            grant = self._appending.begin(environ.get("HTTP_AUTHORIZATION", ""))
            body = await self._read(grant.id, environ, exchange)
            media_type = parse_options_header(environ.get("CONTENT_TYPE"))[0].lower()
            taken = self._appending.submit(grant, media_type, body)
            await self._settled(taken.answer)
        except Exception as error:  # noqa: BLE001 - the application tells it, as it tells all others
            return error
        return taken

    async def _read(self, token_id: str, environ: Mapping[str, str], exchange: Exchange) -> bytes:
        length = environ.get("CONTENT_LENGTH")
        if length is None:
            # granian does not tell the end of a body in chunks from where it broke off.
            raise LengthRequired
        if not length.isdecimal():
            raise BadRequest
        if len(length) > MAX_DIGITS or int(length) > MAX_BODY_BYTES:
            raise RequestEntityTooLarge
        own = self._turns_of.get(token_id)
        if own is None:
            own = self._turns_of[token_id] = asyncio.Semaphore(BODIES_OF_ONE)
        waiting = True
        try:
            # Its own first: who has many waits for its own, and keeps no turn from others.
            async with asyncio.timeout(BODY_SECONDS), own, self._turns:
                waiting = False
                body = await exchange()
        except TimeoutError as error:
            if waiting:
                raise LimitError("too many requests are being read at once", 1) from error
            raise RequestTimeout from error
        except ProtocolClosed as error:
            raise ClientDisconnected from error
        if len(body) != int(length):
            raise ClientDisconnected
        return body

    async def _settled(self, answer: Future[Committed]) -> None:
        """Wait for ``answer``. All of one commit wake the loop once, and not each by itself."""
        waiter = asyncio.get_running_loop().create_future()
        answer.add_done_callback(lambda _: self._done.append(waiter))
        if answer.done():
            self._wake()
        await waiter

    def _wake(self) -> None:
        while self._done:
            waiter = self._done.popleft()
            if not waiter.done():
                waiter.set_result(None)


def _answer(application: WSGIApplication, environ: WSGIEnvironment) -> Answer:
    begun: list[tuple[int, Headers]] = []
    written: list[bytes] = []

    def start_response(
        status: str, headers: Headers, _: object = None, /
    ) -> Callable[[bytes], object]:
        begun[:] = [(int(status[:3]), headers)]
        return written.append

    parts = application(environ, start_response)
    try:
        written += parts
    finally:
        if hasattr(parts, "close"):
            parts.close()
    return (*begun[0], b"".join(written))


def _environ(scope: Scope) -> WSGIEnvironment:
    host, _, port = scope.server.rpartition(":")
    environ: WSGIEnvironment = {
        "REQUEST_METHOD": scope.method,
        "SCRIPT_NAME": "",
        "PATH_INFO": scope.path.encode("utf-8").decode("latin-1"),
        "QUERY_STRING": scope.query_string,
        "SERVER_NAME": host,
        "SERVER_PORT": port,
        "SERVER_PROTOCOL": f"HTTP/{scope.http_version}",
        "REMOTE_ADDR": scope.client.rpartition(":")[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.scheme,
        "wsgi.input": io.BytesIO(),
        "wsgi.input_terminated": True,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        STARTED: time.perf_counter(),
    }
    for name, value in scope.headers.items():
        key = name.upper().replace("-", "_")
        if name not in {"content-type", "content-length"}:
            key = f"HTTP_{key}"
        environ[key] = f"{environ[key]}, {value}" if key in environ else value
    return environ
