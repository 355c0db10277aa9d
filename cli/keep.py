"""``tally vault``: keeping what the vault holds, and getting it back."""

import click

from cli.backup import backup, restore
from cli.check import check
from cli.output import UsageError
from cli.recovery import recovery
from cli.successor import successor


@click.group(invoke_without_command=True)
@click.pass_context
def vault(context: click.Context) -> None:
    """Keep the vault whole, and be able to get it back."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally vault --help")


vault.add_command(check)
vault.add_command(backup)
vault.add_command(restore)
vault.add_command(recovery)
vault.add_command(successor)
