"""``tally attack``: change a bundle in some 200 ways, offline, and show what catches each."""

import hashlib
import random
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.checking import read_carriers, read_trust, tool
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    EXIT_REFUTED,
    as_language,
    colour,
    hint,
    json_option,
    language_option,
    over,
    print_json,
    refuse_existing,
    result,
    talk,
)
from ledger.doors.bundle_files import read_bundle
from ledger.doors.files import write_durably
from ledger.operator.devtsa import DevelopmentTsa
from ledger.proof.attack import attack as try_mutations
from ledger.proof.attack import choose_mutations
from ledger.proof.bundle import Bundle, Digest
from ledger.proof.forgeries import Forger
from ledger.proof.stamps import format_certificate
from ledger.proof.verdict import Outcome, Verdict, headline
from ledger.proof.verify import verify
from ledger.report.attack import Attacked, format_json, format_text, summary
from ledger.report.attack_html import format_html
from ledger.timestamp.request import format_request

CHANGES = 200
"""So many that every sort of change and most fields come once."""
MAX_CHANGES = 1_000_000


@click.command()
@click.argument("bundle", metavar="X.zip|DIR")
@click.argument("carriers", nargs=-1, metavar="[CARRIER]...")
@click.option("--trust", metavar="FILE", help="Your trust file (default: public TSAs, k = 2).")
@click.option(
    "--count",
    type=click.IntRange(1, MAX_CHANGES),
    default=CHANGES,
    show_default=True,
    help="How many changes.",
)
@click.option("--seed", type=click.IntRange(0), default=1, help="Other changes of the same sorts.")
@click.option("--html", metavar="FILE", help="Write the table as a page to print, too.")
@click.option("--force", is_flag=True, help="Overwrite the page.")
@language_option
@json_option
def attack(
    bundle: str,
    carriers: tuple[str, ...],
    trust: str | None,
    count: int,
    seed: int,
    html: str | None,
    force: bool,
    language: str,
    as_json: bool,
) -> int:
    """Change copies of a bundle in many ways, and show by what each change is caught.

    The bundle has to be proven under your trust file. Each change is judged twice: with the list of
    files as it was, and with that list made anew, as a forger would. Nothing is written but the
    page, and the network is never touched. Exit 0 if every change is caught or is to what is not
    evidence, 1 if one slips through, 3 if the bundle itself is not proven.
    """
    refuse_existing(html, force=force)
    spoken = as_language(language)
    believed = read_trust(None if trust is None else Path(trust))
    held = read_bundle(Path(bundle))
    given = read_carriers([Path(carrier) for carrier in carriers], held).digests
    moment = datetime.now(UTC)

    def judge(changed: Bundle, with_carriers: Mapping[str, Digest]) -> Verdict:
        return verify(
            changed,
            believed,
            with_carriers,
            checked_at=moment,
            clock="system clock",
            tool=tool(),
        )

    verdict = judge(held, given)
    if verdict.outcome is not Outcome.PROVEN:
        talk(f"nothing to attack: {headline(verdict, spoken)}")
        hint("give a bundle that is proven, and with --trust the trust file it is proven under")
        return EXIT_INCOMPLETE
    dice = random.Random(seed)  # noqa: S311 - which changes, not a secret
    mutations = choose_mutations(held, given, _forger(dice, moment), count, dice)
    attempts = try_mutations(held, given, over(mutations, "changing"), judge)
    attacked = Attacked(verdict, tuple(attempts), seed)
    if html is not None:
        page = format_html(attacked, spoken).encode("utf-8")
        write_durably(Path(html), page, mode=0o644, overwrite=force)
    if as_json:
        print_json(format_json(attacked))
    else:
        result(format_text(attacked, spoken, colour=colour()))
    if attacked.slipped:
        talk(f"{summary(attacked, 'en')}: please report it")
        return EXIT_REFUTED
    return EXIT_DONE


def _forger(dice: random.Random, moment: datetime) -> Forger:
    """Somebody with chance and a TSA of their own, made now; its keys differ in each run."""
    tsa = DevelopmentTsa.create("nobody", lambda: moment)

    def stamp(over_bytes: bytes) -> bytes:
        imprint = hashlib.sha256(over_bytes).digest()
        return tsa.answer(format_request(imprint, secrets.randbits(63)))

    return Forger(dice.randbytes, stamp, format_certificate(tsa.root))
