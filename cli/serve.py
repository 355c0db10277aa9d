"""``tally ledger init`` and ``serve``: a ledger for many, over HTTP."""

import hashlib
import importlib
from dataclasses import replace
from pathlib import Path

import click

from cli.compose import now, state_folder
from cli.output import EXIT_DONE, hint, json_option, print_json, result, talk
from cli.token import home_option
from cli.tsas import DEVELOPMENT_TRUST, write_development_trust
from ledger.doors.tsa_setting import THIS_MACHINE
from ledger.operator.hosted import (
    hosted_development_tsas,
    hosted_keys,
    make_hosted,
    read_settings,
)
from ledger.operator.hosted_settings import SETTINGS_FILE, HostedSettings
from ledger.tlog.note import format_vkey


@click.command("init")
@click.argument("directory", metavar="DIR")
@click.option("--origin", required=True, metavar="NAME", help="Its URL without https://, for ever.")
@click.option("--guard", metavar="FILE", help="Where what was signed is kept; on another disk.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True)
@click.option("--development", is_flag=True, help="For trying out: its own TSAs, no proof.")
@json_option
def init(
    directory: str, origin: str, guard: str | None, port: int, development: bool, as_json: bool
) -> int:
    """Make a hosted ledger in DIR: keys, guard, settings. Nothing is served yet."""
    home = Path(directory).absolute()
    name = hashlib.sha256(origin.encode()).hexdigest()[:32]
    place = Path(guard).absolute() if guard else state_folder() / "guards" / f"{name}.sqlite"
    settings = HostedSettings(origin, str(place), development=development, port=port)
    if development:
        # Its TSAs are in the house, and nobody who tries it out waits for them.
        settings = replace(settings, stamp_interval_seconds=0)
    make_hosted(home, settings, now)
    trust = home / DEVELOPMENT_TRUST if development else None
    if development:
        write_development_trust(home, hosted_development_tsas(home, now))
    vkeys = [format_vkey(key) for key in hosted_keys(home, origin).public_keys()]
    if as_json:
        value = {"ledger": origin, "home": str(home), "guard": str(place), "vkeys": vkeys}
        print_json(value | {"trust": None if trust is None else str(trust)})
        return EXIT_DONE
    result(f"ledger   {origin} in {home}")
    result(f"guard    {place}")
    for vkey in vkeys:
        result(f"vkey     {vkey}")
    if trust is not None:
        result(f"trust    {trust}   (development TSAs: prove nothing)")
    talk(f"its settings are in {home / SETTINGS_FILE}; the guard goes into no backup")
    hint(
        f"tally ledger token new NAME --ledger {directory}; tally ledger serve --ledger {directory}"
    )
    return EXIT_DONE


@click.command("serve")
@home_option
def serve(home: str) -> int:
    """Serve the hosted ledger until Ctrl-C or SIGTERM; its log goes to stderr."""
    place = Path(home).absolute()
    host = read_settings(place).host
    if host not in THIS_MACHINE:
        talk(f"{host} is open to other machines, without TLS: tokens can be read on the way")
        hint('host = "127.0.0.1" in its settings, and a proxy before it: docs/operations.md')
    # By name: cli and service never import each other.
    importlib.import_module("service.server").serve(place)
    return EXIT_DONE
