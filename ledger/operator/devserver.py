"""A development TSA over HTTP (RFC 3161 §3.4) on this machine, for clients that speak it.

Each connection has one request, a bounded size and a bounded time, and a thread of its own; beyond
``MAX_CONNECTIONS`` they are refused. What it proves is what its TSA proves: nothing.
"""

import contextlib
import re
import socket
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from threading import BoundedSemaphore, Timer
from typing import Any

from ledger.operator.devtsa import WARNING, DevelopmentTsa
from ledger.proof.stamps import format_certificate
from ledger.timestamp.request import MAX_REQUEST_BYTES

LOOPBACK = "127.0.0.1"
"""Where it listens, and nowhere else: its tokens are worth nothing to anyone else."""

MAX_CONNECTIONS = 16
MAX_READ_BYTES = 1 << 16
SILENCE_SECONDS = 5.0
"""A client on this machine that says nothing for so long has gone."""
CONNECTION_SECONDS = 15.0
"""The longest life of a connection, however busily it drips."""

QUERY = "application/timestamp-query"
REPLY = "application/timestamp-reply"


class DevelopmentServer(ThreadingHTTPServer):
    """Answers for ``tsa`` on 127.0.0.1; ``port`` 0 takes a free one.

    POST to any path: a time-stamp query. GET: its root as PEM. OSError: the port is taken.
    """

    daemon_threads = True
    block_on_close = False
    request_queue_size = MAX_CONNECTIONS

    def __init__(self, tsa: DevelopmentTsa, port: int = 0) -> None:
        self.tsa = tsa
        self._free = BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__((LOOPBACK, port), _Conversation)

    def server_bind(self) -> None:
        """Bind without the parent's question to the name service."""
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{LOOPBACK}:{self.server_port}/"

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Give the connection a thread if one is free, else close it (the parent's parameters)."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """Serve one connection, and end it when its time is over."""
        over = Timer(CONNECTION_SECONDS, _cut, (request,))
        over.daemon = True
        over.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            over.cancel()
            self._free.release()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401
        """A client that breaks off is no news; anything else is told (the parent's parameters)."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _cut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


class _Conversation(BaseHTTPRequestHandler):
    """One request and its answer."""

    timeout = SILENCE_SECONDS
    server_version = "tallystick-development-tsa"
    sys_version = ""
    server: DevelopmentServer

    def do_POST(self) -> None:
        """A time-stamp query: a reply, which may be a rejection."""
        text = self.headers.get("Content-Length", "")
        if not re.fullmatch(r"[0-9]{1,9}", text):
            self._say(HTTPStatus.LENGTH_REQUIRED, "want a Content-Length")
            return
        length = int(text)
        # What is refused is read too, to a bound: a client that still sends sees no answer.
        body = self.rfile.read(min(length, MAX_READ_BYTES))
        if self.headers.get_content_type() != QUERY:
            self._say(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, f"want Content-Type {QUERY}")
        elif length > MAX_REQUEST_BYTES:
            limit = f"want at most {MAX_REQUEST_BYTES} bytes"
            self._say(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, limit)
        elif len(body) == length:
            self._send(HTTPStatus.OK, REPLY, self.server.tsa.answer(body))

    def do_GET(self) -> None:
        """The root, to be pinned by whoever tries this."""
        _, pem = format_certificate(self.server.tsa.root)
        self._send(HTTPStatus.OK, "application/x-pem-file", pem)

    def _say(self, status: HTTPStatus, text: str) -> None:
        self._send(status, "text/plain", f"{WARNING}: {text}\n".encode())

    def _send(self, status: HTTPStatus, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Keep silent: what is asked here is of no interest."""
