"""docs/threat-model.md: every row has its limit and its tests, and every test named exists."""

import ast
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs/threat-model.md").read_text("utf-8")
NOTHING = "none: not answered"
WEAKNESSES = 14
"""What a court or an expert raises; fewer would mean that one was dropped."""


class Row(NamedTuple):
    """One threat of the page."""

    name: str
    threat: str
    answer: str
    limit: str
    tests: tuple[str, ...]


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def body() -> list[list[str]]:
    """The cells of each line of a table that is neither its head nor its rule."""
    lines = re.sub(r"^\|.*\|\n\|[-|]+\|$", "", TEXT, flags=re.MULTILINE).splitlines()
    return [cells(line) for line in lines if line.startswith("|")]


ROWS = tuple(
    Row(name, threat, answer, limit, tuple(tests.split("<br>")))
    for name, threat, answer, limit, tests in (found for found in body() if len(found) == 5)
)
ASKED = {found[0]: re.findall(r"\w+", found[1]) for found in body() if len(found) == 2}


@cache
def names_in(path: Path) -> frozenset[str]:
    """Names of the test functions of one file, whether or not in a class."""
    nodes = ast.walk(ast.parse(path.read_text("utf-8")))
    return frozenset(
        node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


def test_every_line_of_a_table_is_a_row() -> None:
    assert len(ROWS) + len(ASKED) == len(body())
    assert len(ROWS) > len(ASKED)
    assert [name for name, times in Counter(row.name for row in ROWS).items() if times > 1] == []


@pytest.mark.parametrize("row", ROWS, ids=[row.name for row in ROWS])
def test_a_row_is_whole_and_its_tests_exist(row: Row) -> None:
    assert re.fullmatch(r"[A-Z]\d+", row.name)
    assert all(row)
    assert row.answer.startswith("Nothing") == (row.tests == (NOTHING,))
    for test in row.tests if row.tests != (NOTHING,) else ():
        found = re.fullmatch(r"`([\w/]+/test_\w+\.py|test_\w+\.py)::(test_\w+)`", test)
        assert found is not None, test
        assert found[2] in names_in(ROOT / "tests" / found[1]), test


def test_every_weakness_leads_to_rows() -> None:
    assert len(ASKED) == WEAKNESSES
    names = {row.name for row in ROWS}
    for weakness, answered in ASKED.items():
        assert answered, weakness
        assert set(answered) <= names, weakness


def test_every_page_linked_to_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", TEXT)
    assert links
    assert [link for link in links if not (ROOT / "docs" / link).is_file()] == []
