"""A vault whose ledger is elsewhere, joined to it."""

import os
import secrets
from pathlib import Path

from ledger.doors.files import read_limited
from ledger.errors import NotFoundError
from ledger.holder.ledger_setting import LedgerSetting, check_url
from ledger.holder.material import Material
from ledger.holder.remote import RemoteLedger
from ledger.holder.seen import Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.vault import Vault
from ledger.holder.wire import MAX_KEYS_BYTES, Wire, read_token
from ledger.tlog.note import parse_vkey


def pin_ledger(url: str, token_file: Path, keys_file: Path | None) -> LedgerSetting:
    """The setting for the ledger at ``url``, whose keys are those in ``keys_file``.

    None: those that it names itself. MalformedError, now, if others may read the token.
    """
    check_url(url)
    read_token(token_file)
    if keys_file is None:
        keys = Wire(url, None).keys()
    else:
        lines = read_limited(keys_file, MAX_KEYS_BYTES).decode("ascii", "replace").splitlines()
        keys = tuple(parse_vkey(line) for line in lines if line)
    return LedgerSetting(url, os.fspath(token_file), keys)


def ledger_here(vault: Vault) -> Path:
    """The folder of the ledger that ``vault`` anchors in; NotFoundError if it is elsewhere."""
    setting = vault.config.ledger
    if setting is not None:
        text = f"not in this vault: the ledger is at {setting.url}"
        raise NotFoundError(text, hint="this is its operator's to do")
    return vault.ledger_folder


def open_remote(
    vault: Vault, setting: LedgerSetting, wait_seconds: float, offline: str | None
) -> RemoteLedger:
    """The ledger elsewhere that ``vault`` anchors in; it is not asked yet.

    ``offline``: why it must not be, if so.
    """
    token_file = Path(setting.token_file)
    return RemoteLedger(
        Wire(setting.url, token_file, timeout_seconds=wait_seconds, offline=offline),
        setting.keys,
        Seen(vault.database, setting.origin),
        Evidence(vault.folder, setting.origin),
        TileCache(vault.ledger_folder),
        Material(vault.ledger_folder / "material"),
        vault.receipts,
        vault.config.wanted,
    )


def begin_chains(vault: Vault, mark: Path) -> None:
    """After a restore, have every notebook go on as a new chain; the ledger itself goes on.

    ``mark``: a file that only a restored vault has, and not for longer than this takes.
    What was recorded after the backup was made has the places that the old chains would go on with.
    """
    if not mark.exists():
        return
    with vault.turn():
        vault.records.begin_chains(secrets.token_bytes)
        # If we die before this line, they begin once more.
        mark.unlink(missing_ok=True)
