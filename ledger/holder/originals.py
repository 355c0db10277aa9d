"""Kept originals: carriers as they were anchored, by content, encrypted in the age format.

Each content is kept once, under its SHA-256, sealed to the vault's own identity and to every
recovery recipient: whoever holds one of those keys opens it with ``age -d`` and nothing of ours.
"""

import hashlib
import os
import re
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pyrage

from ledger.doors.files import BUFFER_BYTES, durable_writer, unavailable
from ledger.doors.keys import load_recipient
from ledger.errors import NotFoundError, UnavailableError, VerificationError
from ledger.holder.lock import Lock

_NAME = re.compile(r"[0-9a-f]{64}\.age")


class Originals:
    """The kept carriers of one vault. ``recovery``: age recipients beside the vault's identity.

    To keep asks for no passphrase; to open does, where there is one.
    """

    def __init__(self, folder: Path, lock: Lock, recovery: Sequence[str] = ()) -> None:
        self._folder = folder
        self._lock = lock
        self._recovery = tuple(recovery)

    def has(self, sha256: bytes) -> bool:
        """Whether this content is kept."""
        return self._path(sha256).is_file()

    def all(self) -> Iterator[bytes]:
        """The digests of all that is kept, in order."""
        try:
            names = sorted(path.name for path in self._folder.glob("[0-9a-f][0-9a-f]/*.age"))
        except OSError as error:
            raise unavailable("list", self._folder, error) from error
        for name in names:
            if _NAME.fullmatch(name):
                yield bytes.fromhex(name[:64])

    @property
    def sealed(self) -> str:
        """What tells to whom originals are sealed now: hex of a hash over the recipients."""
        names = sorted({self._lock.recipient, *self._recovery})
        return hashlib.sha256("\n".join(names).encode("ascii")).hexdigest()

    def keep(self, source: Path, sha256: bytes) -> bool:
        """Keep the file at ``source``, whose content has this digest; False if kept already.

        UnavailableError if it cannot be read, or no longer has that digest. If we die before the
        copy is whole, only a temporary file is left; keeping it again starts anew.
        """
        path = self._path(sha256)
        if path.is_file():
            return False
        recipients = self._recipients()
        try:
            file = source.open("rb")
        except OSError as error:
            raise unavailable("keep", source, error) from error
        with file, durable_writer(path, overwrite=True) as writer:
            reader = _Hashing(file)
            try:
                _seal(reader, writer, recipients)
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
        if not self.has(sha256):
            raise NotFoundError(f"the original {sha256.hex()[:16]} was not kept")
        with (
            durable_writer(target, overwrite=force) as writer,
            self._opened(sha256, self._lock.identity()) as plain,
        ):
            shutil.copyfileobj(plain, writer, BUFFER_BYTES)

    def check(self, sha256: bytes, identity: pyrage.x25519.Identity | None = None) -> None:
        """Returns when the kept copy opens, with ``identity`` or the vault's, to this content.

        NotFoundError if it is not there, VerificationError if it is damaged or does not open.
        """
        with self._opened(sha256, identity or self._lock.identity()) as plain:
            while plain.read():
                pass

    def reseal(self, sha256: bytes) -> None:
        """Seal a kept copy anew, to the recipients of now; the plain content touches no disk.

        If we die before the new copy is whole the old one stays. NotFoundError, VerificationError
        as in ``check``.
        """
        recipients, path = self._recipients(), self._path(sha256)
        with (
            durable_writer(path, overwrite=True) as writer,
            self._opened(sha256, self._lock.identity()) as plain,
        ):
            try:
                _seal(plain, writer, recipients)
            except pyrage.EncryptError as error:
                raise UnavailableError(f"cannot seal {path.name[:16]}: {error}") from error

    @contextmanager
    def _opened(self, sha256: bytes, identity: pyrage.x25519.Identity) -> Iterator["_Hashing"]:
        """The plain content, as it is decrypted; at the end it has to have the digest."""
        path = self._path(sha256)
        try:
            reader = path.open("rb")
        except FileNotFoundError as error:
            raise NotFoundError(f"the original {sha256.hex()[:16]} is not there") from error
        except OSError as error:
            raise unavailable("read", path, error) from error
        failed: list[str] = []
        outlet, inlet = os.pipe()

        def decrypt() -> None:
            try:
                with os.fdopen(inlet, "wb", buffering=0) as sink:
                    pyrage.decrypt_io(reader, sink, [identity])
            except (pyrage.DecryptError, OSError) as error:
                failed.append(str(error))

        thread = threading.Thread(target=decrypt)
        with reader:
            thread.start()
            try:
                with os.fdopen(outlet, "rb") as source:
                    plain = _Hashing(source)
                    yield plain
            finally:
                # The pipe is closed by now: the other end stops, whatever became of the block.
                thread.join()
        if failed:
            raise _damaged(sha256, failed[0])
        if plain.digest() != sha256:
            raise _damaged(sha256, "it is another content")

    def _recipients(self) -> list[pyrage.x25519.Recipient]:
        return [*map(load_recipient, (self._lock.recipient, *self._recovery))]

    def _path(self, sha256: bytes) -> Path:
        name = sha256.hex()
        return self._folder / name[:2] / f"{name}.age"


def _damaged(sha256: bytes, reason: str) -> VerificationError:
    text = f"the kept original {sha256.hex()[:16]} is damaged: {reason}"
    return VerificationError(text, hint="restore it from a backup of the vault")


def _seal(
    plain: "_Hashing", writer: IO[bytes], recipients: Sequence[pyrage.x25519.Recipient]
) -> None:
    """Encrypt what is left of ``plain`` to ``writer``; EncryptError, OSError."""
    sink = _Sink(writer)
    pyrage.encrypt_io(plain, sink, recipients)
    if sink.error is not None:
        # pyrage writes the last block as it lets go of the sink, and tells nobody if that failed.
        raise sink.error


class _Sink:
    """A writer that remembers that it failed."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.error: OSError | None = None

    def write(self, block: bytes) -> int:
        try:
            return self._file.write(block)
        except OSError as error:
            self.error = error
            raise

    def flush(self) -> None:
        self._file.flush()


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
