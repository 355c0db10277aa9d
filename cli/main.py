"""``tally``: the parser, the lazy loading of command families by name, and the only exit.

Exit codes: 0 done or proven · 1 refuted · 2 usage or bad input · 3 could not be checked, or not
complete. ``--help`` must not pay for what a command imports, so families are named here and
loaded when called.
"""

import importlib
import os
import sys
from collections.abc import Sequence

import click

from cli.output import UsageError, fail
from ledger import __version__
from ledger.errors import LedgerError, UnavailableError

FAMILIES = {
    "init": ("cli.vault", "Make a vault with a ledger in it."),
    "anchor": ("cli.anchor", "Anchor files and folders in the ledger."),
    "status": ("cli.vault", "What is new, changed, pending, anchored."),
    "sync": ("cli.anchor", "Send what is queued and ask for missing stamps."),
    "log": ("cli.log", "The records, newest last; --search finds some."),
    "show": ("cli.log", "One record: what it says and how well it is proven."),
    "export": ("cli.export", "Write kept originals back, byte-identical."),
    "bundle": ("cli.bundle", "Write a proof bundle with only what you choose to disclose."),
    "verify": ("cli.verify", "Check a bundle, offline, against your own trust file."),
    "attack": ("cli.attack", "Change a bundle in 200 ways and show what catches each."),
    "timestamp": ("cli.timestamp", "Check or show one RFC 3161 token by itself."),
    "trust": ("cli.trust", "What a trust file accepts, and whether that is wise."),
    "key": ("cli.key", "The keys that sign: list, new, export, revoke; their passphrase."),
    "vault": ("cli.keep", "Keep it whole: check, backup, restore, recovery keys, successor."),
    "ledger": ("cli.ledger", "The ledger as its operator sees it: audit all of it."),
    "tsa": ("cli.tsa", "The authorities asked for stamps: list, add, remove, test, serve."),
    "desk": ("cli.desk", "A page on this machine to verify bundles without a shell."),
    "demo": ("cli.demo", "The whole path on a sample notebook, or on your own folder."),
    "doctor": ("cli.doctor", "Check that this machine has what Tallystick needs."),
}
"""Command name to the module that holds it and its one-line help."""


class Families(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """The command names, in the order a user meets them."""
        return list(FAMILIES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command, its module imported now; None for an unknown name."""
        if cmd_name not in FAMILIES:
            return None
        command = getattr(importlib.import_module(FAMILIES[cmd_name][0]), cmd_name)
        assert isinstance(command, click.Command)  # noqa: S101 - the table above is ours
        return command

    def format_commands(
        self,
        ctx: click.Context,  # noqa: ARG002
        formatter: click.HelpFormatter,
    ) -> None:
        """The command list, without importing one of them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in FAMILIES.items()])


@click.group(
    cls=Families,
    context_settings={"help_option_names": ["-h", "--help"]},
    no_args_is_help=False,
    invoke_without_command=True,
)
@click.version_option(__version__, prog_name="tally")
@click.pass_context
def tally(context: click.Context) -> None:
    """Show by when a trade secret was formed, and in what recorded order, without disclosing it.

    Exit codes: 0 done or proven, 1 refuted, 2 usage or bad input, 3 could not be checked.
    """
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally --help")


def run(arguments: Sequence[str]) -> int:
    """Run one command line; its exit code. Errors are told on stderr, or as JSON on stdout."""
    as_json = "--json" in arguments
    try:
        if "" in arguments:
            # As a path it would be the present folder: never what is meant by a variable not set.
            raise UsageError("an argument is empty", "is a variable not set? this folder is `.`")
        with tally.make_context("tally", list(arguments)) as context:
            code = tally.invoke(context)
    except click.exceptions.Exit as error:
        return error.exit_code
    except UsageError as error:
        return fail("usage", error.message, error.hint, as_json=as_json)
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "tally"
        text = error.format_message().rstrip(".")
        text = text[:1].lower() + text[1:]
        return fail("usage", text, f"{path} --help", as_json=as_json)
    except click.ClickException as error:
        return fail("usage", error.format_message(), None, as_json=as_json)
    except LedgerError as error:
        return fail(error, str(error), error.hint, as_json=as_json)
    except (click.Abort, KeyboardInterrupt):
        return fail("interrupted", "interrupted", None, as_json=as_json)
    except BrokenPipeError:
        # The reader went away (`tally log | head`): not an error, and nothing more can be said.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        # The doors tell of what they read and write; what is left is stdout, or a disk's whim.
        return fail(UnavailableError(""), f"the system refused: {error}", None, as_json=as_json)
    return code if isinstance(code, int) else 0


def main() -> None:
    """The entry point of the ``tally`` script: the only place that ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            # A terminal that cannot show a character gets an escape, never a crash.
            stream.reconfigure(errors="backslashreplace")
    sys.exit(run(sys.argv[1:]))
