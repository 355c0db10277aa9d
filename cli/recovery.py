"""``tally vault recovery``: who else can open kept originals, should the vault be lost."""

from pathlib import Path

import click

from cli.compose import vault_folder
from cli.output import (
    EXIT_DONE,
    UsageError,
    hint,
    json_option,
    over,
    print_json,
    result,
    talk,
    vault_option,
)
from cli.passphrase import passphrase_of
from ledger.doors.files import read_limited, write_durably
from ledger.doors.keys import load_identity, load_recipient
from ledger.errors import NotFoundError, VerificationError
from ledger.holder.config import set_recovery
from ledger.holder.vault import MAX_SETTINGS_BYTES, SETTINGS, Vault, open_vault


@click.group(invoke_without_command=True)
@click.pass_context
def recovery(context: click.Context) -> None:
    """Keys, kept elsewhere, that open the kept originals without this vault."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally vault recovery --help")


def _open(vault: str | None) -> Vault:
    folder = vault_folder(vault)
    opened = open_vault(folder, passphrase_of(folder))
    click.get_current_context().call_on_close(opened.close)
    opened.kept.find()
    return opened


@recovery.command("list")
@vault_option
@json_option
def list_(vault: str | None, as_json: bool) -> int:
    """The recovery recipients, and how many kept originals they open."""
    opened = _open(vault)
    return _tell(opened, {"recovery": list(opened.config.recovery)}, as_json)


@recovery.command()
@click.argument("recipient", metavar="age1…")
@click.option("--rewrap", is_flag=True, help="Seal what is kept already to it too.")
@vault_option
@json_option
def add(recipient: str, rewrap: bool, vault: str | None, as_json: bool) -> int:
    """Seal originals to one more RECIPIENT from now on."""
    load_recipient(recipient)
    opened = _open(vault)
    opened = _set(opened, (*(one for one in opened.config.recovery if one != recipient), recipient))
    return _change(opened, {"added": recipient}, rewrap, as_json)


@recovery.command()
@click.argument("recipient", metavar="age1…")
@click.option("--rewrap", is_flag=True, help="Seal what is kept already without it.")
@vault_option
@json_option
def remove(recipient: str, rewrap: bool, vault: str | None, as_json: bool) -> int:
    """Seal originals to RECIPIENT no more; copies that were made before stay open to it."""
    opened = _open(vault)
    rest = tuple(one for one in opened.config.recovery if one != recipient)
    # What --rewrap left undone is gone on with by the same call.
    if rest == opened.config.recovery and not (rewrap and opened.kept.sealed_before()):
        there = ", ".join(rest) or "none"
        raise NotFoundError("no such recovery recipient", hint=f"there are: {there}")
    return _change(_set(opened, rest), {"removed": recipient}, rewrap, as_json)


@recovery.command("try")
@click.option("--identity", required=True, metavar="FILE", help="The recovery key (age identity).")
@vault_option
@json_option
def try_(identity: str, vault: str | None, as_json: bool) -> int:
    """Prove with one kept original that this recovery key opens it."""
    key = load_identity(Path(identity))
    opened = _open(vault)
    recipient = str(key.to_public())
    now, before = opened.kept.sealed_now(), opened.kept.sealed_before()
    candidates = (*now, *before) if recipient in opened.config.recovery else (*before, *now)
    if not candidates:
        raise NotFoundError("no original is kept yet", hint="anchor a file, then try again")
    try:
        opened.originals.check(candidates[0], key)
    except VerificationError as error:
        text = f"this key does not open the kept original {candidates[0].hex()[:16]}: {error}"
        raise VerificationError(text, hint=_advice(recipient, opened)) from error
    if as_json:
        print_json({"opens": candidates[0].hex(), "recipient": recipient})
    else:
        result(f"opens    {candidates[0].hex()}   with {recipient}")
    if recipient not in opened.config.recovery:
        talk("this key is no recovery recipient: originals kept from now on are not sealed to it")
    return EXIT_DONE


def _advice(recipient: str, vault: Vault) -> str:
    if recipient in vault.config.recovery:
        return "it was kept before: `tally vault recovery add --rewrap` seals it anew"
    return f"it is not among the recipients: tally vault recovery add {recipient}"


def _set(vault: Vault, recipients: tuple[str, ...]) -> Vault:
    """Write the settings; the vault opened with them."""
    path = vault.folder / SETTINGS
    with vault.turn():
        edited, comments = set_recovery(read_limited(path, MAX_SETTINGS_BYTES), recipients)
        write_durably(path, edited, overwrite=True)
    if not comments:
        talk("the settings were written anew: comments in them are gone")
    opened = open_vault(vault.folder, passphrase_of(vault.folder))
    click.get_current_context().call_on_close(opened.close)
    return opened


def _change(vault: Vault, change: dict[str, object], rewrap: bool, as_json: bool) -> int:
    """Seal anew what is to be, one by one: what an interrupted run left, the next one does."""
    resealed = 0
    for sha256 in over(vault.kept.sealed_before() if rewrap else (), "sealing anew"):
        vault.originals.reseal(sha256)
        # If we die before this line it is sealed once more by the next run.
        vault.kept.note([sha256])
        resealed += 1
    return _tell(vault, change | {"resealed": resealed}, as_json)


def _tell(vault: Vault, change: dict[str, object], as_json: bool) -> int:
    now, before = len(vault.kept.sealed_now()), len(vault.kept.sealed_before())
    value = change | {
        "recovery": list(vault.config.recovery),
        "sealed": now,
        "sealed_before": before,
    }
    if as_json:
        print_json(value)
        return EXIT_DONE
    for recipient in vault.config.recovery:
        result(f"recovery {recipient}")
    if not vault.config.recovery:
        result("recovery none: if the vault's keys are lost, kept originals are lost")
    result(f"sealed   {now} originals to these and to the vault itself")
    if before:
        result(f"before   {before} originals were kept before, and are sealed as it was then")
        hint("`tally vault recovery add` or `remove` with --rewrap seals them anew")
    return EXIT_DONE
