"""ledger.toml: what is written is read again, and nothing else is taken for it."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import MalformedError
from ledger.operator.hosted_settings import (
    DEVELOPMENT_TSAS,
    MAX_INTERVAL_SECONDS,
    HostedSettings,
    format_settings,
    parse_settings,
)

PLAIN = HostedSettings("ledger.example.org/one", "/var/lib/guard.sqlite")
LEAST = b'origin = "ledger.example.org/one"\nguard = "/var/lib/guard.sqlite"\n'
TSAS = (
    TsaSetting("a", "http://a.example.org/tsa"),
    TsaSetting("b", "https://b.example.org", 30, "me", "/etc/tally/b.password"),
)
TSA_TABLES = b"".join(
    b'[[tsa]]\nname = "%s"\nurl = "http://%s.example.org"\n' % (name, name) for name in (b"a", b"b")
)


def parse(content: bytes, environment: Mapping[str, str] | None = None) -> HostedSettings:
    return parse_settings(content, environment or {})


def changed(key: str, value: str) -> bytes:
    """The plain settings with another TOML ``value`` of ``key``."""
    text, count = re.subn(
        rf"(?m)^{key} = .*?(  #.*)?$",
        lambda _: f"{key} = {value}",
        format_settings(PLAIN).decode("utf-8"),
    )
    assert count == 1
    return text.encode("utf-8")


@pytest.mark.parametrize(
    "settings",
    [
        PLAIN,
        replace(PLAIN, development=True, tsas=()),
        replace(PLAIN, tsas=TSAS, wanted=1, host="::1", port=0, stamp_interval_seconds=0),
        replace(PLAIN, port=65_535, stamp_interval_seconds=MAX_INTERVAL_SECONDS, wanted=3),
        replace(
            PLAIN,
            guard='/srv/保 "x" \\ #',
            operator="某某研究所 # 1",
            statement='It is "kept".\nFor ever.\t',
            statement_zh="长期保存。",
            cac_filing="京ICP备00000000号",
        ),
    ],
)
def test_settings_written_are_read_again(settings: HostedSettings) -> None:
    content = format_settings(settings)
    assert parse(content) == settings
    assert format_settings(parse(content)) == content


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_any_text_of_the_operator_is_kept(text: str) -> None:
    settings = replace(PLAIN, operator=text, statement=text, statement_zh=text, cac_filing=text)
    assert parse(format_settings(settings)) == settings


@given(st.binary(max_size=200))
def test_any_bytes_are_settings_or_malformed(content: bytes) -> None:
    with pytest.raises(MalformedError):
        parse(content)


def test_least_settings_have_the_defaults() -> None:
    wanted = replace(PLAIN, tsas=parse(LEAST + TSA_TABLES).tsas)
    assert parse(LEAST + TSA_TABLES) == wanted
    assert wanted.tsa_names == ("a", "b")
    assert parse(b"development = true\n" + LEAST).tsa_names == DEVELOPMENT_TSAS


@pytest.mark.parametrize(
    "origin",
    [
        "l",
        "ledger.example.org",
        "ledger.example.org:8443/one",
        "10.0.0.1/a/b/c/d",
        "xn--fiqs8s.example/a_b.c-d",
    ],
)
def test_origin_is_a_url_without_its_scheme(origin: str) -> None:
    assert parse(changed("origin", f'"{origin}"')).origin == origin


@pytest.mark.parametrize(
    "origin",
    [
        "",
        "https://ledger.example.org",
        "Ledger.example.org",
        "ledger.example.org/",
        "ledger.example.org//one",
        "/one",
        ".example.org",
        "ledger.example.org:/one",
        "ledger.example.org:123456",
        "ledger example.org",
        "ledger.example.org/one\\n",
        "账本.example",
        "a/b/c/d/e/f",
        "a" * 64,
        ".".join(["abc"] * 60),
        "ledger.example.org/..",
        "ledger.example.org/../x",
        "ledger.example.org/.",
        "ledger.example.org/.x",
        "ledger..org",
        "ledger.",
        "ledger-",
        "-ledger.org",
        "ledger.example.org:0",
        "ledger.example.org:65536",
        "ledger.example.org:00080/x",
        "a/" + "b" * 51,
        "tallystick/0123456789abcdef",
        "ledger.example.org/one?x",
        "ledger.example.org/o+ne",
    ],
)
def test_other_origins_are_refused(origin: str) -> None:
    with pytest.raises(MalformedError, match=r"^origin "):
        parse(changed("origin", f'"{origin}"'))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("guard", '"guard.sqlite"', "guard is 'guard.sqlite', want an absolute path"),
        ("guard", '""', "guard is '', want an absolute path"),
        ("guard", '"/a\\u0000b"', "guard is .*, want an absolute path"),
        ("guard", "7", "guard is 7, want a text"),
        ("origin", "true", "origin is True, want a text"),
        ("development", '"yes"', "development is 'yes', want true or false"),
        ("development", "1", "development is 1, want true or false"),
        ("host", '""', "host is '', want an IP address, as 127.0.0.1"),
        ("host", '"localhost"', "host is 'localhost', want an IP address, as 127.0.0.1"),
        ("host", '"fe80::1%1"', "host is 'fe80::1%1', want an IP address, as 127.0.0.1"),
        ("host", "127", "host is 127, want a text"),
        ("port", "-1", "port is -1, want 0 to 65535"),
        ("port", "65536", "port is 65536, want 0 to 65535"),
        ("port", "true", "port is True, want a whole number"),
        ("port", "80.0", r"port is 80\.0, want a whole number"),
        ("wanted", "0", "0 TSAs are wanted, and 3 are there to ask"),
        ("wanted", "4", "4 TSAs are wanted, and 3 are there to ask"),
        ("wanted", '"2"', "wanted is '2', want a whole number"),
        ("stamp_interval_seconds", "-1", "stamp_interval_seconds is -1, want 0 to 86400"),
        ("stamp_interval_seconds", "86401", "stamp_interval_seconds is 86401, want 0 to 86400"),
        ("stamp_interval_seconds", "1.5", "stamp_interval_seconds is 1.5, want a whole number"),
        ("operator", "[]", r"operator is \[\], want a text"),
        ("statement", "1", "statement is 1, want a text"),
        ("statement_zh", "false", "statement_zh is False, want a text"),
        ("cac_filing", "2026-01-01", "cac_filing is datetime.*, want a text"),
    ],
)
def test_each_key_that_is_wrong_is_named(key: str, value: str, message: str) -> None:
    with pytest.raises(MalformedError, match=f"^{message}"):
        parse(changed(key, value))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff" + LEAST, "not TOML"),
        (b"origin = \n", "not TOML"),
        (LEAST + LEAST, "not TOML"),
        (b"a = " + b"[" * 100_000, "not TOML"),
        (b"port = " + b"1" * 5000, "not TOML"),
        (b"", "settings have no guard"),
        (LEAST.splitlines()[0], "settings have no guard"),
        (LEAST.splitlines()[1], "settings have no origin"),
        (LEAST + b'ports = 1\naround = ""\n', "unknown key 'around'"),
        (LEAST + b"tsas = []\n", "unknown key 'tsas'"),
        (LEAST + b"tsa = 1\n", "each .* has a name and a url"),
        (LEAST + b'[[tsa]]\nname = "a"\n', "each .* has a name and a url"),
        (LEAST + TSA_TABLES + b"x = 1\n", "unknown key 'x'"),
        (LEAST + TSA_TABLES + TSA_TABLES, "two TSAs have one name"),
        (LEAST, "2 TSAs are wanted, and 0 are there to ask"),
    ],
)
def test_what_is_no_settings_is_malformed(content: bytes, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse(content)


def test_environment_says_host_and_port_instead() -> None:
    environment = {"TALLY_LEDGER_HOST": "0.0.0.0", "TALLY_LEDGER_PORT": "080", "HOST": "x"}
    assert parse(format_settings(PLAIN), environment) == replace(PLAIN, host="0.0.0.0", port=80)
    assert parse(LEAST + TSA_TABLES, {"TALLY_LEDGER_PORT": "1"}).port == 1
    # What the file has is not looked at then.
    assert parse(changed("port", '"x"'), {"TALLY_LEDGER_PORT": "0"}).port == 0


@pytest.mark.parametrize("text", ["", " 80", "+80", "-1", "8e1", "٨٠", "123456", "80\n"])
def test_port_of_the_environment_is_digits(text: str) -> None:
    with pytest.raises(MalformedError, match=r"^TALLY_LEDGER_PORT is .*, want a number$"):
        parse(format_settings(PLAIN), {"TALLY_LEDGER_PORT": text})


@pytest.mark.parametrize(
    "environment", [{"TALLY_LEDGER_PORT": "65536"}, {"TALLY_LEDGER_HOST": "a/b"}]
)
def test_environment_is_held_to_the_same_limits(environment: dict[str, str]) -> None:
    with pytest.raises(MalformedError, match="want "):
        parse(format_settings(PLAIN), environment)


def test_port_in_the_file_is_no_text() -> None:
    with pytest.raises(MalformedError, match=r"^port is '80', want a whole number$"):
        parse(changed("port", '"80"'))


def test_settings_that_code_makes_are_held_to_the_same() -> None:
    wrong: list[dict[str, Any]] = [
        {"tsas": ()},
        {"tsas": (TSAS[0], TSAS[0])},
        {"port": 1 << 16},
        {"guard": "/not utf-8 \udcff"},
    ]
    for values in wrong:
        with pytest.raises(MalformedError):
            replace(PLAIN, **values)
