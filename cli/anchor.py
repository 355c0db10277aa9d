"""``tally anchor`` and ``tally sync``: carriers into records, records into the ledger."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from cli.claims import claim_options, make_wish
from cli.compose import Tally, open_tally, pending_words, vault_folder
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    UsageError,
    error_json,
    fail,
    format_size,
    hint,
    json_option,
    print_json,
    reading_progress,
    result,
    talk,
    vault_option,
)
from ledger.doors.carrier import FileCarrier, read_carrier
from ledger.doors.client import StampReport
from ledger.errors import LedgerError
from ledger.holder.anchoring import Anchored, Queued
from ledger.holder.captures import Capture
from ledger.holder.records import StoredRecord
from ledger.holder.said import DIGEST_PREFIX, Unread, Wish, parse_unread, unsaid
from ledger.proof.verdict import safe
from ledger.record.record import Record, parse_record
from ledger.record.strict_json import JsonValue

DEFAULT_NOTEBOOK = "notebook"


@click.command()
@click.argument("paths", nargs=-1, metavar="PATH|sha256:HEX...")
@click.option("--notebook", default=DEFAULT_NOTEBOOK, show_default=True, help="Its own chain.")
@click.option("--digest", "digests", multiple=True, metavar="HEX", help="A SHA-256 in its place.")
@click.option("--name", help="Name of the file whose digest is given.")
@click.option("--size", type=click.IntRange(0), help="Its size in bytes.")
@click.option("--keep/--no-keep", default=None, help="Keep an encrypted copy (default: to 1 GiB).")
@click.option("--parts/--no-parts", default=None, help="Seal each line (default: texts to 64 MiB).")
@click.option("--no-wait", is_flag=True, help="Do not ask the TSAs now; `tally sync` does.")
@click.option("--again", is_flag=True, help="A new record even if nothing changed.")
@click.option("--skip-unreadable", is_flag=True, help="Record what cannot be read as skipped.")
@claim_options
@vault_option
@json_option
def anchor(
    paths: tuple[str, ...],
    digests: tuple[str, ...],
    name: str | None,
    size: int | None,
    no_wait: bool,
    skip_unreadable: bool,
    vault: str | None,
    as_json: bool,
    **said: Any,  # noqa: ANN401 - the options that make a Wish, checked by click
) -> int:
    """Anchor each PATH, a file or a folder as one unit: record, ledger entry, time stamps.

    One that cannot be read does not keep the others from being anchored. Exit 3 if a stamp is
    still pending: the record is safe, `tally sync` asks again. While the keys are locked, PATH is
    captured, and signed by the next `tally anchor` or `tally sync` that can; exit 3. What is
    unchanged makes no new record: exit 3 if a title or another claim was given that is not in it.
    """
    given = _given(paths, digests, name, size)
    tally = open_tally(vault_folder(vault), writing=True)
    wish = make_wish(said, tally.vault.records)
    if not given and wish.kind == "carrier":
        raise UsageError("nothing to anchor", "give a PATH; records of other --kind can go without")
    given = given or [(wish.kind, Unread())]
    locked = not tally.vault.lock.unlock()
    if not locked:
        _sign_waiting(tally)
    done, failed = _record(tally, given, wish, skip_unreadable, locked)
    if len(given) == 1 and failed:
        raise failed[0][1]
    sends = bool(done) and not locked
    report, problem = _send(tally, no_wait) if sends else (None, None)
    rows = [_row(tally, one, wish) for one in done]
    if as_json:
        errors = [{**error_json(e, str(e), e.hint), "path": path} for path, e in failed]
        pending = [f"{problem}"] if problem else pending_words(report)
        print_json({"anchored": rows, "pending": pending, "failed": errors})
    else:
        for row, one in zip(rows, done, strict=True):
            _tell(row, one.became)
        _tell_stamp(report, no_wait and sends and problem is None)
    codes = [_fail(path, error) for path, error in failed]
    if problem is not None:
        codes.append(fail(problem, str(problem), problem.hint, as_json=False))
        hint("the records are safe in the vault; `tally sync` sends what is queued")
    if report is not None and not report.complete:
        codes.append(EXIT_INCOMPLETE)
    if any(row["captured"] for row in rows):
        codes.append(_tell_locked())
    if any(row["not_recorded"] for row in rows):
        codes.append(EXIT_INCOMPLETE)
    return max(codes, default=EXIT_DONE)


def _record(
    tally: Tally,
    given: Sequence[tuple[str, Unread | None]],
    wish: Wish,
    skip_unreadable: bool,
    locked: bool,
) -> tuple[list["_Done"], list[tuple[str, LedgerError]]]:
    """Record what is given, or capture it while the keys are locked; what failed, and why."""
    done: list[_Done] = []
    failed: list[tuple[str, LedgerError]] = []
    for path, unread in given:
        try:
            if unread is not None:
                act = tally.anchorer.queue if locked else tally.anchorer.anchor_unread
                done.append(_Done(path, act(unread, wish), 0, unread.size or 0, 0, unread.claims))
            else:
                done.append(_anchor(tally, path, wish, skip_unreadable, locked))
        except LedgerError as error:
            failed.append((path, error))
    return done, failed


def _fail(path: str, error: LedgerError) -> int:
    text = str(error)
    return fail(error, text if path in text else f"{path}: {text}", error.hint, as_json=False)


def _given(
    paths: Sequence[str], digests: Sequence[str], name: str | None, size: int | None
) -> list[tuple[str, Unread | None]]:
    """What is to be anchored: a path, or what is not read here."""
    unread = [*digests, *(path for path in paths if path.startswith(DIGEST_PREFIX))]
    if (name is not None or size is not None) and len(unread) != 1:
        raise click.UsageError("--name and --size are of one digest: give one")
    read = [path for path in paths if not path.startswith(DIGEST_PREFIX)]
    given = [parse_unread(text, name, size) for text in unread]
    return [*((path, None) for path in read), *((str(one.path), one) for one in given)]


@dataclass(frozen=True, slots=True)
class _Done:
    """What is told of an anchored carrier; the list of its files is not held longer than needed.

    ``said``: claims that were given of a carrier which is not read.
    """

    path: str
    became: Anchored | Queued
    files: int
    size: int
    skipped: int
    said: Mapping[str, JsonValue] = field(default_factory=dict)


def _anchor(tally: Tally, path: str, wish: Wish, skip_unreadable: bool, locked: bool) -> _Done:
    tally.anchorer.check(Path(path), wish)
    with reading_progress(f"reading {path}") as progress:
        carrier = read_carrier(
            Path(path),
            sm3=tally.vault.config.sm3,
            skip_unreadable=skip_unreadable,
            progress=progress,
        )
    entries = (carrier.entry,) if isinstance(carrier, FileCarrier) else carrier.entries
    skipped = sum(entry.skipped is not None for entry in entries)
    act = tally.anchorer.queue if locked else tally.anchorer.anchor
    return _Done(
        path=str(carrier.path),
        became=act(carrier, wish),
        files=len(entries) - skipped,
        size=sum(entry.size for entry in entries),
        skipped=skipped,
    )


def _send(tally: Tally, no_wait: bool) -> tuple[StampReport | None, LedgerError | None]:
    """Send and stamp; an error is given back, since the records are in the vault already."""
    try:
        tally.anchorer.send()
        return (None if no_wait else tally.anchorer.stamp()), None
    except LedgerError as error:
        return None, error


def _sign_waiting(tally: Tally) -> int:
    """Sign what was captured while the keys were locked; how many there were."""
    signed = tally.anchorer.signer.sign_waiting()
    if signed:
        talk(f"{signed} captured while the keys were locked, signed now")
    return signed


def _tell_locked() -> int:
    talk("queued: the keys are locked")
    hint("what is captured keeps its time; `tally sync` with the passphrase signs it")
    return EXIT_INCOMPLETE


def _row(tally: Tally, one: _Done, wish: Wish) -> dict[str, Any]:  # Any: a JSON document
    records, record, notebook = tally.vault.records, None, wish.notebook
    if isinstance(one.became, Anchored):
        record = records.find(one.became.record.entry.hex())
    elif one.became.capture is None:
        record = records.latest_of_path(one.path, notebook)
    return {
        "path": one.path,
        "new": one.became.new,
        "captured": record is None,
        "record": None if record is None else record.number,
        "notebook": notebook,
        "seq": None if record is None else record.seq,
        "entry": None if record is None else record.entry.hex(),
        "index": None if record is None else record.index,
        "read": one.files > 0,
        "files": one.files,
        "bytes": one.size,
        "skipped": one.skipped,
        "kept": one.became.kept,
        "not_kept": [name for name, _ in one.became.not_kept],
        "not_recorded": _not_recorded(one, record, wish),
    }


def _not_recorded(one: _Done, record: StoredRecord | None, wish: Wish) -> list[str]:
    """Names of what was said of an unchanged carrier and does not stand in its record."""
    held: Record | Capture | None = None if record is None else parse_record(record.sdjwt)
    held = one.became.capture if isinstance(one.became, Queued) and held is None else held
    if one.became.new or held is None:
        return []
    names = [name for name, value in one.said.items() if held.carrier.get(name) != value]
    parts = ["parts"] if wish.parts and "parts" not in held.carrier else []
    return [*unsaid(wish, held.claims), *names, *parts]


def _tell(row: dict[str, Any], became: Anchored | Queued) -> None:  # Any: a JSON document
    state = "unchanged" if not row["new"] else "captured " if row["captured"] else "anchored "
    size = f"{row['files']} files, " if row["files"] != 1 else ""
    size += format_size(row["bytes"])
    if not row["read"]:
        size = (
            "digest only, nothing kept" if row["path"].startswith(DIGEST_PREFIX) else "no carrier"
        )
    stands = "queued" if row["index"] is None else f"entry {row['index']}"
    place = f"record {row['record']} ({row['notebook']}/{row['seq']}), {stands}"
    if row["captured"]:
        place = f"waits for the key ({row['notebook']})"
    # A line break in a name is shown, not made.
    name = safe(Path(row["path"]).name or row["path"])
    result(f"{state}  {name}  {size}  {place}")
    if row["skipped"]:
        talk(f"{row['skipped']} could not be read and are recorded as skipped")
    if row["not_recorded"]:
        talk(f"{name} is unchanged: {', '.join(row['not_recorded'])} not recorded")
        hint("--again makes a record that says so")
    for name, size_bytes in became.not_kept:
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
    """Send what is queued and ask the TSAs that have not answered yet; exit 3 if some do not.

    What was captured while the keys were locked is signed first; exit 3 if they still are.

    Also fetch the certificates, CRLs and OCSP answers that stamps are judged with, as they appear,
    and send an entry that says nothing if there was none for a day, to show that the ledger runs.
    """
    tally = open_tally(vault_folder(vault), writing=True)
    # The passphrase is asked for only if something waits for it.
    waits = tally.vault.captures.count()
    if waits and tally.vault.lock.unlock():
        waits -= _sign_waiting(tally)
    sent = tally.anchorer.send()
    # A ledger elsewhere shows by itself that it runs.
    if sent == 0 and tally.vault.config.ledger is None and tally.anchorer.heartbeat():
        sent = tally.anchorer.send()
    report = tally.anchorer.stamp()
    pending = pending_words(report)
    ledgers = (tally.ledger, *tally.earlier.values())
    lacking = [f"{tsa}: {reason}" for ledger in ledgers for tsa, reason in ledger.recapture()]
    if as_json:
        value = {"sent": sent, "waiting_for_key": waits}
        print_json(value | {"pending": pending, "lacking": lacking})
    else:
        result(f"sent       {sent}")
        _tell_stamp(report, no_wait=False)
        for words in lacking:
            talk(f"not to be had yet for the stamps of {words}")
    if waits:
        talk(f"{waits} {'waits' if waits == 1 else 'wait'} for the key")
        _tell_locked()
    return EXIT_INCOMPLETE if pending or waits else EXIT_DONE
