"""``tally ledger covers``: which entries of a hosted ledger stand for nothing."""

from contextlib import closing

import click

from cli.output import EXIT_DONE, json_option, print_json, result, talk
from cli.token import home_option, hosted_home
from ledger.errors import NotFoundError
from ledger.operator.diary import DIARY_FILE, Cover, Diary
from ledger.record.record import COVER_PREFIX


@click.command()
@click.argument("index", required=False, type=click.IntRange(min=0))
@home_option
@json_option
def covers(index: int | None, home: str, as_json: bool) -> int:
    """The covers (or the one at INDEX), each with the secret that shows there is no record in it.

    The ledger appends one after a day without other entries. Whoever is shown a secret learns
    nothing of any other entry.
    """
    path = hosted_home(home) / DIARY_FILE
    found: tuple[Cover, ...] = ()
    if path.exists():
        with closing(Diary(path)) as diary:
            found = diary.covers()
    if index is not None:
        found = tuple(one for one in found if one.index == index)
        if not found:
            raise NotFoundError(f"entry {index} is no cover of this ledger's own")
    if as_json:
        print_json({"covers": [_json(one) for one in found]})
        return EXIT_DONE
    for one in found:
        place = "queued" if one.index is None else str(one.index)
        result(f"{place:>10}  {one.made:%Y-%m-%d %H:%M:%S} UTC  secret {one.secret.hex()}")
    if index is not None:
        result(f"entry       {found[0].entry.hex()}")
        talk(f"the entry is SHA-256, then SM3, of {COVER_PREFIX!r} and the 32 bytes of the secret")
    elif not found:
        talk("no cover was made yet")
    return EXIT_DONE


def _json(one: Cover) -> dict[str, str | int | None]:
    return {
        "index": one.index,
        "made": f"{one.made:%Y-%m-%dT%H:%M:%SZ}",
        "entry": one.entry.hex(),
        "secret": one.secret.hex(),
    }
