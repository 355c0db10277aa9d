"""The service as it is run: in its own processes, asked over real sockets, told to stop, killed."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from ledger.operator.access import ACCESS_FILE, Access
from ledger.operator.hosted import make_hosted as make_home
from ledger.operator.hosted_settings import HostedSettings
from service.appending import MAX_BODY_BYTES
from service.front import BODIES_OF_ONE, BODY_SECONDS
from tests.hosting import DEADLINE_SECONDS, PROGRAM, ROOT, Hosting, entries, hosting, is_up, until
from tests.service.conftest import OCTETS

pytestmark = pytest.mark.slow


@pytest.fixture
def served(home: Path, tmp_path: Path) -> Iterator[Hosting]:
    with hosting(home, tmp_path / "log") as running:
        yield running


@pytest.fixture
def token(home: Path) -> str:
    with closing(Access(home / ACCESS_FILE)) as access:
        return access.new("lab")


def append(port: int, token: str, body: bytes) -> tuple[int, bytes]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as asked:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": OCTETS}
        asked.request("POST", "/v1/entries", body, headers)
        answer = asked.getresponse()
        return answer.status, answer.read()


def append_head(token: str, length: str) -> str:
    """The head of an append. ``length``: the header that says how its body ends."""
    return (
        f"POST /v1/entries HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: {OCTETS}\r\n{length}\r\n\r\n"
    )


def converse(port: int, *parts: bytes) -> bytes:
    """Send ``parts`` as they are; what comes back until the other side closes, or for a while."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as talk:
        with contextlib.suppress(ConnectionError):
            for part in parts:
                talk.sendall(part)
        heard = b""
        with contextlib.suppress(TimeoutError, ConnectionError):
            while part := talk.recv(65_536):
                heard += part
                if b"\r\n\r\n" in heard and heard.endswith(b"}"):
                    break
        return heard


def test_told_to_stop_it_answers_what_it_took_and_ends(served: Hosting, token: str) -> None:
    answers: list[int] = []

    def send(number: int) -> None:
        with contextlib.suppress(ConnectionError, http.client.HTTPException):
            answers.append(append(served.port, token, entries(1, number)[0])[0])

    threads = [threading.Thread(target=send, args=(number,)) for number in range(40)]
    for thread in threads:
        thread.start()
    until(lambda: bool(answers))
    served.process.send_signal(signal.SIGTERM)
    assert served.process.wait(DEADLINE_SECONDS) == 0
    for thread in threads:
        thread.join()
    assert set(answers) == {200}
    # What comes next finds everything closed, and goes on.
    with hosting(served.home, served.log) as again:
        status, body = append(again.port, token, entries(1, 1000)[0])
    assert (status, json.loads(body)["indexes"][0] >= len(answers)) == (200, True)


def test_a_second_service_of_one_ledger_is_refused(served: Hosting) -> None:
    line = [*PROGRAM, "ledger", "serve", "--ledger", os.fspath(served.home)]
    environment = {**os.environ, "TALLY_LEDGER_PORT": "0"}
    ran = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 3
    assert "another process serves the ledger" in ran.stderr
    assert is_up(served.url)


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1"])
def test_where_nobody_could_listen_nothing_is_served(
    served: Hosting, tmp_path: Path, host: str
) -> None:
    """Two ledgers on one port would each answer half of what is asked."""
    settings = HostedSettings(
        "two.example.org", str(tmp_path / "second-guard"), development=True, port=served.port
    )
    make_home(tmp_path / "second", settings)
    line = [*PROGRAM, "ledger", "serve", "--ledger", os.fspath(tmp_path / "second")]
    environment = {**os.environ, "TALLY_LEDGER_HOST": host}
    ran = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert ran.returncode == 3
    assert f"cannot listen on {host} port {served.port}" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert is_up(served.url)


def test_when_the_listening_process_is_killed_the_ledger_is_let_go(
    served: Hosting, token: str
) -> None:
    served.process.send_signal(signal.SIGKILL)
    served.process.wait(DEADLINE_SECONDS)

    def is_free() -> bool:
        try:
            os.killpg(served.process.pid, 0)
        except ProcessLookupError:
            return True
        return False

    until(is_free)
    with hosting(served.home, served.log) as again:
        assert append(again.port, token, entries(1)[0])[0] == 200


@pytest.mark.parametrize(
    "length", [MAX_BODY_BYTES + 1, 1 << 40, (1 << 64) + 1], ids=["one more", "a TiB", "overflow"]
)
def test_a_huge_body_is_refused_before_it_is_read(served: Hosting, token: str, length: int) -> None:
    head = append_head(token, f"Content-Length: {length}")
    heard = converse(served.port, head.encode(), bytes(1 << 16))
    assert heard.startswith((b"HTTP/1.1 413", b"HTTP/1.1 400"))
    assert is_up(served.url)


@pytest.mark.parametrize("chunks", [8, 0], ids=["without end", "none"])
def test_a_body_in_chunks_is_refused(served: Hosting, token: str, chunks: int) -> None:
    head = append_head(token, "Transfer-Encoding: chunked").encode()
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    heard = converse(served.port, head, *[chunk] * chunks)
    assert heard.startswith(b"HTTP/1.1 411")
    assert is_up(served.url)


@pytest.mark.parametrize("length", ["Content-Length: 128", "Transfer-Encoding: chunked"])
def test_a_body_that_breaks_off_appends_nothing(served: Hosting, token: str, length: str) -> None:
    head = append_head(token, length).encode()
    body = b"40\r\n" if "chunked" in length else b""
    before = append(served.port, token, entries(1)[0])
    for end in (socket.SHUT_WR, socket.SHUT_RDWR):
        with socket.create_connection(("127.0.0.1", served.port), timeout=10) as talk:
            talk.sendall(head + body + b"e" * 64)
            talk.shutdown(end)
            heard = talk.recv(1000)
        assert not heard.startswith(b"HTTP/1.1 2")
    assert append(served.port, token, entries(1)[0]) == before
    assert json.loads(append(served.port, token, b"e" * 64)[1])["indexes"] > [0]
    assert '"fault"' not in served.log.read_text("utf-8")


def test_a_body_that_dawdles_is_cut_off(served: Hosting, token: str) -> None:
    head = append_head(token, "Content-Length: 64").encode()
    with socket.create_connection(("127.0.0.1", served.port), timeout=6 * BODY_SECONDS) as talk:
        talk.sendall(head + b"e" * 10)
        assert talk.recv(1000).startswith(b"HTTP/1.1 408")


def test_addresses_are_read_as_they_are_meant(served: Hosting) -> None:
    for path, status in {
        "/entries/%30": 200,
        "/entries/0%3Flang=zh": 404,
        "/entries/%ff": 404,
        "/entries/%E4%BD%A0": 404,
        "/%63heckpoint?x=%ff": 200,
    }.items():
        heard = converse(served.port, f"GET {path} HTTP/1.0\r\nHost: x\r\n\r\n".encode())
        assert heard.startswith(f"HTTP/1.0 {status}".encode()), path


def test_only_the_head_is_answered_to_who_asks_for_the_head(served: Hosting) -> None:
    heard = converse(served.port, b"HEAD /healthz HTTP/1.0\r\nHost: x\r\n\r\n")
    assert heard.startswith(b"HTTP/1.0 200")
    assert b"content-length: 19\r\n" in heard
    assert heard.endswith(b"\r\n\r\n")


@pytest.mark.parametrize(
    "request_",
    [
        b"\r\n\r\n",
        b"GET\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(200),
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20_000 + b"\r\n",
        b"POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
)
def test_what_is_no_http_harms_nobody(served: Hosting, request_: bytes) -> None:
    heard = converse(served.port, request_)
    assert heard == b"" or heard.startswith(b"HTTP/1.1 4")
    assert is_up(served.url)


def test_the_log_is_json_and_has_no_token_and_no_entry(served: Hosting, token: str) -> None:
    entry = entries(1)[0]
    append(served.port, token, entry)
    converse(served.port, b"GET /v1/receipts/" + b"A" * 86 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    append(served.port, "tally_0a0a0a0a_" + "s" * 43, entry)
    until(lambda: served.log.read_text().count('"answered"') >= 2)
    text = served.log.read_text("utf-8")
    for line in text.splitlines():
        assert {"event", "level", "timestamp"} <= set(json.loads(line))
    for secret in (token, token.split("_")[2], "s" * 43, "A" * 86, entry.hex()):
        assert secret not in text


def test_the_head_of_a_request_has_its_time(served: Hosting) -> None:
    """Somebody who begins a request and goes silent does not keep the connection for ever."""
    with socket.create_connection(("127.0.0.1", served.port), timeout=60) as talk:
        talk.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n")
        heard = talk.recv(1000)  # TimeoutError, and with it the test, if nobody hangs up
        assert heard == b"" or heard.startswith(b"HTTP/1.1 408")


def test_bodies_that_dawdle_stop_nobody_else(served: Hosting, home: Path) -> None:
    with closing(Access(home / ACCESS_FILE)) as access:
        slow, other = access.new("slow"), access.new("other")
    head = append_head(slow, "Content-Length: 64")
    with contextlib.ExitStack() as stack:
        for _ in range(2 * BODIES_OF_ONE):
            talk = socket.create_connection(("127.0.0.1", served.port), timeout=10)
            stack.enter_context(talk).sendall(head.encode() + b"a" * 10)
        for number in range(3):
            assert is_up(served.url)
            assert append(served.port, other, entries(1, number)[0])[0] == 200
    # Whoever was cut off in the midst of a body appended nothing.
    status, body = append(served.port, slow, entries(1, 3)[0])
    assert status == 200
    assert json.loads(body)["checkpoint"].split("\n")[1] == str(json.loads(body)["indexes"][0] + 1)
