"""A peer written in Go: built once by the go command, then asked over its stdin and stdout.

Each folder of ``tests/interop/go`` is one program with pinned modules (``go.mod``, ``go.sum``). Its
Go must be at least what go.mod says; nothing is fetched but modules (``GOTOOLCHAIN=local``).
"""

import base64
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

SOURCES = Path(__file__).parent / "go"


class Peer:
    """A running peer. ``ask`` sends one question and waits for its answer."""

    def __init__(self, program: Path) -> None:
        self._process = subprocess.Popen(
            [program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def ask(self, do: str, **fields: object) -> dict[str, Any]:
        """The answer; bytes go and come as base64. PeerError if the peer says that it cannot."""
        answer = self.answer(do, **fields)
        if "Error" in answer:
            raise PeerError(answer["Error"])
        return answer

    def refuses(self, do: str, **fields: object) -> bool:
        """Whether the peer answers with an error."""
        return "Error" in self.answer(do, **fields)

    def answer(self, do: str, **fields: object) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        json.dump({"Do": do, **fields}, self._process.stdin, default=_plain)
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def close(self) -> None:
        """Let it read the end of its questions, and wait for its own end."""
        _, _ = self._process.communicate(timeout=30)
        assert self._process.returncode == 0


class PeerError(Exception):
    """The peer refused; its words."""


def build(name: str, folder: Path, package: str = ".") -> Path:
    """The program of ``tests/interop/go/<name>``, built into ``folder``; skips where it cannot be.

    ``package``: what is built of its modules, if nothing of its own. Go's own cache keeps modules
    and compiled packages between runs.
    """
    go = shutil.which("go")
    if go is None:
        pytest.skip("no go command is here")
    source = SOURCES / name
    environment = {**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [go, *arguments],
            cwd=source,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )

    wanted = re.search(r"^go (\d+)\.(\d+)", (source / "go.mod").read_text(), re.MULTILINE)
    here = re.match(r"go(\d+)\.(\d+)", run("env", "GOVERSION").stdout)
    assert wanted is not None
    assert here is not None
    if tuple(map(int, here.groups())) < tuple(map(int, wanted.groups())):
        pytest.skip(f"go is {here[0]}, {name} wants {'.'.join(wanted.groups())}")
    if run("mod", "download").returncode != 0:
        pytest.skip("no Go module proxy is reachable")
    done = run("build", "-trimpath", "-o", folder / name, package)
    assert done.returncode == 0, done.stderr
    return folder / name


def unbase64(values: Sequence[str] | None) -> tuple[bytes, ...]:
    """The bytes of base64 strings; none for Go's null."""
    return tuple(map(base64.b64decode, values or ()))


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(value)
