"""``tally bundle``: a proof bundle with only what is chosen, listed before it is written."""

import tempfile
from pathlib import Path
from typing import Any

import click

from cli.compose import Tally, check_notebook, open_to_read, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    hint,
    json_option,
    print_json,
    refuse_existing,
    result,
    talk,
    vault_option,
)
from ledger.doors.bundle_files import write_bundle
from ledger.errors import UnavailableError
from ledger.holder.bundling import BYTES, FILE, PIECES, Bundler, Choice, Plan
from ledger.holder.excerpts import parse_pieces
from ledger.holder.records import StoredRecord, name_of


@click.command()
@click.argument("records", nargs=-1, metavar="[RECORD]...")
@click.option("-o", "--output", metavar="X.zip", help="Where to write the bundle.")
@click.option("--notebook", help="Every record of this notebook.")
@click.option("--disclose", multiple=True, metavar="CLAIM", help="Claim to show, carrier, or all.")
@click.option("--file", "files", multiple=True, metavar="PATH", help="One file of a folder.")
@click.option(
    "--part", "parts", multiple=True, metavar="N-M", help="Pieces of a file: 120-140,150."
)
@click.option("--header", is_flag=True, help="With --part: piece 1 as well, a table's header.")
@click.option("--with-carriers", is_flag=True, help="Put the disclosed carriers' bytes in.")
@click.option("--with-keys", is_flag=True, help="Show whose key signed: put the key chain in.")
@click.option("--only", is_flag=True, help="Leave out the chain before the first chosen record.")
@click.option("--dry-run", is_flag=True, help="Only list what would be seen.")
@click.option("--force", is_flag=True, help="Overwrite the output.")
@vault_option
@json_option
def bundle(
    records: tuple[str, ...],
    output: str | None,
    notebook: str | None,
    disclose: tuple[str, ...],
    files: tuple[str, ...],
    parts: tuple[str, ...],
    header: bool,
    with_carriers: bool,
    with_keys: bool,
    only: bool,
    dry_run: bool,
    force: bool,
    vault: str | None,
    as_json: bool,
) -> int:
    """Bundle each RECORD (number or entry; by default the newest) with its chain.

    Nothing is disclosed but what --disclose, --file and --part name; the list goes to stdout first.
    With --with-keys a verifier whose trust file names your key sees your name: `tally key export`.
    Pieces are lines of a text or cells of a notebook; a short one can be guessed from its digest.
    Exit 3 if a record has too few stamps: its time will be unchecked.
    """
    if output is None and not dry_run:
        raise click.UsageError("name the bundle with -o X.zip, or look first with --dry-run")
    if records and notebook is not None:
        raise click.UsageError("give records or --notebook, not both")
    if header and not parts:
        raise click.UsageError("--header shows piece 1 beside those that --part names")
    pieces = tuple(one for text in (*parts, *["1"] * header) for one in parse_pieces(text))
    refuse_existing(output, force=force or dry_run)
    tally = open_to_read(vault_folder(vault))
    unsent = _send(tally)
    chosen = _choose(tally, records, notebook)
    if unsent is not None and any(record.index is None for record in chosen):
        raise unsent
    with tempfile.TemporaryDirectory(prefix="tally-") as work:
        choice = Choice(disclose, files, with_carriers, pieces, with_keys)
        ledger = tally.ledger_of(chosen[0]) if chosen else tally.ledger
        plan = Bundler(tally.vault, ledger, Path(work)).plan(chosen, choice, only=only)
        if not as_json:
            _tell(plan, with_carriers=with_carriers)
        if output is not None and not dry_run:
            write_bundle(Path(output), plan.bundle, plan.sources, force=force)
    if as_json:
        print_json(_json(plan, None if dry_run else output))
    elif output is not None and not dry_run:
        result(f"written   {output}")
        hint(f"tally verify {output} --trust YOUR-TRUST-FILE")
    return EXIT_INCOMPLETE if plan.unstamped else EXIT_DONE


def _send(tally: Tally) -> UnavailableError | None:
    """Send what is queued; why not, if that cannot be: what the ledger has can be bundled."""
    if tally.closed is None:
        try:
            tally.anchorer.send()
        except UnavailableError as error:
            return error
    return None


def _choose(tally: Tally, records: tuple[str, ...], notebook: str | None) -> list[StoredRecord]:
    """The records named, each once, or those of the notebook, or the newest."""
    if records:
        found = [tally.vault.records.find(reference) for reference in records]
        return list({record.number: record for record in found}.values())
    if notebook is None:
        newest = tally.vault.records.newest()
        return [] if newest is None else [newest]
    check_notebook(tally.vault, notebook)
    return list(tally.vault.records.all(notebook))


def _json(plan: Plan, output: str | None) -> dict[str, Any]:  # Any: a JSON document
    return {
        "bundle": output,
        "shown": [
            {"record": _name(s.record), "what": s.what, "value": s.value} for s in plan.shown
        ],
        "withheld": plan.withheld,
        "unstamped": [_name(number) for number in plan.unstamped],
        "unlinked": [list(pair) for pair in plan.unlinked],
        "files": sorted([*plan.bundle.files, *plan.bundle.carriers]),
    }


def _name(number: int) -> int | str:
    """A record's number; of the key chain its name (``k1``)."""
    return number if number > 0 else name_of(number)


def _tell(plan: Plan, *, with_carriers: bool) -> None:
    result("this will be seen:")
    for shown in plan.shown:
        value = shown.value if len(shown.value) <= 100 else shown.value[:99] + "…"
        result(f"  record {name_of(shown.record)}  {shown.what:18} {value}")
    for number in plan.withheld:
        result(f"  record {number}  withheld but for its place in the chain, and its key")
    result("everything else stays sealed")
    seen = {shown.what for shown in plan.shown}
    if seen.isdisjoint({"carrier.sha256", "carrier.sm3", FILE, PIECES}):
        talk("no file is disclosed: the bundle proves records, and no file can be held to it")
        hint("--disclose carrier for a record of one file, --file PATH for one file of a folder")
    if with_carriers and BYTES not in seen:
        talk("--with-carriers put nothing in: there are no bytes of what is disclosed")
    for old, new in plan.unlinked:
        talk(f"that tree {old} grew into {new} is not shown: the ledger cannot be read")
    for number in plan.unstamped:
        talk(f"record {name_of(number)} has too few stamps yet: its time will be unchecked")
        hint("tally sync")
