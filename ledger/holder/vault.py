"""The vault: the holder's half of the tally: records with their salts, keys, manifests.

    tallystick.toml     settings
    vault.sqlite        notebooks, records, receipts, cover secrets, captures that wait
    keys/               the signing keys and the age identity (mode 0600; see ``keys``)
    manifests/<root>    every line of a folder's manifest, one a line
    originals/          kept carriers, encrypted
    ledger/             the embedded ledger, if there is one
    ledgers/<n>/        its successors

Losing it loses the proof: the ledger alone says nothing. Every writer takes a turn.
"""

from contextlib import AbstractContextManager
from pathlib import Path

from ledger.doors.drives import refuse_network_drive
from ledger.doors.files import TEMPORARY, make_folder, read_limited, unavailable, write_durably
from ledger.doors.keys import KEY_TYPES, make_identity, make_signing_key
from ledger.doors.sqlite import open_database, turn
from ledger.errors import ConflictError, MalformedError, NotFoundError
from ledger.holder.captures import Captures
from ledger.holder.checks import Checks
from ledger.holder.config import Config, format_config, parse_config
from ledger.holder.kept import Kept
from ledger.holder.keys import PERSON_FILE, Keys
from ledger.holder.lock import IDENTITY_FILE, Ask, Lock
from ledger.holder.manifests import Manifests
from ledger.holder.originals import Originals
from ledger.holder.receipts import Receipts
from ledger.holder.records import Records
from ledger.holder.schema import asking, migrate
from ledger.holder.successions import Successions

SETTINGS = "tallystick.toml"
UNFINISHED = "unfinished-init"
"""A file that is there while a vault is being made: what a crash left can be gone on with."""

MAX_SETTINGS_BYTES = 1 << 20
"""Far more than a person writes."""


class Vault:
    """An open vault; use ``begin_vault`` or ``open_vault``.

    ``database``: the connection that everything kept in vault.sqlite shares. ``ask``: gives the
    passphrase if one is needed. UnavailableError if the disk or the database cannot be asked.
    """

    def __init__(
        self,
        folder: Path,
        config: Config,
        *,
        create: bool = False,
        ask: Ask = lambda: None,
    ) -> None:
        self.folder = folder
        self.config = config
        self.database = open_database(folder / "vault.sqlite", create=create)
        try:
            with asking():
                migrate(self.database, create=create)
        except BaseException:
            self.close()
            raise
        self.lock = Lock(folder / "keys", ask)
        self.keys = Keys(folder / "keys", self.database, self.lock)
        self.records = Records(self.database)
        self.receipts = Receipts(self.database)
        self.captures = Captures(self.database)
        self.manifests = Manifests(folder / "manifests")
        self.originals = Originals(folder / "originals", self.lock, config.recovery)
        self.checks = Checks(self.database)
        self.successions = Successions(self.database)
        self.kept = Kept(self.database, self.originals)

    def close(self) -> None:
        """Close the database. What was added needs no closing to be durable."""
        self.database.close()

    @property
    def ledger_folder(self) -> Path:
        """Where the embedded ledger is that is anchored in."""
        return self.folder / self.successions.folder()

    def turn(self) -> AbstractContextManager[None]:
        """Hold the vault's turn; other processes wait up to 30 s, then UnavailableError."""
        return turn(self.folder / "turn.lock")


def begin_vault(
    folder: Path,
    config: Config,
    *,
    passphrase: str | None = None,
    key_type: str = KEY_TYPES[0],
) -> Vault:
    """Begin a vault in ``folder``: keys and database. It is none until ``finish_vault``.

    ``passphrase``: what the keys are sealed with, None to leave them in the clear; ``key_type``: of
    the person's key.
    What an interrupted beginning left is gone on with, its keys included. ConflictError if there
    is a vault, or the folder holds other files; UnavailableError (on a network drive, too).
    """
    refuse_network_drive(folder)
    try:
        if (folder / SETTINGS).exists():
            hint = "use it, or choose another folder with --vault"
            raise ConflictError(f"there is a vault in {folder} already", hint=hint)
        make_folder(folder, mode=0o700)
        # A write that was killed leaves its temporary file; that is not somebody's file.
        others = [path for path in folder.iterdir() if not path.name.startswith(TEMPORARY)]
        if others and not (folder / UNFINISHED).exists():
            hint = "choose an empty folder for the vault"
            raise ConflictError(f"{folder} is not empty", hint=hint)
    except OSError as error:
        raise unavailable("make a vault in", folder, error) from error
    write_durably(folder / UNFINISHED, b"", overwrite=True)
    identity, signing = (folder / "keys" / name for name in (IDENTITY_FILE, PERSON_FILE))
    if not identity.exists():
        make_identity(identity, passphrase)
    lock = Lock(folder / "keys", lambda: passphrase)
    if not signing.exists():
        make_signing_key(signing, key_type, lock.recipient if lock.protected else None)
    vault = Vault(folder, config, create=True, ask=lambda: passphrase)
    person = vault.keys.person()
    if passphrase is not None and not (vault.lock.protected and vault.keys.is_sealed(person)):
        # What was gone on with was begun without a passphrase.
        vault.keys.protect(passphrase)
    return vault


def finish_vault(vault: Vault) -> None:
    """Write the settings, last of all: from here on the folder is a vault."""
    write_durably(vault.folder / SETTINGS, format_config(vault.config))
    # If we die here the mark stays, and says nothing any more.
    (vault.folder / UNFINISHED).unlink(missing_ok=True)


def open_vault(folder: Path, ask: Ask = lambda: None) -> Vault:
    """Open the vault in ``folder``; NotFoundError if there is none, MalformedError if damaged.

    ``ask``: gives the passphrase when a secret is needed, None if nobody can be asked.
    """
    try:
        settings = read_limited(folder / SETTINGS, MAX_SETTINGS_BYTES)
    except NotFoundError as error:
        hint = "`tally init` makes one; --vault or TALLY_VAULT says where it is"
        raise NotFoundError(f"no vault in {folder}", hint=hint) from error
    try:
        return Vault(folder, parse_config(settings), ask=ask)
    except MalformedError as error:
        raise MalformedError(f"{folder / SETTINGS}: {error}", hint=error.hint) from error
