"""``tally ledger backup`` and ``restore``: the ledger by itself, under the rule of the guard."""

from contextlib import ExitStack, closing
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
from cli.token import either_home_option, hosted_home
from ledger.errors import ConflictError
from ledger.holder.vault import open_vault
from ledger.operator.access import ACCESS_FILE
from ledger.operator.backup import STORE, back_up
from ledger.operator.backup import restore as restore_store
from ledger.operator.diary import DIARY_FILE
from ledger.operator.hosted import HostedLedger, hold, hosted_keys, read_settings
from ledger.tlog.note import NoteKey

BESIDE = (ACCESS_FILE, DIARY_FILE)
"""What a hosted ledger's backup has beside its store."""


@click.command()
@click.argument("directory", metavar="DIR")
@either_home_option
@vault_option
@json_option
def backup(directory: str, home: str | None, vault: str | None, as_json: bool) -> int:
    """Copy the ledger's store to DIR, an empty folder, while it is used.

    Of a hosted one its tokens' digests and its covers' secrets too. Neither private keys nor the
    guard go along. `tally vault backup` copies all of the vault.
    """
    folder, keys = _place(home, vault)
    size = back_up(folder / STORE, keys, Path(directory), () if home is None else BESIDE)
    if as_json:
        print_json({"backup": directory, "bytes": size})
    else:
        result(f"backup   {directory}: {format_size(size)}")
    return EXIT_DONE


@click.command()
@click.argument("directory", metavar="DIR")
@either_home_option
@vault_option
@json_option
def restore(directory: str, home: str | None, vault: str | None, as_json: bool) -> int:
    """Put the store in DIR where the ledger has lost its own.

    It goes on only if its guard has signed nothing beyond it; else it is closed (exit 3). One in a
    vault is then followed by another with `tally vault successor`; a hosted one can be read still.
    """
    folder, keys = _place(home, vault)
    beside = () if home is None else BESIDE
    with ExitStack() as stack:
        if home is not None:
            hold(folder, stack)
        lost = restore_store(Path(directory), folder / STORE, keys, beside)
    reason = _closed(home, vault)
    closed = None if reason is None else str(reason)
    if as_json:
        print_json({"restored": str(folder / STORE), "beside": lost, "closed": closed})
    else:
        for name in (*lost, STORE):
            result(f"restored {folder / name}")
        if ACCESS_FILE in lost:
            talk("tokens revoked since the backup are good again: tally ledger token list")
        if closed is not None:
            talk(f"the ledger is closed: {closed}")
            hint("tally vault successor" if home is None else "tally ledger init makes another")
    return EXIT_DONE if closed is None else EXIT_INCOMPLETE


def _place(home: str | None, vault: str | None) -> tuple[Path, tuple[NoteKey, ...]]:
    """Where the ledger lies, and its public keys."""
    if home is None:
        folder = _folder(vault)
        return folder, ledger_keys(folder).public_keys()
    folder = hosted_home(home)
    return folder, hosted_keys(folder, read_settings(folder).origin).public_keys()


def _closed(home: str | None, vault: str | None) -> ConflictError | None:
    """Why the ledger must not be continued, if so; opened, it finishes what a crash left."""
    if home is None:
        return open_tally(vault_folder(vault)).closed
    with HostedLedger(hosted_home(home), read_settings(Path(home))) as hosted:
        return hosted.ledger.closed


def _folder(vault: str | None) -> Path:
    """The folder of the vault's present ledger; ConflictError if it has no keys of its own."""
    with closing(open_vault(vault_folder(vault))) as holder:
        folder = ledger_here(holder)
    if is_restored(folder):
        text = "the ledger came out of a backup, and has no keys here"
        raise ConflictError(text, hint="tally vault successor")
    return folder
