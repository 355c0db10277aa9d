"""``tally anchor`` and ``tally sync``: carriers into records, records into the ledger."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from cli.compose import Tally, open_tally, pending_words, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    format_size,
    hint,
    json_option,
    print_json,
    reading_progress,
    result,
    talk,
    vault_option,
)
from ledger.doors.carrier import FileCarrier, FolderCarrier, read_carrier
from ledger.doors.client import StampReport
from ledger.holder.anchoring import Anchored, Wish, files_of
from ledger.record.vocabulary import terms

DEFAULT_NOTEBOOK = "notebook"


def _terms(claim: str) -> click.Choice[str]:
    return click.Choice([term.code for term in terms(claim)])


@click.command()
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@click.option("--notebook", default=DEFAULT_NOTEBOOK, show_default=True, help="Its own chain.")
@click.option("--title", help="Real title (withheld unless disclosed).")
@click.option("--label", help="Neutral label for public use.")
@click.option("--note", help="Free text.")
@click.option("--kind", type=_terms("kind"), default="carrier", show_default=True)
@click.option("--stage", type=_terms("stage"), help="Stage of the work.")
@click.option("--keep/--no-keep", default=None, help="Keep an encrypted copy (default: to 1 GiB).")
@click.option("--no-wait", is_flag=True, help="Do not ask the TSAs now; `tally sync` does.")
@click.option("--again", is_flag=True, help="A new record even if nothing changed.")
@click.option("--skip-unreadable", is_flag=True, help="Record what cannot be read as skipped.")
@vault_option
@json_option
def anchor(
    paths: tuple[str, ...],
    no_wait: bool,
    skip_unreadable: bool,
    vault: str | None,
    as_json: bool,
    **said: Any,  # noqa: ANN401 - the options that make a Wish, checked by click
) -> int:
    """Anchor each PATH, a file or a folder as one unit: record, ledger entry, time stamps.

    Exit 3 if a stamp is still pending: the record is safe, `tally sync` asks again.
    """
    tally = open_tally(vault_folder(vault))
    wish = Wish(**said)
    done: list[tuple[FileCarrier | FolderCarrier, Anchored]] = []
    for path in paths:
        with reading_progress(f"reading {path}") as progress:
            carrier = read_carrier(Path(path), skip_unreadable=skip_unreadable, progress=progress)
        done.append((carrier, tally.anchorer.anchor(carrier, wish)))
    tally.anchorer.send()
    report = None if no_wait else tally.anchorer.stamp()
    rows = [_row(tally, carrier, anchored) for carrier, anchored in done]
    if as_json:
        print_json({"anchored": rows, "pending": pending_words(report)})
    else:
        for row, (_, anchored) in zip(rows, done, strict=True):
            _tell(row, anchored)
        _tell_stamp(report, no_wait)
    return EXIT_DONE if no_wait or report is None or report.complete else EXIT_INCOMPLETE


def _row(
    tally: Tally, carrier: FileCarrier | FolderCarrier, anchored: Anchored
) -> dict[str, Any]:  # Any: a JSON document
    record = tally.vault.find(anchored.record.entry.hex())
    files = [entry for _, entry in files_of(carrier)]
    skipped = 0 if isinstance(carrier, FileCarrier) else len(carrier.entries) - len(files)
    return {
        "path": str(carrier.path),
        "new": anchored.new,
        "record": record.number,
        "notebook": record.notebook,
        "seq": record.seq,
        "entry": record.entry.hex(),
        "index": record.index,
        "files": len(files),
        "bytes": sum(entry.size for entry in files),
        "skipped": skipped,
        "kept": anchored.kept,
        "not_kept": [name for name, _ in anchored.not_kept],
    }


def _tell(row: dict[str, Any], anchored: Anchored) -> None:  # Any: a JSON document
    state = "anchored " if row["new"] else "unchanged"
    size = f"{row['files']} files, " if row["files"] != 1 else ""
    place = f"record {row['record']} ({row['notebook']}/{row['seq']}), entry {row['index']}"
    result(f"{state}  {Path(row['path']).name}  {size}{format_size(row['bytes'])}  {place}")
    if row["skipped"]:
        talk(f"{row['skipped']} could not be read and are recorded as skipped")
    for name, size_bytes in anchored.not_kept:
        talk(f"no copy kept of {name} ({format_size(size_bytes)}): above keep_limit")
        hint("--keep keeps it, --no-keep is silent")


def _tell_stamp(report: StampReport | None, no_wait: bool) -> None:
    if no_wait:
        talk("no stamp was asked for (--no-wait)")
        hint("tally sync")
    elif report is not None:
        if report.answered:
            result(f"stamped    size {report.size} by {', '.join(report.answered)}")
        for words in pending_words(report):
            talk(words)
        if not report.complete:
            hint("the records are safe; `tally sync` asks again")


@click.command()
@vault_option
@json_option
def sync(vault: str | None, as_json: bool) -> int:
    """Send what is queued and ask the TSAs that have not answered yet; exit 3 if some do not."""
    tally = open_tally(vault_folder(vault))
    sent = tally.anchorer.send()
    report = tally.anchorer.stamp()
    pending: Sequence[str] = pending_words(report)
    if as_json:
        print_json({"sent": sent, "pending": list(pending)})
    else:
        result(f"sent       {sent}")
        _tell_stamp(report, no_wait=False)
    return EXIT_INCOMPLETE if pending else EXIT_DONE
