"""The verifier's page: who may reach it, what becomes of uploads, what it answers."""

import contextlib
import http.client
import io
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import flask
import pytest
from flask.testing import FlaskClient
from werkzeug.serving import BaseWSGIServer
from werkzeug.test import TestResponse

from ledger.errors import MalformedError, UnavailableError
from ledger.proof.verdict import Finding, Outcome, Verdict
from ledger.report.style import POLICY
from service.desk import KEPT_VERDICTS, create_desk, make_desk_server, serve_desk
from service.desk_upload import MAX_NAME_BYTES, plain_name
from service.desk_words import WORDS

TOKEN = "0123456789abcdef" * 4
PORT = 8765
HERE = f"http://127.0.0.1:{PORT}"
LIMIT = 200_000


def make_verdict() -> Verdict:
    finding = Finding("index", Outcome.PROVEN, "complete", {"files": 2}, required=True)
    return Verdict(
        findings=(finding,),
        records=(),
        tokens=(),
        carrier_checked=False,
        independent=True,
        not_after=datetime(2026, 11, 22, 12, 6, 1, tzinfo=UTC),
        first_not_after=None,
        not_before=None,
        checked_at=datetime(2026, 11, 23, tzinfo=UTC),
        clock="system clock",
        tool="tallystick 0",
        trust_sha256="aa" * 32,
        bundle_sha256="bb" * 32,
    )


@dataclass
class Checker:
    """Stands in for the real check; remembers what it was given, and what lay in the folder."""

    folder: Path
    error: Exception | None = None
    calls: list[tuple[str, list[tuple[str, bytes]], bytes | None, str]] = field(
        default_factory=list
    )
    seen: list[Path] = field(default_factory=list)

    def __call__(
        self, bundle: Path, carriers: Sequence[Path], trust: Path | None, language: str
    ) -> Verdict:
        self.seen = [path for path in self.folder.rglob("*") if path.is_file()]
        found = [(path.name, path.read_bytes()) for path in carriers]
        own = None if trust is None else trust.read_bytes()
        self.calls.append((bundle.read_bytes().decode(), found, own, language))
        if self.error is not None:
            raise self.error
        return make_verdict()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture
def checker(folder: Path) -> Checker:
    return Checker(folder)


@pytest.fixture
def desk(checker: Checker, folder: Path) -> flask.Flask:
    return create_desk(checker, token=TOKEN, port=PORT, folder=folder, limit_bytes=LIMIT)


@pytest.fixture
def client(desk: flask.Flask) -> FlaskClient:
    return desk.test_client()


def get(client: FlaskClient, path: str = "", **headers: str) -> TestResponse:
    return client.get(f"/{TOKEN}/{path}", base_url=HERE, headers=headers)


def post(
    client: FlaskClient,
    *files: tuple[str, str, bytes],
    language: str = "en",
    **headers: str,
) -> TestResponse:
    sent: dict[str, list[tuple[io.BytesIO, str]]] = {}
    for name, filename, content in files:
        sent.setdefault(name, []).append((io.BytesIO(content), filename))
    return client.post(f"/{TOKEN}/check?lang={language}", base_url=HERE, data=sent, headers=headers)


BUNDLE = ("bundle", "case.zip", b"the bundle")


# Who may reach it


@pytest.mark.parametrize("host", [f"127.0.0.1:{PORT}", f"localhost:{PORT}"])
def test_this_machine_is_answered(client: FlaskClient, host: str) -> None:
    assert client.get(f"/{TOKEN}/", base_url=f"http://{host}").status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        f"evil.example:{PORT}",
        "127.0.0.1",
        f"127.0.0.1:{PORT + 1}",
        f"127.0.0.1.evil.example:{PORT}",
        f"LOCALHOST:{PORT}",
        f"127.0.0.1:{PORT},evil.example",
        f"user@127.0.0.1:{PORT}",
        f"127.0.0.1:{PORT}/",
        "a b",
        "",
    ],
)
def test_any_other_host_is_refused_without_detail(client: FlaskClient, host: str) -> None:
    answer = client.get(f"/{TOKEN}/", base_url=HERE, headers={"Host": host})
    assert answer.status_code == 403
    assert answer.data == b"403\n"


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", f"https://127.0.0.1:{PORT}", "http://127.0.0.1", ""],
)
def test_a_post_from_another_page_is_refused(
    client: FlaskClient, checker: Checker, origin: str
) -> None:
    assert post(client, BUNDLE, Origin=origin).status_code == 403
    assert checker.calls == []


def test_a_post_from_the_page_itself_is_taken(client: FlaskClient) -> None:
    assert post(client, BUNDLE, Origin=HERE).status_code == 303


def test_an_origin_under_the_other_name_of_this_machine_is_refused(client: FlaskClient) -> None:
    assert post(client, BUNDLE, Origin=f"http://localhost:{PORT}").status_code == 403


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/favicon.ico",
        f"/{TOKEN[:-1]}/",
        f"/{TOKEN}x/",
        f"/{TOKEN[:-1]}0/static/desk.css",
        "/é/",
        f"/{TOKEN}/static/desk.py",
        f"/{TOKEN}/static/../desk.py",
        f"/{TOKEN}/static/..%2fdesk.py",
        f"/{TOKEN}/verdicts/1",
        f"/{TOKEN}/verdicts/-1",
    ],
)
def test_whoever_asks_for_what_is_not_there_learns_nothing(client: FlaskClient, path: str) -> None:
    answer = client.get(path, base_url=HERE)
    assert answer.status_code == 404
    assert answer.data == b"404\n"


def test_a_wrong_token_takes_no_upload(client: FlaskClient, checker: Checker, folder: Path) -> None:
    answer = client.post(
        f"/{'0' * 64}/check", base_url=HERE, data={"bundle": (io.BytesIO(b"x"), "x.zip")}
    )
    assert answer.status_code == 404
    assert checker.calls == []
    assert list(folder.iterdir()) == []


# What it says


def test_every_answer_carries_the_headers(client: FlaskClient) -> None:
    for answer in (get(client), get(client, "static/desk.js"), get(client, "nowhere")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "same-origin"
        policy = answer.headers["Content-Security-Policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy


@pytest.mark.parametrize(("language", "place"), [("en", 0), ("zh", 1)])
def test_the_page_says_that_nothing_leaves_the_machine(
    client: FlaskClient, language: str, place: int
) -> None:
    text = get(client, f"?lang={language}").text
    assert WORDS["local"][place] in text
    assert f'lang="{"zh-CN" if place else "en"}"' in text


def test_the_browsers_language_is_used_until_one_is_chosen(client: FlaskClient) -> None:
    spoken = {"Accept-Language": "zh-TW,zh;q=0.9,en;q=0.5"}
    assert WORDS["local"][1] in get(client, **spoken).text
    assert WORDS["local"][0] in get(client, "?lang=en", **spoken).text


def test_the_pages_have_nothing_inline_that_the_policy_would_refuse(client: FlaskClient) -> None:
    post(client, BUNDLE)
    for path in ("", "verdicts/1"):
        text = get(client, path).text
        assert not re.search(r"<script>|<style|\sstyle=|\son\w+=|https?://", text)


# What becomes of uploads


def test_bundle_carriers_trust_and_language_reach_the_check(
    client: FlaskClient, checker: Checker
) -> None:
    answer = post(
        client,
        BUNDLE,
        ("carriers", "第12批.csv", b"one"),
        ("carriers", "第12批.csv", b"same name, other file"),
        ("carriers", "../../etc/b.txt", b"two"),
        ("trust", "trust.toml", b"k = 2"),
        language="zh",
    )
    assert answer.status_code == 303
    carriers = [
        ("第12批.csv", b"one"),
        ("第12批.csv", b"same name, other file"),
        ("b.txt", b"two"),
    ]
    assert checker.calls == [("the bundle", carriers, b"k = 2", "zh")]


def test_fields_left_empty_are_not_files(client: FlaskClient, checker: Checker) -> None:
    post(client, BUNDLE, ("carriers", "", b""), ("trust", "", b""))
    assert checker.calls == [("the bundle", [], None, "en")]


def test_uploads_are_in_the_folder_while_checked_and_gone_afterwards(
    client: FlaskClient, checker: Checker, folder: Path
) -> None:
    post(client, BUNDLE, ("carriers", "a.csv", b"a"))
    assert {path.name for path in checker.seen} == {"case.zip", "a.csv"}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    "error", [MalformedError("no"), OSError(28, "no space"), ValueError("bug")]
)
def test_uploads_are_gone_after_an_error_too(
    desk: flask.Flask, client: FlaskClient, checker: Checker, folder: Path, error: Exception
) -> None:
    checker.error = error
    desk.config["PROPAGATE_EXCEPTIONS"] = False
    assert post(client, BUNDLE).status_code >= 400
    assert checker.seen
    assert list(folder.iterdir()) == []


def test_uploads_are_gone_when_the_form_breaks_off(client: FlaskClient, folder: Path) -> None:
    body = b'--x\r\nContent-Disposition: form-data; name="bundle"; filename="a.zip"\r\n\r\nhalf'
    answer = client.post(
        f"/{TOKEN}/check",
        base_url=HERE,
        data=body,
        content_type="multipart/form-data; boundary=x",
    )
    assert answer.status_code == 400
    assert list(folder.iterdir()) == []


def test_a_large_upload_goes_to_disk_and_is_whole(checker: Checker, folder: Path) -> None:
    desk = create_desk(checker, token=TOKEN, port=PORT, folder=folder, limit_bytes=1 << 24)
    content = os.urandom(400_000)  # above half a million the test client itself uses a file
    post(desk.test_client(), BUNDLE, ("carriers", "big", content))
    assert checker.calls[0][1] == [("big", content)]


def test_more_than_the_limit_is_refused_with_a_clear_page(
    client: FlaskClient, checker: Checker, folder: Path
) -> None:
    answer = post(client, ("bundle", "case.zip", bytes(LIMIT + 1)))
    assert answer.status_code == 413
    assert f"{LIMIT:,} bytes" in answer.text
    assert "tally verify" in answer.text
    assert checker.calls == []
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("count", [0, 2])
def test_one_bundle_is_wanted(client: FlaskClient, checker: Checker, count: int) -> None:
    answer = post(client, *[BUNDLE] * count, ("carriers", "a", b"a"))
    assert answer.status_code == 400
    assert f"{count} bundles given, want 1" in answer.text
    assert checker.calls == []


@pytest.mark.parametrize(("error", "status"), [(MalformedError, 400), (UnavailableError, 503)])
def test_an_error_is_shown_with_its_hint_and_escaped(
    client: FlaskClient, checker: Checker, error: type[MalformedError], status: int
) -> None:
    checker.error = error("<b>\u202e is not a bundle", hint="choose a <zip>")
    answer = post(client, BUNDLE)
    assert answer.status_code == status
    assert "&lt;b&gt;\\u{202e} is not a bundle" in answer.text
    assert "choose a &lt;zip&gt;" in answer.text


def test_a_script_is_answered_in_json(client: FlaskClient, checker: Checker) -> None:
    ask = {"Accept": "application/json"}
    assert post(client, BUNDLE, **ask).json == {"location": f"/{TOKEN}/verdicts/1?lang=en"}
    checker.error = MalformedError("no bundle", hint="choose one")
    answer = post(client, BUNDLE, **ask)
    assert answer.status_code == 400
    assert answer.json == {"message": "no bundle", "hint": "choose one"}


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("a.csv", "a.csv"),
        ("", "unnamed"),
        (".", "unnamed"),
        ("..", "unnamed"),
        ("/etc/passwd", "passwd"),
        ("C:\\Users\\x\\第12批.xlsx", "第12批.xlsx"),
        ("a\x00b\u202e.zip", "a_b_.zip"),
        ("a:b?.txt", "a_b_.txt"),
        (".hidden", "_.hidden"),
        ("dir/", "unnamed"),
    ],
)
def test_names_become_plain(name: str, plain: str) -> None:
    assert plain_name(name) == plain


def test_long_names_are_cut_and_keep_their_ending() -> None:
    for name in ("长" * 300 + ".zip", "x" * 300 + ".zip"):
        plain = plain_name(name)
        assert plain.endswith(".zip")
        assert len(plain.encode()) <= MAX_NAME_BYTES + len(".zip")


# The verdict


def test_the_verdict_is_shown_in_a_frame_and_alone_in_both_languages(client: FlaskClient) -> None:
    place = post(client, BUNDLE).headers["Location"]
    assert f'src="/{TOKEN}/verdicts/1/report.html?lang=en"' in client.get(place, base_url=HERE).text
    assert "PROVEN" in get(client, "verdicts/1/report.html?lang=en").text
    assert "核验一致" in get(client, "verdicts/1/report.html?lang=zh").text


def test_the_report_has_its_own_policy_and_only_the_desk_may_frame_it(client: FlaskClient) -> None:
    post(client, BUNDLE)
    policy = get(client, "verdicts/1/report.html").headers["Content-Security-Policy"]
    assert policy == f"{POLICY}; frame-ancestors 'self'"


def test_the_verdict_is_given_as_json(client: FlaskClient) -> None:
    post(client, BUNDLE)
    document = get(client, "verdicts/1/verdict.json").json
    assert document is not None
    assert document["outcome"] == "proven"


def test_old_verdicts_are_forgotten(client: FlaskClient) -> None:
    for _ in range(KEPT_VERDICTS + 1):
        post(client, BUNDLE)
    assert get(client, "verdicts/1").status_code == 404
    assert get(client, "verdicts/2").status_code == 200


# Served for real


@pytest.fixture
def server(checker: Checker, folder: Path) -> Iterator[BaseWSGIServer]:
    server = make_desk_server(checker, token=TOKEN, port=0, folder=folder, limit_bytes=LIMIT)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()


@pytest.fixture
def served(server: BaseWSGIServer) -> int:
    return server.port


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", port, timeout=20)) as asked:
        asked.request(method, path, body, headers)
        answer = asked.getresponse()
        return answer.status, answer.read().decode()


def form(content: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="bundle"; filename="a.zip"\r\n\r\n'
    return head + content + b"\r\n--x--\r\n"


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def test_the_served_page_listens_on_loopback_only(server: BaseWSGIServer) -> None:
    assert ask(server.port, "GET", f"/{TOKEN}/")[0] == 200
    assert server.socket.getsockname() == ("127.0.0.1", server.port)


def test_a_served_upload_is_checked_and_deleted(
    served: int, checker: Checker, folder: Path
) -> None:
    status, _ = ask(served, "POST", f"/{TOKEN}/check", form(b"the bundle"), **FORM)
    assert status == 303
    assert checker.calls[0][0] == "the bundle"
    assert list(folder.iterdir()) == []


def test_a_served_request_under_a_foreign_name_is_refused(served: int) -> None:
    assert ask(served, "GET", f"/{TOKEN}/", Host=f"rebound.example:{served}") == (403, "403\n")


def test_the_page_of_a_refused_upload_arrives(served: int, checker: Checker) -> None:
    status, text = ask(served, "POST", f"/{TOKEN}/check", form(bytes(20 * LIMIT)), **FORM)
    assert status == 413
    assert f"{LIMIT:,} bytes" in text
    assert checker.calls == []


def test_a_chunked_upload_over_the_limit_is_refused(
    served: int, checker: Checker, folder: Path
) -> None:
    with contextlib.closing(http.client.HTTPConnection("127.0.0.1", served, timeout=20)) as asked:
        chunks = iter([form(bytes(2 * LIMIT))])
        asked.request("POST", f"/{TOKEN}/check", chunks, FORM, encode_chunked=True)
        assert asked.getresponse().status == 413
    assert checker.calls == []
    assert list(folder.iterdir()) == []


def test_a_port_in_use_is_an_error_with_a_hint(served: int, folder: Path) -> None:
    with pytest.raises(UnavailableError, match=f"port {served}") as caught:
        serve_desk(
            Checker(folder), port=served, open_browser=False, limit_bytes=LIMIT, announce=print
        )
    assert caught.value.hint is not None


PROGRAM = """
import signal
import service.desk
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
def check(*_): raise AssertionError
service.desk.serve_desk(
    check, open_browser=False, limit_bytes=9, announce=lambda url: print(url, flush=True))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is not sent like this on Windows")
def test_the_desk_announces_its_address_and_ends_at_ctrl_c_without_a_trace(
    tmp_path: Path, project_root: Path
) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONPATH": str(project_root)}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        url = running.stdout.readline().strip()
        found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)(/[0-9a-f]{64}/)", url)
        assert found, url
        status, _ = ask(int(found[1]), "GET", found[2])
        running.send_signal(signal.SIGINT)
        try:
            out, err = running.communicate(timeout=20)
        finally:
            running.kill()  # if it has not ended: leaving the block waits for it
    assert status == 200
    assert (out, err, running.returncode) == ("", "", 0)
    assert list(tmp_path.iterdir()) == []
