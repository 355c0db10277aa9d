"""A ledger's service in a few lines, on the loopback, that a test can make lie.

It speaks the paths that ``ledger.holder.wire`` asks for, over a ``LocalLedger`` in memory. What it
says is the ledger's, unless the test put something else in the place of a path.
"""

import base64
import hashlib
import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socketserver import TCPServer
from typing import Any

from ledger.errors import NotFoundError
from ledger.operator.guard import Guard
from ledger.operator.local import LocalLedger
from ledger.operator.sequencer import LedgerKeys
from ledger.operator.stamper import Stamper
from ledger.operator.store.memory import MemoryStore
from ledger.tlog.note import format_vkey
from ledger.tlog.tile import parse_tile_path
from service.log import newest_checkpoint
from tests.holding import CLOCK, TSAS
from tests.sequencer_checks import KEYS

TOKEN = "tally_00000000_" + "A" * 43
TREES_PER_PAGE = 2
OCTETS = "application/octet-stream"


@dataclass
class Answer:
    """What is sent: status, media type, body, and other headers; ``cut``: bytes of it left out."""

    body: bytes
    kind: str = OCTETS
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    cut: int = 0


Lie = Callable[[Answer], Answer]


def local_ledger(folder: Path, keys: LedgerKeys = KEYS, name: str = "guard") -> LocalLedger:
    """A ledger in memory, stamped by two development TSAs."""
    store = MemoryStore()
    stamper = Stamper(
        store,
        TSAS,
        wanted=2,
        minimum_interval=timedelta(0),
        clock=CLOCK,
        random_bytes=lambda size: bytes(range(size)),
    )
    guard = Guard(folder / f"{name}.sqlite")
    return LocalLedger(store, guard, keys, stamper, [tsa.root for tsa in TSAS])


class Service(ThreadingHTTPServer):
    """Serves ``ledger``, which a test may replace. ``lies``: by path, what is done to an answer."""

    daemon_threads = True

    def __init__(self, ledger: LocalLedger) -> None:
        self.ledger = ledger
        self.lies: dict[str, Lie] = {}
        self.asked: list[str] = []
        self.authorized: list[str] = []
        self.lock = threading.Lock()
        super().__init__(("127.0.0.1", 0), _Conversation)

    def server_bind(self) -> None:
        TCPServer.server_bind(self)
        self.server_name, self.server_port = self.socket.getsockname()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off is no news; anything else is told (the parent's parameters)."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def answer(self, path: str, body: bytes | None) -> Answer:
        try:
            return self._answer(path, body)
        except NotFoundError as error:
            return Answer(str(error).encode(), "text/plain", 404)

    def _answer(self, path: str, body: bytes | None) -> Answer:
        ledger = self.ledger
        if path == "v1/entries" and body is not None:
            entries = [body[at : at + 64] for at in range(0, len(body), 64)]
            indexes = ledger.append(entries)
            return _json({"indexes": indexes, "checkpoint": ledger.checkpoint().decode()})
        if path == "v1/ledger":
            return _json({"origin": ledger.origin, "vkeys": [*map(format_vkey, ledger.keys)]})
        if path == "checkpoint":
            return Answer(newest_checkpoint(ledger), "text/plain; charset=utf-8")
        if path.startswith("tile/"):
            return Answer(ledger.tiles([parse_tile_path(path)])[0])
        if path.startswith("v1/checkpoints/"):
            signed_file = ledger.signed_file(int(path.removeprefix("v1/checkpoints/")))
            return Answer(signed_file, "text/plain; charset=utf-8")
        if path.startswith("v1/stamps?from="):
            return _json(self._stamps(int(path.removeprefix("v1/stamps?from="))))
        if path.startswith("v1/stamps/"):
            return _json({"waiting_for": [{"tsa": "one", "reason": "not asked yet"}]})
        if path.startswith("v1/material"):
            return self._material(path.removeprefix("v1/material"))
        raise NotFoundError(path)

    def _material(self, rest: str) -> Answer:
        pieces = {hashlib.sha256(der).hexdigest(): der for der in self.ledger.certificates()}
        if not rest:
            rows = [{"kind": "certificate", "sha256": sha256} for sha256 in pieces]
            return _json({"material": rows})
        if rest[1:] not in pieces:
            raise NotFoundError(rest)
        return Answer(pieces[rest[1:]])

    def _stamps(self, start: int) -> dict[str, Any]:
        found = self.ledger.stamps(start)
        sizes = sorted({one.size for one in found})
        page = sizes[:TREES_PER_PAGE]
        return {
            "stamps": [
                {"size": one.size, "tsa": one.tsa, "response": _base64(one.response)}
                for one in found
                if one.size in page
            ],
            "next": page[-1] + 1 if len(sizes) > len(page) else None,
        }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _json(value: object) -> Answer:
    return Answer(json.dumps(value).encode(), "application/json")


class _Conversation(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self._converse(None)

    def do_POST(self) -> None:
        self._converse(self.rfile.read(int(self.headers["Content-Length"])))

    def _converse(self, body: bytes | None) -> None:
        path = self.path.removeprefix("/")
        with self.server.lock:
            self.server.asked.append(path)
            given = self.headers.get("Authorization")
            if given is not None:
                self.server.authorized.append(f"{path} {given}")
            if body is not None and given != f"Bearer {TOKEN}":
                answer = Answer(b"", status=401)
            else:
                answer = self.server.answer(path, body)
            answer = self.server.lies.get(path, lambda honest: honest)(answer)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.kind)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(answer.body[: len(answer.body) - answer.cut])

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the parent's name
        """Keep silent."""


@contextmanager
def serving(ledger: LocalLedger) -> Iterator[Service]:
    """The service over ``ledger`` while the block runs."""
    with Service(ledger) as service:
        thread = threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield service
        finally:
            service.shutdown()
            thread.join()
