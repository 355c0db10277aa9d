"""A TSA in a file of settings: one [[tsa]] table, in a vault's and in a hosted ledger's alike."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any  # what TOML may hold
from urllib.parse import urlsplit

from ledger.errors import MalformedError

PUBLIC_TSAS = (
    ("digicert", "http://timestamp.digicert.com"),
    ("sectigo", "http://timestamp.sectigo.com"),
    ("globalsign", "http://timestamp.globalsign.com/tsa/r6advanced1"),
)
"""Public authorities that answer without an account (profile ``intl``)."""

THIS_MACHINE = ("127.0.0.1", "::1", "localhost")
"""Hosts that a secret may be sent to without TLS: it does not leave the machine."""

MINIMUM_INTERVALS = {"timestamp.sectigo.com": 15}
"""Seconds between two requests that a host asks for, where the settings say nothing."""

MAX_INTERVAL_SECONDS = 86_400
"""A day: no TSA is asked more rarely than the ledger is stamped."""

_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_TSA_KEYS = ("name", "url", "interval_seconds", "username", "password_file")


@dataclass(frozen=True, slots=True)
class TsaSetting:
    """One TSA to ask: a short name (it becomes part of file names) and its URL.

    ``interval_seconds``: the shortest time between two requests; None: what is known of its host.
    ``username``, ``password_file``: for one that wants an account; the password itself is never
    in here, and is sent over https alone (or to this machine). MalformedError.
    """

    name: str
    url: str
    interval_seconds: int | None = None
    username: str | None = None
    password_file: str | None = None

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise MalformedError(f"tsa name is {self.name!r}, want {_NAME.pattern}")
        if not re.fullmatch(r"https?://[!-~]+", self.url):
            raise MalformedError(f"tsa url is {self.url!r}, want http:// or https://")
        try:
            parts = urlsplit(self.url)
        except ValueError as error:
            raise MalformedError(f"tsa url is {self.url!r}: {error}") from error
        if not parts.hostname:
            raise MalformedError(f"tsa url is {self.url!r}, want a host in it")
        if parts.username is not None:
            hint = "--username and --password-file keep the password out of the settings"
            raise MalformedError(f"tsa url of {self.name} has an account in it", hint=hint)
        if not 0 <= (self.interval_seconds or 0) <= MAX_INTERVAL_SECONDS:
            text = f"interval is {self.interval_seconds} s, want 0 to {MAX_INTERVAL_SECONDS}"
            raise MalformedError(text)
        self._check_account(parts.scheme == "https" or parts.hostname in THIS_MACHINE)

    def _check_account(self, safe: bool) -> None:
        if (self.username is None) is not (self.password_file is None):
            raise MalformedError("a tsa has a username and a password_file, or neither")
        for text in (self.username, self.password_file):
            if text is not None and not (text and text.isprintable()):
                raise MalformedError(f"username or password_file of {self.name} is no plain text")
        if self.username is not None and not safe:
            raise MalformedError(f"{self.name} has an account: its url has to be https")
        if ":" in (self.username or ""):
            raise MalformedError("a username has no colon (RFC 7617)")

    @property
    def host(self) -> str:
        """The host in its URL."""
        return urlsplit(self.url).hostname or ""

    @property
    def minimum_interval_seconds(self) -> int:
        """Between two requests: as set, else what is known of its host."""
        if self.interval_seconds is not None:
            return self.interval_seconds
        return MINIMUM_INTERVALS.get(self.host, 0)

    @property
    def is_domestic(self) -> bool:
        """Whether it is a Chinese authority, as its host's name tells."""
        return self.host.endswith(".cn")


def format_tsa(tsa: TsaSetting) -> bytes:
    """The table, as TOML, an empty line before it."""
    lines = ["", "[[tsa]]", f"name = {toml_text(tsa.name)}", f"url = {toml_text(tsa.url)}"]
    if tsa.interval_seconds is not None:
        lines.append(f"interval_seconds = {tsa.interval_seconds}")
    if tsa.username is not None and tsa.password_file is not None:
        lines.append(f"username = {toml_text(tsa.username)}")
        lines.append(f"password_file = {toml_text(tsa.password_file)}")
    return ("\n".join(lines) + "\n").encode("utf-8")


def toml_text(value: str) -> str:
    """A TOML string: JSON's, with no escapes of half a character, and with one of DEL."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def parse_tsas(table: Mapping[str, Any]) -> tuple[TsaSetting, ...]:
    """The [[tsa]] tables among the settings in ``table``; MalformedError."""
    tsas = table.get("tsa", [])
    if not isinstance(tsas, list) or not all(
        isinstance(tsa, dict) and {"name", "url"} <= set(tsa) for tsa in tsas
    ):
        raise MalformedError("each [[tsa]] has a name and a url")
    return tuple(map(_parse_tsa, tsas))


def _parse_tsa(table: Mapping[str, Any]) -> TsaSetting:  # Any: what TOML may hold
    if unknown := sorted(set(table) - set(_TSA_KEYS)):
        raise MalformedError(f"[[tsa]] has unknown key {unknown[0]!r}")
    texts = {key: value for key, value in table.items() if key != "interval_seconds"}
    for key, value in texts.items():
        if not isinstance(value, str):
            raise MalformedError(f"[[tsa]] {key} is not a text")
    if "interval_seconds" not in table:
        return TsaSetting(**texts)
    return TsaSetting(**texts, interval_seconds=toml_whole(table, "interval_seconds", 0, 0))


def toml_whole(table: Mapping[str, Any], name: str, default: int, least: int) -> int:
    """The whole number ``name`` of a table, ``least`` or more; MalformedError."""
    value = table.get(name, default)
    if type(value) is not int or value < least:
        raise MalformedError(f"{name} is {value!r}, want a whole number from {least}")
    return value
