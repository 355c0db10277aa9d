"""The [ledger] table of the settings, and what it refuses."""

from dataclasses import replace

import pytest

from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import MalformedError
from ledger.holder.config import Config, add_tsa, format_config, parse_config, set_recovery
from ledger.holder.ledger_setting import LedgerSetting
from tests.sequencer_checks import KEYS

VKEYS = KEYS.public_keys()
SETTING = LedgerSetting("https://example.org/log", "/home/李/token", VKEYS)
CONFIG = Config(tsas=(), ledger=SETTING)


def test_settings_are_read_as_they_were_written() -> None:
    assert parse_config(format_config(CONFIG)) == CONFIG
    assert SETTING.origin == "example.org/log"
    assert not replace(CONFIG, profile="cn").lacks_domestic_tsa


def test_other_settings_are_edited_around_it() -> None:
    edited, kept = set_recovery(b"# mine\n" + format_config(CONFIG), ())
    assert (parse_config(edited), kept) == (CONFIG, True)
    with pytest.raises(MalformedError, match="its operator asks the TSAs"):
        add_tsa(format_config(CONFIG), TsaSetting("one", "https://example.org"))
    with pytest.raises(MalformedError, match="its operator asks the TSAs"):
        replace(CONFIG, development=True)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "example.org",
        "http://example.org",
        "http://127.0.0.1.example.org",
        "http://10.0.0.1",
        "HTTPS://example.org",
        "ftp://example.org",
        "https://",
        "https:///log",
        "https://user@example.org",
        "https://user:word@example.org",
        "https://example.org:port",
        "https://example.org/log?a",
        "https://example.org/log#a",
        "https://exam ple.org",
        "https://[::1",
        "https://例.org",
    ],
)
def test_a_url_that_is_none_or_would_show_the_token_is_refused(url: str) -> None:
    with pytest.raises(MalformedError, match="ledger url"):
        replace(SETTING, url=url)


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "[::1]:8080", "localhost"])
def test_http_is_for_this_machine(host: str) -> None:
    assert replace(SETTING, url=f"http://{host}/log").url


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"token_file": ""}, "token_file"),
        ({"token_file": "a\nb"}, "token_file"),
        ({"keys": ()}, "has 0 keys"),
        ({"keys": (VKEYS[0],) * 9}, "has 9 keys"),
        ({"keys": (VKEYS[0], VKEYS[0])}, "named twice"),
        ({"keys": (VKEYS[0], replace(VKEYS[1], name="other"))}, "different names"),
    ],
)
def test_what_else_is_no_setting(changes: dict[str, object], message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        replace(SETTING, **changes)  # type: ignore[arg-type]  # a test says what it wants


@pytest.mark.parametrize(
    "table",
    [
        b'ledger = "x"',
        b"[ledger]",
        b'[ledger]\nurl = "https://a"\ntoken_file = "t"',
        b'[ledger]\nurl = "https://a"\ntoken_file = "t"\nkeys = []\nother = 1',
        b'[ledger]\nurl = 1\ntoken_file = "t"\nkeys = []',
        b'[ledger]\nurl = "https://a"\ntoken_file = "t"\nkeys = "x"',
        b'[ledger]\nurl = "https://a"\ntoken_file = "t"\nkeys = [1]',
        b'[ledger]\nurl = "https://a"\ntoken_file = "t"\nkeys = ["x"]',
        b"[[ledger]]",
    ],
)
def test_a_table_of_another_shape_is_malformed(table: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_config(table)
