"""Where the passphrase of a vault comes from: a file, the system's keyring, a terminal; or nowhere.

Work in the background is never asked: without a terminal, or with TALLY_BACKGROUND=1, a vault
without a passphrase file or keyring stays locked.
"""

import os
import sys
from pathlib import Path
from typing import Any

import click

from cli.output import PASSPHRASE_FILE, UsageError, hint, talk
from ledger.doors import keyring
from ledger.doors.files import check_private, read_limited
from ledger.errors import MalformedError, UnavailableError
from ledger.holder.lock import Ask, Lock

MAX_PASSPHRASE_BYTES = 1 << 10
"""Far longer than anybody types."""

_ASKED = "cli.passphrases"


def passphrase_of(folder: Path) -> Ask:
    """What gives the passphrase of the vault in ``folder``; a command asks for it once.

    Asking raises MalformedError, NotFoundError or UnavailableError for a passphrase file that is
    not to be used.
    """

    def ask() -> str | None:
        context = click.get_current_context(silent=True)
        meta: dict[str, Any] = {} if context is None else context.meta  # click's own type
        asked: dict[Path, str | None] = meta.setdefault(_ASKED, {})
        if folder not in asked:
            asked[folder] = given_passphrase() or _from_keyring(folder) or _from_terminal(folder)
        return asked[folder]

    return ask


def given_passphrase() -> str | None:
    """The passphrase in the file that this command was given; None if it was given none."""
    context = click.get_current_context(silent=True)
    given = None if context is None else context.meta.get(PASSPHRASE_FILE)
    return None if given is None else read_passphrase_file(Path(given))


def read_passphrase_file(path: Path) -> str:
    """The one line of the file at ``path``; MalformedError if others may read it, or it is no line.

    NotFoundError, UnavailableError.
    """
    content = read_limited(path, MAX_PASSPHRASE_BYTES)
    check_private(path)
    try:
        # Some editors put a mark first that nobody would type.
        lines = content.decode("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise MalformedError(f"{path} is not UTF-8") from error
    if len(lines) != 1 or not lines[0]:
        raise MalformedError(f"{path} has {len(lines)} lines, want the passphrase and nothing else")
    return lines[0]


def new_passphrase(file: str | None = None) -> str:
    """A passphrase that is new: of ``file``, else typed twice; UsageError if nobody can type."""
    if file is not None:
        return read_passphrase_file(Path(file))
    if not may_ask():
        advice = "give it in a file that only you can read: --passphrase-file FILE"
        raise UsageError("there is no terminal to ask for a passphrase", advice)
    talk("nobody can restore a passphrase that is forgotten: records stay, their keys are lost")
    typed: str = click.prompt(
        "new passphrase", hide_input=True, confirmation_prompt="once more", err=True
    )
    return typed


def may_ask() -> bool:
    """Whether somebody sits there: stdin is a terminal, and this is no work in the background."""
    background = os.environ.get("TALLY_BACKGROUND", "") not in {"", "0"}
    return sys.stdin is not None and sys.stdin.isatty() and not background


def keyring_name(lock: Lock) -> str:
    """Under which name a vault's passphrase lies in the keyring: one that moves with the vault."""
    return lock.recipient


def _from_keyring(folder: Path) -> str | None:
    lock = Lock(folder / "keys", lambda: None)
    if not lock.in_keyring:
        return None
    try:
        return keyring.read_passphrase(keyring_name(lock))
    except UnavailableError as error:
        # It may still be typed; or what is captured waits.
        talk(str(error))
        if error.hint:
            hint(error.hint)
    return None


def _from_terminal(folder: Path) -> str | None:
    if not may_ask():
        return None
    typed: str = click.prompt(f"passphrase of {folder}", hide_input=True, err=True)
    return typed
