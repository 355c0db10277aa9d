"""Pieces of a file: which scheme its content calls for, and its parts as they stand on disk.

By default a text or a notebook has parts, told by what is in it and not by its name; other files
have none, unless they are asked for.
"""

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from ledger.doors.files import BUFFER_BYTES, read_blocks, read_limited, unavailable
from ledger.errors import MalformedError, UnavailableError
from ledger.record.manifest import FileEntry
from ledger.record.parts import (
    BYTES,
    CELLS,
    LINES,
    MAX_NOTEBOOK_BYTES,
    MAX_PARTS,
    PIECE_BYTES,
    Part,
    count_lines,
    split_bytes,
    split_cells,
    split_lines,
)

MAX_TEXT_BYTES = 64 << 20
"""Up to this size a file is looked into: the two readings more take less than a second."""


def choose_scheme(path: Path, size_bytes: int, wanted: bool | None) -> str | None:
    """The scheme for the file at ``path``, or None: no parts.

    ``wanted``: None for texts and notebooks up to MAX_TEXT_BYTES, which are ``ipynb-cells`` or
    ``lines`` (``bytes-64k`` if they would be more than MAX_PARTS); True for any file that is not
    empty; False for none. MalformedError if even pieces of 64 KiB would be too many;
    NotFoundError, UnavailableError if the file cannot be read any more.
    """
    if wanted is False or size_bytes == 0:
        return None
    scheme = _by_content(path) if size_bytes <= MAX_TEXT_BYTES else None
    if scheme is None and wanted:
        if size_bytes > MAX_PARTS * PIECE_BYTES:
            hint = "anchor it without --parts"
            raise MalformedError(f"{path.name} has more than {MAX_PARTS} pieces", hint=hint)
        return BYTES
    return scheme


def digest_places(
    path: Path, places: Iterable[tuple[int, int]], size_bytes: int
) -> frozenset[tuple[int, int, bytes]]:
    """Of each of ``places`` (offset and size) in the file at ``path``: both, and its SHA-256.

    Left out are those that end beyond ``size_bytes`` or the file; constant memory.
    UnavailableError.
    """
    found: set[tuple[int, int, bytes]] = set()
    within = [(offset, size) for offset, size in places if offset + size <= size_bytes]
    try:
        with path.open("rb") as file:
            for offset, size in within:
                file.seek(offset)
                digest, left = hashlib.sha256(), size
                while block := file.read(min(left, BUFFER_BYTES)):
                    digest.update(block)
                    left -= len(block)
                if not left:
                    found.add((offset, size, digest.digest()))
    except OSError as error:
        raise unavailable("read", path, error) from error
    return frozenset(found)


def read_parts(path: Path, entry: FileEntry, scheme: str) -> Iterator[Part]:
    """The parts of the file at ``path``, which was read as ``entry``; constant memory.

    When they are through, they were of the very bytes of ``entry``. UnavailableError if the file
    changed meanwhile, or cannot be read.
    """
    digest = hashlib.sha256()

    def blocks() -> Iterator[bytes]:
        for block in read_blocks(path):
            digest.update(block)
            yield block

    try:
        yield from _split(blocks(), scheme)
    except MalformedError as error:
        raise _changed(path) from error
    if digest.digest() != entry.sha256:
        raise _changed(path)


def _split(blocks: Iterable[bytes], scheme: str) -> Iterable[Part]:
    if scheme == LINES:
        return split_lines(blocks)
    if scheme == BYTES:
        return split_bytes(blocks)
    return split_cells(_held(blocks))


def _held(blocks: Iterable[bytes]) -> bytes:
    """All of ``blocks``, up to the size of a notebook; more is refused by whoever reads it."""
    content = bytearray()
    for block in blocks:
        content += block
        if len(content) > MAX_NOTEBOOK_BYTES:
            break
    return bytes(content)


def _by_content(path: Path) -> str | None:
    """What a file that is not too big is cut by: None if it is no text."""
    if _is_notebook(path):
        return CELLS
    try:
        count = count_lines(read_blocks(path))
    except MalformedError:
        return None
    return LINES if count <= MAX_PARTS else BYTES


def _is_notebook(path: Path) -> bool:
    try:
        content = read_limited(path, MAX_NOTEBOOK_BYTES)
        # Most files show with their first byte that they are no JSON object.
        return content[:64].lstrip().startswith(b"{") and len(split_cells(content)) <= MAX_PARTS
    except MalformedError:
        return False


def _changed(path: Path) -> UnavailableError:
    hint = "close the program that writes it, then anchor again"
    return UnavailableError(f"{path.name} changed while it was read", hint=hint)
