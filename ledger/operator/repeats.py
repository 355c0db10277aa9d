"""Which entries are certainly new: an answer from memory, so that appending in bulk asks no index.

A look-up of a random entry in a growing index costs more than all the rest of an append. Here
each entry leaves its first eight bytes in a table; an entry whose eight bytes are not there was
never appended, and only for the others is the store asked. Two entries that share eight bytes
cost one question to the store and no wrong answer.

>>> repeats = Repeats()
>>> first, second, alike = b"1" * 64, b"2" * 64, b"1" * 63 + b"!"
>>> repeats.sift([first, second])
[]
>>> repeats.sift([alike, b"3" * 64])
[b'111111111111111111111111111111111111111111111111111111111111111!']
"""

import secrets
import struct
from array import array
from collections.abc import Iterable, Sequence

START_SLOTS = 1 << 16
"""Half a megabyte at first; doubled when half full."""

MAX_ENTRIES = 1 << 24
"""Beyond it the table would pass 256 MiB; the caller then asks the store for every entry."""

_PREFIX = struct.Struct(">Q56x")
"""The first eight bytes of an entry of 64."""


class Repeats:
    """A table of the first eight bytes of every entry seen; its length counts each once.

    Not thread-safe.

    16 to 32 bytes of memory and about 0.3 µs an entry, whatever their number.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * START_SLOTS))
        self._count = 0
        self._multiplier = secrets.randbits(64) | 1

    def __len__(self) -> int:
        return self._count

    def sift(self, entries: Sequence[bytes]) -> list[bytes]:
        """Remember ``entries``; return those that may have been seen before.

        All others certainly were not. ``entries``: 64 bytes each, at most ``MAX_ENTRIES`` with
        those in the table, else ValueError.
        """
        if self._count + len(entries) > MAX_ENTRIES:
            raise ValueError(f"{self._count + len(entries)} entries, want at most {MAX_ENTRIES}")
        try:
            prefixes = [prefix for (prefix,) in _PREFIX.iter_unpack(b"".join(entries))]
        except struct.error as error:
            raise ValueError("entries have not 64 bytes each") from error
        while 2 * (self._count + len(entries)) > len(self._slots):
            old = self._slots
            self._slots = array("Q", bytes(2 * 8 * len(old)))
            self._put(prefix for prefix in old if prefix)
        seen = self._put(prefixes)
        self._count += len(entries) - len(seen)
        return [entries[number] for number in seen]

    def _put(self, prefixes: Iterable[int]) -> list[int]:
        # Open addressing: the table is at most half full, so a free slot is two steps away. Where
        # to begin is found by a multiplier that nobody knows (multiply-shift hashing): whoever
        # chooses entries cannot have them all begin at one slot.
        slots, mask, multiplier = self._slots, len(self._slots) - 1, self._multiplier
        shift = 64 - mask.bit_length()
        seen = []
        for number, prefix in enumerate(prefixes):
            prefix = prefix or 1  # 0 is a free slot
            place = prefix * multiplier >> shift & mask
            while (stored := slots[place]) and stored != prefix:
                place = (place + 1) & mask
            if stored:
                seen.append(number)
            else:
                slots[place] = prefix
        return seen
