"""A vault whose ledger is elsewhere, joined to it."""

import secrets
from pathlib import Path

from ledger.holder.ledger_setting import LedgerSetting
from ledger.holder.remote import RemoteLedger
from ledger.holder.seen import Evidence, Seen
from ledger.holder.tile_cache import TileCache
from ledger.holder.vault import Vault
from ledger.holder.wire import Wire


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
