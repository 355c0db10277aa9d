"""URLs out of certificates: public addresses alone, bounded answers, redirects on one host."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from ledger.doors import foreign
from ledger.doors.foreign import MAX_REDIRECTS, MAX_URL_CHARACTERS, fetch, is_public
from ledger.errors import UnavailableError
from tests.revoking import Site, serving

KIND = "application/pkix-crl"


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@pytest.fixture
def site() -> Iterator[Site]:
    with serving() as made:
        made.files["/a"] = (KIND, b"answer")
        yield made


def ask(url: str, **options: Any) -> bytes:
    given = {"limit_bytes": 100, "timeout_seconds": 5.0, "allow_private": True} | options
    return fetch(url, accept=(KIND, "application/octet-stream"), **given)


def test_the_answer_is_returned_whole(site: Site) -> None:
    assert ask(f"{site.url}/a") == b"answer"
    site.files["/b"] = ("application/octet-stream; x=y", b"other")
    assert ask(f"{site.url}/b") == b"other"


def test_a_body_is_posted(site: Site) -> None:
    site.posts["/ocsp"] = lambda body: body[::-1]
    url, wanted = f"{site.url}/ocsp", ("application/ocsp-response",)
    got = fetch(
        url,
        accept=wanted,
        limit_bytes=100,
        timeout_seconds=5,
        body=b"question",
        content_type="application/ocsp-request",
        allow_private=True,
    )
    assert got == b"noitseuq"


def test_any_other_answer_is_unavailable(site: Site) -> None:
    site.files["/html"] = ("text/html", b"answer")
    site.files["/long"] = (KIND, b"x" * 101)
    for path, message in (
        ("/none", "status 404"),
        ("/html", "answer is 'text/html'"),
        ("/long", "has 101 bytes, want at most 100"),
    ):
        with pytest.raises(UnavailableError, match=message):
            ask(site.url + path)


def test_redirects_stay_on_the_host_and_are_few(site: Site) -> None:
    site.moved |= {"/r1": "/a", "/r2": f"{site.url}/r1", "/r3": "/r2", "/loop": "/loop"}
    assert ask(f"{site.url}/r1") == ask(f"{site.url}/r2") == b"answer"
    assert MAX_REDIRECTS == 2
    site.moved |= {
        "/other": "http://localhost.example/a",
        "/port": "http://127.0.0.1:1/a",
        "/file": "file:///etc/hosts",
        "/ftp": "ftp://127.0.0.1/a",
    }
    for path in ("/r3", "/loop", "/other", "/port", "/file", "/ftp"):
        with pytest.raises(UnavailableError, match="status 302"):
            ask(site.url + path)


def test_a_posted_question_is_not_redirected(site: Site) -> None:
    site.moved["/ocsp"] = "/a"
    with pytest.raises(UnavailableError, match="status"):
        ask(f"{site.url}/ocsp", body=b"question", content_type="text/plain")


def test_a_slow_server_is_unavailable(site: Site) -> None:
    site.slow.add("/a")
    with pytest.raises(UnavailableError, match=r"too long|timed out"):
        ask(f"{site.url}/a", timeout_seconds=0.1)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "issuer.crl",
        "ldap://ldap.example/cn=x",
        "file:///etc/hosts",
        "ftp://ftp.example/x",
        "http://",
        "http://[::1",
        "http://user:secret@crl.example/x",
        "http://crl.example/a b",
        "http://crl.example/a\r\nX: y",
        "http://crl.example:99999/",
        "http://crl.exämple/",
        "http://crl.example/" + "x" * MAX_URL_CHARACTERS,
    ],
)
def test_what_is_no_url_to_ask_is_unavailable(url: str) -> None:
    for private in (True, False):
        with pytest.raises(UnavailableError, match="not a URL that is asked"):
            ask(url, allow_private=private)


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "localhost",
        "a.localhost.",
        "[::1]",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "240.0.0.1",
        "[fe80::1]",
        "[fd00::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::7f00:1]",
        "[2002:7f00:1::]",
    ],
)
def test_addresses_that_are_not_public_are_not_asked(host: str) -> None:
    with pytest.raises(UnavailableError, match="not a public address"):
        ask(f"http://{host}/x", allow_private=False)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_leads_to_a_private_address_is_not_asked(
    site: Site, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    port = int(site.url.rsplit(":", 1)[1])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in PAIR]
    monkeypatch.setattr(foreign.socket, "getaddrinfo", lambda *_, **__: found)
    with pytest.raises(UnavailableError, match="has an address that is not public"):
        ask(f"{scheme}://crl.example:{port}/a", allow_private=False)
    assert site.asked == []


PAIR = ("8.8.8.8", "127.0.0.1")


def test_a_name_is_asked_at_the_address_that_was_looked_at(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(site.url.rsplit(":", 1)[1])
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("8.8.8.8", port))]
    monkeypatch.setattr(foreign.socket, "getaddrinfo", lambda *_, **__: found)
    reached: list[object] = []

    def connect(address: tuple[str, int], timeout: float) -> socket.socket:
        reached.append(address)
        made = socket.socket()
        made.settimeout(timeout)
        made.connect(("127.0.0.1", address[1]))
        return made

    monkeypatch.setattr(foreign.socket, "create_connection", connect)
    assert ask(f"http://crl.example:{port}/a", allow_private=False) == b"answer"
    assert reached == [("8.8.8.8", port)]


def test_public_addresses_are_public() -> None:
    assert all(map(is_public, ("8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8")))
