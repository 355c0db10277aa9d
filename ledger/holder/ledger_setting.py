"""Where the ledger of a vault is, if it is not in the vault: the [ledger] table of the settings."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from ledger.doors.tsa_setting import THIS_MACHINE
from ledger.errors import MalformedError
from ledger.tlog.note import NoteKey, format_vkey, parse_vkey

MAX_KEYS = 8
"""A ledger signs with two."""


@dataclass(frozen=True, slots=True)
class LedgerSetting:
    """A ledger over HTTP: its URL, the file with the token to append with, and its public keys.

    ``token_file``: an absolute path; the token itself is never in the settings. ``keys``: what its
    checkpoints are checked with, pinned when the vault was made; one name. MalformedError, also for
    a URL that would send the token over a network unencrypted.
    """

    url: str
    token_file: str
    keys: tuple[NoteKey, ...]

    def __post_init__(self) -> None:
        check_url(self.url)
        if not (self.token_file and self.token_file.isprintable()):
            raise MalformedError("token_file is no plain text")
        if not 1 <= len(self.keys) <= MAX_KEYS:
            raise MalformedError(f"the ledger has {len(self.keys)} keys, want 1 to {MAX_KEYS}")
        if len({(key.name, key.key_id) for key in self.keys}) != len(self.keys):
            raise MalformedError("a key of the ledger is named twice")
        if len({key.name for key in self.keys}) != 1:
            raise MalformedError("the ledger's keys have different names, want one ledger")

    @property
    def origin(self) -> str:
        """The ledger's name, as in its checkpoints."""
        return self.keys[0].name


def check_url(url: str) -> None:
    """MalformedError unless ``url`` is https, or http to this machine, with nothing but a path."""
    hint = "https://HOST/PATH; http only to this machine"
    if not re.fullmatch(r"https?://[!-~]+", url):
        raise MalformedError(f"ledger url is {url!r}, want https://", hint=hint)
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise MalformedError(f"ledger url is {url!r}: {error}", hint=hint) from error
    if not host:
        raise MalformedError(f"ledger url is {url!r}, want a host in it", hint=hint)
    if parts.username is not None:
        raise MalformedError("ledger url has an account in it", hint="--token-file has the token")
    if parts.query or parts.fragment:
        raise MalformedError(f"ledger url is {url!r}, want nothing behind the path", hint=hint)
    if parts.scheme != "https" and host not in THIS_MACHINE:
        text = f"ledger url is {url!r}: the token would go over the network unencrypted"
        raise MalformedError(text, hint=hint)


def parse_ledger(table: object) -> LedgerSetting:
    """The setting in a [ledger] table of TOML; MalformedError."""
    if not isinstance(table, Mapping) or set(table) != {"url", "token_file", "keys"}:
        raise MalformedError("[ledger] has a url, a token_file and keys, and nothing else")
    url, token_file, keys = table["url"], table["token_file"], table["keys"]
    if not isinstance(url, str) or not isinstance(token_file, str):
        raise MalformedError("url and token_file of [ledger] are not texts")
    return LedgerSetting(url, token_file, tuple(map(parse_vkey, _texts(keys))))


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise MalformedError("keys of [ledger] is not a list of texts")
    return value


def format_ledger(setting: LedgerSetting) -> bytes:
    """The setting as a table of TOML."""
    lines = [
        "",
        "[ledger]",
        f"url = {json.dumps(setting.url)}",
        f"token_file = {json.dumps(setting.token_file, ensure_ascii=False)}",
        "keys = [  # what its checkpoints are checked with",
        *(f"  {json.dumps(format_vkey(key))}," for key in setting.keys),
        "]",
    ]
    return ("\n".join(lines) + "\n").encode("utf-8")
