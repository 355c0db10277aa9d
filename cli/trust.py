"""``tally trust``: what a trust file says, what it accepts in plain words, and what is amiss."""

from dataclasses import replace
from datetime import UTC, datetime

import click

from cli.checking import read_trust, read_trust_given
from cli.given import parse_given, read_given
from cli.output import (
    EXIT_DONE,
    F,
    UsageError,
    as_language,
    colour,
    json_option,
    language_option,
    print_json,
    result,
)
from ledger.proof.lint import lint_exit_code, lint_trust
from ledger.proof.roots import default_trust
from ledger.proof.trust import MAX_TRUST_BYTES, Trust, parse_trust
from ledger.report.trust import (
    format_explained,
    format_explained_json,
    format_linted,
    format_linted_json,
    format_trust,
    format_trust_json,
)
from ledger.timestamp.material import MAX_MATERIAL_FILE_BYTES, parse_certificates


@click.group(invoke_without_command=True)
@click.pass_context
def trust(context: click.Context) -> None:
    """Look at a trust file: the TSAs, ledgers and authors that a verifier believes."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally trust --help")


def _file_options(command: F) -> F:
    """Add the trust file: FILE, or --default; and certificates that it may pin."""
    command = click.option(
        "--certificate",
        "certificates",
        metavar="CERT",
        multiple=True,
        help="A certificate that it pins, to say whose it is (PEM or DER; repeatable).",
    )(command)
    command = click.option(
        "--default", "default", is_flag=True, help="The one that comes with Tallystick."
    )(command)
    return click.argument("file", required=False)(command)


@trust.command()
@_file_options
@click.option("--raw", is_flag=True, help="The file itself, as a start for your own.")
@language_option
@json_option
def show(
    file: str | None,
    default: bool,
    certificates: tuple[str, ...],
    raw: bool,
    language: str,
    as_json: bool,
) -> int:
    """Show every field of FILE, each TSA with its certificate if it is held."""
    believed = _read(file, certificates, default=default)
    if raw:
        _refuse_json(as_json)
        click.echo(default_trust() if file is None else read_given(file, MAX_TRUST_BYTES), nl=False)
    elif as_json:
        print_json(format_trust_json(believed))
    else:
        result(format_trust(believed, as_language(language)))
    return EXIT_DONE


@trust.command()
@_file_options
@language_option
@json_option
def explain(
    file: str | None,
    default: bool,
    certificates: tuple[str, ...],
    language: str,
    as_json: bool,
) -> int:
    """Say in plain words what FILE accepts."""
    believed = _read(file, certificates, default=default)
    if as_json:
        print_json(format_explained_json(believed))
    else:
        result(format_explained(believed, as_language(language)))
    return EXIT_DONE


@trust.command()
@_file_options
@language_option
@json_option
def lint(
    file: str | None,
    default: bool,
    certificates: tuple[str, ...],
    language: str,
    as_json: bool,
) -> int:
    """Say what is amiss with FILE. Exit 1 if it is dangerous, 3 if it can prove nothing."""
    believed = _read(file, certificates, default=default)
    now = datetime.now(UTC)
    operators = {tsa.anchor: tsa.name for tsa in parse_trust(default_trust()).tsas}
    remarks = lint_trust(believed, now, operators)
    if as_json:
        print_json(format_linted_json(believed, remarks, now))
    else:
        result(format_linted(remarks, as_language(language), colour=colour()))
    return lint_exit_code(remarks)


def _read(file: str | None, certificates: tuple[str, ...], *, default: bool) -> Trust:
    """The trust file asked for, with the certificates at hand; MalformedError names a bad file."""
    if default == (file is not None):
        raise UsageError("give a trust file or --default", "tally trust --help")
    believed = read_trust(None) if file is None else read_trust_given(file)
    return replace(believed, roots=(*believed.roots, *_certificates(certificates)))


def _certificates(names: tuple[str, ...]) -> tuple[bytes, ...]:
    files = [parse_given(name, parse_certificates, MAX_MATERIAL_FILE_BYTES) for name in names]
    return tuple(der for ders in files for der in ders)


def _refuse_json(as_json: bool) -> None:
    if as_json:
        raise UsageError("--raw and --json do not go together", "give one of them")
