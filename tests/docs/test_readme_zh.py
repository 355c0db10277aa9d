"""README.zh.md says what README.md says: same sections, commands, links and figures."""

import re
from itertools import zip_longest
from pathlib import Path

ROOT = Path(__file__).parents[2]
EN = (ROOT / "README.md").read_text("utf-8")
ZH = (ROOT / "README.zh.md").read_text("utf-8")

BLOCK = re.compile(r"^```\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d")
COURTS = ("证明", "确认", "认定")
"""Words for what a court does."""


def prose(text: str) -> str:
    return BLOCK.sub("", text)


def headings(text: str) -> list[str]:
    return re.findall(r"^(#+) ", prose(text), re.MULTILINE)


def links(text: str) -> set[str]:
    """Where a page leads to, but for its other language."""
    return set(re.findall(r"\]\(([^)]+)\)", prose(text))) - {"README.md", "README.zh.md"}


def figures(text: str) -> set[str]:
    """Numbers that no language writes in words: of three digits and more, or with a point."""
    number = r"(?<![\w.])(?:\d+(?:\.\d+)+|\d{3,})(?![\w.]*\d)"
    return set(re.findall(number, prose(text), re.ASCII))


def commands(block: str) -> list[str]:
    """Each line without the words on its right."""
    return [re.split(r" {2,}", line)[0] for line in block.splitlines()]


def tables(text: str) -> list[tuple[int, list[str]]]:
    """Each row's number of columns, and its cells that are a number."""
    rows = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("|")]
    return [(len(row), [cell for cell in row if cell.strip().isdigit()]) for row in rows]


def is_demo(block: str) -> bool:
    return "$ tally verify" in block


def test_the_sections_are_the_same() -> None:
    assert headings(ZH) == headings(EN)


def test_each_leads_to_the_same_pages_and_the_chinese_one_to_the_other() -> None:
    assert links(ZH) == links(EN)
    assert "](README.md)" in ZH.split("\n## ")[0]
    assert [link for link in links(ZH) if not (ROOT / link).exists()] == []


def test_commands_and_output_are_the_same() -> None:
    blocks = zip_longest(BLOCK.findall(EN), BLOCK.findall(ZH), fillvalue="")
    for english, chinese in blocks:
        assert is_demo(chinese) == is_demo(english)
        if not is_demo(english):
            assert commands(chinese) == commands(english)


def test_both_demos_show_the_same_times_and_forgeries() -> None:
    """The demo's clock is set by hand, its keys are drawn anew: only they differ in a run."""
    english, chinese = (next(filter(is_demo, BLOCK.findall(text))) for text in (EN, ZH))
    assert set(TIME.findall(chinese)) == set(TIME.findall(english))
    caught = re.findall(r"^caught .*?: refuted at (\S+)", english, re.MULTILINE)
    assert re.findall(r"^已识破 .*?：核验不一致，([a-z.]+)", chinese, re.MULTILINE) == caught
    assert len(caught) == 5
    assert "核验一致（依该信任清单）：" in chinese


def test_tables_and_figures_are_the_same() -> None:
    assert tables(ZH) == tables(EN)
    assert figures(ZH) == figures(EN)
    inline = re.compile(r"`[^`\n]+`")
    assert set(inline.findall(prose(EN))) <= set(inline.findall(prose(ZH)))


def test_words_that_are_the_courts_are_not_used() -> None:
    assert [word for word in COURTS if word in ZH] == []
