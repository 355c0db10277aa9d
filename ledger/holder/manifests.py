"""Manifests of a vault: every line of a folder, or of a file's parts, in a file named by root."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ledger.doors.files import durable_writer, is_absent, read_limited, sync_folder, unavailable
from ledger.errors import MalformedError, NotFoundError
from ledger.tlog.merkle import Hash, leaf_hash, root_of_leaves

DRAFT = "draft"
"""A manifest while it is written: its name, the root, is known at the end."""

MAX_MANIFEST_BYTES = 4 << 30
"""A manifest of ten million files is about this big."""


SUBTREE_LEAVES = 1 << 12
"""Leaves whose hashes are held at once: a power of two, so that they are a subtree of the tree."""


class Manifests:
    """The manifests in ``folder``, one file each. Who writes has the vault's turn."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def write(self, batches: Iterable[Sequence[str]]) -> tuple[Hash, int]:
        """Keep the lines of a folder's manifest, or of parts, under their root; root and count.

        The lines come in batches and are not held: of each subtree only its root stays in memory.
        """
        leaves: list[Hash] = []
        subtrees: list[Hash] = []
        count = 0
        with durable_writer(self._folder / DRAFT, overwrite=True) as file:
            for lines in batches:
                rows = [line.encode("ascii") for line in lines]
                file.write(b"\n".join([*rows, b""]))
                leaves += map(leaf_hash, rows)
                count += len(rows)
                while len(leaves) >= SUBTREE_LEAVES:
                    subtrees.append(root_of_leaves(leaves[:SUBTREE_LEAVES]))
                    del leaves[:SUBTREE_LEAVES]
        # RFC 6962 §2.1: the root over the roots of whole subtrees, and of what is left at the end.
        root = root_of_leaves([*subtrees, root_of_leaves(leaves)] if leaves else subtrees)
        # If we die before this line, the draft is written over by the next manifest.
        try:
            (self._folder / DRAFT).replace(self._folder / root.hex())
            sync_folder(self._folder)
        except OSError as error:
            raise unavailable("write", self._folder / root.hex(), error) from error
        return root, count

    def read(self, root: str) -> list[str]:
        """The manifest lines under ``root`` (hex); NotFoundError if they are missing.

        They are as they were written, or not: whoever relies on them computes the root.
        """
        try:
            content = read_limited(self._folder / root, MAX_MANIFEST_BYTES)
        except NotFoundError as error:
            raise _missing(root) from error
        try:
            return content.decode("ascii").removesuffix("\n").split("\n")
        except UnicodeDecodeError as error:
            raise MalformedError(f"manifest {root[:16]} of the vault is damaged") from error

    def each(self, root: str) -> Iterator[str]:
        """As ``read``, a line at a time, which are not held."""
        path = self._folder / root
        try:
            with path.open("rb") as file:
                for row in file:
                    yield row.removesuffix(b"\n").decode("ascii")
        except UnicodeDecodeError as error:
            raise MalformedError(f"manifest {root[:16]} of the vault is damaged") from error
        except OSError as error:
            if is_absent(error):
                raise _missing(root) from error
            raise unavailable("read", path, error) from error


def _missing(root: str) -> NotFoundError:
    hint = "put manifests/ back from a backup; `tally vault check` says what else is missing"
    return NotFoundError(f"the list {root[:16]} of the vault is missing", hint=hint)
