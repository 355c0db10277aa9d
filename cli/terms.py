"""Options whose values are terms of the vocabulary."""

import click

from ledger.record.vocabulary import terms


def term_choice(claim: str) -> click.Choice[str]:
    """The terms that ``claim`` (kind, stage, …) may have."""
    return click.Choice([term.code for term in terms(claim)])
