"""``tally vault backup`` and ``restore``: to another disk and back."""

from pathlib import Path

import click

from cli.compose import (
    VKEYS,
    is_restored,
    now,
    open_tally,
    pending_words,
    vault_folder,
)
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    EXIT_REFUTED,
    format_size,
    hint,
    json_option,
    over,
    print_json,
    result,
    talk,
    vault_option,
)
from cli.successor import open_successor, succeed, tell
from ledger.doors.files import read_limited
from ledger.doors.keys import MAX_KEY_BYTES, RECIPIENT_FILE
from ledger.errors import UnavailableError, VerificationError
from ledger.holder.backup import BackupFolder
from ledger.holder.config import Config
from ledger.holder.lock import KEYRING_MARK
from ledger.tlog.note import format_vkey

PROTECTED = (b"-----BEGIN ENCRYPTED PRIVATE KEY-----", b"age-encryption.org/")
"""What a key file begins with that needs a passphrase."""


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--check", "only_check", is_flag=True, help="Check the sums of what is in DIR.")
@vault_option
@json_option
def backup(directory: str, only_check: bool, vault: str | None, as_json: bool) -> int:
    """Back the vault up to DIR, a folder on another disk; what is there is not copied again.

    With --check, exit 1 if a file of a backup in DIR is missing or damaged.
    """
    folder = BackupFolder(Path(directory))
    if only_check:
        return _check(folder, as_json)
    tally = open_tally(vault_folder(vault))
    place = tally.vault.ledger_folder
    added: dict[str, bytes] = {}
    if not is_restored(place):
        name = f"{place.relative_to(tally.vault.folder).as_posix()}/{VKEYS}"
        lines = "".join(f"{format_vkey(key)}\n" for key in tally.ledger.keys)
        added[name] = lines.encode("ascii")
    made = folder.make(
        tally.vault.folder, added, tally.ledger.origin, now, lambda paths: over(paths, "backing up")
    )
    bare = [path.name for path in _keys(tally.vault.folder) if not _is_protected(path)]
    if as_json:
        print_json(
            {
                "backup": made.number,
                "files": len(made.snapshot.files),
                "bytes": made.snapshot.size,
                "new_files": made.new_files,
                "new_bytes": made.new_bytes,
                "unprotected_keys": bare,
            }
        )
        return EXIT_DONE
    files, size = len(made.snapshot.files), format_size(made.snapshot.size)
    result(f"backup   {made.number}: {files} files, {size}")
    result(f"copied   {made.new_files} files, {format_size(made.new_bytes)}")
    if bare:
        talk(f"keys go along unencrypted ({', '.join(bare)}): whoever reads DIR can sign with them")
    else:
        talk("keys go along as they are, under their passphrase: without it they are of no use")
    talk(_say_ledger(tally.vault.config))
    hint(f"tally vault backup --check {directory}")
    return EXIT_DONE


@click.command()
@click.argument("directory", metavar="DIR")
@click.option("--backup", "number", type=click.IntRange(1), metavar="N", help="Not the newest.")
@vault_option
@json_option
def restore(directory: str, number: int | None, vault: str | None, as_json: bool) -> int:
    """Restore the newest backup in DIR as a new vault, which goes on in a new ledger.

    Never into a vault that is there. What the old ledger proved stays provable.
    """
    folder, target = BackupFolder(Path(directory)), vault_folder(vault)
    _, snapshot = folder.read(number)
    faults = folder.faults(snapshot.files, lambda files: over(files, "checking"))
    if faults:
        one, why = faults[0]
        text = f"{len(faults)} files of the backup are damaged or missing: {one.path}, {why}"
        raise VerificationError(text, hint="another backup in DIR: --backup N")
    folder.restore(snapshot, target, lambda paths: over(paths, "restoring"))
    # If we die from here on, it is a vault whose ledger is closed: `tally vault successor`.
    if not as_json:
        result(f"restored {len(snapshot.files)} files of {snapshot.made} to {target}")
    tally = open_tally(target)
    if tally.vault.config.ledger is not None:
        return _go_on(target, as_json)
    if not tally.vault.lock.unlock():
        advice = "`tally vault successor` on a terminal, or with --passphrase-file"
        raise UnavailableError("restored without a new ledger: the keys are locked", hint=advice)
    succeed(tally)
    return tell(*open_successor(target), as_json)


def _say_ledger(config: Config) -> str:
    if config.ledger is not None:
        return "a restored vault goes on in new chains of the same ledger; its token is not here"
    return "the ledger's own keys and its guard do not: a restored vault goes on in a new ledger"


def _go_on(target: Path, as_json: bool) -> int:
    """Go on in the ledger elsewhere that the vault anchored in, with every notebook a new chain."""
    # If we die from here on, the next command that writes begins the chains.
    tally = open_tally(target, writing=True)
    sent = tally.anchorer.send()
    pending = pending_words(tally.anchorer.stamp())
    if as_json:
        print_json(
            {
                "vault": str(target),
                "ledger": tally.ledger.origin,
                "sent": sent,
                "pending": pending,
            }
        )
    else:
        result(f"ledger   {tally.ledger.origin}")
        result(f"sent     {sent}")
        for words in pending:
            talk(words)
        talk("every notebook goes on as a new chain of the same ledger, and names the old head")
    return EXIT_INCOMPLETE if pending else EXIT_DONE


def _check(folder: BackupFolder, as_json: bool) -> int:
    snapshots = dict(folder.read(number) for number in folder.numbers()) or dict([folder.read()])
    files = [one for snapshot in snapshots.values() for one in snapshot.files]
    faults = folder.faults(files, lambda some: over(some, "checking"))
    damaged = {one.sha256 for one, _ in faults}
    whole = [
        number
        for number, snapshot in snapshots.items()
        if not damaged & {one.sha256 for one in snapshot.files}
    ]
    if as_json:
        rows = [{"path": one.path, "fault": why} for one, why in faults]
        print_json({"backups": list(snapshots), "whole": whole, "faults": rows})
        return EXIT_REFUTED if faults else EXIT_DONE
    for number, snapshot in snapshots.items():
        state = "whole" if number in whole else "DAMAGED"
        result(f"backup   {number} of {snapshot.made}: {len(snapshot.files)} files, {state}")
    for one, why in faults:
        result(f"fault    {one.path}: {why}")
    if faults:
        hint("delete what is damaged in DIR and back up again: what is missing is copied anew")
    return EXIT_REFUTED if faults else EXIT_DONE


def _keys(vault: Path) -> list[Path]:
    """Every file that holds a secret."""
    found = (path for path in (vault / "keys").iterdir() if path.is_file())
    return sorted(path for path in found if path.name not in (RECIPIENT_FILE, KEYRING_MARK))


def _is_protected(path: Path) -> bool:
    return read_limited(path, MAX_KEY_BYTES).startswith(PROTECTED)
