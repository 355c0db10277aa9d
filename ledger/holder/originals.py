"""Kept originals: carriers as they were anchored, by content, encrypted in the age format.

Each content is kept once, under its SHA-256.
"""

import hashlib
from pathlib import Path
from typing import IO

import pyrage

from ledger.doors.files import BUFFER_BYTES, digest_stream, durable_writer
from ledger.doors.keys import load_identity
from ledger.errors import NotFoundError, UnavailableError, VerificationError


class Originals:
    """The kept carriers of one vault."""

    def __init__(self, folder: Path, identity_path: Path) -> None:
        self._folder = folder
        self._identity_path = identity_path

    def has(self, sha256: bytes) -> bool:
        """Whether this content is kept."""
        return self._path(sha256).is_file()

    def keep(self, source: Path, sha256: bytes) -> bool:
        """Keep the file at ``source``, whose content has this digest; False if kept already.

        UnavailableError if it cannot be read, or no longer has that digest.
        """
        path = self._path(sha256)
        if path.is_file():
            return False
        recipient = load_identity(self._identity_path).to_public()
        try:
            with source.open("rb") as file, durable_writer(path, overwrite=True) as writer:
                reader = _Hashing(file)
                pyrage.encrypt_io(reader, writer, [recipient])
                if reader.digest() != sha256:
                    raise UnavailableError(f"{source.name} changed while it was kept")
        except OSError as error:
            raise UnavailableError(f"cannot keep {source}: {error.strerror}") from error
        return True

    def restore(self, sha256: bytes, target: Path, *, force: bool = False) -> None:
        """Write the original with this digest to ``target``, byte for byte as it was.

        NotFoundError if it was not kept; VerificationError if the kept copy is damaged.
        """
        path = self._path(sha256)
        if not path.is_file():
            raise NotFoundError(f"the original {sha256.hex()[:16]} was not kept")
        identity = load_identity(self._identity_path)
        try:
            with path.open("rb") as reader, durable_writer(target, overwrite=force) as writer:
                pyrage.decrypt_io(reader, writer, [identity])
                writer.flush()
                writer.seek(0)
                if digest_stream(writer).sha256 != sha256:
                    raise VerificationError(f"the kept original {sha256.hex()[:16]} is damaged")
        except pyrage.DecryptError as error:
            raise VerificationError(f"kept original {sha256.hex()[:16]}: {error}") from error

    def _path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._folder / name[:2] / f"{name}.age"


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
