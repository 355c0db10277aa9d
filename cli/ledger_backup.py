"""``tally ledger backup`` and ``restore``: the ledger by itself, under the rule of the guard."""

from contextlib import closing
from pathlib import Path

import click

from cli.afar import ledger_here
from cli.compose import is_restored, ledger_keys, open_tally, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    format_size,
    hint,
    json_option,
    print_json,
    result,
    talk,
    vault_option,
)
from ledger.errors import ConflictError
from ledger.holder.vault import open_vault
from ledger.operator.backup import STORE, back_up
from ledger.operator.backup import restore as restore_store


@click.command()
@click.argument("directory", metavar="DIR")
@vault_option
@json_option
def backup(directory: str, vault: str | None, as_json: bool) -> int:
    """Copy the ledger's store to DIR, an empty folder, while it is used.

    Neither its private keys nor its guard go along. `tally vault backup` copies all of the vault.
    """
    folder = _folder(vault)
    size = back_up(folder / STORE, ledger_keys(folder).public_keys(), Path(directory))
    if as_json:
        print_json({"backup": directory, "bytes": size})
    else:
        result(f"backup   {directory}: {format_size(size)}")
    return EXIT_DONE


@click.command()
@click.argument("directory", metavar="DIR")
@vault_option
@json_option
def restore(directory: str, vault: str | None, as_json: bool) -> int:
    """Put the store in DIR where the vault's ledger has lost its own.

    It goes on only if its guard has signed nothing beyond it; else it is closed (exit 3), and
    `tally vault successor` follows it with another.
    """
    folder = _folder(vault)
    restore_store(Path(directory), folder / STORE, ledger_keys(folder).public_keys())
    tally = open_tally(vault_folder(vault))
    closed = None if tally.closed is None else str(tally.closed)
    if as_json:
        print_json({"restored": str(folder / STORE), "closed": closed})
    else:
        result(f"restored {folder / STORE}")
        if closed is not None:
            talk(f"the ledger is closed: {closed}")
            hint("tally vault successor")
    return EXIT_DONE if closed is None else EXIT_INCOMPLETE


def _folder(vault: str | None) -> Path:
    """The folder of the vault's present ledger; ConflictError if it has no keys of its own."""
    with closing(open_vault(vault_folder(vault))) as holder:
        folder = ledger_here(holder)
    if is_restored(folder):
        text = "the ledger came out of a backup, and has no keys here"
        raise ConflictError(text, hint="tally vault successor")
    return folder
