"""The whole life of a vault whose ledger is the real service, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cli.tsas import development_trust
from ledger.doors.http import NoAnswer, get
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.hosted import system_clock
from ledger.tlog.note import parse_vkey
from tests.cli.conftest import Tally

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 60.0
"""For a service to begin, to end, and to have a tree stamped, on a busy machine."""


def until(done: object) -> None:
    """Try until ``done()`` is true; it fails at the deadline."""
    pause, deadline = threading.Event(), time.monotonic() + DEADLINE_SECONDS
    while not done():  # type: ignore[operator]  # a function
        assert time.monotonic() < deadline
        pause.wait(0.1)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def served(home: Path, url: str) -> Iterator[None]:
    """The service of the ledger in ``home``, until it is told to stop."""
    start = "from cli.main import main; main()"
    line = [sys.executable, "-c", start, "ledger", "serve", "--ledger", os.fspath(home)]
    with subprocess.Popen(line, cwd=ROOT, stderr=subprocess.DEVNULL) as process:
        try:
            until(lambda: is_up(url) or process.poll() is not None)
            yield
        finally:
            process.send_signal(signal.SIGTERM)
            code = process.wait(DEADLINE_SECONDS)
        assert code == 0


def is_up(url: str) -> bool:
    answer = get(f"{url}/checkpoint", accept="text/plain", limit_bytes=1 << 20, timeout_seconds=5)
    return not isinstance(answer, NoAnswer)


def trust_of(home: Path, vkeys: list[str], place: Path) -> Path:
    """A trust file for this ledger and its development TSAs."""
    names = [f"development-{number}" for number in (1, 2)]
    pems = [(home / f"{name}.pem").read_bytes() for name in names]
    tsas = [DevelopmentTsa.from_pem(pem, system_clock) for pem in pems]
    policy = "\n".join([*(f"log {vkey}" for vkey in vkeys), "quorum none"])
    tables = [line for tsa in tsas for line in development_trust(tsa)]
    path = place / "trust.toml"
    path.write_text("\n".join([f'tlog = """\n{policy}\n"""', *tables]) + "\n", "utf-8")
    return path


@pytest.mark.slow
def test_whole_life_with_the_real_service_and_a_restart_of_it(
    bare: Tally, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    home, token_file, port = tmp_path / "hosted", tmp_path / "token", free_port()
    url = f"http://127.0.0.1:{port}"
    words = ("--origin", "example.org/log", "--guard", tmp_path / "guard.sqlite", "--port", port)
    made = bare.json("ledger", "init", home, *words, "--development")
    assert bare("ledger", "token", "new", "lab", "--ledger", home, "-o", token_file).code == 0
    files = [bare.work / f"{name}.txt" for name in "abcd"]
    for path in files:
        path.write_bytes(path.name.encode())

    with served(home, url):
        ran = bare("init", "--ledger", url, "--token-file", token_file)
        assert (ran.code, "example.org/log" in ran.out) == (0, True), ran.err
        ran = bare("anchor", files[0])
        assert "anchored" in ran.out
        until(lambda: bare("sync").code == 0)

    # The network is away: no service is there.
    for path in files[1:3]:
        assert bare("anchor", path).code == 3
    assert bare.json("status", code=3)["queued"] == [2, 3]
    assert bare("bundle", "1", "-o", "offline.zip").code == 0

    with served(home, url):
        assert bare.json("sync", code=3)["sent"] == 2
        assert "anchored" in bare("anchor", files[3]).out
        until(lambda: bare("sync").code == 0)
        assert bare("bundle", "1", "2", "3", "4", "-o", "x.zip").code == 0
        rows = bare.json("log")["records"]

    # A cover, the enrolment of the notebook's key, and the records, in their order.
    assert [row["index"] for row in rows] == sorted(row["index"] for row in rows)
    assert all(row["receipt"] for row in rows)
    vkeys = made["vkeys"]
    assert {parse_vkey(vkey).name for vkey in vkeys} == {"example.org/log"}
    trust = trust_of(home, vkeys, bare.work)
    for name in ("offline.zip", "x.zip"):
        ran = bare("verify", name, "--trust", trust)
        assert ran.code == 0, ran.out
    assert bare("vault", "check", "--all").code == 0
    assert bare("status").code == 0
    assert not (bare.vault / "evidence").exists()
