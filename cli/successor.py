"""``tally vault successor``: closes a ledger that must not be continued, and opens the next.

It is a command of its own, not an option of ``restore``: most ledgers that have to be closed were
never in a backup of ours, but lost their guard, or are copies that another program put back.
"""

import contextlib
import secrets
from pathlib import Path

import click

from cli.compose import (
    VKEYS,
    Clock,
    Tally,
    is_restored,
    now,
    open_ledger,
    open_tally,
    pending_words,
    vault_folder,
)
from cli.output import (
    EXIT_DONE,
    EXIT_INCOMPLETE,
    hint,
    json_option,
    print_json,
    result,
    talk,
    vault_option,
)
from ledger.doors.client import Ledger, StampReport
from ledger.doors.files import write_durably
from ledger.doors.keys import make_ledger_keys
from ledger.errors import ConflictError, NotFoundError, VerificationError
from ledger.holder.prover import checkpoint_of
from ledger.holder.records import KEYS
from ledger.holder.successions import SUCCESSIONS, Succession
from ledger.record.claims import format_time
from ledger.tlog.checkpoint import check_signatures
from ledger.tlog.merkle import tree_root
from ledger.tlog.note import format_vkey, parse_note
from ledger.tlog.tile import tile_hash_reader


@click.command()
@vault_option
@json_option
def successor(vault: str | None, as_json: bool) -> int:
    """Follow a ledger that is closed by a new one with new keys; what it proved stays.

    For a vault whose ledger was restored or copied, or whose guard was lost.
    """
    folder = vault_folder(vault)
    tally = open_tally(folder)
    succeed(tally)
    return tell(*open_successor(folder), as_json)


def succeed(tally: Tally, clock: Clock = now) -> None:
    """Close the ledger that ``tally`` found closed; ConflictError if it can go on.

    If we die before the transaction in here, nothing happened (keys that were made are used by the
    next call); after it, the next command that writes does what is left.
    """
    vault, old = tally.vault, tally.ledger
    if vault.config.ledger is not None:
        text = "the ledger of this vault is elsewhere: its operator goes on, or follows it"
        raise ConflictError(text, hint="a new vault anchors in another ledger: tally init")
    if tally.closed is None:
        text = "the ledger of this vault can go on: there is nothing to succeed"
        raise ConflictError(text, hint="a ledger is closed when it was restored, or lost its guard")
    # Asked for before anything is closed: the new chains begin under the person's key.
    vault.lock.identity()
    signed_file = old.checkpoint()
    head = checkpoint_of(signed_file).head
    check_head(old, signed_file)
    folder = vault.successions.next_folder()
    if not (vault.folder / folder / "keys.pem").exists():
        make_ledger_keys(vault.folder / folder / "keys.pem")
    new = open_ledger(vault, vault.folder / folder, clock)
    if not is_restored(vault.ledger_folder):
        lines = "".join(f"{format_vkey(key)}\n" for key in old.keys)
        write_durably(vault.ledger_folder / VKEYS, lines.encode("ascii"), overwrite=True)
    with vault.turn():
        before = vault.ledger_folder
        if vault.successions.next_folder() != folder:
            raise ConflictError("another process opened a successor just now", hint="tally status")
        # What it cannot prove is queued for the successor.
        with contextlib.suppress(NotFoundError, VerificationError):
            vault.receipts.keep(old, vault.config.wanted)
        names = (*vault.records.notebooks(), SUCCESSIONS, KEYS)
        vault.successions.add(
            Succession(
                old.origin,
                vault.successions.folder(),
                head.size,
                head.root,
                format_time(clock()),
                new.origin,
                folder,
            ),
            {name: secrets.token_hex(16) for name in names},
            vault.config.wanted,
        )
        # Nothing is ever signed with them again, whoever gets hold of the folder.
        (before / "keys.pem").unlink(missing_ok=True)


def open_successor(folder: Path) -> tuple[Tally, int, StampReport | None]:
    """The vault with its new ledger, what was queued sent and stamped; how many were sent."""
    tally = open_tally(folder, writing=True)
    sent = tally.anchorer.send()
    return tally, sent, tally.anchorer.stamp()


def tell(tally: Tally, sent: int, report: StampReport | None, as_json: bool) -> int:
    """What became of it."""
    closed = tally.vault.successions.all()[-1]
    pending = pending_words(report)
    if as_json:
        print_json(
            {
                "vault": str(tally.vault.folder),
                "closed": closed.origin,
                "size": closed.size,
                "root": closed.root.hex(),
                "ledger": closed.successor,
                "sent": sent,
                "pending": pending,
            }
        )
    else:
        result(f"closed   {closed.origin}, {closed.size} entries, to be read as before")
        result(f"ledger   {closed.successor}")
        result(f"sent     {sent}")
        for words in pending:
            talk(words)
        talk("every notebook goes on as a new chain that names the head of the old one")
        hint("tally vault backup DIR")
    return EXIT_INCOMPLETE if pending else EXIT_DONE


def check_head(ledger: Ledger, signed_file: bytes) -> None:
    """VerificationError unless the ledger's keys signed the file and its tiles give its root."""
    note, head = parse_note(signed_file), checkpoint_of(signed_file).head
    if len(check_signatures(note, ledger.keys)) != len(ledger.keys):
        raise VerificationError("the last checkpoint is not signed by both keys of the ledger")
    if tree_root(head.size, tile_hash_reader(head.size, ledger.tiles)) != head.root:
        raise VerificationError(
            f"the ledger's tiles do not give the root of size {head.size}",
            hint="restore an earlier backup",
        )
