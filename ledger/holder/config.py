"""The vault's settings: one small TOML file that people may edit."""

import json
import re
import tomllib
from dataclasses import dataclass, field, replace
from typing import Any

from ledger.doors.keys import load_recipient
from ledger.doors.tsa_setting import (
    PUBLIC_TSAS,
    TsaSetting,
    format_tsa,
    parse_tsas,
    toml_text,
    toml_whole,
)
from ledger.errors import MalformedError, NotFoundError
from ledger.holder.ledger_setting import LedgerSetting, format_ledger, parse_ledger

DEFAULT_KEEP_LIMIT_BYTES = 1 << 30
"""Carriers above this are kept only when asked for: one gibibyte."""

DEVELOPMENT_TSAS = 2
"""How many TSAs of its own a development vault has."""

DOMESTIC_TSA = ("unitrust", "https://tsa.cn/tsa")
"""The authority that profile ``cn`` names first, if there is an account: it answers nobody else."""

PROFILES = ("intl", "cn")


@dataclass(frozen=True, slots=True)
class Config:
    """``development``: the vault stamps with two TSAs of its own, which prove nothing.

    ``wanted``: TSAs that must answer before a stamp is complete. ``keep_limit_bytes``: biggest
    carrier kept without being asked. ``minimum_interval_seconds``: between two stamps.
    ``profile``: one of PROFILES; in ``cn`` a domestic TSA is wanted among them. ``recovery``: age
    recipients that can open kept originals beside the vault itself. ``ledger``: None if it lies in
    the vault; else its operator asks TSAs, and the vault has none of its own.
    MalformedError if two TSAs have one name, or fewer are there than wanted, or what is no
    recipient, or one named twice.
    """

    development: bool = False
    wanted: int = 2
    minimum_interval_seconds: int = 60
    keep_limit_bytes: int = DEFAULT_KEEP_LIMIT_BYTES
    tsas: tuple[TsaSetting, ...] = field(
        default_factory=lambda: tuple(TsaSetting(name, url) for name, url in PUBLIC_TSAS)
    )
    profile: str = "intl"
    recovery: tuple[str, ...] = ()
    ledger: LedgerSetting | None = None

    def __post_init__(self) -> None:
        for recipient in self.recovery:
            load_recipient(recipient)
        if len(set(self.recovery)) != len(self.recovery):
            raise MalformedError("a recovery recipient is named twice")
        names = [tsa.name for tsa in self.tsas]
        if twice := {name for name in names if names.count(name) > 1}:
            raise MalformedError(f"two TSAs have the name {min(twice)!r}")
        there = DEVELOPMENT_TSAS if self.development else len(names)
        if self.ledger is not None:
            if self.development or self.tsas:
                text = "the ledger is not in the vault: its operator asks the TSAs"
                raise MalformedError(text, hint="leave out [[tsa]] and development")
        elif self.wanted > there:
            text = f"{self.wanted} TSAs are wanted, and only {there} are there to ask"
            raise MalformedError(text, hint="name more TSAs, or want fewer")
        if self.profile not in PROFILES:
            raise MalformedError(f"profile is {self.profile!r}, want one of {', '.join(PROFILES)}")

    @property
    def sm3(self) -> bool:
        """Whether carriers get an SM3 beside their SHA-256 (DA/T 97 accepts it)."""
        return self.profile == "cn"

    @property
    def lacks_domestic_tsa(self) -> bool:
        """Whether profile ``cn`` is without the domestic TSA that it is for."""
        lacks = self.ledger is None and not any(tsa.is_domestic for tsa in self.tsas)
        return self.profile == "cn" and lacks


def cn_config(config: Config, username: str | None, password_file: str | None) -> Config:
    """``config`` in profile ``cn``: the domestic TSA first if there is an account, else none.

    MalformedError if only one of username and password_file is given.
    """
    if username is None and password_file is None:
        return replace(config, profile="cn")
    name, url = DOMESTIC_TSA
    domestic = TsaSetting(name, url, None, username, password_file)
    return replace(config, profile="cn", tsas=(domestic, *config.tsas))


def format_config(config: Config) -> bytes:
    """The settings as TOML."""
    lines = [
        "# Settings of this Tallystick vault.",
        f"development = {json.dumps(config.development)}",
        f"wanted = {config.wanted}  # TSAs that must answer before a stamp is complete",
        f"minimum_interval_seconds = {config.minimum_interval_seconds}",
        f"keep_limit_bytes = {config.keep_limit_bytes}",
    ]
    if config.profile != Config().profile:
        lines.append(f"profile = {toml_text(config.profile)}")
    if config.recovery:
        lines.append(_format_recovery(config.recovery))
    tables = [format_tsa(tsa) for tsa in config.tsas]
    if config.ledger is not None:
        tables.append(format_ledger(config.ledger))
    return ("\n".join(lines) + "\n").encode("utf-8") + b"".join(tables)


def _format_recovery(recovery: tuple[str, ...]) -> str:
    return f"recovery = {json.dumps(recovery)}"


def add_tsa(content: bytes, tsa: TsaSetting) -> tuple[bytes, bool]:
    """The settings in ``content`` with one more TSA, and whether its comments were kept.

    The text is only added to, if that says the same. MalformedError: content is no settings, or
    has a TSA of this name.
    """
    config = parse_config(content)
    wanted = replace(config, tsas=(*config.tsas, tsa))
    return _edited(content.rstrip(b"\n") + b"\n" + format_tsa(tsa), wanted)


def remove_tsa(content: bytes, name: str) -> tuple[bytes, bool]:
    """The settings in ``content`` without TSA ``name``, and whether its comments were kept.

    Only the lines of its table go, if that says the same. NotFoundError: there is none of this
    name. MalformedError: content is no settings, or the rest is fewer TSAs than are wanted.
    """
    config = parse_config(content)
    rest = tuple(tsa for tsa in config.tsas if tsa.name != name)
    if len(rest) == len(config.tsas):
        there = ", ".join(tsa.name for tsa in config.tsas) or "none"
        raise NotFoundError(f"no TSA {name!r} in the settings", hint=f"there are: {there}")
    wanted = replace(config, tsas=rest)
    tables = re.split(rb"(?m)^(?=[ \t]*\[)", content)
    kept = [table for table in tables if not _is_table_of(table, name)]
    return _edited(b"".join(kept).rstrip(b"\n") + b"\n", wanted)


def set_recovery(content: bytes, recovery: tuple[str, ...]) -> tuple[bytes, bool]:
    """The settings in ``content`` with these recovery recipients, and whether comments were kept.

    MalformedError: content is no settings, or one of the recipients is none.
    """
    wanted = replace(parse_config(content), recovery=recovery)
    head, *tables = re.split(rb"(?m)^(?=[ \t]*\[)", content)
    rest = re.sub(rb"(?m)^recovery[ \t]*=.*\n?", b"", head).rstrip(b"\n")
    line = f"\n{_format_recovery(recovery)}\n".encode("ascii") if recovery else b"\n"
    return _edited(rest + line + (b"\n" if tables else b"") + b"".join(tables), wanted)


def _is_table_of(table: bytes, name: str) -> bool:
    try:
        return bool(parse_config(b"wanted = 1\n" + table).tsas[0].name == name)
    except (MalformedError, IndexError):
        return False


def _edited(text: bytes, wanted: Config) -> tuple[bytes, bool]:
    """``text`` if it says what is wanted, else the settings written anew."""
    try:
        if parse_config(text) == wanted:
            return text, True
    except MalformedError:
        pass
    return format_config(wanted), False


def parse_config(content: bytes) -> Config:
    """The settings in ``content``; MalformedError names what is not understood."""
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or a number of 5000 digits.
        raise MalformedError(f"settings are not TOML: {error}") from error
    defaults = Config()
    known = {"development", "wanted", "minimum_interval_seconds", "keep_limit_bytes"}
    if unknown := sorted(set(table) - known - {"tsa", "profile", "recovery", "ledger"}):
        raise MalformedError(f"settings have unknown key {unknown[0]!r}")
    profile = table.get("profile", defaults.profile)
    if not isinstance(profile, str):
        raise MalformedError("profile is not a text")
    recovery = table.get("recovery", [])
    if not isinstance(recovery, list) or not all(isinstance(one, str) for one in recovery):
        raise MalformedError("recovery is not a list of texts")
    development = table.get("development", False)
    if not isinstance(development, bool):
        raise MalformedError("development is not true or false")
    return Config(
        development=development,
        wanted=toml_whole(table, "wanted", defaults.wanted, 1),
        minimum_interval_seconds=toml_whole(
            table, "minimum_interval_seconds", defaults.minimum_interval_seconds, 0
        ),
        keep_limit_bytes=toml_whole(table, "keep_limit_bytes", defaults.keep_limit_bytes, 0),
        tsas=parse_tsas(table),
        profile=profile,
        recovery=tuple(recovery),
        ledger=parse_ledger(table["ledger"]) if "ledger" in table else None,
    )
