"""A hosted ledger and its service as a process of its own, as an operator runs them."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
ORIGIN = "ledger.example.org/one"
DEADLINE_SECONDS = 60.0
"""For a process to begin or to end on a busy machine."""

PROGRAM = (sys.executable, "-c", "from cli.main import main; main()")


@dataclass(frozen=True, slots=True)
class Answer:
    """What the service answered; header names in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Hosted:
    """A ledger in ``folder`` that listens on ``port``; ``token`` may append, ``admin`` measure."""

    folder: Path
    port: int
    vkeys: tuple[str, ...]
    token: str
    admin: str

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def guard(self) -> Path:
        return self.folder / "guard.sqlite"

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> "subprocess.Popen[bytes]":
        """The service, in a group of its own, when it answers; its log is ``folder/log``."""
        line = [*PROGRAM, "ledger", "serve", "--ledger", os.fspath(self.home)]
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(
                line, cwd=ROOT, stderr=log, stdin=subprocess.DEVNULL, start_new_session=True
            )
        until(lambda: self.is_up() or process.poll() is not None)
        return process

    @contextmanager
    def served(self) -> "Iterator[subprocess.Popen[bytes]]":
        """The service, until it is told to stop; it must end well."""
        process = self.start()
        try:
            assert process.poll() is None, (self.folder / "log").read_text()
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(DEADLINE_SECONDS)
        assert code == 0

    def is_up(self) -> bool:
        try:
            return self.get("/healthz").status == 200
        except OSError:
            return False

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, None, headers)

    def append(self, entries: list[bytes]) -> Answer:
        kind = {"Content-Type": "application/octet-stream"}
        given = kind | {"Authorization": f"Bearer {self.token}"}
        return self.ask("POST", "/v1/entries", b"".join(entries), given)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: dict[str, str],
        seconds: float = DEADLINE_SECONDS,
    ) -> Answer:
        """One request on a connection of its own; OSError, http.client.HTTPException."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=seconds)
        try:
            connection.request(method, path, body, headers)
            return read_answer(connection)
        finally:
            connection.close()


def read_answer(connection: http.client.HTTPConnection) -> Answer:
    with connection.getresponse() as got:
        headers = {name.lower(): value for name, value in got.getheaders()}
        return Answer(got.status, headers, got.read())


def make_hosted(folder: Path) -> Hosted:
    """A new ledger in ``folder``, with development TSAs, made by the commands that make one."""
    port = free_port()
    guard = folder / "guard.sqlite"
    home = folder / "home"
    words = ("--origin", ORIGIN, "--guard", guard, "--port", str(port), "--development")
    made = tally("init", home, *words)
    append, admin = (
        tally("token", "new", "lab", "--ledger", home, "--scope", scope)["token"]
        for scope in ("append", "admin")
    )
    return Hosted(folder, port, tuple(made["vkeys"]), append, admin)


def tally(*words: object) -> Any:
    """What `tally ledger …` says as JSON."""
    line = [*PROGRAM, "ledger", *map(str, words), "--json"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads(done.stdout)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def until(done: Callable[[], bool], seconds: float = DEADLINE_SECONDS) -> None:
    """Try until ``done``; it fails at the deadline."""
    pause, deadline = threading.Event(), time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline
        pause.wait(0.05)
