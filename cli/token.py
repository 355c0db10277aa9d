"""``tally ledger token``: who may append to a hosted ledger, and how much."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from cli.compose import now
from cli.output import (
    EXIT_DONE,
    UsageError,
    json_option,
    print_json,
    refuse_existing,
    result,
    talk,
)
from ledger.doors.files import write_durably
from ledger.errors import LedgerError, NotFoundError
from ledger.operator.access import ACCESS_FILE, Access
from ledger.operator.grant import APPEND, MAX_LIMIT, SCOPES, Grant, parse_expiry
from ledger.operator.hosted_settings import SETTINGS_FILE

NEVER = "never"

F = TypeVar("F", bound=Callable[..., Any])  # Any: click passes what a command declares


@click.group(invoke_without_command=True)
@click.pass_context
def token(context: click.Context) -> None:
    """The tokens that a hosted ledger takes: who may append, how much, until when."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally ledger token --help")


def home_option(command: F) -> F:
    """Add ``--ledger``, the home of the hosted ledger."""
    return click.option(
        "--ledger",
        "home",
        metavar="DIR",
        envvar="TALLY_LEDGER",
        required=True,
        help="The hosted ledger's folder (or TALLY_LEDGER).",
    )(command)


def either_home_option(command: F) -> F:
    """Add ``--ledger`` to a command that else takes the ledger in a vault."""
    return click.option(
        "--ledger",
        "home",
        metavar="DIR",
        envvar="TALLY_LEDGER",
        callback=_unless_vault,
        help="A hosted ledger's folder (or TALLY_LEDGER); else that in the vault.",
    )(command)


def _unless_vault(
    context: click.Context, parameter: click.Parameter, home: str | None
) -> str | None:
    """The ``home``; None if it is the environment's and the command line names a vault's ledger."""
    source = context.get_parameter_source
    # What the command line says is processed before what the environment does.
    named = any(source(name) is ParameterSource.COMMANDLINE for name in ("vault", "origin"))
    return (
        None if named and source(parameter.name or "") is not ParameterSource.COMMANDLINE else home
    )


def hosted_home(given: str) -> Path:
    """The home of a hosted ledger; NotFoundError if ``given`` is none."""
    if not (Path(given) / SETTINGS_FILE).is_file():
        hint = "tally ledger init makes one; its folder has a ledger.toml"
        raise NotFoundError(f"no hosted ledger in {given}", hint=hint)
    return Path(given)


@contextmanager
def _access(home: str) -> Iterator[Access]:
    """The tokens of the ledger in ``home``; a service that runs may have them open too."""
    with closing(Access(hosted_home(home) / ACCESS_FILE, clock=now)) as access:
        yield access


@token.command("new")
@click.argument("account")
@home_option
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice(SCOPES),
    default=(APPEND,),
    show_default=True,
    help="What it may do; can be repeated.",
)
@click.option(
    "--expires",
    metavar="90d|DAY|never",
    default="365d",
    show_default=True,
    help="When it ends: after days, or as a day begins (UTC).",
)
@click.option("--quota", type=click.IntRange(1, MAX_LIMIT), metavar="N", help="Entries a UTC day.")
@click.option("--rate", type=click.IntRange(1, MAX_LIMIT), metavar="N", help="Requests a second.")
@click.option("-o", "path", metavar="FILE", help="Write it there, for you alone to read.")
@json_option
def new(
    account: str,
    home: str,
    scopes: tuple[str, ...],
    expires: str,
    quota: int | None,
    rate: int | None,
    path: str | None,
    as_json: bool,
) -> int:
    """Make a token for ACCOUNT, and show it this once: of it only a digest is kept.

    With -o it goes into a new file and is not shown at all.
    """
    refuse_existing(path, force=None)
    end = None if expires == NEVER else parse_expiry(expires, now())
    with _access(home) as access:
        text = access.new(account, scopes, end, quota, rate)
        grant = access.check(text)
        if path is not None:
            # If we die before the file is there, a token is left that nobody has.
            _write(access, grant, Path(path), text)
    if as_json:
        shown = {"token": text} if path is None else {"file": path}
        print_json(shown | _json(grant, now()))
    elif path is None:
        result(text)
        talk(f"token {grant.id} for {account}, {_until(grant)}: it is not shown again")
    else:
        result(f"written  {path}")
        talk(f"token {grant.id} for {account}, {_until(grant)}")
    return EXIT_DONE


def _write(access: Access, grant: Grant, path: Path, text: str) -> None:
    try:
        write_durably(path, f"{text}\n".encode("ascii"))
    except LedgerError:
        access.revoke(grant.id)
        raise


@token.command("list")
@home_option
@json_option
def list_(home: str, as_json: bool) -> int:
    """Every token ever made: whose, good or not, and what it spent today. No secrets."""
    with _access(home) as access:
        rows, moment = access.list(), now()
    if as_json:
        print_json({"tokens": [_json(one, moment) | {"spent_today": n} for one, n in rows]})
        return EXIT_DONE
    for one, spent in rows:
        quota = "no quota" if one.quota is None else f"quota {one.quota} a day"
        rate = "no rate" if one.rate is None else f"{one.rate} requests a second"
        result(f"{one.id}  {_state(one, moment):8} {one.account}  {','.join(one.scopes)}")
        result(f"          {_until(one)}; {quota}, {spent} spent today; {rate}")
    if not rows:
        talk("no token was made yet: nobody can append")
    return EXIT_DONE


@token.command()
@click.argument("token_id", metavar="ID")
@home_option
@json_option
def revoke(token_id: str, home: str, as_json: bool) -> int:
    """Revoke the token ID for good; a service that runs refuses it from the next request on."""
    with _access(home) as access:
        grant = access.revoke(token_id)
    if as_json:
        print_json(_json(grant, now()))
    else:
        result(f"revoked  {grant.id}  {grant.account}")
    return EXIT_DONE


def _state(grant: Grant, moment: datetime) -> str:
    if grant.revoked is not None:
        return "revoked"
    return "good" if grant.holds(moment) else "expired"


def _until(grant: Grant) -> str:
    return "never expires" if grant.expires is None else f"expires {_time(grant.expires)}"


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _json(grant: Grant, moment: datetime) -> dict[str, Any]:  # Any: a JSON document
    ends = {"expires": grant.expires, "revoked": grant.revoked}
    return {
        "id": grant.id,
        "account": grant.account,
        "scopes": list(grant.scopes),
        "state": _state(grant, moment),
        "made": f"{grant.made:%Y-%m-%dT%H:%M:%SZ}",
        **{name: None if at is None else f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in ends.items()},
        "quota": grant.quota,
        "rate": grant.rate,
    }
