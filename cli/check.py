"""``tally vault check``: is everything still there, and still what it was."""

from datetime import timedelta

import click

from cli.compose import now, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_REFUTED,
    hint,
    json_option,
    over,
    print_json,
    result,
    vault_option,
)
from cli.passphrase import passphrase_of
from ledger.holder.checking import Checker
from ledger.holder.checks import NIGHTS, Item
from ledger.holder.vault import open_vault


@click.command()
@click.option("--sample", type=click.IntRange(1), metavar="N", help="So many, oldest check first.")
@click.option("--all", "everything", is_flag=True, help="Everything.")
@click.option("--older", type=click.IntRange(0), metavar="DAYS", help="Only if not checked since.")
@vault_option
@json_option
def check(
    sample: int | None, everything: bool, older: int | None, vault: str | None, as_json: bool
) -> int:
    """Check kept originals, manifests and receipts: by default what is due tonight.

    A run every night gets through everything in a month. Exit 1 if anything is missing or damaged;
    `tally status` shows it until a check finds it mended.
    """
    if sample is not None and everything:
        raise click.UsageError("give --sample or --all, not both")
    folder = vault_folder(vault)
    opened = open_vault(folder, passphrase_of(folder))
    click.get_current_context().call_on_close(opened.close)
    # That the vault's key is not to be had is no fault of what it opens.
    opened.lock.identity()
    opened.kept.find()
    total = opened.checks.register()
    # With --older and nothing else, all that is as old as that.
    share = total if everything or older is not None else -(-total // NIGHTS)
    before = None if older is None else now() - timedelta(days=older)
    due, checker = opened.checks.due(sample or share, before), Checker(opened)
    faults: list[tuple[Item, tuple[int, ...]]] = []
    mended = 0
    for item in over(due, "checking"):
        found = checker.check(item)
        # If we die here it is checked again by the next run.
        opened.checks.note(found, now())
        mended += found.fault is None and item.fault is not None
        if found.fault is not None:
            faults.append((found, checker.records_of(found)))
    if as_json:
        rows = [
            {"kind": one.kind, "name": one.name, "fault": one.fault, "records": list(numbers)}
            for one, numbers in faults
        ]
        print_json({"checked": len(due), "of": total, "mended": mended, "faults": rows})
        return EXIT_REFUTED if faults else EXIT_DONE
    for one, numbers in faults:
        records = f"record {', '.join(map(str, numbers))}" if numbers else "no record"
        result(f"ALARM    {records}: {one.kind} {one.name[:16]}: {one.fault}")
    result(f"checked  {len(due)} of {total}, {len(faults)} missing or damaged, {mended} mended")
    if faults:
        hint("put the files back from a backup of the vault, then `tally vault check`")
    return EXIT_REFUTED if faults else EXIT_DONE
