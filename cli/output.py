"""Results to stdout, talk to stderr as ``tally: …``, then ``hint: …``; or everything as JSON."""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.proof.verdict import Language, safe

EXIT_DONE, EXIT_REFUTED, EXIT_USAGE, EXIT_INCOMPLETE, EXIT_INTERRUPTED = 0, 1, 2, 3, 130

CODES: Mapping[type[LedgerError] | str, tuple[str, int]] = {
    "usage": ("TALLY-E001", EXIT_USAGE),
    MalformedError: ("TALLY-E002", EXIT_USAGE),
    NotFoundError: ("TALLY-E003", EXIT_USAGE),
    VerificationError: ("TALLY-E004", EXIT_REFUTED),
    ConflictError: ("TALLY-E005", EXIT_INCOMPLETE),
    UnavailableError: ("TALLY-E006", EXIT_INCOMPLETE),
    "interrupted": ("TALLY-E007", EXIT_INTERRUPTED),
}
"""Stable error codes, and the exit code of each."""

PASSPHRASE_FILE = "cli.passphrase-file"  # noqa: S105 - a name
"""Where a command's context has the name of the passphrase file it was given."""

PROGRESS_SECONDS = 0.2
"""How often the progress line is drawn anew."""
PROGRESS_AFTER_SECONDS = 1.0
"""What takes less than this needs no progress line."""


class UsageError(click.UsageError):
    """A command line that cannot be obeyed; ``hint``: one line on what to do instead."""

    def __init__(self, message: str, hint: str) -> None:
        super().__init__(message)
        self.hint = hint


T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])  # Any: click passes what a command declares


def vault_option(command: F) -> F:
    """Add ``--vault``, the folder of the vault, and ``--passphrase-file``, what opens its keys."""
    command = click.option(
        "--passphrase-file",
        metavar="FILE",
        envvar="TALLY_PASSPHRASE_FILE",
        expose_value=False,
        callback=_note_passphrase_file,
        help="Opens sealed keys (or TALLY_PASSPHRASE_FILE).",
    )(command)
    return click.option(
        "--vault", metavar="DIR", envvar="TALLY_VAULT", help="The vault (or TALLY_VAULT)."
    )(command)


def _note_passphrase_file(
    context: click.Context,
    option: click.Parameter,  # noqa: ARG001
    given: str | None,
) -> None:
    if given is not None:
        context.meta[PASSPHRASE_FILE] = given


def json_option(command: F) -> F:
    """Add ``--json``: the result, and any error, as one JSON document on stdout."""
    return click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")(command)


def language_option(command: F) -> F:
    """Add ``--lang``."""
    return click.option(
        "--lang",
        "language",
        type=click.Choice(["en", "zh"]),
        default="en",
        help="Language of the verdict.",
    )(command)


def print_json(value: Mapping[str, Any]) -> None:  # Any: a JSON document
    """One JSON document on stdout; a name that is no text has its odd bytes escaped."""
    text = json.dumps(value, ensure_ascii=False, indent=2)
    click.echo(text.encode("utf-8", "backslashreplace").decode("utf-8"))


def result(text: str) -> None:
    """A line of the result, on stdout; control and bidi characters shown, not obeyed."""
    click.echo("\n".join(safe(line) for line in text.split("\n")))


def talk(text: str) -> None:
    """A line about what is going on, on stderr."""
    click.echo(f"tally: {safe(text)}", err=True)


def hint(text: str) -> None:
    """What to do next, on stderr."""
    click.echo(f"hint: {safe(text)}", err=True)


def fail(
    error: LedgerError | str,
    text: str,
    advice: str | None,
    *,
    as_json: bool,
) -> int:
    """Tell an error and give its exit code."""
    key = error if isinstance(error, str) else type(error)
    name, code = CODES.get(key, CODES["usage"])
    if as_json:
        print_json({"error": error_json(error, text, advice)})
    talk(f"{text}  [{name}]")
    if advice:
        hint(advice)
    return code


def error_json(error: LedgerError | str, text: str, advice: str | None) -> dict[str, str | None]:
    """An error as JSON has it: stable code, words, and what to do."""
    name, _ = CODES.get(error if isinstance(error, str) else type(error), CODES["usage"])
    return {"code": name, "message": text, "hint": advice}


def refuse_existing(path: str | None, *, force: bool | None) -> None:
    """UsageError if ``path`` is there already and not to be overwritten: before any work is done.

    ``force``: None for a command that never overwrites. What appears there meanwhile is not
    overwritten either.
    """
    if path is not None and not force and os.path.lexists(path):
        hint = "choose another name" + ("" if force is None else ", or --force")
        raise UsageError(f"{path} exists already", hint)


def colour() -> bool:
    """Whether stdout takes colours: a terminal, and NO_COLOR not set (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def as_language(language: str) -> Language:
    """A checked language name."""
    return "zh" if language == "zh" else "en"


@contextmanager
def progress_line(label: str) -> Iterator[Callable[[str], None]]:
    """A line that says how far a long work is; silent for the first second, or if stderr is piped.

    What is given to it is drawn a few times a second, however often it is called.
    """
    if not sys.stderr.isatty():
        yield lambda _said: None
        return
    drawn = False
    draw_at = time.monotonic() + PROGRESS_AFTER_SECONDS

    def draw(said: str) -> None:
        nonlocal draw_at, drawn
        if time.monotonic() >= draw_at:
            draw_at, drawn = time.monotonic() + PROGRESS_SECONDS, True
            click.echo(f"\r{label}: {said}  ", err=True, nl=False)

    try:
        yield draw
    finally:
        if drawn:
            click.echo("\r\033[K", err=True, nl=False)


@contextmanager
def reading_progress(label: str) -> Iterator[Callable[[int, int], None]]:
    """A progress line for reading carriers: to be told each time of more files and more bytes."""
    files, size = 0, 0
    with progress_line(label) as draw:

        def progress(more_files: int, more_bytes: int) -> None:
            nonlocal files, size
            files += more_files
            size += more_bytes
            draw(f"{files} files, {format_size(size)}")

        yield progress


def over(items: Sequence[T], label: str) -> Iterator[T]:
    """``items``, one after another, under a progress bar; silent if stderr is piped."""
    hidden = not sys.stderr.isatty()
    with click.progressbar(items, label=label, file=sys.stderr, hidden=hidden) as bar:
        yield from bar


def format_size(size_bytes: int) -> str:
    """A size for people: ``1.5 MiB``."""
    size = float(size_bytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
