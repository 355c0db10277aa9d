"""Chromium without a head, driven over the pipe of its DevTools protocol: no driver, no network.

For pages that are served on loopback. What a test asks of a page it asks as a person would:
which words are there, where the keyboard leads, what a screen reader is told, what it looks like.
"""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

COMMANDS = ("chromium", "chromium-browser", "google-chrome")
WAIT_SECONDS = 60

TAB, ENTER = "Tab", "Enter"
_KEYS = {TAB: (9, ""), ENTER: (13, "\r")}


class Browser:
    """One page in one browser."""

    def __init__(self, writing: int, reading: int) -> None:
        self._writing, self._reading = writing, reading
        self._pending = b""
        self._number = 0
        self._session: str | None = None
        self.requested: list[str] = []
        self.complained: list[str] = []
        target = self._call("Target.createTarget", url="about:blank")["targetId"]
        attached = self._call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network", "Accessibility"):
            self._call(f"{domain}.enable")

    def open(self, url: str, width: int, height: int = 900, language: str = "en") -> None:
        """Show ``url`` in a window of this size; returns when it has loaded."""
        mobile = width < 600
        self._call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=mobile,
        )
        self._call("Network.setExtraHTTPHeaders", headers={"Accept-Language": language})
        self.requested.clear()
        self.complained.clear()
        self._call("Page.navigate", url=url)
        self._wait_for("Page.loadEventFired")

    def ask(self, expression: str) -> Any:
        """The value of ``expression`` in the page (the page's policy does not bind a debugger)."""
        answer = self._call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def press(self, key: str) -> None:
        """Press a key."""
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            self._call(
                "Input.dispatchKeyEvent",
                type=kind,
                key=key,
                code=key,
                windowsVirtualKeyCode=code,
                text=text if kind == "keyDown" else "",
            )

    def type(self, text: str) -> None:
        """Type into what has the focus."""
        self._call("Input.insertText", text=text)

    def follow(self) -> None:
        """Wait for the page that the last key leads to."""
        self._wait_for("Page.loadEventFired")

    def spoken(self) -> list[tuple[str, str]]:
        """Role and name of everything a screen reader is told of, in order."""
        nodes = self._call("Accessibility.getFullAXTree")["nodes"]
        return [
            (node["role"]["value"], node.get("name", {}).get("value", ""))
            for node in nodes
            if not node["ignored"]
        ]

    def picture(self, path: Path) -> None:
        """Write the whole page as a PNG."""
        shot = self._call("Page.captureScreenshot", captureBeyondViewport=True)
        path.write_bytes(base64.b64decode(shot["data"]))

    def _call(self, method: str, **parameters: Any) -> Any:
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _wait_for(self, event: str) -> None:
        while self._next().get("method") != event:
            pass

    def _next(self) -> Any:
        while b"\0" not in self._pending:
            more = os.read(self._reading, 1 << 16)
            assert more, "the browser is gone"
            self._pending += more
        message, _, self._pending = self._pending.partition(b"\0")
        said = json.loads(message)
        match said.get("method"):
            case "Network.requestWillBeSent":
                self.requested.append(said["params"]["request"]["url"])
            case "Log.entryAdded":
                self.complained.append(said["params"]["entry"]["text"])
        return said


@contextmanager
def browser(folder: Path) -> Iterator[Browser]:
    """A browser with its profile in ``folder``; skips the test where there is none."""
    command = next(filter(None, map(shutil.which, COMMANDS)), None)
    if command is None:
        pytest.skip("no Chromium here")
    from_us, to_us = os.pipe(), os.pipe()

    def connect() -> None:
        # The protocol's ends are file descriptors 3 and 4.
        reading, writing = os.dup(from_us[0]), os.dup(to_us[1])
        os.dup2(reading, 3)
        os.dup2(writing, 4)

    words = [
        *(command, "--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"),
        *("--no-first-run", "--disable-background-networking", "--disable-component-update"),
        *("--disable-dev-shm-usage", "--hide-scrollbars", f"--user-data-dir={folder}"),
    ]
    process = subprocess.Popen(
        words,
        preexec_fn=connect,  # noqa: PLW1509 - one thread here
        close_fds=False,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(from_us[0])
    os.close(to_us[1])
    try:
        yield Browser(from_us[1], to_us[0])
    finally:
        os.close(from_us[1])
        os.close(to_us[0])
        process.terminate()
        process.wait(WAIT_SECONDS)
