"""The proxies' files in docs/deploy, but for names and ports as they are, before the service."""

import contextlib
import http.client
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from service.appending import MAX_BODY_BYTES
from service.front import BODIES_OF_ONE
from tests.hosting import Answer, Hosted, free_port, make_hosted, read_answer, until
from tests.interop.log import entry

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
CUT_SECONDS = 10
"""After which both files cut off a slow client."""
LATE_SECONDS = 20
"""More than that, for a busy machine."""
PER_ADDRESS = 64
"""Requests at once that nginx takes from one address."""
POST = "POST /v1/entries HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"


@dataclass(frozen=True, slots=True)
class Front:
    """A proxy that runs before ``service``; ``folder`` has all that it writes."""

    name: str
    port: int
    folder: Path
    service: Hosted
    context: ssl.SSLContext

    def ask(self, method: str, path: str, body: object = None, **headers: str) -> Answer:
        connection = http.client.HTTPSConnection(
            "localhost", self.port, timeout=30, context=self.context
        )
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        with contextlib.closing(connection):
            # Who is refused early may not be read to the end.
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                connection.request(method, path, body, given)  # type: ignore[arg-type]
            return read_answer(connection)

    def append(self, body: object, **headers: str) -> Answer:
        given = {"Content_Type": "application/octet-stream", "Authorization": self.bearer}
        return self.ask("POST", "/v1/entries", body, **(given | headers))

    @property
    def bearer(self) -> str:
        return f"Bearer {self.service.token}"

    def open(self, text: str = "") -> ssl.SSLSocket:
        """A connection on which ``text`` was sent, and nothing more."""
        plain = socket.create_connection(("localhost", self.port), timeout=LATE_SECONDS)
        secured = self.context.wrap_socket(plain, server_hostname="localhost")
        secured.sendall(text.encode())
        return secured


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    names = [x509.DNSName("localhost"), x509.IPAddress(ip_address("127.0.0.1"))]
    today = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "key.pem").write_bytes(pem)


def put_in(name: str, changes: Mapping[str, str], folder: Path) -> Path:
    """The file ``name`` of docs/deploy with ``changes``, each of which it has to have."""
    text = (DEPLOY / name).read_text("utf-8")
    for old, new in changes.items():
        assert old in text, old
        text = text.replace(old, new)
    (folder / name).write_text(text, "utf-8")
    return folder / name


def nginx(folder: Path, port: int, service: Hosted) -> list[str]:
    places = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    kept = " ".join(f"{place}_temp_path {folder}/{place};" for place in places)
    changes = {
        "user www-data;": "",
        "/run/nginx.pid": f"{folder}/nginx.pid",
        "/var/log/nginx/error.log warn": f"{folder}/log info",
        "http {": f"http {{ {kept}",
        "127.0.0.1:8600": f"127.0.0.1:{service.port}",
        "listen 443": f"listen 127.0.0.1:{port}",
        "listen [::]:443 ssl http2;": "",
        "ledger.example;": "localhost;",
        "/etc/ssl/ledger.example/fullchain.pem": f"{folder}/cert.pem",
        "/etc/ssl/ledger.example/privkey.pem": f"{folder}/key.pem",
    }
    path = put_in("nginx.conf", changes, folder)
    return ["nginx", "-p", f"{folder}", "-c", f"{path}", "-e", f"{folder}/log", "-g", "daemon off;"]


def caddy(folder: Path, port: int, service: Hosted) -> list[str]:
    changes = {
        "auto_https disable_redirects": "auto_https disable_redirects\n\tadmin off",
        "127.0.0.1:8600": f"127.0.0.1:{service.port}",
        "\nledger.example {": (
            f"\nhttps://localhost:{port} {{\n\tbind 127.0.0.1"
            f"\n\ttls {folder}/cert.pem {folder}/key.pem"
        ),
    }
    path = put_in("Caddyfile", changes, folder)
    return ["caddy", "run", "--config", f"{path}", "--adapter", "caddyfile"]


FRONTS: dict[str, Callable[[Path, int, Hosted], list[str]]] = {"nginx": nginx, "caddy": caddy}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    hosted = make_hosted(tmp_path_factory.mktemp("hosted"))
    with hosted.served():
        yield hosted


@contextlib.contextmanager
def running(name: str, folder: Path, service: Hosted) -> Iterator[Front]:
    """The proxy ``name`` before ``service``, with all its files in ``folder``."""
    if shutil.which(name) is None:
        pytest.skip(f"no {name} is here")
    make_certificate(folder)
    port = free_port()
    line = FRONTS[name](folder, port, service)
    environment = {**os.environ, "XDG_DATA_HOME": f"{folder}", "XDG_CONFIG_HOME": f"{folder}"}
    context = ssl.create_default_context(cafile=folder / "cert.pem")
    front = Front(name, port, folder, service, context)
    with (folder / "out").open("wb") as out:
        process = subprocess.Popen(line, env=environment, stdout=out, stderr=out)
    try:
        until(lambda: process.poll() is not None or answers(front))
        assert process.poll() is None, (folder / "out").read_text()
        yield front
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(LATE_SECONDS)


@pytest.fixture(scope="module", params=sorted(FRONTS))
def front(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, service: Hosted
) -> Iterator[Front]:
    with running(request.param, tmp_path_factory.mktemp(request.param), service) as started:
        yield started


def answers(front: Front) -> bool:
    try:
        return front.ask("GET", "/healthz").status == 200
    except OSError:
        return False


def test_an_append_and_what_is_public_come_through_with_their_headers(front: Front) -> None:
    start = 1 if front.name == "caddy" else 1_000_000
    body = b"".join(entry(number) for number in range(start, start + 1000))
    appended = front.append(body)
    assert (appended.status, len(appended.json["indexes"])) == (200, 1000)
    assert appended.headers["cache-control"] == "no-store"
    assert appended.headers["strict-transport-security"] == "max-age=31536000"
    kept = ("cache-control", "content-type", "content-length", "access-control-allow-origin")
    kept += ("content-security-policy", "x-content-type-options", "cross-origin-resource-policy")
    for path in (
        "/checkpoint",
        "/tile/0/000",
        "/tile/entries/000",
        "/v1/ledger",
        "/tile/0/x999/000",
    ):
        through, at_home = front.ask("GET", path), front.service.get(path)
        assert (through.status, through.body) == (at_home.status, at_home.body)
        assert [through.headers.get(name) for name in kept] == [
            at_home.headers.get(name) for name in kept
        ]
    tile = front.ask("GET", "/tile/0/000", Accept_Encoding="gzip")
    assert "immutable" in tile.headers["cache-control"]
    assert len(tile.body) == 256 * 32


def test_measurements_stay_inside_even_with_a_good_token(front: Front) -> None:
    given = f"Bearer {front.service.admin}"
    assert front.service.get("/metrics", Authorization=given).status == 200
    assert front.ask("GET", "/metrics", Authorization=given).status == 404
    assert front.ask("GET", "//metrics", Authorization=given).status in {308, 404}


@pytest.mark.parametrize("size", [MAX_BODY_BYTES + 1, 2_000_000])
def test_a_body_too_large_is_told_so(front: Front, size: int) -> None:
    assert front.append(b"x" * size).status == 413


def test_a_body_in_chunks_is_taken_with_its_length_or_not_at_all(front: Front) -> None:
    want = 200 if front.name == "nginx" else 411
    assert front.append(iter([entry(7), entry(8)])).status == want


def test_a_header_too_large_is_refused(front: Front) -> None:
    assert front.ask("GET", "/checkpoint", X_Large="x" * 100_000).status in {400, 431}


def test_slow_clients_are_cut_off_and_hold_nothing_of_the_service(front: Front) -> None:
    with contextlib.ExitStack() as stack:
        begun = ["", "GET /checkpoint HTTP/1.1\r\nHost: loc"]
        # More than the service would read of one token; but nginx takes only so many from one
        # address.
        count = PER_ADDRESS - 4 if front.name == "nginx" else 2 * BODIES_OF_ONE
        begun += [f"{POST}Authorization: {front.bearer}\r\nContent-Length: 64\r\n\r\nx"] * count
        slow = [stack.enter_context(front.open(text)) for text in begun]
        began = time.monotonic()
        for number in range(8):
            assert front.append(entry(2_000_000 + number)).status == 200
        assert front.service.get("/healthz").status == 200
        # Nobody waited for a slow one to be cut off.
        assert time.monotonic() < began + CUT_SECONDS
        for one in slow:
            one.settimeout(max(began + CUT_SECONDS + LATE_SECONDS - time.monotonic(), 0.1))
            rest = b"".join(iter(lambda one=one: ended(one), b""))  # type: ignore[misc]
            # Caddy 2.6 says an empty 200 to who is cut off in a body: no holder takes that for one.
            assert b" 200 " not in rest or b"Content-Length: 0\r\n" in rest
            assert b"indexes" not in rest
    assert front.append(entry(2_000_100)).status == 200


def ended(one: ssl.SSLSocket) -> bytes:
    """What still comes; nothing when it was cut off. TimeoutError if it was not."""
    try:
        return one.recv(1000)
    except (ConnectionResetError, ssl.SSLError):
        return b""


def test_nginx_takes_so_many_requests_at_once_from_one_address(
    tmp_path: Path, service: Hosted
) -> None:
    with running("nginx", tmp_path, service) as front, contextlib.ExitStack() as stack:
        for _ in range(PER_ADDRESS):
            stack.enter_context(front.open(f"{POST}Content-Length: 64\r\n\r\nx"))
        until(lambda: front.ask("GET", "/checkpoint").status == 429)
        assert service.get("/checkpoint").status == 200
        stack.close()
        until(lambda: front.ask("GET", "/checkpoint").status == 200)


@pytest.mark.parametrize("name", sorted(FRONTS))
def test_nothing_a_proxy_writes_has_a_token_in_it(name: str, tmp_path: Path) -> None:
    """Not when all goes well, and not when the service is away."""
    (tmp_path / "ledger").mkdir()
    (tmp_path / "front").mkdir()
    hosted = make_hosted(tmp_path / "ledger")
    with contextlib.ExitStack() as stack:
        with hosted.served():
            front = stack.enter_context(running(name, tmp_path / "front", hosted))
            assert front.append(entry(1)).status == 200
            assert front.append(b"x").status == 400
        assert front.append(entry(2)).status == 502
    written = [path for path in front.folder.rglob("*") if path.is_file()]
    assert any(b"127.0.0.1" in path.read_bytes() for path in written)
    secret = hosted.token.rpartition("_")[2].encode()
    assert [path for path in written if secret in path.read_bytes()] == []
    assert b"Bearer" not in b"".join(path.read_bytes() for path in written)
