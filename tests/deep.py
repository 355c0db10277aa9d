"""A folder deeper than most programs can go, and the way out of it."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def deep_folder(top: Path, name: str, depth: int) -> Iterator[None]:
    """``depth`` folders called ``name``, each in the last, a file ``x`` in the lowest; gone after.

    What clears temporary folders away would recurse, and fail.
    """
    places = [os.open(top, os.O_RDONLY)]
    for _ in range(depth):
        os.mkdir(name, dir_fd=places[-1])
        places.append(os.open(name, os.O_RDONLY, dir_fd=places[-1]))
        os.close(places[-2])
    os.close(os.open("x", os.O_CREAT | os.O_WRONLY, dir_fd=places[-1]))
    try:
        yield
    finally:
        os.unlink("x", dir_fd=places[-1])
        place = places[-1]
        for _ in range(depth):
            above = os.open("..", os.O_RDONLY, dir_fd=place)
            os.close(place)
            os.rmdir(name, dir_fd=above)
            place = above
        os.close(place)
