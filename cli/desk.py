"""``tally desk``: the Flask verifier on this machine, for people without a shell."""

import importlib
from collections.abc import Sequence
from pathlib import Path

import click

from cli.checking import check_bundle, read_trust
from cli.output import EXIT_DONE, result, talk
from ledger.proof.verdict import Verdict

LIMIT_BYTES = 64 << 30
"""Bundle and carriers dropped on the page at once."""


@click.command()
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, help="Port (default: a free one)."
)
@click.option("--trust", metavar="FILE", help="Trust file used when the page is given none.")
@click.option("--no-browser", is_flag=True, help="Do not open the browser.")
def desk(port: int, trust: str | None, no_browser: bool) -> int:
    """A page on 127.0.0.1 to verify bundles; nothing leaves this machine. Ctrl-C ends it."""
    default = None if trust is None else Path(trust)
    if default is not None:
        # What is wrong with it is told now, not to whoever comes to the page.
        read_trust(default)

    def check(bundle: Path, carriers: Sequence[Path], own: Path | None, _: str) -> Verdict:
        return check_bundle(bundle, carriers, own or default)

    # By name: cli and service never import each other.
    serve = importlib.import_module("service.desk").serve_desk
    serve(
        check,
        port=port,
        open_browser=not no_browser,
        limit_bytes=LIMIT_BYTES,
        announce=result,
    )
    talk("desk closed")
    return EXIT_DONE
