"""Joins holder to operator: opens a vault together with the ledger it anchors in."""

import contextlib
import functools
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click
import platformdirs

from cli.afar import begin_chains, open_remote
from cli.output import hint, talk
from cli.passphrase import passphrase_of
from cli.tsas import make_development_tsas, make_tsas
from ledger.doors.client import Ledger, StampReport
from ledger.doors.files import free_bytes, read_limited
from ledger.doors.keys import KEY_TYPES, load_ledger_keys, make_ledger_keys
from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    UnavailableError,
)
from ledger.holder.anchoring import Anchorer
from ledger.holder.config import Config
from ledger.holder.kept_ledger import LEDGER_LOST, KeptLedger
from ledger.holder.records import StoredRecord
from ledger.holder.vault import Vault, begin_vault, finish_vault, open_vault
from ledger.operator.attempts import Attempts
from ledger.operator.capture import Capture
from ledger.operator.closed import ClosedLedger
from ledger.operator.guard import Guard
from ledger.operator.local import LocalLedger
from ledger.operator.sequencer import LedgerKeys
from ledger.operator.stamper import Stamper
from ledger.operator.store.sqlite import SqliteStore
from ledger.operator.tsa import WAIT_SECONDS
from ledger.proof.roots import read_roots
from ledger.tlog.checkpoint import self_certifying_origin
from ledger.tlog.note import NoteKey, parse_vkey

VKEYS = "vkeys"
"""The public keys of a ledger that is closed, in its folder, a line each (c2sp.org/signed-note)."""
MAX_VKEYS_BYTES = 1 << 14
"""Two keys, of them one with ML-DSA-44: some 2 KB."""

SPARE_SECONDS = 2.0
"""What a command that only reads gives to stamps that are pending."""

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Tally:
    """The two halves put together: a vault, the ledger it anchors in, and what joins them.

    ``closed``: why the ledger must not be continued (restored, copied, its guard lost), or None.
    ``attempts``: what TSAs were asked last; None if nobody keeps count (development). ``tried``:
    what came of giving pending stamps a try while opening, if that was done. ``earlier``: the
    ledgers that were closed before this one was opened, by origin.
    """

    vault: Vault
    ledger: Ledger
    anchorer: Anchorer
    closed: ConflictError | None = None
    attempts: Attempts | None = None
    tried: StampReport | None = None
    earlier: Mapping[str, ClosedLedger] = field(default_factory=dict)

    def ledger_of(self, record: StoredRecord) -> Ledger:
        """The ledger that has ``record``: the one anchored in, or one closed before."""
        return self.earlier.get(record.ledger or "", self.ledger)


def now() -> datetime:
    """The system clock, aware."""
    return datetime.now(UTC)


def vault_folder(given: str | None) -> Path:
    """The vault's folder: as given, else in the platform's data folder."""
    return Path(given) if given else platformdirs.user_data_path("tallystick") / "vault"


def state_folder() -> Path:
    """Where guards live: apart from vaults, and never in their backups (or TALLY_STATE)."""
    given = os.environ.get("TALLY_STATE")
    return Path(given) if given else platformdirs.user_state_path("tallystick")


def make_tally(
    folder: Path,
    config: Config,
    *,
    clock: Clock = now,
    state: Path | None = None,
    passphrase: str | None = None,
    key_type: str = KEY_TYPES[0],
) -> Tally:
    """Make a vault in ``folder``, with its ledger unless that is elsewhere (``config.ledger``).

    ConflictError if there is a vault.

    ``passphrase``, ``key_type``: as in ``begin_vault``.
    If we die at any point, the same call goes on where it was: what is there is used, and the
    folder becomes a vault with the last write.
    """
    vault = begin_vault(folder, config, passphrase=passphrase, key_type=key_type)
    ledger = folder / "ledger"
    if config.ledger is None and not (ledger / "keys.pem").exists():
        make_ledger_keys(ledger / "keys.pem")
    if config.development:
        make_development_tsas(folder, clock)
    tally = _join(vault, clock, state)
    if tally.closed is not None:
        # The guard was lost since the attempt that is gone on with.
        raise ConflictError(str(tally.closed), hint="remove the folder and start again: it is new")
    # Entry 0 is a cover: its stamp is the lower bound of the first record.
    if not vault.records.has_covers():
        tally.anchorer.cover()
    tally.anchorer.send()
    finish_vault(vault)
    return tally


def open_tally(
    folder: Path,
    *,
    clock: Clock = now,
    writing: bool = False,
    wait_seconds: float = WAIT_SECONDS,
) -> Tally:
    """Open a vault with its ledger; NotFoundError, ConflictError, UnavailableError.

    A ledger that must not be continued (``Tally.closed``) can be read, unless for ``writing``.
    ``wait_seconds``: the longest wait for TSAs, as in ``Stamper``.
    """
    tally = _join(
        open_vault(folder, passphrase_of(folder)), clock, None, wait_seconds, create=False
    )
    if writing and tally.closed is not None:
        raise tally.closed
    if writing and tally.vault.config.ledger is not None:
        # Only a backup that was restored has them there.
        begin_chains(tally.vault, tally.vault.ledger_folder / VKEYS)
    successions = tally.vault.successions.all()
    if writing and successions:
        # Left undone if a `tally vault successor` died.
        closed = successions[-1]
        tally.anchorer.announce(closed, tally.earlier[closed.origin])
    return tally


def open_to_read(folder: Path) -> Tally:
    """``open_tally`` for commands that only read; says so if the ledger is closed.

    Pending stamps get one try of ``SPARE_SECONDS`` at most. Not in a development vault: its TSAs
    are always there, and have stamped whatever they were asked to; and a ledger elsewhere is not
    asked while no record waits for stamps.
    """
    tally = _open_or_kept(folder)
    if tally.closed is not None:
        talk(f"the ledger is closed, and can only be read: {tally.closed}")
        if tally.closed.hint:
            hint(tally.closed.hint)
    elif _may_wait_for_stamps(tally.vault):
        # The command is for something else: what goes wrong here is tried again.
        with contextlib.suppress(LedgerError):
            return replace(tally, tried=_stamp_or_tell(tally))
    return tally


def _may_wait_for_stamps(vault: Vault) -> bool:
    setting, wanted = vault.config.ledger, vault.config.wanted
    if setting is None:
        return not vault.config.development
    return bool(vault.receipts.lacking_indexes(setting.origin, wanted))


def _stamp_or_tell(tally: Tally) -> StampReport | None:
    """Give pending stamps a try; of a ledger elsewhere that does not hold, it is told."""
    try:
        return tally.anchorer.stamp()
    except UnavailableError:
        raise
    except LedgerError as error:
        if tally.vault.config.ledger is not None:
            talk(f"{error}")
            hint(error.hint or "tally sync")
        raise


def _open_or_kept(folder: Path) -> Tally:
    """``open_tally``; over the vault's receipts if the ledger itself cannot be read."""
    try:
        return open_tally(folder, wait_seconds=SPARE_SECONDS)
    except LedgerError as error:
        fault = error
    vault = open_vault(folder, passphrase_of(folder))
    close_with_command(vault.close)
    # That another process has its turn is no fault of the ledger's: waiting for it tells.
    with vault.turn():
        ledger = KeptLedger(vault.receipts, fault)
    anchorer = Anchorer(vault, ledger, clock=now, random_bytes=secrets.token_bytes)
    text = f"{fault}; what is told is from the receipts in the vault"
    return Tally(vault, ledger, anchorer, ConflictError(text, hint=LEDGER_LOST))


def offline() -> str | None:
    """Why the network must not be asked: TALLY_OFFLINE is set, and not to 0. Else None."""
    given = os.environ.get("TALLY_OFFLINE", "")
    return None if given in {"", "0"} else "offline: TALLY_OFFLINE is set"


def _join(
    vault: Vault,
    clock: Clock,
    state: Path | None,
    wait_seconds: float = WAIT_SECONDS,
    *,
    create: bool = True,
) -> Tally:
    close_with_command(vault.close)
    earlier = {
        one.origin: open_closed(vault, vault.folder / one.folder, clock, one.successor)
        for one in vault.successions.all()
    }
    if vault.config.ledger is not None:
        remote = open_remote(vault, vault.config.ledger, wait_seconds, offline())
        anchorer = Anchorer(vault, remote, clock=clock, random_bytes=secrets.token_bytes)
        return Tally(vault, remote, anchorer, remote.closed, earlier=earlier)
    folder = vault.ledger_folder
    attempts = None if vault.config.development else open_attempts(vault)
    ledger: LocalLedger | ClosedLedger
    if is_restored(folder):
        ledger = open_closed(vault, folder, clock)
    else:
        ledger = open_ledger(vault, folder, clock, state, attempts, wait_seconds, create=create)
    anchorer = Anchorer(vault, ledger, clock=clock, random_bytes=secrets.token_bytes)
    return Tally(vault, ledger, anchorer, ledger.closed, attempts, earlier=earlier)


def open_ledger(
    vault: Vault,
    folder: Path,
    clock: Clock,
    state: Path | None = None,
    attempts: Attempts | None = None,
    wait_seconds: float = WAIT_SECONDS,
    *,
    create: bool = True,
) -> LocalLedger:
    """The embedded ledger in ``folder`` with its guard; closed if it must not be continued.

    ``create``: make its store if there is none; else NotFoundError.
    """
    keys = ledger_keys(folder)
    store = SqliteStore(folder / "store.sqlite", create=create)
    close_with_command(store.close)
    place = guard_path(keys.origin, state)
    guard = Guard(place)
    close_with_command(guard.close)
    tsas, certificates = make_tsas(vault, clock)
    development = vault.config.development
    interval = 0 if development else vault.config.minimum_interval_seconds
    alone = None if development else offline()
    capture = Capture(store, (*certificates, *read_roots()), clock=clock, offline=alone)
    stamper = Stamper(
        store,
        tsas,
        wanted=vault.config.wanted,
        minimum_interval=timedelta(seconds=interval),
        clock=clock,
        random_bytes=secrets.token_bytes,
        attempts=attempts,
        intervals={
            tsa.name: timedelta(seconds=tsa.minimum_interval_seconds) for tsa in vault.config.tsas
        },
        anchors=(*certificates, *read_roots()),
        offline=alone,
        wait_seconds=wait_seconds,
        after=capture.after,
    )
    # Opening may sign what a crash left unsigned: like every writing it wants its turn.
    with vault.turn():
        return LocalLedger(
            store,
            guard,
            keys,
            stamper,
            certificates,
            capture,
            lambda: min(map(free_bytes, (folder, place.parent))),
        )


def guard_path(origin: str, state: Path | None = None) -> Path:
    """Where the guard of an embedded ledger lies on this machine, if there is one."""
    return (state or state_folder()) / "guards" / f"{origin.split('/')[1][:32]}.sqlite"


def ledger_keys(folder: Path) -> LedgerKeys:
    """The private keys of the embedded ledger in ``folder``, with the name they give it."""
    ed25519, ml_dsa_44 = load_ledger_keys(folder / "keys.pem")
    raw = (ed25519.public_key().public_bytes_raw(), ml_dsa_44.public_key().public_bytes_raw())
    return LedgerKeys(self_certifying_origin(*raw), ed25519, ml_dsa_44)


def is_restored(folder: Path) -> bool:
    """Whether the ledger in ``folder`` came out of a backup: it has no keys to sign with."""
    return (folder / VKEYS).exists() and not (folder / "keys.pem").exists()


def read_vkeys(folder: Path) -> tuple[NoteKey, ...]:
    """The public keys of the closed ledger in ``folder``."""
    content = read_limited(folder / VKEYS, MAX_VKEYS_BYTES)
    try:
        return tuple(parse_vkey(line) for line in content.decode("ascii").splitlines())
    except UnicodeDecodeError as error:
        raise MalformedError(f"{folder / VKEYS} is no list of keys") from error


def open_closed(
    vault: Vault, folder: Path, clock: Clock, successor: str | None = None
) -> ClosedLedger:
    """The closed ledger in ``folder``, to read; ``successor``: the origin of what followed it."""
    keys = read_vkeys(folder)
    store = SqliteStore(folder / "store.sqlite", create=False)
    close_with_command(store.close)
    _, certificates = make_tsas(vault, clock)
    capture = Capture(store, (*certificates, *read_roots()), clock=clock, offline=offline())
    if successor is None:
        text = "this vault was restored: its ledger is never continued"
        closed = ConflictError(text, hint="tally vault successor")
    else:
        closed = ConflictError(f"this ledger was closed, and is followed by {successor}")
    kept = functools.partial(vault.receipts.signed_file, keys[0].name)
    return ClosedLedger(store, keys, capture, closed, kept)


def open_attempts(vault: Vault) -> Attempts | None:
    """What its TSAs were asked last; None if that cannot be kept: they are asked all the same."""
    try:
        attempts = Attempts(vault.folder / "ledger" / "attempts.sqlite")
    except LedgerError:
        return None
    close_with_command(attempts.close)
    return attempts


def close_with_command(close: Callable[[], None]) -> None:
    """Have ``close`` called when the command ends, if this is one."""
    context = click.get_current_context(silent=True)
    if context is not None:
        context.call_on_close(close)


def check_notebook(vault: Vault, name: str) -> None:
    """NotFoundError, naming those there are, if ``vault`` has no notebook of this name."""
    if vault.records.chain_of(name) is None:
        names = ", ".join(vault.records.notebooks()) or "none yet"
        raise NotFoundError(f"no notebook {name!r}", hint=f"there are: {names}")


def pending_words(report: StampReport | None) -> list[str]:
    """Which stamps are pending and why, a line each."""
    if report is None or report.complete:
        return []
    return [f"stamp of {name} pending: {reason}" for name, reason in report.pending]
