"""tsa list, add, remove, test, serve; what status and doctor tell of TSAs. Loopback alone."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from threading import Event, Thread

import pytest

from cli import compose, tsas
from cli.waiting import NO_DOMESTIC
from ledger.holder.config import parse_config
from ledger.operator.devserver import DevelopmentServer
from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.roots import parse_pem
from ledger.proof.trust import parse_trust
from tests.cli.conftest import Tally

NOBODY = "http://127.0.0.1:9/"


@pytest.fixture
def serve(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], DevelopmentServer]]:
    """Start a development TSA by name."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.delenv("TALLY_OFFLINE", raising=False)
    with ExitStack() as stack:

        def start(name: str) -> DevelopmentServer:
            server = stack.enter_context(
                DevelopmentServer(DevelopmentTsa.create(name, compose.now))
            )
            Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


def init(bare: Tally, *servers: DevelopmentServer) -> None:
    named = [f"--tsa={server.tsa.name}={server.url}" for server in servers]
    bare.json("init", *named)


def settings(tally: Tally) -> bytes:
    return (tally.vault / "tallystick.toml").read_bytes()


def test_one_tsa_is_too_few_for_most_and_that_is_said(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"))
    assert "whoever verifies usually wants 2" in bare("tsa", "list").out
    assert len(bare.json("status")["notes"]) == 1


def test_tsas_over_http_stamp_a_vault_and_list_says_when(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"), serve("two"))
    listed = bare.json("tsa", "list")
    assert (listed["wanted"], listed["notes"]) == (2, [])
    assert [(row["name"], row["state"], row["failures"]) for row in listed["tsas"]] == [
        ("one", "answered", 0),
        ("two", "answered", 0),
    ]
    assert bare("tsa", "list").out.count("answered 20") == 2
    status = bare.json("status")
    assert [row["state"] for row in status["tsas"]] == ["answered", "answered"]
    assert status["waits_for"] == []
    doctor = bare("doctor")
    assert doctor.out.count("ok     tsa      one: answered 20") == 1


def test_what_is_pending_is_told_with_its_reason_by_status_and_doctor(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    made = bare.json("init", "--tsa", f"one={serve('one').url}", "--tsa", f"two={NOBODY}")
    assert len(made["pending"]) == 1
    status = bare.json("status")
    assert [row["state"] for row in status["tsas"]] == ["answered", "unreachable"]
    assert "stamp of two pending: unreachable" in status["waits_for"][0]
    assert "asked again from" in status["waits_for"][0]
    told = bare("status").out
    assert "tsa      two: unreachable: " in told
    assert "waits    stamp of two pending: unreachable: " in told
    doctor = bare("doctor")
    assert doctor.code == 3
    assert "amiss  tsa      two: unreachable" in doctor.out


@pytest.mark.parametrize("command", ["status", "log", "bundle"])
def test_commands_that_read_give_pending_stamps_a_try(
    bare: Tally,
    serve: Callable[[str], DevelopmentServer],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
) -> None:
    monkeypatch.setenv("TALLY_OFFLINE", "1")
    one, two = serve("one"), serve("two")
    made = bare.json("init", "--tsa", f"one={one.url}", "--tsa", f"two={two.url}")
    assert [words.split(": ")[1] for words in made["pending"]] == ["offline", "offline"]
    waits = bare.json("status")["waits_for"]
    assert waits == [f"stamp of {name} pending: {compose.offline()}" for name in ("one", "two")]
    monkeypatch.setenv("TALLY_OFFLINE", "0")
    bare(command)
    assert bare.json("status")["last_stamped_size"] == {"one": 1, "two": 1}


def test_reading_is_not_held_up_by_a_tsa_that_hangs(
    bare: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    let = Event()

    class Hung:
        def __init__(self, name: str) -> None:
            self.name = name

        def ask(self, request: bytes) -> bytes:
            let.wait(20)
            return b""

    with monkeypatch.context() as patch:
        patch.setenv("TALLY_OFFLINE", "1")
        bare.json("init", "--tsa", f"one={NOBODY}", "--tsa", f"two={NOBODY}")
    monkeypatch.setattr(compose, "make_tsas", lambda *_: ([Hung("one"), Hung("two")], ()))
    monkeypatch.setattr(compose, "SPARE_SECONDS", 0.1)
    waits = bare.json("status")["waits_for"]
    assert [words.split(": ")[1] for words in waits] == ["unfinished", "unfinished"]
    assert bare("log").code == 0
    let.set()


def test_verify_asks_nobody(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("verify opened the vault")

    monkeypatch.setattr(compose, "_join", refuse)
    assert bare("verify", bare.work / "none.zip").code == 2


def test_add_and_remove_edit_the_settings_and_nothing_else_in_them(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"), serve("two"))
    before = settings(bare)
    ran = bare("tsa", "add", "three", NOBODY, "--interval", "15")
    assert (ran.code, "tally tsa test three" in ran.err) == (0, True)
    assert settings(bare).startswith(before)
    assert parse_config(settings(bare)).tsas[2].interval_seconds == 15
    assert bare("tsa", "test", "three").code == 3
    assert bare.json("tsa", "list")["tsas"][2]["state"] == "unreachable"
    ran = bare("tsa", "remove", "three")
    assert (ran.code, "one more is safer" in ran.err) == (0, True)
    assert settings(bare) == before
    # A namesake has no past.
    bare.json("tsa", "add", "three", NOBODY)
    assert bare.json("tsa", "list")["tsas"][2]["state"] == "never-asked"


def test_comments_that_are_lost_are_said(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"), serve("two"))
    inline = b'wanted = 1 # mine\ntsa = [{name = "a", url = "http://a"}]\n'
    (bare.vault / "tallystick.toml").write_bytes(inline)
    ran = bare("tsa", "add", "b", NOBODY)
    assert (ran.code, "comments are lost" in ran.err) == (0, True)


def test_account_is_kept_as_a_name_and_a_path_and_never_shown(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"), serve("two"))
    (bare.work / "secret").write_bytes(b"sesame\n")
    account = ("--username", "li", "--password-file", "secret")
    (bare.work / "secret").chmod(0o644)
    ran = bare("tsa", "add", "cn", "https://tsa.cn/tsa", *account)
    assert (ran.code, "chmod 600" in ran.err) == (2, True)
    (bare.work / "secret").chmod(0o600)
    ran = bare("tsa", "add", "cn", "https://tsa.cn/tsa", *account)
    assert ran.code == 0
    added = parse_config(settings(bare)).tsas[2]
    assert (added.username, added.password_file) == ("li", os.fspath(bare.work / "secret"))
    assert bare.json("tsa", "list")["tsas"][2]["account"] is True
    shown = [bare("tsa", "list"), bare("status"), bare("doctor"), ran]
    assert not any("sesame" in one.out + one.err for one in shown)
    assert b"sesame" not in settings(bare)


def test_test_says_what_a_verifier_would(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    one = serve("one")
    init(bare, one, serve("two"))
    both = bare.json("tsa", "test")["tested"]
    assert [row["name"] for row in both] == ["one", "two"]
    row = both[0]
    assert row["ok"]
    assert row["development"]
    assert row["openssl_verifiable"]
    assert (row["trusted"], row["accuracy_seconds"]) == (False, 1.0)
    assert "no path to a pinned anchor" in row["doubt"]
    assert "proves nothing" in row["signer"]
    assert abs(row["clock_behind_seconds"]) < 60
    trust = bare.work / "trust.toml"
    trust.write_text("\n".join(tsas.development_trust(one.tsa)))
    ran = bare("tsa", "test", "one", "--trust", trust)
    assert "ok " in ran.out
    assert "beware" in ran.out
    assert "two" not in ran.out


def test_test_of_a_tsa_that_fails_is_exit_3_and_another_try_is_not_refused(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    bare.json("init", "--tsa", f"one={serve('one').url}", "--tsa", f"two={NOBODY}")
    for _ in range(2):
        rows = bare.json("tsa", "test", code=3)["tested"]
        assert [row["ok"] for row in rows] == [True, False]
        assert rows[1]["reason"].startswith("unreachable: 127.0.0.1 could not be asked")
    assert "two            failed  unreachable" in bare("tsa", "test", "two").out


def test_test_keeps_the_minimum_interval(
    bare: Tally, serve: Callable[[str], DevelopmentServer]
) -> None:
    init(bare, serve("one"), serve("two"))
    bare.json("tsa", "add", "three", serve("three").url, "--interval", "3600")
    assert bare.json("tsa", "test", "three")["tested"][0]["ok"]
    [row] = bare.json("tsa", "test", "three", code=3)["tested"]
    assert row["reason"].startswith("interval: it was asked at")


def test_test_asks_nobody_offline(bare: Tally, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TALLY_OFFLINE", "1")
    bare.json("init", "--tsa", f"one={NOBODY}")
    ran = bare("tsa", "test")
    assert (ran.code, "TALLY_OFFLINE is set" in ran.err) == (3, True)


def test_development_vault_tests_its_own_and_takes_no_other(tally: Tally) -> None:
    trust = tally.vault / tsas.DEVELOPMENT_TRUST
    rows = tally.json("tsa", "test", "--trust", trust)["tested"]
    assert [(row["ok"], row["trusted"], row["doubt"]) for row in rows] == [(True, True, None)] * 2
    assert [row["state"] for row in tally.json("tsa", "list")["tsas"]] == ["development"] * 2
    assert "proves nothing" in tally("status").out
    for words in (("add", "x", NOBODY), ("remove", "x")):
        ran = tally("tsa", *words)
        assert (ran.code, "development TSAs of its own" in ran.err) == (2, True)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "no command was given"),
        (("remove", "x"), "no TSA 'x'"),
        (("test", "x"), "no TSA 'x'"),
        (("add", "one", NOBODY), "two TSAs have the name"),
        (("add", "A", NOBODY), "tsa name is 'A'"),
        (("add", "a", "ftp://a"), "want http"),
        (("add", "a", NOBODY, "--username", "u"), "or neither"),
        (("add", "a", NOBODY, "--interval", "-1"), "want 0 to 86400"),
        (("add", "a", NOBODY, "--username", "u", "--password-file", "none"), "no such file"),
        (("remove", "one"), "only 0 are there"),
        (("serve",), "only a development TSA"),
        (("serve", "--development", "--name", "a/b"), "tsa name is 'a/b'"),
    ],
)
def test_what_cannot_be_obeyed_is_exit_2(
    bare: Tally, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], message: str
) -> None:
    monkeypatch.setenv("TALLY_OFFLINE", "1")
    if words and words[0] != "serve":
        bare.json("init", "--tsa", f"one={NOBODY}")
    ran = bare("tsa", *words)
    assert (ran.code, message in ran.err) == (2, True), ran.err


def test_profile_cn_without_an_account_says_that_no_tsa_is_domestic(
    bare: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_OFFLINE", "1")
    ran = bare("init", "--profile", "cn")
    assert (ran.code, NO_DOMESTIC in ran.err) == (0, True)
    assert NO_DOMESTIC in bare("status").out
    assert bare.json("status")["notes"] == [NO_DOMESTIC]
    assert NO_DOMESTIC in bare("doctor").out


def test_profile_cn_with_an_account_names_the_domestic_tsa_first(
    bare: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TALLY_OFFLINE", "1")
    (bare.work / "secret").write_bytes(b"sesame")
    (bare.work / "secret").chmod(0o600)
    account = ("--username", "li", "--password-file", "secret")
    assert bare("init", *account).code == 2
    bare.json("init", "--profile", "cn", *account)
    listed = bare.json("tsa", "list")
    assert (listed["tsas"][0]["name"], listed["notes"]) == ("unitrust", [])


def test_served_tsa_is_the_same_the_next_time_if_it_is_kept(
    bare: Tally, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(DevelopmentServer, "serve_forever", interrupt)
    first, second = (bare("tsa", "serve", "--development", "-o", "kept") for _ in range(2))
    assert (first.code, "closed" in first.err) == (0, True)
    assert (bare.work / "kept" / "development.pem").stat().st_mode & 0o77 == 0
    root = parse_pem("root", (bare.work / "kept" / "development-root.pem").read_bytes())
    for ran in (first, second):
        snippet = ran.out[ran.out.index("[[tsa]]") :]
        assert parse_trust(snippet.encode()).tsa_of(root) is not None
    (bare.work / "kept" / "development.pem").unlink()
    ran = bare("tsa", "serve", "--development", "-o", "kept")
    assert (ran.code, "exists already" in ran.err) == (2, True)
    other = bare.json("tsa", "serve", "--development")
    assert (other["root"], other["url"].startswith("http://127.0.0.1:")) == (None, True)


def test_port_that_is_taken_is_said(bare: Tally, serve: Callable[[str], DevelopmentServer]) -> None:
    port = serve("one").server_port
    ran = bare("tsa", "serve", "--development", "--port", port)
    assert (ran.code, f"cannot listen on port {port}" in ran.err) == (3, True)


def test_served_tsa_ends_cleanly_on_ctrl_c(bare: Tally, project_root: Path) -> None:
    code = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler);"
        "from cli.main import main; main()"
    )
    words = ["tsa", "serve", "--development", "--json"]
    environment = os.environ | {"PYTHONPATH": os.fspath(project_root), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
    ) as process:
        assert process.stdout is not None
        told = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert json.loads(told)["name"] == "development"
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=10)
        assert (process.returncode, "Traceback" in err) == (0, False)
        assert time.monotonic() - began < 5
