"""Manifests of a vault: every line of an anchored folder, in a file named after their root."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from ledger.doors.files import durable_writer, read_limited, sync_folder, unavailable
from ledger.errors import MalformedError
from ledger.tlog.merkle import Hash, leaf_hash, root_of_leaves

DRAFT = "draft"
"""A manifest while it is written: its name, the root, is known at the end."""

MAX_MANIFEST_BYTES = 4 << 30
"""A manifest of ten million files is about this big."""


class Manifests:
    """The manifests in ``folder``, one file each. Who writes has the vault's turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, batches: Iterable[Sequence[str]]) -> tuple[Hash, int]:
        """Keep a folder's manifest lines under their root; root and count.

        The lines come in batches and are not held: of each only its hash stays in memory.
        """
        leaves: list[Hash] = []
        with durable_writer(self._folder / DRAFT, overwrite=True) as file:
            for lines in batches:
                rows = [line.encode("ascii") for line in lines]
                file.write(b"\n".join([*rows, b""]))
                leaves += map(leaf_hash, rows)
        root = root_of_leaves(leaves)
        # If we die before this line, the draft is written over by the next manifest.
        try:
            (self._folder / DRAFT).replace(self._folder / root.hex())
            sync_folder(self._folder)
        except OSError as error:
            raise unavailable("write", self._folder / root.hex(), error) from error
        return root, len(leaves)

    def read(self, root: str) -> list[str]:
        """The manifest lines under ``root`` (hex); NotFoundError if they are missing.

        They are as they were written, or not: whoever relies on them computes the root.
        """
        content = read_limited(self._folder / root, MAX_MANIFEST_BYTES)
        try:
            return content.decode("ascii").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedError(f"manifest {root[:16]} of the vault is damaged") from error
