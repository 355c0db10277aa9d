"""``tally export``: kept originals back on disk, as they were anchored."""

from pathlib import Path

import click

from cli.compose import close_with_command, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_REFUTED,
    error_json,
    fail,
    format_size,
    json_option,
    print_json,
    reading_progress,
    refuse_existing,
    result,
    vault_option,
)
from cli.passphrase import passphrase_of
from ledger.holder.exporting import export as export_originals
from ledger.holder.exporting import plan_export
from ledger.holder.vault import open_vault


@click.command()
@click.argument("record")
@click.option("-o", "--output", required=True, metavar="DIR", help="The folder to write into.")
@click.option("--file", "files", multiple=True, metavar="PATH", help="One file of a folder.")
@click.option("--force", is_flag=True, help="Overwrite what is there.")
@vault_option
@json_option
def export(
    record: str,
    output: str,
    files: tuple[str, ...],
    force: bool,
    vault: str | None,
    as_json: bool,
) -> int:
    """Write the kept originals of RECORD (number or entry) into DIR, byte-identical.

    Each digest is checked. Exit 1 if a kept original is damaged, else 2 if one was not kept; the
    others are written all the same, and those missing are named. Needs neither ledger nor network.
    """
    folder = vault_folder(vault)
    opened = open_vault(folder, passphrase_of(folder))
    close_with_command(opened.close)
    place, originals = plan_export(opened, opened.records.find(record), Path(output), files)
    for path in [original.target for original in originals] if files else [place]:
        refuse_existing(str(path), force=force)
    with reading_progress(f"writing {place.name}") as progress:
        done = export_originals(opened, originals, force=force, progress=progress)
    if as_json:
        print_json(
            {
                "written": [str(path) for path in done.written],
                "failed": [
                    {**error_json(error, str(error), error.hint), "path": str(path)}
                    for path, error in done.failed
                ],
            }
        )
    elif done.written:
        sizes = {original.target: original.entry.size for original in originals}
        size = format_size(sum(sizes[path] for path in done.written))
        result(f"written  {place}  {len(done.written)} of {len(originals)} files, {size}")
    codes = [fail(e, f"{path}: {e}", e.hint, as_json=False) for path, e in done.failed]
    return EXIT_REFUTED if EXIT_REFUTED in codes else max(codes, default=EXIT_DONE)
