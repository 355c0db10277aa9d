"""What each TSA of a vault last answered, and what is waited for: status, doctor, ``tsa list``."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cli.tsas import DEVELOPMENT_NAMES
from ledger.errors import LedgerError
from ledger.holder.config import Config
from ledger.operator.attempts import ANSWERED, ASKING, UNFINISHED, Attempt, Attempts
from ledger.operator.tsa import Credentials

NO_DOMESTIC = "no domestic TSA: `tally tsa add unitrust https://tsa.cn/tsa --username …`"
"""What profile ``cn`` has to say of itself without an account."""

USUALLY_WANTED = 2
ONE_TSA = (
    "one TSA is waited for, and whoever verifies usually wants 2: `tally tsa add`,"
    " then wanted = 2 in tallystick.toml"
)


@dataclass(frozen=True, slots=True)
class TsaState:
    """One TSA of the settings. ``last``: the last attempt at it, None if it was never asked.

    ``url``: None for the development TSAs of the vault's own.
    """

    name: str
    url: str | None
    last: Attempt | None

    @property
    def fails(self) -> bool:
        """Whether it was asked last, and did not answer."""
        return self.last is not None and self.last.reason not in (ANSWERED, ASKING, UNFINISHED)

    def words(self, now: datetime) -> str:
        """The last answer and what is waited for, in a line."""
        if self.url is None:
            return "development TSA of this vault: proves nothing"
        if self.last is None:
            return "not asked yet"
        last = self.last
        if last.reason == ANSWERED:
            return f"answered {_second(last.started)}"
        parts = [f"{last.reason}: {last.text}" if last.text else last.reason]
        if last.waits(now):
            parts.append(f"asked again from {_second(last.again)}")
        if last.answered is not None:
            parts.append(f"last answered {_second(last.answered)}")
        return "; ".join(parts)

    def json(self, now: datetime) -> dict[str, Any]:  # Any: a JSON document
        """The same for programs; ``state`` is a stable word."""
        last = self.last
        if last is None:
            state = "never-asked" if self.url else "development"
            return {"name": self.name, "url": self.url, "state": state}
        return {
            "name": self.name,
            "url": self.url,
            "state": last.reason,
            "text": last.text,
            "size": last.size,
            "asked": _second(last.started),
            "answered": None if last.answered is None else _second(last.answered),
            "failures": last.failures,
            "again": _second(last.again) if last.waits(now) else None,
        }


def tsa_states(config: Config, attempts: Attempts | None) -> list[TsaState]:
    """The state of each TSA of the settings, in their order."""
    if config.development:
        return [TsaState(name, None, None) for name in DEVELOPMENT_NAMES]
    last: Mapping[str, Attempt] = {}
    if attempts is not None:
        try:
            last = attempts.last()
        except LedgerError:
            # Only politeness is written there: nothing else is lost.
            last = {}
    return [TsaState(tsa.name, tsa.url, last.get(tsa.name)) for tsa in config.tsas]


def notes(config: Config) -> list[str]:
    """What the settings lack, a line each."""
    if config.development or config.ledger is not None:
        return []
    lacks = [NO_DOMESTIC] if config.lacks_domestic_tsa else []
    return lacks if config.wanted >= USUALLY_WANTED else [*lacks, ONE_TSA]


def _second(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def password_path(given: str | None) -> str | None:
    """The password file's absolute path; MalformedError, now, if others may read it; NotFoundError.

    Links in it are not resolved: one may be what is meant to stay.
    """
    if given is None:
        return None
    path = Path.cwd() / given
    Credentials("", path).authorization()
    return os.fspath(path)
