"""Settings: what is written is read back, and what is not understood is refused by name."""

import pytest

from ledger.errors import MalformedError
from ledger.holder.config import Config, TsaSetting, format_config, parse_config

TSA = TsaSetting("a", "https://a.example/tsa")


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(development=True),
        Config(wanted=1, minimum_interval_seconds=0, keep_limit_bytes=0, tsas=(TSA,)),
    ],
)
def test_settings_round_trip(config: Config) -> None:
    assert parse_config(format_config(config)) == config


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("wanted = ", "not TOML"),
        ("\xff", "not TOML"),
        ("colour = 1", "unknown key 'colour'"),
        ("wanted = 0", "want a whole number from 1"),
        ("wanted = true", "want a whole number"),
        ("wanted = 1.0", "want a whole number"),
        ("keep_limit_bytes = -1", "want a whole number from 0"),
        ("development = 1", "not true or false"),
        ("tsa = 1", "a name and a url"),
        ("[[tsa]]\nname = 'a'", "a name and a url"),
        ("[[tsa]]\nname = 'a'\nurl = 1", "both texts"),
        ("[[tsa]]\nname = 'A b'\nurl = 'http://a'", "tsa name is 'A b'"),
        ("[[tsa]]\nname = 'a'\nurl = 'ftp://a'", "want http"),
        ("[[tsa]]\nname = 'a'\nurl = \"http://a\\nb\"", "want http"),
        ("wanted = 1\n" + "[[tsa]]\nname = 'a'\nurl = 'http://a'\n" * 2, "two TSAs have the name"),
        ("wanted = 2\n[[tsa]]\nname = 'a'\nurl = 'http://a'", "only 1 are there"),
        ("development = true\nwanted = 3", "only 2 are there"),
    ],
)
def test_settings_that_are_not_understood_are_refused(text: str, message: str) -> None:
    with pytest.raises(MalformedError, match=message):
        parse_config(text.encode("latin-1"))
