"""Every `tally …` that a page shows exists: the command, its subcommands and its options."""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from cli.main import tally

ROOT = Path(__file__).parents[2]
DOCS = sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
PAGES = ("README.md", "README.zh.md", *DOCS)

FENCE = re.compile(r"^```[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"`([^`\n]+)`")
SHOWN = re.compile(r"(?<![\w.-])tally ([^\n·#;&>)]*)")
AFTER = re.compile(r" {2,}| \| ")
"""What ends a command line: the words on its right, or a pipe. `list|new` is a choice."""


def shown(page: str) -> Iterator[str]:
    """The words after each `tally` in the code of ``page``, lines that go on joined."""
    text = (ROOT / page).read_text("utf-8")
    blocks = [block.replace("\\\n", " ") for block in FENCE.findall(text)]
    for code in (*blocks, *SPAN.findall(FENCE.sub("", text))):
        yield from (AFTER.split(words)[0] for words in SHOWN.findall(code))


def fault(words: list[str]) -> str | None:
    """What of a command line does not exist."""
    command: click.Command = tally
    context = click.Context(command)
    taken = 0
    for word in words:
        if not isinstance(command, click.Group) or not re.fullmatch(r"[a-z|]+", word):
            break
        taken += 1
        found = [command.get_command(context, one) for one in word.split("|")]
        if None in found:
            return f"no command {word}"
        if len(found) > 1:
            return None
        assert found[0] is not None
        command = found[0]
    options = command.params
    known = {"--help", "-h"}.union(*(one.opts + one.secondary_opts for one in options))
    asked = set(re.findall(r"(?<![\w-])--?[a-z][a-z-]*", " ".join(words[taken:])))
    return f"no option {sorted(asked - known)}" if asked - known else None


@pytest.mark.parametrize("page", PAGES)
def test_every_command_of_a_page_exists(page: str) -> None:
    wrong = {words: fault(words.split()) for words in shown(page)}
    assert {words: why for words, why in wrong.items() if why} == {}


def test_a_command_or_an_option_that_does_not_exist_is_seen() -> None:
    assert fault("vault check --all".split()) is None
    assert fault("vault chekc".split()) == "no command chekc"
    assert fault("vault check|restor".split()) == "no command check|restor"
    assert fault("vault check --al".split()) == "no option ['--al']"
    assert len(list(shown("README.md"))) > 20
