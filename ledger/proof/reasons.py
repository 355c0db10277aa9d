"""Why something does not hold, in Chinese: the messages of errors that reach a verdict.

An error says its reason in English, and so it stays in values and codes. ``reasons.json`` has the
Chinese of each, blanks named in braces: ``{why}`` is a reason itself, ``{what}`` one of the
table's phrases, ``{text}`` any text, every other blank one word. Shared with other implementations.

>>> in_chinese("proof has 3 hashes, want 4")
'路径含 3 个哈希值，应为 4 个'
>>> in_chinese("proof file: hash is not base64")
'路径文件：哈希值不是 base64'
>>> in_chinese("nobody translated this")
'nobody translated this'
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MAX_CHARACTERS = 2_000
"""A longer reason stays as it is: no fixed one is as long, and a hostile one must cost little."""

_BLANK = re.compile(r"\{([a-z]+)\}")
_ANY_TEXT = frozenset({"text", "what", "why"})


@dataclass(frozen=True, slots=True)
class _Row:
    """One reason: the texts between its blanks, the pattern of the whole, and its Chinese."""

    fixed: tuple[str, ...]
    pattern: str
    chinese: str

    @property
    def wants_phrase(self) -> bool:
        """Whether a blank of it has to be one of the table's phrases."""
        return "{what}" in self.chinese


def in_chinese(reason: str) -> str:
    """``reason`` in Chinese, what it names kept; one that the table lacks stays as it is."""
    if len(reason) > MAX_CHARACTERS:
        return reason
    said = _said(reason, "reasons")
    return reason if said is None else said


def _said(english: str, section: str) -> str | None:
    """The Chinese of ``english``; None if the section of the table lacks it."""
    for row in _rows(section):
        # What lacks a fixed part needs no pattern: most are never compiled.
        if not all(part in english for part in row.fixed):
            continue
        match = re.fullmatch(row.pattern, english, re.DOTALL)
        if match is None:
            continue
        values = match.groupdict()
        if row.wants_phrase:
            phrase = _said(values["what"], "phrases")
            if phrase is None:
                continue
            values["what"] = phrase
        if "why" in values:
            values["why"] = in_chinese(values["why"])
        return _fill(row.chinese, values)
    return None


def _fill(chinese: str, values: Mapping[str, str]) -> str:
    return _BLANK.sub(lambda blank: values[blank[1]], chinese)


@cache
def table() -> dict[str, dict[str, str]]:
    """``reasons.json``: its reasons and its phrases, English to Chinese."""
    content = files(__package__).joinpath("reasons.json").read_bytes()
    read: dict[str, dict[str, str]] = json.loads(content)
    return read


@cache
def _rows(section: str) -> tuple[_Row, ...]:
    """A section, the most exact first: what fixes more characters, then what wants a phrase."""
    rows = [_row(english, chinese) for english, chinese in table()[section].items()]
    return tuple(sorted(rows, key=lambda row: (-sum(map(len, row.fixed)), not row.wants_phrase)))


def _row(english: str, chinese: str) -> _Row:
    fixed, blanks = _BLANK.split(english)[::2], _BLANK.split(english)[1::2]
    pattern = re.escape(fixed[0])
    for blank, after in zip(blanks, fixed[1:], strict=True):
        kind = ".+" if blank in _ANY_TEXT else r"\S+"
        pattern += f"(?P<{blank}>{kind}){re.escape(after)}"
    return _Row(tuple(fixed), pattern, chinese)
