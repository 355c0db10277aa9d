"""``tally doctor``: does this machine have what Tallystick needs, one line per question."""

import platform
import shutil
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import click
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from cli.compose import now, open_attempts, open_tally, state_folder, vault_folder
from cli.output import EXIT_DONE, EXIT_INCOMPLETE, json_option, print_json, result, vault_option
from cli.waiting import notes, tsa_states
from ledger.errors import LedgerError, NotFoundError
from ledger.holder.vault import open_vault

LOW_DISK_BYTES = 1 << 30
EARLIEST = datetime(2026, 1, 1, tzinfo=now().tzinfo)
"""A clock before this version was written is wrong."""


@click.command()
@vault_option
@json_option
def doctor(vault: str | None, as_json: bool) -> int:
    """Check the machine, the clock, the disk, the vault, its guard and TSAs; exit 3 if amiss.

    TSAs are not asked: their last answers are told. `tally tsa test` asks.
    """
    folder = vault_folder(vault)
    checks: list[tuple[str, Callable[[], str]]] = [
        ("python", platform.python_version),
        ("sqlite", _sqlite),
        ("sm3", _sm3),
        ("ml-dsa", _ml_dsa),
        ("clock", _clock),
        ("openssl", _openssl),
        ("disk", lambda: _disk(folder)),
        ("state", lambda: str(state_folder())),
        ("vault", lambda: _vault(folder)),
    ]
    rows = [*(_row(name, check) for name, check in checks), *_tsas(folder)]
    if as_json:
        print_json({"checks": [{"name": n, "ok": ok, "says": says} for n, ok, says in rows]})
    else:
        for name, ok, says in rows:
            result(f"{'ok   ' if ok else 'amiss'}  {name:8} {says}")
    return EXIT_DONE if all(ok for _, ok, _ in rows) else EXIT_INCOMPLETE


def _row(name: str, check: Callable[[], str]) -> tuple[str, bool, str]:
    try:
        return name, True, check()
    except LedgerError as error:
        return name, False, f"{error}" + (f" ({error.hint})" if error.hint else "")


def _sqlite() -> str:
    if sqlite3.sqlite_version_info < (3, 37):
        raise NotFoundError(f"SQLite {sqlite3.sqlite_version}, want 3.37 or later (STRICT tables)")
    return sqlite3.sqlite_version


def _sm3() -> str:
    try:
        hashes.Hash(hashes.SM3())
    except UnsupportedAlgorithm as error:
        raise NotFoundError(f"this cryptography has no SM3: {error}") from error
    return "there"


def _ml_dsa() -> str:
    try:
        MLDSA44PrivateKey.generate()
    except UnsupportedAlgorithm as error:
        raise NotFoundError(f"this cryptography has no ML-DSA-44: {error}") from error
    return "there"


def _clock() -> str:
    if now() < EARLIEST:
        raise NotFoundError(f"it says {now():%Y-%m-%d}: set it; records claim this time")
    return f"{now():%Y-%m-%d %H:%M:%S} UTC (a claim; only tokens prove)"


def _openssl() -> str:
    found = shutil.which("openssl")
    return found or "not here; only needed to check tokens by hand"


def _disk(folder: Path) -> str:
    place = next(parent for parent in [folder, *folder.parents] if parent.exists())
    free = shutil.disk_usage(place).free
    if free < LOW_DISK_BYTES:
        raise NotFoundError(f"{free >> 20} MiB free at {place}")
    return f"{free >> 30} GiB free"


def _vault(folder: Path) -> str:
    try:
        tally = open_tally(folder)
    except NotFoundError:
        return f"none in {folder} (`tally init` makes one)"
    if tally.closed is not None:
        raise tally.closed
    setting = tally.vault.config.ledger
    stands = "guard agrees" if setting is None else f"ledger at {setting.url}"
    return f"{folder}, {tally.vault.records.count()} records, {stands}"


def _tsas(folder: Path) -> list[tuple[str, bool, str]]:
    """A row for each TSA of the vault's; none if there is no vault to open, which is told above."""
    try:
        vault = open_vault(folder)
    except LedgerError:
        return []
    click.get_current_context().call_on_close(vault.close)
    attempts = None if vault.config.development else open_attempts(vault)
    states = tsa_states(vault.config, attempts)
    rows = [("tsa", not one.fails, f"{one.name}: {one.words(now())}") for one in states]
    return rows + [("tsa", False, words) for words in notes(vault.config)]
