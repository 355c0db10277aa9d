"""``tally tsa``: the authorities that are asked for stamps: list, add, remove, test, serve."""

import os
import secrets
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from cli.checking import read_trust
from cli.compose import now, offline, open_attempts, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    UsageError,
    hint,
    json_option,
    print_json,
    refuse_existing,
    result,
    talk,
    vault_option,
)
from cli.trial import Politeness, Trial, try_tsas
from cli.tsas import MAX_TSA_BYTES, development_trust, make_tsas
from cli.waiting import notes, password_path, tsa_states
from ledger.doors.files import read_limited, write_durably
from ledger.doors.tsa_setting import TsaSetting
from ledger.errors import NotFoundError, UnavailableError
from ledger.holder.config import add_tsa, parse_config, remove_tsa
from ledger.holder.vault import MAX_SETTINGS_BYTES, SETTINGS, Vault, open_vault
from ledger.operator.devserver import DevelopmentServer
from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.stamps import format_certificate


@click.group(invoke_without_command=True)
@click.pass_context
def tsa(context: click.Context) -> None:
    """The time-stamping authorities that this vault's ledger is stamped by."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally tsa --help")


def _open(vault: str | None) -> Vault:
    opened = open_vault(vault_folder(vault))
    click.get_current_context().call_on_close(opened.close)
    return opened


@tsa.command("list")
@vault_option
@json_option
def list_(vault: str | None, as_json: bool) -> int:
    """The TSAs in the settings, and what each answered last."""
    opened = _open(vault)
    moment, config = now(), opened.config
    attempts = None if config.development else open_attempts(opened)
    states = tsa_states(config, attempts)
    settings = {} if config.development else {one.name: one for one in config.tsas}
    if as_json:
        rows = [state.json(moment) | _settings_json(settings.get(state.name)) for state in states]
        print_json({"wanted": config.wanted, "tsas": rows, "notes": notes(config)})
        return EXIT_DONE
    for state in states:
        result(f"{state.name:14} {state.url or '-'}  {state.words(moment)}")
    if config.ledger is None:
        result(f"wanted         {config.wanted} of {len(states)}")
    else:
        talk(f"the ledger at {config.ledger.url} asks TSAs of its own")
    for words in notes(config):
        result(words)
    return EXIT_DONE


def _settings_json(one: TsaSetting | None) -> dict[str, Any]:  # Any: a JSON document
    if one is None:
        return {}
    return {"interval_seconds": one.minimum_interval_seconds, "account": one.username is not None}


@tsa.command()
@click.argument("name")
@click.argument("url")
@click.option("--interval", type=int, metavar="SECONDS", help="Between two requests.")
@click.option("--username", help="Its account (HTTP Basic, over https alone).")
@click.option("--password-file", metavar="FILE", help="Holds the password, and only you read it.")
@vault_option
@json_option
def add(
    name: str,
    url: str,
    interval: int | None,
    username: str | None,
    password_file: str | None,
    vault: str | None,
    as_json: bool,
) -> int:
    """Ask one more TSA at URL, which is called NAME here."""
    # What is wrong with the file is told now, not when a stamp is wanted.
    place = password_path(password_file)
    setting = TsaSetting(name, url, interval, username, place)
    opened = _open(vault)
    _edit(opened, name, lambda content: add_tsa(content, setting))
    if as_json:
        print_json({"added": name, "url": url})
    else:
        result(f"added    {name}  {url}")
    hint(f"tally tsa test {name}")
    return EXIT_DONE


@tsa.command()
@click.argument("name")
@vault_option
@json_option
def remove(name: str, vault: str | None, as_json: bool) -> int:
    """Ask TSA NAME no more; the stamps it gave are kept."""
    _edit(_open(vault), name, lambda content: remove_tsa(content, name))
    if as_json:
        print_json({"removed": name})
    else:
        result(f"removed  {name}")
    return EXIT_DONE


def _edit(vault: Vault, name: str, edit: Callable[[bytes], tuple[bytes, bool]]) -> None:
    """Edit the settings file; what was known of TSA ``name`` is forgotten."""
    if vault.config.development:
        text = "this vault stamps with development TSAs of its own"
        raise UsageError(text, "`tally init` without --development asks others")
    path = vault.folder / SETTINGS
    with vault.turn():
        content = read_limited(path, MAX_SETTINGS_BYTES)
        edited, kept = edit(content)
        write_durably(path, edited, overwrite=True)
    # If we die before this line its new namesake waits as long as it would have: at most an hour.
    attempts = open_attempts(vault)
    if attempts is not None:
        attempts.forget(name)
    if not kept:
        talk("the settings were written anew: their comments are lost")
    wanted, there = vault.config.wanted, len(parse_config(edited).tsas)
    if there == wanted:
        talk(f"all {there} TSAs must answer now before a stamp is complete: one more is safer")


@tsa.command()
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--trust", metavar="FILE", help="Trust file (default: the package's own).")
@vault_option
@json_option
def test(names: tuple[str, ...], trust: str | None, vault: str | None, as_json: bool) -> int:
    """Ask each TSA (or those named) to stamp random bytes, and say what came; exit 3 if one fails.

    The token is thrown away. A TSA that was failing is asked at once, and if it answers now, stamps
    are asked of it at once too.
    """
    opened = _open(vault)
    config = opened.config
    believed = read_trust(None if trust is None else Path(trust))
    tsas, roots = make_tsas(opened, now)
    there = [one.name for one in tsas]
    if unknown := [name for name in names if name not in there]:
        known = f"there are: {', '.join(there)}"
        raise NotFoundError(f"no TSA {unknown[0]!r} in the settings", hint=known)
    if not config.development and (reason := offline()):
        raise UnavailableError(reason)
    attempts = None if config.development else open_attempts(opened)
    intervals = {one.name: timedelta(seconds=one.minimum_interval_seconds) for one in config.tsas}
    chosen = [one for one in tsas if not names or one.name in names]
    trials = try_tsas(
        chosen,
        Politeness(attempts, intervals),
        believed,
        roots,
        clock=now,
        random_bytes=secrets.token_bytes,
    )
    if as_json:
        print_json({"tested": [one.json() for one in trials]})
    else:
        for one in trials:
            _tell(one)
    return EXIT_DONE if all(one.token is not None for one in trials) else EXIT_INCOMPLETE


def _tell(one: Trial) -> None:
    if one.token is None:
        result(f"{one.name:14} failed  {one.failure}")
        return
    result(f"{one.name:14} ok      {one.seconds * 1000:.0f} ms")
    for label, words in one.facts():
        result(f"  {label:12} {words}")


@tsa.command()
@click.option("--development", is_flag=True, help="Say that you know: it proves nothing.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Default: a free one.")
@click.option("--name", default="development", show_default=True, help="Its name.")
@click.option("-o", "folder", metavar="FOLDER", help="Write its root there; keep its key there.")
@json_option
def serve(development: bool, port: int, name: str, folder: str | None, as_json: bool) -> int:
    """Serve a development TSA on 127.0.0.1, for any RFC 3161 client. Ctrl-C ends it.

    With -o the same TSA is there again the next time; without, its key goes with it.
    """
    if not development:
        text = "only a development TSA can be served here, and its tokens prove nothing"
        raise UsageError(text, "tally tsa serve --development")
    TsaSetting(name, "http://127.0.0.1/")  # what may be its name
    served = DevelopmentTsa.create(name, now) if folder is None else _kept(Path(folder), name)
    try:
        server = DevelopmentServer(served, port)
    except OSError as error:
        text = f"cannot listen on port {port}: {error.strerror}"
        raise UnavailableError(text, hint="choose another --port, or none") from error
    root = None if folder is None else os.fspath(_root_path(Path(folder), name))
    with server:
        try:
            _announce(server, root, as_json)
            server.serve_forever()
        except KeyboardInterrupt:
            talk("closed")
    return EXIT_DONE


def _announce(server: DevelopmentServer, root: str | None, as_json: bool) -> None:
    name, url = server.tsa.name, server.url
    snippet = "\n".join(development_trust(server.tsa))
    if as_json:
        print_json({"url": url, "name": name, "root": root, "trust": snippet})
        return
    result(f"url      {url}")
    result(f"root     {root or url + '   (GET)'}")
    result(f"\n# For a trust file: accepts this TSA, which proves nothing.\n{snippet}\n")
    hint(f"tally tsa add {name} {url}")
    talk("DEVELOPMENT TSA: proves nothing. Ctrl-C ends it")


def _root_path(folder: Path, name: str) -> Path:
    return folder / f"{name}-root.pem"


def _kept(folder: Path, name: str) -> DevelopmentTsa:
    """The TSA kept in ``folder``, made if it is not there, with its root beside it."""
    path, root = folder / f"{name}.pem", _root_path(folder, name)
    if path.exists():
        kept = DevelopmentTsa.from_pem(read_limited(path, MAX_TSA_BYTES), now)
    else:
        # A root without its key is another TSA's: its tokens would not be known by it any more.
        refuse_existing(os.fspath(root), force=False)
        kept = DevelopmentTsa.create(name, now)
        write_durably(path, kept.to_pem())
    write_durably(root, format_certificate(kept.root)[1], mode=0o644, overwrite=True)
    return kept
