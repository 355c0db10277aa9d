"""The development TSA over HTTP: our own client, openssl and curl, and clients that misbehave."""

import http.client
import shutil
import socket
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Thread

import pytest

from ledger.operator import devserver
from ledger.operator.devserver import QUERY, REPLY, DevelopmentServer
from ledger.operator.devtsa import WARNING, DevelopmentTsa
from ledger.operator.tsa import HttpTsa, request_token
from ledger.proof.roots import parse_pem
from ledger.timestamp.request import MAX_REQUEST_BYTES, format_request
from ledger.timestamp.token import parse_response, parse_token

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TSA = DevelopmentTsa.create("one", lambda: NOW)
FILE = b"signed checkpoint"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[DevelopmentServer]:
    monkeypatch.setenv("no_proxy", "*")
    with DevelopmentServer(TSA) as made:
        Thread(target=made.serve_forever, args=(0.01,), daemon=True).start()
        yield made
        made.shutdown()


def asked(
    server: DevelopmentServer, method: str, body: bytes | None = None, **headers: str
) -> tuple[int, str | None, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, "/any/path", body, named)
    answer = connection.getresponse()
    content = answer.read()
    connection.close()
    return answer.status, answer.headers["Content-Type"], content


def test_our_own_client_gets_a_token(server: DevelopmentServer) -> None:
    for _ in range(3):
        _, token = request_token(HttpTsa("one", server.url), FILE, lambda size: bytes(range(size)))
        assert (token.gen_time, token.is_development) == (NOW, True)


def test_query_is_answered_and_junk_is_rejected_in_the_protocols_own_words(
    server: DevelopmentServer,
) -> None:
    request = format_request(bytes(32), 7)
    status, kind, body = asked(server, "POST", request, Content_Type=QUERY)
    assert (status, kind, parse_token(body).nonce) == (200, REPLY, 7)
    status, kind, body = asked(server, "POST", b"junk", Content_Type=QUERY)
    assert (status, kind) == (200, REPLY)
    assert parse_response(body).failures == ("bad_data_format",)


def test_root_is_given_to_whoever_wants_to_pin_it(server: DevelopmentServer) -> None:
    status, _, body = asked(server, "GET")
    assert (status, parse_pem("root", body)) == (200, TSA.root)


@pytest.mark.parametrize(
    ("method", "body", "headers", "status"),
    [
        ("POST", b"x", {"Content_Type": "text/plain"}, 415),
        ("POST", bytes(MAX_REQUEST_BYTES + 1), {"Content_Type": QUERY}, 413),
        ("POST", b"", {"Content_Type": QUERY, "Content_Length": "x"}, 411),
        ("POST", b"", {"Content_Type": QUERY, "Content_Length": "-1"}, 411),
        ("POST", b"", {"Content_Type": QUERY, "Transfer_Encoding": "chunked"}, 411),
        ("PUT", b"x", {}, 501),
    ],
)
def test_what_is_no_query_is_refused(
    server: DevelopmentServer, method: str, body: bytes, headers: dict[str, str], status: int
) -> None:
    found, _, content = asked(server, method, body, **headers)
    assert found == status
    assert WARNING.encode() in content or status == 501


def test_silent_and_dripping_clients_are_cut_off_and_others_served_meanwhile(
    server: DevelopmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devserver, "CONNECTION_SECONDS", 0.2)
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as hanging:
        hanging.sendall(b"POST / HTTP/1.1\r\n")
        assert asked(server, "GET")[0] == 200
        assert hanging.recv(1) == b""


def test_more_connections_than_it_has_threads_are_closed(
    server: DevelopmentServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = ("127.0.0.1", server.server_port)
    hanging = [socket.create_connection(place, timeout=5) for _ in range(17)]
    assert hanging[-1].recv(1) == b""
    for one in hanging:
        one.close()


def test_client_that_breaks_off_says_nothing_on_stderr(
    server: DevelopmentServer, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=5) as one:
        one.sendall(b"POST / HTTP/1.1\r\nContent-Type: " + QUERY.encode())
        one.sendall(b"\r\nContent-Length: 50\r\n\r\nabc")
    assert asked(server, "GET")[0] == 200
    assert capfd.readouterr().err == ""


@pytest.mark.skipif(
    not (shutil.which("openssl") and shutil.which("curl")), reason="openssl or curl is not here"
)
def test_openssl_and_curl_use_it_as_any_tsa(server: DevelopmentServer, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(FILE)
    (tmp_path / "root.pem").write_bytes(asked(server, "GET")[2])
    at, url = str(int(NOW.timestamp())), server.url
    for line in (
        "openssl ts -query -data data -sha256 -cert -out query",
        f"curl -sf --noproxy * -H Content-Type:{QUERY} --data-binary @query -o reply {url}",
        f"openssl ts -verify -queryfile query -in reply -CAfile root.pem -attime {at}",
    ):
        done = subprocess.run(line.split(), cwd=tmp_path, capture_output=True, check=False)
        assert done.returncode == 0, done.stderr
