"""``tally verify``: a bundle, offline, under the verifier's own trust file."""

from datetime import UTC, datetime
from pathlib import Path

import click

from cli.checking import check_bundle
from cli.output import (
    as_language,
    colour,
    hint,
    json_option,
    language_option,
    print_json,
    refuse_existing,
    result,
    talk,
)
from ledger.doors.files import write_durably
from ledger.errors import MalformedError
from ledger.report.html import format_html
from ledger.report.text import format_json, format_text


@click.command()
@click.argument("bundle", metavar="X.zip|DIR")
@click.argument("carriers", nargs=-1, metavar="[CARRIER]...")
@click.option("--trust", metavar="FILE", help="Your trust file (default: public TSAs, k = 2).")
@click.option("--at", metavar="TIME", help="Time of the check, for the report: it decides nothing.")
@click.option("--html", metavar="FILE", help="Write the verdict as a page, too.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@language_option
@json_option
def verify(
    bundle: str,
    carriers: tuple[str, ...],
    trust: str | None,
    at: str | None,
    html: str | None,
    force: bool,
    language: str,
    as_json: bool,
) -> int:
    """Check a bundle, and each CARRIER (file or folder) against what it discloses.

    Never touches the network. Exit 0 proven, 1 refuted, 3 could not be checked.
    """
    moment = None if at is None else _parse_at(at)
    refuse_existing(html, force=force)
    paths = [Path(carrier) for carrier in carriers]
    verdict = check_bundle(Path(bundle), paths, None if trust is None else Path(trust), moment)
    spoken = as_language(language)
    if html is not None:
        write_durably(
            Path(html), format_html(verdict, spoken).encode("utf-8"), mode=0o644, overwrite=force
        )
    if as_json:
        print_json(format_json(verdict))
    else:
        result(format_text(verdict, spoken, colour=colour()))
    if trust is None:
        talk("judged under the default trust file: public TSAs, two of which must agree; no ledger")
        hint("--trust FILE names those you believe yourself; it is never part of a bundle")
    return verdict.exit_code


def _parse_at(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise MalformedError(f"--at is {text!r}, want a time like 2026-11-22T12:00:00Z") from error
    if moment.tzinfo is None:
        raise MalformedError(f"--at is {text!r}: add the time zone, Z for UTC")
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise MalformedError(f"--at is {text!r}: no such time in UTC") from error
