"""The lock of a vault: the age identity, and the passphrase it may be sealed with.

identity.txt      the age identity that originals, and sealed keys, are encrypted to
recipient.txt     its public half, once it is sealed: to keep originals needs no secret
in-keyring        there if the passphrase lies in the system's keyring
"""

from collections.abc import Callable
from pathlib import Path

from ledger.doors.files import read_limited, write_durably
from ledger.doors.keys import (
    RECIPIENT_FILE,
    Identity,
    is_sealed,
    load_identity,
    load_recipient,
    write_identity,
)
from ledger.errors import UnavailableError

IDENTITY_FILE = "identity.txt"
KEYRING_MARK = "in-keyring"
MAX_RECIPIENT_BYTES = 1 << 10

Ask = Callable[[], str | None]
"""Gives the passphrase, or None if there is nobody and nothing to ask."""


class Lock:
    """The identity in ``folder``. Only what needs it asks for the passphrase, and that once."""

    def __init__(self, folder: Path, ask: Ask) -> None:
        self._folder = folder
        self._path = folder / IDENTITY_FILE
        self._ask = ask
        self._identity: Identity | None = None

    @property
    def protected(self) -> bool:
        """Whether a passphrase is needed to sign and to open originals."""
        return is_sealed(self._path)

    @property
    def in_keyring(self) -> bool:
        """Whether the passphrase is said to lie in the system's keyring."""
        return (self._folder / KEYRING_MARK).exists()

    @property
    def recipient(self) -> str:
        """What originals and keys are sealed to (``age1…``); needs no passphrase."""
        if self._identity is None and self.protected:
            content = read_limited(self._folder / RECIPIENT_FILE, MAX_RECIPIENT_BYTES)
            text = content.decode("ascii", "replace").strip()
            load_recipient(text)
            return text
        return str(self.identity().to_public())

    def unlock(self) -> bool:
        """Whether secrets can be used from here on; asks for the passphrase if need be.

        UnavailableError if a passphrase was given that does not open them.
        """
        if self._identity is None:
            passphrase = self._ask() if self.protected else None
            if self.protected and passphrase is None:
                return False
            self._identity = load_identity(self._path, passphrase)
        return True

    def identity(self) -> Identity:
        """The age identity; UnavailableError if it is locked."""
        if not self.unlock():
            hint = "run it on a terminal, or give a passphrase file (TALLY_PASSPHRASE_FILE)"
            raise UnavailableError("the keys are locked", hint=hint)
        return self._identity

    def seal(self, passphrase: str | None) -> None:
        """Seal the identity with ``passphrase``, None to leave it in the clear; durably.

        If we die at any point, the passphrase of before or this one opens it: it is one file.
        """
        identity = self.identity()
        path = self._folder / RECIPIENT_FILE
        write_durably(path, f"{identity.to_public()}\n".encode("ascii"), overwrite=True)
        write_identity(self._path, identity, passphrase, overwrite=True)

    def mark_keyring(self, *, there: bool) -> None:
        """Note that the passphrase lies in the system's keyring, or does no longer."""
        path = self._folder / KEYRING_MARK
        if there:
            write_durably(path, b"", overwrite=True)
            return
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise UnavailableError(f"cannot delete {path}: {error.strerror}") from error
