"""Kept originals: carriers as they were anchored, by content, encrypted in the age format.

Each content is kept once, under its SHA-256.
"""

import hashlib
from pathlib import Path
from typing import IO

import pyrage

from ledger.doors.files import BUFFER_BYTES, digest_stream, durable_writer, unavailable
from ledger.doors.keys import load_identity
from ledger.errors import NotFoundError, UnavailableError, VerificationError


class Originals:
    """The kept carriers of one vault."""

    def __init__(self, folder: Path, identity_path: Path) -> None:
        self._folder = folder
        self._identity_path = identity_path
        self._identity: pyrage.x25519.Identity | None = None

    def has(self, sha256: bytes) -> bool:
        """Whether this content is kept."""
        return self._path(sha256).is_file()

    def keep(self, source: Path, sha256: bytes) -> bool:
        """Keep the file at ``source``, whose content has this digest; False if kept already.

        UnavailableError if it cannot be read, or no longer has that digest. If we die before the
        copy is whole, only a temporary file is left; keeping it again starts anew.
        """
        path = self._path(sha256)
        if path.is_file():
            return False
        recipient = self._load().to_public()
        try:
            file = source.open("rb")
        except OSError as error:
            raise unavailable("keep", source, error) from error
        with file, durable_writer(path, overwrite=True) as writer:
            reader = _Hashing(file)
            try:
                pyrage.encrypt_io(reader, writer, [recipient])
            except pyrage.EncryptError as error:
                # What reading or writing raised comes wrapped in this.
                raise UnavailableError(f"cannot keep {source}: {error}") from error
            if reader.digest() != sha256:
                hint = "close the program that writes it, then anchor again"
                raise UnavailableError(f"{source.name} changed while it was kept", hint=hint)
        return True

    def restore(self, sha256: bytes, target: Path, *, force: bool = False) -> None:
        """Write the original with this digest to ``target``, byte for byte as it was.

        NotFoundError if it was not kept; VerificationError if the kept copy is damaged.
        """
        path = self._path(sha256)
        if not path.is_file():
            raise NotFoundError(f"the original {sha256.hex()[:16]} was not kept")
        identity = self._load()
        try:
            with path.open("rb") as reader, durable_writer(target, overwrite=force) as writer:
                try:
                    pyrage.decrypt_io(reader, writer, [identity])
                except pyrage.DecryptError as error:
                    raise _damaged(sha256, str(error)) from error
                except OSError as error:
                    if error.errno is not None:
                        raise
                    # One without a number is not the system's: a block did not decrypt.
                    raise _damaged(sha256, str(error)) from error
                writer.flush()
                writer.seek(0)
                if digest_stream(writer).sha256 != sha256:
                    raise _damaged(sha256, "it is another content")
        except OSError as error:
            raise unavailable("restore", target, error) from error

    def _load(self) -> pyrage.x25519.Identity:
        """The age identity, read once."""
        if self._identity is None:
            self._identity = load_identity(self._identity_path)
        return self._identity

    def _path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._folder / name[:2] / f"{name}.age"


def _damaged(sha256: bytes, reason: str) -> VerificationError:
    text = f"the kept original {sha256.hex()[:16]} is damaged: {reason}"
    return VerificationError(text, hint="restore it from a backup of the vault")


class _Hashing:
    """A reader that hashes what passes through it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = BUFFER_BYTES) -> bytes:
        block = self._file.read(size)
        self._hash.update(block)
        return block

    def digest(self) -> bytes:
        return self._hash.digest()
