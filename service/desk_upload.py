"""Files of one request, straight to disk under their own names, and gone when it ends."""

import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import flask
from werkzeug.datastructures import FileStorage

from ledger.errors import MalformedError

MAX_NAME_BYTES = 200
"""Most file systems take 255."""


@dataclass(frozen=True, slots=True)
class Upload:
    """What was sent, as files that exist until the request ends."""

    bundle: Path
    carriers: tuple[Path, ...]
    trust: Path | None


class DeskRequest(flask.Request):
    """A request whose files are written into ``folder``, each in a folder of its own."""

    folder: Path | None = None
    opened: ExitStack

    def _get_file_stream(
        self,
        total_content_length: int | None,  # noqa: ARG002 - werkzeug's
        content_type: str | None,  # noqa: ARG002 - werkzeug's
        filename: str | None = None,
        content_length: int | None = None,  # noqa: ARG002 - werkzeug's
    ) -> IO[bytes]:
        """Where the form's parser writes a file (werkzeug's hook): where it is then checked."""
        if self.folder is None:
            raise RuntimeError("files are only taken by receive")
        own = Path(tempfile.mkdtemp(dir=self.folder))
        return self.opened.enter_context((own / plain_name(filename or "")).open("xb+"))


@contextmanager
def receive(request: DeskRequest, folder: Path) -> Iterator[Upload]:
    """The request's ``bundle``, ``carriers`` and ``trust``, deleted again on leaving.

    MalformedError if there is no bundle; RequestEntityTooLarge above the application's limit;
    OSError if the disk does not take it.
    """
    with tempfile.TemporaryDirectory(dir=folder) as own, ExitStack() as opened:
        request.folder, request.opened = Path(own), opened
        bundles = _given(request.files.getlist("bundle"))
        carriers = _given(request.files.getlist("carriers"))
        trusts = _given(request.files.getlist("trust"))
        opened.close()  # everything written is in the files now, and Windows can delete them
        if len(bundles) != 1:
            message = f"{len(bundles)} bundles given, want 1"
            raise MalformedError(message, hint="choose the bundle's .zip")
        yield Upload(bundles[0], tuple(carriers), trusts[0] if trusts else None)


def _given(files: list[FileStorage]) -> list[Path]:
    """Where the files are; a field left empty is sent as a file without a name."""
    return [Path(os.fspath(file.stream.name)) for file in files if file.filename]


def plain_name(name: str) -> str:
    r"""The last part of ``name``, as a name that any file system takes.

    >>> plain_name("..\\folder/第12批?.csv")
    '第12批_.csv'
    >>> plain_name("..")
    'unnamed'
    """
    last = re.split(r"[/\\]", name)[-1]
    last = "".join(c if c.isprintable() and c not in '<>:"|?*' else "_" for c in last).rstrip(". ")
    stem, dot, ending = last.rpartition(".")
    if dot and len(ending) < 16:
        return f"{_cut(stem, MAX_NAME_BYTES)}.{ending}" if stem else f"_.{ending}"
    return _cut(last, MAX_NAME_BYTES) or "unnamed"


def _cut(text: str, size_bytes: int) -> str:
    return text.encode("utf-8", "replace")[:size_bytes].decode("utf-8", "ignore")
