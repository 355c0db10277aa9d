"""``tally demo``: from a folder to a verdict, then five forgeries, each caught by name."""

import os
import shutil
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import click

import cli
from cli.checking import check_bundle
from cli.compose import Tally, make_tally
from cli.demo_words import said
from cli.output import EXIT_DONE, EXIT_REFUTED, as_language, colour, language_option, result, talk
from cli.tsas import DEVELOPMENT_TRUST
from ledger.doors.bundle_files import write_bundle
from ledger.doors.carrier import FileCarrier, FolderCarrier, read_carrier
from ledger.doors.files import write_durably
from ledger.errors import NotFoundError
from ledger.holder.bundling import Bundler, Choice, Plan
from ledger.holder.config import Config
from ledger.holder.said import Wish
from ledger.proof.attack import apply_flip, choose_flips
from ledger.proof.bundle import Bundle, Digest, make_index, parse_index
from ledger.proof.verdict import Language, Outcome, Verdict, say
from ledger.report.html import format_html
from ledger.report.text import format_text

EXAMPLE = Path(cli.__file__).parent.parent / "docs" / "examples" / "notebook"
STEPS = (
    ("step-1", datetime(2026, 6, 8, 9, 30, tzinfo=UTC), "idea"),
    ("step-2", datetime(2026, 6, 15, 17, 5, tzinfo=UTC), "failed-experiment"),
    ("step-3", datetime(2026, 7, 2, 16, 40, tzinfo=UTC), "interim-result"),
)
"""The example's three states, when its development TSAs are told it is, and their stages."""

DISCLOSED = "数据/第12批_结果.csv"


class _Clock:
    """A clock that is set by hand: the reason why a development TSA proves nothing."""

    def __init__(self, time: datetime | None) -> None:
        self.time = time

    def __call__(self) -> datetime:
        if self.time is None:
            return datetime.now(UTC)
        self.time += timedelta(seconds=1)
        return self.time


@click.command()
@click.argument("path", required=False)
@language_option
def demo(path: str | None, language: str) -> int:
    """Anchor, stamp, bundle, verify, tamper: on a sample notebook, or on your own folder at PATH.

    Everything is made in a new temporary folder; yours is only read.
    """
    if path is not None and not os.path.lexists(path):
        raise NotFoundError(f"no such file or folder: {path}")
    work = Path(tempfile.mkdtemp(prefix="tallystick-demo-"))
    clock = _Clock(None if path else STEPS[0][1])
    tally = make_tally(work / "vault", Config(development=True), clock=clock, state=work / "state")
    tally.anchorer.stamp()
    spoken = as_language(language)
    if path is None:
        chosen = _anchor_example(tally, work, clock, spoken)
    else:
        wish = Wish("demo", keep=False, title=Path(path).name)
        chosen = _anchor(tally, Path(path), wish, spoken)
    plan = _bundle(tally, work, chosen, spoken)
    trust = work / "vault" / DEVELOPMENT_TRUST
    verdict = check_bundle(work / "bundle.zip", [], trust)
    result(f"\n$ tally verify {work / 'bundle.zip'} --trust {trust}")
    result(format_text(verdict, spoken, colour=colour()))
    page = work / "verdict.html"
    write_durably(page, format_html(verdict, spoken).encode("utf-8"), mode=0o644)
    result(f"\n{said('page', spoken, page=page)}")
    agreed = _openssl(work, plan.bundle, spoken)
    result(f"\n{said('forgeries', spoken)}")
    caught = _forge(work, plan, trust, spoken)
    if verdict.outcome is not Outcome.PROVEN or not agreed or not caught:
        talk(said("wrong", spoken))
        return EXIT_REFUTED
    result(f"\n{said('lies', spoken, work=work)}")
    return EXIT_DONE


def _anchor_example(tally: Tally, work: Path, clock: _Clock, language: Language) -> str:
    """Anchor the example's three steps as one folder that is revised; the file to disclose."""
    if not EXAMPLE.is_dir():
        hint = "give a folder of your own: tally demo PATH"
        raise NotFoundError("the example notebook is not installed here", hint=hint)
    folder = work / "notebook"
    for name, time, stage in STEPS:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(EXAMPLE / name, folder)
        clock.time = time
        _anchor(tally, folder, Wish("demo", stage=stage, title=said(name, language)), language)
    return DISCLOSED


def _anchor(tally: Tally, folder: Path, wish: Wish, language: Language) -> str:
    """Anchor one state of ``folder``, stamp it, say so; a file of it that could be disclosed."""
    carrier = read_carrier(folder)
    anchored = tally.anchorer.anchor(carrier, wish)
    tally.anchorer.send()
    report = tally.anchorer.stamp()
    count = len(carrier.entries) if isinstance(carrier, FolderCarrier) else 1
    stamped = ", ".join(report.answered) if report is not None else "nobody"
    record = tally.vault.records.find(anchored.record.entry.hex())
    when = record.created.replace("T", " ").rstrip("Z")
    about = {"title": wish.title, "count": count, "entry": record.index, "tsas": stamped}
    result(said("anchored", language, when=when, **about))
    if isinstance(carrier, FileCarrier):
        return ""
    return min(carrier.entries, key=lambda entry: (entry.size == 0, entry.size)).path


def _bundle(tally: Tally, work: Path, chosen: str, language: Language) -> Plan:
    """Bundle the newest records but the first, with one file of the newest disclosed."""
    records = tally.vault.records.all()
    newest = records[-1]
    files = (chosen,) if chosen else ()
    claims = ("kind", "stage", "title", "captured_time") if newest.stage else ("kind", "title")
    choice = Choice((*claims, *(() if chosen else ("carrier",))), files, carriers=True)
    plan = Bundler(tally.vault, tally.ledger, work).plan(records[1:] or records, choice)
    write_bundle(work / "bundle.zip", plan.bundle, plan.sources, force=False)
    shown = chosen or Path(newest.path or "").name
    what = said("staged" if newest.stage else "titled", language)
    counts = {"opened": len(records) - len(plan.withheld), "count": len(records)}
    result(said("bundled", language, file=shown, claims=what, **counts))
    return plan


def _openssl(work: Path, bundle: Bundle, language: Language) -> bool:
    """Check one token with openssl alone, if it is here; False if it does not hold."""
    folder = work / "bundle"
    shutil.unpack_archive(work / "bundle.zip", folder)
    readme = bundle.files["README.txt"].decode("utf-8").replace("\\\n", " ")
    line = next(row for row in readme.splitlines() if row.strip().startswith("openssl ts -verify"))
    words = line.split()
    result(f"\n{said('openssl', language, folder=folder)}\n  {' '.join(words)}")
    if shutil.which("openssl") is None:
        talk(said("no-openssl", language))
        return True
    # The words come from the README this process has just made.
    ran = subprocess.run(words, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    heard = ran.stdout if ran.returncode == 0 else ran.stderr
    result(f"  {(heard.strip() or said('silent', language)).splitlines()[-1]}")
    return ran.returncode == 0


def _forge(work: Path, plan: Plan, trust: Path, language: Language) -> bool:
    """Make each forgery as a bundle of its own; True if every one was caught where it broke."""
    originals = {
        path: source.read_bytes()
        for path, source in plan.sources.items()
        if plan.bundle.carriers[path].size <= 64 << 20
    }
    records = dict(parse_index(plan.bundle.files["bundle.json"]).records)
    good = True
    for number, flip in enumerate(choose_flips(plan.bundle, originals), 1):
        sources = dict(plan.sources)
        if flip.path in originals:
            changed = apply_flip(originals[flip.path], flip)
            sources[flip.path] = work / f"forged-{number}.carrier"
            write_durably(sources[flip.path], changed)
            carrier = read_carrier(sources[flip.path])
            assert isinstance(carrier, FileCarrier)  # noqa: S101 - just written as a file
            digest = Digest(carrier.entry.size, carrier.entry.sha256)
            forged = Bundle(plan.bundle.files, {**plan.bundle.carriers, flip.path: digest})
        else:
            changed = apply_flip(plan.bundle.files[flip.path], flip)
            forged = Bundle({**plan.bundle.files, flip.path: changed}, plan.bundle.carriers)
        path = work / f"forged-{number}.zip"
        write_bundle(path, make_index(forged, records), sources, force=False)
        good &= _tell(flip.what, flip.step, check_bundle(path, [], trust), language)
    return good


def _tell(what: str, step: str, verdict: Verdict, language: Language) -> bool:
    """One line: where the forgery was caught, or that it slipped."""
    fault = verdict.first_fault
    name = said(what, language)
    if fault is None or fault.step != step:
        result(said("slipped", language, what=name))
        return False
    colon = "：" if language == "zh" else ": "
    why = colon.join(say(fault, language).split(colon)[-2:])
    result(said("caught", language, what=name, step=fault.step, why=why))
    return True
