"""One question, one bounded answer; every other ending is UnavailableError."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from typing import Any

import pytest

from ledger.doors.http import NoAnswer, exchange, get, post
from ledger.errors import UnavailableError


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "*")


@contextmanager
def server(
    answer: bytes,
    *,
    hold: bool = False,
    drip: bool = False,
    marker: bytes = b"\r\n\r\nquestion",
) -> Iterator[tuple[str, list[bytes]]]:
    """Answer one connection with these very bytes; ``hold`` it open, or ``drip`` them for ever."""
    asked: list[bytes] = []
    done = Event()

    def serve(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.settimeout(5)
            request = b""
            while marker not in request:
                request += connection.recv(4096)
            asked.append(request)
            try:
                connection.sendall(answer)
                while drip and not done.wait(0.02):
                    connection.sendall(b"x")
            except OSError:
                return
            if hold:
                done.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=serve, args=(listener,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}/path", asked
        finally:
            done.set()
            thread.join()


def ask(url: str, *, limit_bytes: int = 100, timeout_seconds: float = 5.0) -> bytes:
    return post(
        url,
        b"question",
        "application/question",
        accept="application/answer",
        limit_bytes=limit_bytes,
        timeout_seconds=timeout_seconds,
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Type: application/answer\r\n"


def test_answer_is_returned_whole() -> None:
    with server(OK + b"Content-Length: 6\r\n\r\nanswer") as (url, asked):
        assert ask(url) == b"answer"
    assert asked[0].startswith(b"POST /path HTTP/1.1\r\n")
    assert b"Content-Type: application/question\r\n" in asked[0]
    assert b"Accept: application/answer\r\n" in asked[0]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"\r\nanswer",
        OK + b"Transfer-Encoding: chunked\r\n\r\n3\r\nans\r\n3\r\nwer\r\n0\r\n\r\n",
        OK.replace(b"answer", b"Answer; charset=binary") + b"Content-Length: 6\r\n\r\nanswer",
    ],
)
def test_answer_without_length_in_chunks_or_with_parameters_is_taken(answer: bytes) -> None:
    with server(answer) as (url, _):
        assert ask(url) == b"answer"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "status 302"),
        (b"HTTP/1.1 307 Again\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "status 307"),
        (b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", "status 500"),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", "status 204"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 1\r\n\r\nx", "text/html"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", "text/plain"),
        (OK + b"Content-Length: 101\r\n\r\n" + b"x" * 101, "longer than 100"),
        (OK + b"\r\n" + b"x" * 101, "longer than 100"),
        (OK + b"Content-Length: 9\r\n\r\nanswer", "announced were 9|could not be asked"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nans", "could not be asked"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nans", "could not be asked"),
        (b"", "could not be asked"),
        (b"junk\r\n\r\n", "could not be asked"),
        (b"HTTP/1.1 abc OK\r\n\r\n", "could not be asked"),
    ],
)
def test_any_other_answer_is_unavailable(answer: bytes, message: str) -> None:
    with server(answer) as (url, _), pytest.raises(UnavailableError, match=message):
        ask(url)


def test_silence_is_unavailable() -> None:
    with server(b"", hold=True) as (url, _), pytest.raises(UnavailableError, match="timed out"):
        ask(url, timeout_seconds=0.1)


def test_answer_that_drips_for_ever_is_unavailable() -> None:
    answer = OK + b"Content-Length: 99999\r\n\r\n"
    with server(answer, drip=True) as (url, _), pytest.raises(UnavailableError, match="too long"):
        ask(url, limit_bytes=99_999, timeout_seconds=0.3)


def test_nobody_there_is_unavailable() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
    with pytest.raises(UnavailableError, match="could not be asked"):
        ask(url)


@pytest.mark.parametrize(
    "url", ["", "tsa", "ftp://127.0.0.1/", "file:///etc/hosts", "http://", "http://[::1"]
)
def test_url_that_is_not_http_is_the_callers_mistake(url: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)url"):
        ask(url)


@pytest.mark.parametrize("url", ["http://127.0.0.1:0x/", "http://127.0.0.1/a b"])
def test_url_that_cannot_be_asked_is_unavailable(url: str) -> None:
    with pytest.raises(UnavailableError):
        ask(url)


REFUSAL = b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n"
DATE = b"Date: Sun, 01 Mar 2026 12:00:00 GMT\r\n"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n", "redirect"),
        (b"HTTP/1.1 302 Found\r\nLocation: file:///etc/hosts\r\n\r\n", "redirect"),
        (REFUSAL + b"\r\n", "http-error"),
        (b"HTTP/1.1 204 Nothing\r\n\r\n", "http-error"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\nx", "content-type"),
        (OK + b"\r\n" + b"x" * 101, "oversize"),
        (OK + b"Content-Length: 9\r\n\r\nanswer", "cut-short"),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n9\r\nans", "cut-short"),
        (b"junk\r\n\r\n", "unreachable"),
    ],
)
def test_each_ending_has_its_word(answer: bytes, reason: str) -> None:
    with server(answer) as (url, _):
        assert told(url).reason == reason


def test_silence_dripping_and_nobody_there_have_their_words() -> None:
    with server(b"", hold=True) as (url, _):
        assert told(url, timeout_seconds=0.1).reason == "timeout"
    with server(OK + b"Content-Length: 99999\r\n\r\n", drip=True) as (url, _):
        assert told(url, limit_bytes=99_999, timeout_seconds=0.1).reason == "timeout"
    assert told(url).reason == "unreachable"
    with server(b"this is no TLS at all\r\n", marker=b"\x16\x03\x01") as (url, _):
        assert told(url.replace("http:", "https:")).reason == "tls"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (b"", None),
        (b"Retry-After: 120\r\n", 120),
        (b"Retry-After: -1\r\n", None),
        (b"Retry-After: soon\r\n", None),
        (b"Retry-After: 99999999999\r\n", None),
        (b"Retry-After: Sun, 01 Mar 2026 12:01:30 GMT\r\n" + DATE, 90),
        (b"Retry-After: Sun, 01 Mar 2026 11:00:00 GMT\r\n" + DATE, 0),
        (b"Retry-After: Sun, 01 Mar 2026 12:01:30 GMT\r\n", None),
        (b"Retry-After: Sun, 01 Mar 2026 12:01:30\r\n" + DATE, None),
    ],
)
def test_retry_after_is_read_in_seconds_or_against_the_senders_own_date(
    header: bytes, seconds: int | None
) -> None:
    with server(REFUSAL + header + b"\r\n") as (url, _):
        assert told(url).retry_after_seconds == seconds


def test_authorization_is_sent_as_given() -> None:
    with server(OK + b"Content-Length: 6\r\n\r\nanswer") as (url, asked):
        assert exchanged(url, authorization="Basic YTpi") == b"answer"
    assert b"Authorization: Basic YTpi\r\n" in asked[0]


def told(url: str, **options: Any) -> NoAnswer:
    answer = exchanged(url, **options)
    assert isinstance(answer, NoAnswer)
    assert answer.text
    return answer


def exchanged(url: str, **options: Any) -> bytes | NoAnswer:
    given = {"accept": "application/answer", "limit_bytes": 100, "timeout_seconds": 5.0} | options
    return exchange(url, b"question", "application/question", **given)


def test_get_asks_without_a_body_and_past_every_cache() -> None:
    answer = OK + b"Content-Length: 6\r\n\r\nanswer"
    with server(answer, marker=b"\r\n\r\n") as (url, asked):
        given = get(
            url,
            accept="application/answer",
            limit_bytes=6,
            timeout_seconds=5,
            authorization="Bearer x",
        )
    assert given == b"answer"
    request = asked[0].lower()
    assert request.startswith(b"get /path http/1.1\r\n")
    assert b"cache-control: no-cache\r\n" in request
    assert b"authorization: bearer x\r\n" in request
    assert b"content-type" not in request


@pytest.mark.parametrize("status", [202, 404, 503])
def test_status_of_another_answer_is_told(status: int) -> None:
    text = f"HTTP/1.1 {status} X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
    with server(text.encode(), marker=b"\r\n\r\n") as (url, _):
        given = get(url, accept="application/answer", limit_bytes=6, timeout_seconds=5)
    assert isinstance(given, NoAnswer)
    assert (given.reason, given.status, given.retry_after_seconds) == ("http-error", status, 7)
