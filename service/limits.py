"""How many bodies are read at once: a sender that dawdles keeps a thread, and there are not many.

The server gives a request's head its time and a body none. So each token has some readers and no
more, and all tokens together leave threads for whoever only asks.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ledger.operator.access import LimitError

THREADS = 64
"""Requests that are worked on at once: an append waits in its thread for the commit."""

READERS = 40
"""Bodies read at once, of all tokens."""

READERS_OF_ONE = 16
"""Bodies of one token read at once. One that has arrived is read in microseconds."""

WAIT_SECONDS = 2.0
"""What a request waits for its turn to be read, before it is refused."""


class Readers:
    """Counts the bodies that are being read, by token. Thread-safe."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._reading: Counter[str] = Counter()

    @contextmanager
    def reading(self, token_id: str) -> Iterator[None]:
        """For a block that reads a body; LimitError if its turn does not come in time."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._is_free(token_id), WAIT_SECONDS):
                raise LimitError("too many requests are being read at once", 1)
            self._reading[token_id] += 1
        try:
            yield
        finally:
            with self._changed:
                self._reading[token_id] -= 1
                self._changed.notify_all()

    def _is_free(self, token_id: str) -> bool:
        all_ = self._reading.total()
        return all_ < READERS and self._reading[token_id] < READERS_OF_ONE
