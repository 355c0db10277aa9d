"""A progress line on terminals, from a second on, with files and bytes; gone at the end."""

import io
from contextlib import redirect_stderr

import pytest

from cli import output
from cli.output import reading_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


class Clock:
    def __init__(self) -> None:
        self.time = 100.0

    def monotonic(self) -> float:
        return self.time


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(output, "time", made)
    return made


def test_what_is_done_within_a_second_draws_nothing(clock: Clock) -> None:
    with redirect_stderr(Terminal()) as terminal, reading_progress("reading x") as progress:
        progress(1, 10)
        clock.time += 0.9
        progress(1, 10)
    assert terminal.getvalue() == ""


def test_after_a_second_files_and_bytes_are_drawn_now_and_then(clock: Clock) -> None:
    with redirect_stderr(Terminal()) as terminal, reading_progress("reading x") as progress:
        for _ in range(25):
            clock.time += 0.125
            progress(1, 1 << 20)
    lines = terminal.getvalue().split("\r")
    assert lines[1] == "reading x: 8 files, 8.0 MiB  "
    assert len(lines) < 15
    assert lines[-1] == "\033[K"


def test_the_line_is_wiped_when_reading_fails(clock: Clock) -> None:
    def read() -> None:
        with reading_progress("reading x") as progress:
            clock.time += 2
            progress(0, 5)
            raise ValueError("broken")

    with redirect_stderr(Terminal()) as terminal, pytest.raises(ValueError, match="broken"):
        read()
    assert terminal.getvalue().endswith("\r\033[K")


def test_nothing_is_drawn_into_a_pipe(clock: Clock) -> None:
    with redirect_stderr(io.StringIO()) as pipe, reading_progress("reading x") as progress:
        clock.time += 5
        progress(1, 1)
    assert pipe.getvalue() == ""
