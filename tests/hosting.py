"""A hosted ledger to try things with; and served for real, in processes of its own."""

import http.client
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ledger.doors.http import NoAnswer, get
from ledger.operator.hosted import make_hosted as make_home
from ledger.operator.hosted_settings import HostedSettings

ORIGIN = "ledger.example.org/one"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)

ROOT = Path(__file__).parents[1]
PROGRAM = (sys.executable, "-c", "from cli.main import main; main()")

DEADLINE_SECONDS = 60.0
"""For a service to begin and to end on a busy machine."""


@dataclass
class Clock:
    """A clock that a test sets."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time


def entries(count: int, start: int = 0) -> list[bytes]:
    """Entries as they could be; the same in every run."""
    return [number.to_bytes(8, "big") * 8 for number in range(start + 1, start + count + 1)]


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hosted ledger just made, with its guard beside it: copied, since keys take their time."""
    folder = tmp_path_factory.mktemp("hosted")
    settings = HostedSettings(
        ORIGIN, str(folder / "guard.sqlite"), development=True, stamp_interval_seconds=0
    )
    make_home(folder / "home", settings, Clock())
    return folder


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """A new ledger in a folder of its own."""
    copied = tmp_path / "hosted"
    shutil.copytree(made_home, copied)
    settings = copied / "home" / "ledger.toml"
    text = settings.read_text("utf-8").replace(str(made_home), str(copied))
    settings.write_text(text, "utf-8")
    return copied / "home"


@dataclass
class Hosting:
    """A service that runs. ``log``: the file its stderr goes to."""

    home: Path
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def kill(self) -> None:
        """Kill it and what it started, as losing power does to processes."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE_SECONDS)


def until(done: Callable[[], bool], why: Callable[[], str] = lambda: "too late") -> None:
    """Try until ``done()``; it fails at the deadline."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_SECONDS
    while not done():
        assert time.monotonic() < deadline, why()
        pause.wait(0.05)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def start_serving(home: Path, log: Path, **environment: str) -> subprocess.Popen[bytes]:
    """Start the service of the ledger in ``home``, in a process group of its own."""
    line = [*PROGRAM, "ledger", "serve", "--ledger", os.fspath(home)]
    with log.open("ab") as file:
        return subprocess.Popen(
            line,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
            env={**os.environ, **environment},
        )


@contextmanager
def hosting(home: Path, log: Path) -> Iterator[Hosting]:
    """The service of the ledger in ``home`` at a free port, while the block runs; then killed."""
    port = free_port()
    settings = home / "ledger.toml"
    settings.write_text(
        re.sub(r"(?m)^port = \d+", f"port = {port}", settings.read_text("utf-8")), "utf-8"
    )
    process = start_serving(home, log)
    made = Hosting(home, f"http://127.0.0.1:{port}", process, log)
    try:
        until(
            lambda: is_up(made.url) or process.poll() is not None,
            lambda: log.read_text("utf-8", "replace"),
        )
        assert process.poll() is None, log.read_text("utf-8", "replace")
        yield made
    finally:
        if process.poll() is None:
            made.kill()


def is_up(url: str) -> bool:
    """Whether somebody answers at ``url``."""
    answer = get(f"{url}/healthz", accept="application/json", limit_bytes=999, timeout_seconds=5)
    return not isinstance(answer, NoAnswer)


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
        process = start_serving(self.home, self.folder / "log")
        until(lambda: is_up(self.url) or process.poll() is not None)
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
