"""Files that a command is given by name: plain ones, read whole, and blamed by name."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ledger.doors.files import read_limited
from ledger.errors import MalformedError, NotFoundError

T = TypeVar("T")


def read_given(name: str, limit_bytes: int) -> bytes:
    """The content of the file called name; errors as in ``parse_given``, parsing apart."""
    require_plain(name)
    return read_limited(Path(name), limit_bytes)


def parse_given(name: str, parse: Callable[[bytes], T], limit_bytes: int) -> T:
    """What parse makes of the file called name; its MalformedError then says which file.

    MalformedError as well if it is longer than limit_bytes or no plain file; NotFoundError;
    UnavailableError if it cannot be read.
    """
    content = read_given(name, limit_bytes)
    try:
        return parse(content)
    except MalformedError as error:
        raise MalformedError(f"{name}: {error}", hint=error.hint) from error


def require_plain(name: str) -> None:
    """Raise unless name is a plain file: a pipe or a device might never end."""
    path = Path(name)
    try:
        if path.is_file():
            return
        is_folder, is_there = path.is_dir(), path.exists()
    except OSError:  # a folder that may not be entered: reading says so
        return
    except ValueError as error:  # a zero byte in the name
        raise NotFoundError(f"no such file: {name}") from error
    if is_folder:
        raise NotFoundError(f"{name} is a folder, want a file")
    if is_there:
        raise MalformedError(f"{name} is not a plain file")
    raise NotFoundError(f"no such file: {name}")
