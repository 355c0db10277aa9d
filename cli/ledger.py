"""``tally ledger``: the ledger that a vault anchors in, looked at as its operator does."""

from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import click

from cli.afar import ledger_here
from cli.compose import VKEYS, guard_path, ledger_keys, read_vkeys, vault_folder
from cli.covers import covers
from cli.ledger_backup import backup, restore
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    EXIT_REFUTED,
    UsageError,
    json_option,
    print_json,
    progress_line,
    result,
    talk,
    vault_option,
)
from cli.serve import init, serve
from cli.token import either_home_option, hosted_home, token
from ledger.errors import NotFoundError, UnavailableError
from ledger.holder.vault import Vault, open_vault
from ledger.operator.audit import Audit, audit
from ledger.operator.faults import Fault
from ledger.operator.guard import Guard
from ledger.operator.hosted import hosted_keys, read_settings
from ledger.operator.store.sqlite import SqliteStore


@click.group(invoke_without_command=True)
@click.pass_context
def ledger(context: click.Context) -> None:
    """The ledger in a vault, as its operator sees it: entries and tiles, no records."""
    if context.invoked_subcommand is None:
        raise UsageError("no command was given", "tally ledger --help")


ledger.add_command(backup)
ledger.add_command(restore)
ledger.add_command(init)
ledger.add_command(serve)
ledger.add_command(token)
ledger.add_command(covers)


@ledger.command("audit")
@click.option("--origin", metavar="NAME", help="An earlier ledger; the beginning is enough.")
@either_home_option
@vault_option
@json_option
def audit_(origin: str | None, home: str | None, vault: str | None, as_json: bool) -> int:
    """Compute everything in the ledger anew from its entries, and compare; nothing is changed.

    Also of a ledger that is closed. Exit 1 if a byte is wrong, missing or too many; 3 if something
    could not be compared.
    """
    if home is not None and origin is not None:
        raise UsageError("--origin is for a vault, which has earlier ledgers", "name one of both")
    with ExitStack() as stack:
        if home is None:
            holder = stack.enter_context(closing(open_vault(vault_folder(vault))))
            folder = _folder(holder, origin)
            closed = (folder / VKEYS).exists()
            keys = read_vkeys(folder) if closed else ledger_keys(folder).public_keys()
            guard_file = guard_path(keys[0].name)
        else:
            folder = hosted_home(home)
            settings = read_settings(folder)
            keys = hosted_keys(folder, settings.origin).public_keys()
            guard_file = Path(settings.guard)
        store = stack.enter_context(closing(SqliteStore(folder / "store.sqlite", create=False)))
        guard, reason = _guard(guard_file)
        if guard is not None:
            stack.enter_context(closing(guard))
        with progress_line("audit") as draw:

            def progress(done: int, total: int) -> None:
                draw(f"{done} of {total} entries, {100 * done // max(total, 1)}%")

            found = audit(store, guard, keys, progress=progress)
    unchecked = (*(() if reason is None else (reason,)), *found.unchecked)
    code = EXIT_REFUTED if found.first else EXIT_INCOMPLETE if unchecked else EXIT_DONE
    if as_json:
        print_json(_json(keys[0].name, found, unchecked, code))
    else:
        _tell(keys[0].name, found, unchecked)
    return code


def _folder(vault: Vault, origin: str | None) -> Path:
    """The folder of the ledger: the vault's present one, or the earlier one that is named."""
    if origin is None:
        return ledger_here(vault)
    earlier = {one.origin: one.folder for one in vault.successions.all()}
    named = [name for name in earlier if name.removeprefix("tallystick/").startswith(origin)]
    named += [name for name in earlier if name == origin]
    if len(named) != 1:
        hint = f"there are: {', '.join(earlier) or 'none'}"
        raise NotFoundError(f"{len(named)} earlier ledgers begin with {origin}", hint=hint)
    return vault.folder / earlier[named[0]]


def _guard(path: Path) -> tuple[Guard | None, str | None]:
    """The guard, never made here; or None, and why."""
    try:
        return Guard(path, create=False), None
    except NotFoundError:
        return None, f"guard: it is gone, no {path}"
    except UnavailableError as error:
        return None, f"guard: {error}"


def _tell(origin: str, found: Audit, unchecked: tuple[str, ...]) -> None:
    result(f"ledger       {origin}")
    result(f"entries      {found.size}")
    result(f"root         {'not to be computed' if found.root is None else found.root.hex()}")
    result(f"checkpoints  {found.checkpoints}")
    result(f"stamps       {found.stamps}")
    for fault in found.first:
        count = found.counts[fault.kind, fault.state]
        more = f"   (the first of {count})" if count > 1 else ""
        result(f"{fault.state:12} {fault.kind}: {fault.place}: {fault.text}{_byte(fault)}{more}")
    for words in unchecked:
        talk(f"not compared: {words}")
    if not found.first:
        result(
            "audit        nothing wrong in what was compared" if unchecked else "audit        clean"
        )


def _byte(fault: Fault) -> str:
    """Which byte, where it is known."""
    if fault.offset is None:
        return ""
    if fault.want is None and fault.found is None:
        return f"; from byte {fault.offset} on"
    want, found = (
        "nothing" if byte is None else f"{byte:02x}" for byte in (fault.want, fault.found)
    )
    return f"; byte {fault.offset}: {found}, want {want}"


def _json(
    origin: str, found: Audit, unchecked: tuple[str, ...], code: int
) -> dict[str, Any]:  # Any: a JSON document
    return {
        "ledger": origin,
        "exit_code": code,
        "entries": found.size,
        "root": None if found.root is None else found.root.hex(),
        "checkpoints": found.checkpoints,
        "stamps": found.stamps,
        "faults": [
            {
                "kind": fault.kind,
                "state": fault.state,
                "count": found.counts[fault.kind, fault.state],
                "place": fault.place,
                "text": fault.text,
                "index": fault.index,
                "size": fault.size,
                "offset": fault.offset,
                "want": None if fault.want is None else f"{fault.want:02x}",
                "found": None if fault.found is None else f"{fault.found:02x}",
            }
            for fault in found.first
        ],
        "unchecked": list(unchecked),
    }
