"""The vault's settings: one small TOML file that people may edit."""

import json
import re
import tomllib
from dataclasses import dataclass, field
from typing import Any

from ledger.errors import MalformedError

DEFAULT_KEEP_LIMIT_BYTES = 1 << 30
"""Carriers above this are kept only when asked for: one gibibyte."""

PUBLIC_TSAS = (
    ("digicert", "http://timestamp.digicert.com"),
    ("sectigo", "http://timestamp.sectigo.com"),
    ("globalsign", "http://timestamp.globalsign.com/tsa/r6advanced1"),
)
"""Public authorities that answer without an account (profile ``intl``)."""

DEVELOPMENT_TSAS = 2
"""How many TSAs of its own a development vault has."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")


@dataclass(frozen=True, slots=True)
class TsaSetting:
    """One TSA to ask: a short name (it becomes part of file names) and its URL."""

    name: str
    url: str

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MalformedError(f"tsa name is {self.name!r}, want {_NAME.pattern}")
        if not re.fullmatch(r"https?://[!-~]+", self.url):
            raise MalformedError(f"tsa url is {self.url!r}, want http:// or https://")


@dataclass(frozen=True, slots=True)
class Config:
    """``development``: the vault stamps with two TSAs of its own, which prove nothing.

    ``wanted``: TSAs that must answer before a stamp is complete. ``keep_limit_bytes``: biggest
    carrier kept without being asked. ``minimum_interval_seconds``: between two stamps.
    MalformedError if two TSAs have one name, or fewer are there than wanted.
    """

    development: bool = False
    wanted: int = 2
    minimum_interval_seconds: int = 60
    keep_limit_bytes: int = DEFAULT_KEEP_LIMIT_BYTES
    tsas: tuple[TsaSetting, ...] = field(
        default_factory=lambda: tuple(TsaSetting(name, url) for name, url in PUBLIC_TSAS)
    )

    def __post_init__(self) -> None:
        names = [tsa.name for tsa in self.tsas]
        if twice := {name for name in names if names.count(name) > 1}:
            raise MalformedError(f"two TSAs have the name {min(twice)!r}")
        there = DEVELOPMENT_TSAS if self.development else len(names)
        if self.wanted > there:
            text = f"{self.wanted} TSAs are wanted, and only {there} are there to ask"
            raise MalformedError(text, hint="name more TSAs, or want fewer")


def format_config(config: Config) -> bytes:
    """The settings as TOML."""
    lines = [
        "# Settings of this Tallystick vault.",
        f"development = {json.dumps(config.development)}",
        f"wanted = {config.wanted}  # TSAs that must answer before a stamp is complete",
        f"minimum_interval_seconds = {config.minimum_interval_seconds}",
        f"keep_limit_bytes = {config.keep_limit_bytes}",
    ]
    for tsa in config.tsas:
        lines += ["", "[[tsa]]", f"name = {json.dumps(tsa.name)}", f"url = {json.dumps(tsa.url)}"]
    return ("\n".join(lines) + "\n").encode("utf-8")


def parse_config(content: bytes) -> Config:
    """The settings in ``content``; MalformedError names what is not understood."""
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise MalformedError(f"settings are not TOML: {error}") from error
    defaults = Config()
    known = {"development", "wanted", "minimum_interval_seconds", "keep_limit_bytes", "tsa"}
    if unknown := sorted(set(table) - known):
        raise MalformedError(f"settings have unknown key {unknown[0]!r}")
    tsas = table.get("tsa", [])
    if not isinstance(tsas, list) or not all(
        isinstance(tsa, dict) and set(tsa) == {"name", "url"} for tsa in tsas
    ):
        raise MalformedError("each [[tsa]] has a name and a url")
    development = table.get("development", False)
    if not isinstance(development, bool):
        raise MalformedError("development is not true or false")
    return Config(
        development=development,
        wanted=_whole(table, "wanted", defaults.wanted, 1),
        minimum_interval_seconds=_whole(
            table, "minimum_interval_seconds", defaults.minimum_interval_seconds, 0
        ),
        keep_limit_bytes=_whole(table, "keep_limit_bytes", defaults.keep_limit_bytes, 0),
        tsas=tuple(_tsa(tsa) for tsa in tsas),
    )


def _tsa(table: dict[str, Any]) -> TsaSetting:  # Any: what TOML may hold
    name, url = table["name"], table["url"]
    if not isinstance(name, str) or not isinstance(url, str):
        raise MalformedError("each [[tsa]] has a name and a url, both texts")
    return TsaSetting(name, url)


def _whole(table: dict[str, Any], name: str, default: int, least: int) -> int:
    value = table.get(name, default)
    if type(value) is not int or value < least:
        raise MalformedError(f"{name} is {value!r}, want a whole number from {least}")
    return value
