"""Look for a text, or for digests of many guesses, in all that a folder holds, however written."""

import base64
import re
import zipfile
from collections.abc import Collection, Iterator
from itertools import chain
from pathlib import Path

WINDOW = 8
"""Bytes of a digest that are compared: by chance alone they never agree."""

_HEX_RUN = re.compile(rb"[0-9a-fA-F]{16,}")
_BASE64_RUN = re.compile(rb"[A-Za-z0-9+/_-]{16,}")


def contents(*places: Path) -> dict[str, bytes]:
    """Every file at or under the places, names included, by name; a ZIP is unpacked too."""
    found: dict[str, bytes] = {}
    for place in places:
        for path in [place, *place.rglob("*")] if place.is_dir() else [place]:
            found[f"name of {path}"] = path.name.encode()
            if path.is_file():
                found[str(path)] = path.read_bytes()
            if path.suffix == ".zip":
                with zipfile.ZipFile(path) as archive:
                    found |= {f"{path}/{name}": archive.read(name) for name in archive.namelist()}
                    names = "\n".join(archive.namelist())
                found[f"names in {path}"] = names.encode()
    return found


def written(secret: bytes) -> Iterator[bytes]:
    """``secret`` raw, in UTF-16, in hex, and in both base64s wherever it begins in a group."""
    yield secret
    for order in ("utf-16-le", "utf-16-be"):
        yield secret.decode().encode(order)
    yield secret.hex().encode()
    yield secret.hex().upper().encode()
    for before in range(3):
        # What stands before and after changes the characters at the ends: these are left off.
        text = base64.b64encode(bytes(before) + secret)
        inside = text[-(-before * 4 // 3) : len(text) - 4]
        yield inside
        yield inside.replace(b"+", b"-").replace(b"/", b"_")


def places_of(secret: str, held: dict[str, bytes]) -> list[str]:
    """Where ``secret`` stands, in any of its writings."""
    needles = list(written(secret.encode()))
    return [name for name, content in held.items() if any(one in content for one in needles)]


def _readings(content: bytes) -> Iterator[bytes]:
    """``content`` as it is, and what its runs of hex and base64 say, from each place on."""
    yield content
    for run in _HEX_RUN.findall(content):
        for start in range(2):
            text = run[start:]
            yield bytes.fromhex(text[: len(text) // 2 * 2].decode())
    for run in _BASE64_RUN.findall(content):
        plain = run.replace(b"-", b"+").replace(b"_", b"/")
        for start in range(4):
            text = plain[start:]
            text = text[: len(text) // 4 * 4]
            yield base64.b64decode(text)


def guessed(digests: Collection[bytes], held: dict[str, bytes]) -> list[str]:
    """Where one of the digests stands, raw or in hex or base64; a base64 inside a base64 too."""
    wanted = {digest[:WINDOW] for digest in digests}
    found = []
    for name, content in held.items():
        twice = chain.from_iterable(map(_readings, _readings(content)))
        for reading in twice:
            windows = {reading[at : at + WINDOW] for at in range(len(reading) - WINDOW + 1)}
            if not wanted.isdisjoint(windows):
                found.append(name)
                break
    return found
