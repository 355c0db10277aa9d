"""The settings of a hosted ledger: ledger.toml in its home, which its operator edits."""

import json
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any  # what TOML may hold

from ledger.doors.tsa_setting import (
    PUBLIC_TSAS,
    TsaSetting,
    format_tsa,
    parse_tsas,
    toml_text,
)
from ledger.errors import MalformedError

SETTINGS_FILE = "ledger.toml"
"""What the home of a hosted ledger is known by."""

MAX_SETTINGS_BYTES = 1 << 18

DEVELOPMENT_TSAS = ("development-1", "development-2")
"""The TSAs of its own that a ledger for trying out is stamped by."""

ENVIRONMENT = {"host": "TALLY_LEDGER_HOST", "port": "TALLY_LEDGER_PORT"}
"""Settings that the environment may say instead, for containers."""

MAX_INTERVAL_SECONDS = 86_400

_LABEL = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"  # RFC 1123 2.1
_PORT = "[1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5]"
_STEP = "[a-z0-9_-][a-z0-9._-]{0,49}"  # no step of dots alone: clients take "." and ".." out
_ORIGIN = re.compile(rf"(?=.{{1,200}}\Z){_LABEL}(\.{_LABEL})*(:({_PORT}))?(/{_STEP}){{0,4}}")
_KINDS: Mapping[object, str] = {int: "a whole number", bool: "true or false", str: "a text"}
_PATH = re.compile(r"[^\0\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class HostedSettings:
    """``origin``: the ledger's name for ever, its URL with no scheme (c2sp.org/tlog-checkpoint).

    ``guard``: an absolute path, on another disk or at least outside of every backup. ``host``,
    ``port``: where the service listens; TLS is a proxy's. ``wanted``: TSAs that must answer before
    a stamp is complete. ``stamp_interval_seconds``: the shortest time between two stamped trees.
    ``operator``, ``statement``, ``statement_zh``, ``cac_filing``: who runs it, what that one says
    of it, and the number of its filing with the Cyberspace Administration of China; each may be
    empty.

    MalformedError if one of them cannot be.
    """

    origin: str
    guard: str
    development: bool = False
    host: str = "127.0.0.1"
    port: int = 8600
    wanted: int = 2
    stamp_interval_seconds: int = 300
    operator: str = ""
    statement: str = ""
    statement_zh: str = ""
    cac_filing: str = ""
    tsas: tuple[TsaSetting, ...] = field(
        default_factory=lambda: tuple(TsaSetting(name, url) for name, url in PUBLIC_TSAS)
    )

    def __post_init__(self) -> None:
        if not _ORIGIN.fullmatch(self.origin):
            hint = "as ledger.example.org or ledger.example.org/one: its URL without https://"
            text = f"origin is {self.origin!r}, want a host in lower case, and a path if you like"
            raise MalformedError(text, hint=hint)
        if self.origin.startswith("tallystick/"):
            raise MalformedError("origin begins as that of a ledger in a vault does")
        if not (_PATH.fullmatch(self.guard) and Path(self.guard).is_absolute()):
            raise MalformedError(f"guard is {self.guard!r}, want an absolute path, in UTF-8")
        if not _is_address(self.host):
            raise MalformedError(f"host is {self.host!r}, want an IP address, as 127.0.0.1")
        if not 0 <= self.port <= 65_535:
            raise MalformedError(f"port is {self.port}, want 0 to 65535")
        if not 0 <= self.stamp_interval_seconds <= MAX_INTERVAL_SECONDS:
            text = f"stamp_interval_seconds is {self.stamp_interval_seconds}"
            raise MalformedError(f"{text}, want 0 to {MAX_INTERVAL_SECONDS}")
        names = self.tsa_names
        if len(set(names)) != len(names):
            raise MalformedError("two TSAs have one name")
        if not 1 <= self.wanted <= len(names):
            text = f"{self.wanted} TSAs are wanted, and {len(names)} are there to ask"
            raise MalformedError(text, hint="name more TSAs, or want fewer")

    @property
    def tsa_names(self) -> tuple[str, ...]:
        """The TSAs that are asked."""
        return DEVELOPMENT_TSAS if self.development else tuple(tsa.name for tsa in self.tsas)


def parse_settings(content: bytes, environment: Mapping[str, str]) -> HostedSettings:
    """The settings in ``content``, with what the ``environment`` says instead; MalformedError."""
    try:
        table: dict[str, Any] = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # ValueError: not UTF-8, not TOML, or a number of 5000 digits.
        raise MalformedError(f"settings are not TOML: {error}") from error
    for name, variable in ENVIRONMENT.items():
        if variable in environment:
            text = environment[variable]
            # In the file, text is told from numbers.
            table[name] = _port(text) if name == "port" else text
    known = {one.name: one.type for one in fields(HostedSettings) if one.name != "tsas"}
    if unknown := sorted(set(table) - set(known) - {"tsa"}):
        raise MalformedError(f"settings have unknown key {unknown[0]!r}")
    if missing := sorted({"origin", "guard"} - set(table)):
        raise MalformedError(f"settings have no {missing[0]}")
    given = {name: table[name] for name in known if name in table}
    for name, value in given.items():
        if type(value) is not known[name]:
            raise MalformedError(f"{name} is {value!r}, want {_KINDS[known[name]]}")
    return HostedSettings(**given, tsas=parse_tsas(table))


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text  # a zone, which the server does not understand


def _port(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,5}", text, re.ASCII):
        raise MalformedError(f"{ENVIRONMENT['port']} is {text!r}, want a number")
    return int(text)


def format_settings(settings: HostedSettings) -> bytes:
    """The settings as TOML, with a word on each."""
    one = settings
    lines = f"""\
# Settings of a hosted Tallystick ledger. After a change: restart its service.
origin = {toml_text(one.origin)}  # its name for ever, in every proof: never change it
# What was signed, for ever. On another disk, and never restored from a backup:
guard = {toml_text(one.guard)}
development = {json.dumps(one.development)}  # true: its TSAs are its own, and prove nothing
host = {toml_text(one.host)}  # or TALLY_LEDGER_HOST; what is before it does TLS
port = {one.port}  # or TALLY_LEDGER_PORT
wanted = {one.wanted}  # TSAs that must answer before a stamp is complete
stamp_interval_seconds = {one.stamp_interval_seconds}  # between two stamped trees
# For its state page: who runs it, what that one says of it, its filing with the CAC (网信办备案).
operator = {toml_text(one.operator)}
statement = {toml_text(one.statement)}
statement_zh = {toml_text(one.statement_zh)}
cac_filing = {toml_text(one.cac_filing)}
"""
    tables = b"" if one.development else b"".join(map(format_tsa, one.tsas))
    return lines.encode("utf-8") + tables
