"""Joins holder to operator: opens a vault together with the ledger it anchors in."""

import hashlib
import os
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs

from ledger.doors.client import Ledger, StampReport
from ledger.doors.files import read_limited, write_durably
from ledger.doors.keys import load_ledger_keys, make_ledger_keys
from ledger.errors import ConflictError
from ledger.holder.anchoring import Anchorer
from ledger.holder.config import Config
from ledger.holder.vault import Vault, create_vault, open_vault
from ledger.operator.devtsa import DevelopmentTsa
from ledger.operator.guard import Guard
from ledger.operator.local import LocalLedger
from ledger.operator.sequencer import LedgerKeys
from ledger.operator.stamper import Stamper
from ledger.operator.store.sqlite import SqliteStore
from ledger.operator.tsa import HttpTsa, Tsa
from ledger.proof.stamps import format_certificate
from ledger.tlog.checkpoint import self_certifying_origin

DEVELOPMENT_NAMES = ("development-1", "development-2")
DEVELOPMENT_TRUST = "development-trust.toml"

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Tally:
    """The two halves put together: a vault, the ledger it anchors in, and what joins them."""

    vault: Vault
    ledger: Ledger
    anchorer: Anchorer


def now() -> datetime:
    """The system clock, aware."""
    return datetime.now(UTC)


def vault_folder(given: str | None) -> Path:
    """The vault's folder: as given, else in the platform's data folder."""
    return Path(given) if given else platformdirs.user_data_path("tallystick") / "vault"


def state_folder() -> Path:
    """Where guards live: apart from vaults and never in their backups (or TALLY_STATE)."""
    given = os.environ.get("TALLY_STATE")
    return Path(given) if given else platformdirs.user_state_path("tallystick")


def make_tally(
    folder: Path, config: Config, *, clock: Clock = now, state: Path | None = None
) -> Tally:
    """Make a vault with an embedded ledger in ``folder``; ConflictError if there is one."""
    vault = create_vault(folder, config)
    ledger = folder / "ledger"
    try:
        make_ledger_keys(ledger / "keys.pem")
        if config.development:
            tsas = [DevelopmentTsa.create(name, clock) for name in DEVELOPMENT_NAMES]
            for tsa in tsas:
                write_durably(ledger / f"{tsa.name}.pem", tsa.to_pem())
            write_development_trust(folder, tsas)
    except ConflictError as error:
        hint = "it was left by an interrupted `tally init`; remove the folder and start again"
        raise ConflictError(str(error), hint=hint) from error
    tally = _join(vault, clock, state)
    # Entry 0 is a cover: its stamp is the lower bound of the first record.
    tally.anchorer.cover()
    tally.anchorer.send()
    return tally


def open_tally(folder: Path, *, clock: Clock = now) -> Tally:
    """Open a vault with its ledger; NotFoundError, ConflictError, UnavailableError."""
    return _join(open_vault(folder), clock, None)


def _join(vault: Vault, clock: Clock, state: Path | None) -> Tally:
    folder = vault.folder / "ledger"
    ed25519, ml_dsa_44 = load_ledger_keys(folder / "keys.pem")
    raw = (ed25519.public_key().public_bytes_raw(), ml_dsa_44.public_key().public_bytes_raw())
    keys = LedgerKeys(self_certifying_origin(*raw), ed25519, ml_dsa_44)
    store = SqliteStore(folder / "store.sqlite")
    name = f"{keys.origin.split('/')[1][:32]}.sqlite"
    guard = Guard((state or state_folder()) / "guards" / name)
    tsas, certificates = _tsas(vault, clock)
    interval = 0 if vault.config.development else vault.config.minimum_interval_seconds
    stamper = Stamper(
        store,
        tsas,
        wanted=vault.config.wanted,
        minimum_interval=timedelta(seconds=interval),
        clock=clock,
        random_bytes=secrets.token_bytes,
    )
    ledger = LocalLedger(store, guard, keys, stamper, certificates)
    anchorer = Anchorer(vault, ledger, clock=clock, random_bytes=secrets.token_bytes)
    return Tally(vault, ledger, anchorer)


def _tsas(vault: Vault, clock: Clock) -> tuple[Sequence[Tsa], Sequence[bytes]]:
    """The TSAs of the vault's settings, and the certificates that go into bundles."""
    if not vault.config.development:
        return [HttpTsa(tsa.name, tsa.url) for tsa in vault.config.tsas], ()
    folder = vault.folder / "ledger"
    tsas = [
        DevelopmentTsa.from_pem(read_limited(folder / f"{name}.pem", 1 << 16), clock)
        for name in DEVELOPMENT_NAMES
    ]
    return tsas, [tsa.root for tsa in tsas]


def write_development_trust(folder: Path, tsas: Sequence[DevelopmentTsa]) -> None:
    """The trust file for a vault's own development TSAs, and their roots as PEM for openssl."""
    lines = ["# Accepts this vault's development TSAs. It proves nothing: they are your own.", ""]
    for tsa in tsas:
        _, pem = format_certificate(tsa.root)
        write_durably(folder / f"{tsa.name}-root.pem", pem, mode=0o644)
        anchor = hashlib.sha256(tsa.root).hexdigest()
        lines += [
            "[[tsa]]",
            f'name = "{tsa.name}"',
            f'anchor = "{anchor}"',
            "development = true",
            "",
        ]
    write_durably(folder / DEVELOPMENT_TRUST, "\n".join(lines).encode("ascii"), mode=0o644)


def pending_words(report: StampReport | None) -> list[str]:
    """Which stamps are pending and why, a line each."""
    if report is None or report.complete:
        return []
    return [f"stamp of {name} pending: {reason}" for name, reason in report.pending]
