"""The files of a folder's record, as far as the vault still has their list."""

from ledger.errors import LedgerError
from ledger.holder.records import StoredRecord
from ledger.holder.vault import Vault
from ledger.record.manifest import FileEntry, parse_line


def list_files(vault: Vault, record: StoredRecord) -> tuple[list[FileEntry], LedgerError | None]:
    """Every file of ``record``, none if it is of no folder; or none, and why they are not known."""
    if record.manifest is None:
        return [], None
    try:
        return [parse_line(line) for line in vault.manifests.read(record.manifest)], None
    except LedgerError as error:
        return [], error
