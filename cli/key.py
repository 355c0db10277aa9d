"""``tally key``: the keys that sign, who enrolled them, and the passphrase they are sealed with."""

import json
from pathlib import Path
from typing import Any

import click

from cli.compose import close_with_command, now, open_tally, vault_folder
from cli.output import (
    EXIT_DONE,
    UsageError,
    hint,
    json_option,
    print_json,
    refuse_existing,
    result,
    talk,
    vault_option,
)
from cli.passphrase import given_passphrase, keyring_name, new_passphrase, passphrase_of
from ledger.doors import keyring, keys
from ledger.doors.files import write_durably
from ledger.holder.keys import StoredKey
from ledger.holder.vault import Vault, open_vault

REVOKED_BY = 8
"""Characters of a thumbprint that revoke its key: no slip of a finger names one."""


@click.group(invoke_without_command=True)
@click.pass_context
def key(context: click.Context) -> None:
    """The keys that sign: yours, and one for each notebook."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally key --help")


def _open(vault: str | None) -> Vault:
    folder = vault_folder(vault)
    opened = open_vault(folder, passphrase_of(folder))
    close_with_command(opened.close)
    return opened


@key.command("list")
@vault_option
@json_option
def list_(vault: str | None, as_json: bool) -> int:
    """Every key: its thumbprint, what it signs, and by which record it was enrolled."""
    opened = _open(vault)
    rows = [_row(opened, one) for one in opened.keys.all()]
    if as_json:
        print_json({"keys": rows})
        return EXIT_DONE
    for row in rows:
        signs = "your own key: signs the key chain"
        if row["role"] != "person":
            signs = f"signs {row['notebook']}" if row["chain"] else "for the next notebook"
        words = [row["type"], signs]
        words += [f"enrolled in {row['enrolled_in']}"] if row["enrolled_in"] else []
        words += [f"REVOKED in {row['revoked_in']}"] if row["revoked_in"] else []
        words.append("sealed" if row["sealed"] else "in the clear")
        result(f"{row['thumbprint']}  {', '.join(words)}")
    return EXIT_DONE


def _row(vault: Vault, one: StoredKey) -> dict[str, Any]:  # Any: a JSON document
    said = {
        name: None if entry is None else vault.records.find(entry.hex()).name
        for name, entry in (("enrolled_in", one.enrolment), ("revoked_in", one.revocation))
    }
    first = vault.records.of_chain(one.chain, 1, 1) if one.chain else ()
    return {
        "thumbprint": one.thumbprint,
        "type": one.kind,
        "role": one.role,
        "chain": one.chain,
        "notebook": first[0].notebook if first else None,
        "created": one.created,
        "enrolled_by": vault.keys.person().thumbprint if one.enrolment else None,
        **said,
        "sealed": vault.keys.is_sealed(one),
    }


@key.command()
@click.option(
    "--type",
    "kind",
    type=click.Choice(keys.KEY_TYPES),
    default=keys.KEY_TYPES[0],
    show_default=True,
    help="What kind of key.",
)
@vault_option
@json_option
def new(kind: str, vault: str | None, as_json: bool) -> int:
    """Make a key for the next notebook; one is made by itself if there is none."""
    opened = _open(vault)
    opened.keys.person()
    with opened.turn():
        made = opened.keys.make(kind, now())
    if as_json:
        print_json(_row(opened, made))
    else:
        result(f"{made.thumbprint}  {made.kind}, for the next notebook")
    return EXIT_DONE


@key.command()
@click.argument("thumbprint", metavar="[KEY]", required=False)
@click.option("--trust", "name", metavar="NAME", help="As lines of a trust file that name it NAME.")
@click.option("--private", is_flag=True, help="The private key, sealed with a passphrase.")
@click.option("-o", "--output", metavar="FILE", help="With --private: where to write it.")
@vault_option
@json_option
def export(
    thumbprint: str | None,
    name: str | None,
    private: bool,
    output: str | None,
    vault: str | None,
    as_json: bool,
) -> int:
    """Show KEY in public, as JWK and PEM; your own key if none is named.

    With --private, FILE holds the PEM of the private key, sealed with the vault's passphrase, or
    with a new one if the vault has none: `age -d FILE` opens it. Only you may read FILE.
    """
    if private != (output is not None):
        raise click.UsageError("--private and -o FILE go together")
    refuse_existing(output, force=None)
    opened = _open(vault)
    one = opened.keys.person() if thumbprint is None else opened.keys.find(thumbprint)
    if output is not None:
        _write_private(opened, one, Path(output))
    jwk = dict(one.jwk)
    pem = keys.public_pem(jwk)
    trust = None if name is None else _trust_lines(one, name)
    if as_json:
        value = {"thumbprint": one.thumbprint, "jwk": jwk, "pem": pem}
        print_json(value | {"trust": trust, "private": output})
    elif trust is not None:
        result(trust)
    elif output is not None:
        result(f"written  {output}")
        hint(f"age -d {output}")
    else:
        result(json.dumps(jwk))
        result(pem.rstrip("\n"))
        result(f"thumbprint  {one.thumbprint}")
    return EXIT_DONE


def _trust_lines(one: StoredKey, name: str) -> str:
    # What JSON quotes, TOML reads.
    return f'[[author]]\nkey = "{one.thumbprint}"\nname = {json.dumps(name, ensure_ascii=False)}'


def _write_private(vault: Vault, one: StoredKey, output: Path) -> None:
    passphrase = None
    if vault.lock.protected:
        vault.lock.identity()
        passphrase = passphrase_of(vault.folder)()
    passphrase = passphrase or given_passphrase() or new_passphrase()
    write_durably(output, keys.seal_key(vault.keys.load(one), passphrase))


@key.command()
@click.argument("thumbprint", metavar="KEY")
@vault_option
@json_option
def revoke(thumbprint: str, vault: str | None, as_json: bool) -> int:
    """End the KEY of a notebook, for good; the notebook goes on with a new one.

    KEY is its thumbprint, 8 characters of it at least: this cannot be undone.
    What it signed before stands, as far as that is shown to be before. `tally sync` has the
    revocation stamped: until then it bounds nothing.
    """
    tally = open_tally(vault_folder(vault), writing=True)
    one = tally.vault.keys.find(thumbprint, REVOKED_BY)
    record = tally.anchorer.signer.revoke(one)
    # If we die from here on, the next command that sends does it.
    tally.anchorer.send()
    if as_json:
        print_json({"revoked": one.thumbprint, "record": record.name})
    else:
        result(f"revoked  {one.thumbprint} in record {record.name}")
        hint("tally sync")
    return EXIT_DONE


@key.command()
@click.option("--new-passphrase-file", "file", metavar="FILE", help="The passphrase from now on.")
@click.option("--keyring", "keep", is_flag=True, help="Keep it in the system's keyring too.")
@vault_option
@json_option
def protect(file: str | None, keep: bool, vault: str | None, as_json: bool) -> int:
    """Seal the keys with a passphrase, or change it.

    At each moment the old one or the new one opens everything. A vault that has none takes it from
    --passphrase-file, too.
    """
    opened = _open(vault)
    changed = opened.lock.protected
    opened.lock.identity()
    first = None if changed or file is not None else given_passphrase()
    passphrase = first or new_passphrase(file)
    with opened.turn():
        # If we die from here on, the passphrase is asked for: the old one, then the new one.
        opened.lock.mark_keyring(there=False)
        if keep:
            keyring.keep_passphrase(keyring_name(opened.lock), passphrase)
        opened.keys.protect(passphrase)
        if keep:
            opened.lock.mark_keyring(there=True)
    if as_json:
        print_json({"protected": True, "changed": changed, "keyring": keep})
        return EXIT_DONE
    result("changed  the passphrase" if changed else "sealed   every key")
    talk("copies made before, backups among them, open as they did: with what opened them then")
    return EXIT_DONE


@key.command()
@vault_option
@json_option
def unprotect(vault: str | None, as_json: bool) -> int:
    """Take the passphrase away: every key in the clear, readable by you alone."""
    opened = _open(vault)
    opened.lock.identity()
    with opened.turn():
        opened.keys.unprotect()
    if as_json:
        print_json({"protected": False})
    else:
        result("in the clear   every key")
        hint("tally key protect")
    return EXIT_DONE
