"""``tally log``, ``show``: what records there are, and what one of them says."""

import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from cli.compose import Tally, check_notebook, open_to_read, vault_folder
from cli.listed import list_files
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
from cli.terms import term_choice
from ledger.holder.records import name_of
from ledger.holder.said import DIGEST_PREFIX
from ledger.holder.search import Listed, Query, count_listed, find_listed
from ledger.record.manifest import FileEntry
from ledger.record.record import parse_record

PAGE = 50
"""Records listed on a terminal that was not told a number."""

AT_ONCE = 1000
"""Lines written together: each by itself takes longer than all else that is done for it."""

NOTE_SHOWN = 60
"""Characters of a note that stands for a title."""

_DAY = "%Y-%m-%d"
_TIMES = [_DAY, "%Y-%m-%dT%H:%M:%SZ"]


@click.command()
@click.option(
    "--search", "text", metavar="TEXT", help="Words in titles, notes, labels, paths given."
)
@click.option("--notebook", help="Only this notebook.")
@click.option("--kind", type=term_choice("kind"), help="Only this kind.")
@click.option("--stage", type=term_choice("stage"), help="Only this stage.")
@click.option("--since", type=click.DateTime(_TIMES), help="Made on this day (UTC) or later.")
@click.option("--until", type=click.DateTime(_TIMES), help="Made on this day (UTC) or before.")
@click.option("--limit", type=click.IntRange(0), help="So many of the newest (0: all).")
@vault_option
@json_option
def log(
    since: datetime | None,
    until: datetime | None,
    limit: int | None,
    vault: str | None,
    as_json: bool,
    **narrowing: Any,  # noqa: ANN401 - the options that make a Query, checked by click
) -> int:
    """The records, newest last: number, place in the notebook, time, what, where it stands.

    --search looks at what was anchored, not at the files inside a folder: `tally show` lists them.
    On a terminal the newest 50, unless --limit says otherwise; else all.
    """
    tally = open_to_read(vault_folder(vault))
    if narrowing["notebook"] is not None:
        check_notebook(tally.vault, narrowing["notebook"])
    if limit is None and not as_json and sys.stdout.isatty():
        limit = PAGE
    query = Query(
        since=None if since is None else since.replace(tzinfo=UTC),
        until=None if until is None else _after(until.replace(tzinfo=UTC)),
        limit=limit or None,
        **narrowing,
    )
    rows = _rows(tally, query)
    if as_json:
        print_json({"records": rows})
        return EXIT_DONE
    if query.limit is not None and len(rows) == query.limit:
        earlier = count_listed(tally.vault.database, query) - len(rows)
        if earlier:
            talk(f"{earlier} earlier records are not listed")
            hint("--limit 0 lists all")
    for start in range(0, len(rows), AT_ONCE):
        result("\n".join(map(_line, rows[start : start + AT_ONCE])))
    if not rows and tally.vault.records.count():
        talk("no record is like that")
        if query.text:
            hint("names of files inside a folder are not searched: tally show RECORD --files")
    elif not rows:
        talk("no records yet")
        hint("tally anchor FOLDER")
    return EXIT_DONE


def _line(row: dict[str, Any]) -> str:  # Any: a JSON document
    what = " ".join(filter(None, [row["kind"], row["stage"]]))
    title = row["title"] or row["label"] or row["name"] or (row["note"] or "")[:NOTE_SHOWN]
    place = f"{row['notebook']}/{row['seq']}"
    start = f"{name_of(row['number']):>4}  {place:16} {row['created']}  {what:24}"
    # A name with a line break in it is still one line.
    return f"{start} {title}  {row['state']}".replace("\n", " ")


def _name(record: Listed) -> str | None:
    """What the carrier is called; of one that was not read its digest, if it was given no name."""
    if record.unread is not None and "name" in (said := parse_record(record.unread).carrier):
        return str(said["name"])
    return Path(record.path).name if record.path else None


def _after(until: datetime) -> datetime:
    """The first moment that is no longer meant: a day is meant to its end."""
    whole_day = until.time() == datetime.min.time()
    return until + (timedelta(days=1) if whole_day else timedelta(seconds=1))


def _rows(tally: Tally, query: Query) -> list[dict[str, Any]]:  # Any: JSON documents
    """What is told of each record that ``query`` means."""
    receipts, wanted = tally.vault.receipts, tally.vault.config.wanted
    reaches = {origin: receipts.reach(origin) for origin in receipts.ledgers()}
    rows = []
    for record in find_listed(tally.vault.database, query):
        reach = reaches.get(record.ledger or "")
        tsas = () if reach is None else reach.tsas(record.index)
        if record.index is None:
            state = "queued"
        elif len(tsas) < wanted:
            state = f"entry {record.index}, {len(tsas)} of {wanted} stamps"
        else:
            state = f"entry {record.index}, stamped by {', '.join(tsas)}"
        rows.append(
            {
                "number": record.number,
                "entry": record.entry.hex(),
                "notebook": record.notebook,
                "seq": record.seq,
                "created": record.created,
                "kind": record.kind,
                "stage": record.stage,
                "title": record.title,
                "label": record.label,
                "path": record.path,
                "name": _name(record),
                "note": record.note,
                "index": record.index,
                "stamps": list(tsas),
                "receipt": record.stamps >= wanted,
                "state": state,
            }
        )
    return rows


@click.command()
@click.argument("record")
@click.option("--files", "with_files", is_flag=True, help="List every file of a folder.")
@vault_option
@json_option
def show(record: str, with_files: bool, vault: str | None, as_json: bool) -> int:
    """One RECORD (number or entry): every claim in it, for your own eyes.

    Exit 3 if the list of its files is not in the vault.
    """
    tally = open_to_read(vault_folder(vault))
    stored = tally.vault.records.find(record)
    parsed = parse_record(stored.sdjwt)
    value = _rows(tally, Query(number=stored.number))[0] | {
        "chain": stored.chain,
        "claims": dict(parsed.claims),
        "carrier": dict(parsed.carrier),
        "key": parsed.thumbprint,
    }
    files, lost = list_files(tally.vault, stored)
    if as_json:
        value["files"] = [_file_json(entry) for entry in files] if lost is None else None
        print_json(value)
        return EXIT_DONE if lost is None else EXIT_INCOMPLETE
    result(f"record   {stored.name}, {stored.notebook}/{stored.seq}, {value['state']}")
    result(f"entry    {stored.entry.hex()}")
    result(f"key      {parsed.thumbprint}")
    for name, claim in [*parsed.claims.items()]:
        result(f"{name:15} {claim}")
    for name, claim in parsed.carrier.items():
        result(f"carrier.{name:12} {claim}")
    if (stored.path or "").startswith(DIGEST_PREFIX):
        result("original none was kept: only its digest was given")
    for entry in files if with_files else files[:10]:
        tail = f"skipped: {entry.skipped}" if entry.skipped else entry.sha256.hex()
        result(f"  {entry.path}  {format_size(entry.size)}  {tail}")
    if len(files) > 10 and not with_files:
        result(f"  … and {len(files) - 10} more (--files)")
    if lost is not None:
        talk(f"the files of record {stored.name} cannot be listed: {lost}")
        hint(lost.hint or "tally vault check")
    return EXIT_DONE if lost is None else EXIT_INCOMPLETE


def _file_json(entry: FileEntry) -> dict[str, Any]:  # Any: a JSON document
    return {
        "path": entry.path,
        "size": entry.size,
        "sha256": entry.sha256.hex(),
        "sm3": None if entry.sm3 is None else entry.sm3.hex(),
        "skipped": entry.skipped,
    }
