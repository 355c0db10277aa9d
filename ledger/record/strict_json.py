"""Strict JSON: the one dialect in which every JSON text of the project is read and written.

RFC 8259, narrowed so that two implementations cannot read one text in two ways: UTF-8 without
byte order mark, no NUL, no lone surrogate, no key twice (compared after unescaping), integers only
and within ±(2^53 - 1), no ``-0``, containers nested at most 8 deep. White space is accepted where
RFC 8259 has it.

>>> parse_json(b'{"v": 1, "_sd_alg": "sha-256"}', limit_bytes=64)
{'v': 1, '_sd_alg': 'sha-256'}
>>> format_json({"v": 1, "_sd_alg": "sha-256"})
b'{"_sd_alg":"sha-256","v":1}'

What a text means is left to its caller: shapes are checked where the format is defined.
"""

import re
from typing import Final, TypeAlias

from ledger.errors import MalformedError

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_DEPTH: Final = 8
"""Deepest nesting of arrays and objects: our formats need 5, and no parser's stack is in danger."""

MAX_INTEGER: Final = 2**53 - 1
"""Largest magnitude: every integer up to it is exact in the numbers of a browser."""

_MAX_NUMBER_CHARS = len(str(-MAX_INTEGER))  # longer ones are out of range before they are converted


def _token(mark: str) -> re.Pattern[str]:
    """Matches ``mark`` and the white space around it (RFC 8259 §2)."""
    return re.compile(rf"[ \t\n\r]*{mark}[ \t\n\r]*")


_START, _END, _COMMA, _COLON = _token(""), _token(r"\Z"), _token(","), _token(":")
_OPEN_ARRAY, _END_ARRAY = re.compile(r"\[[ \t\n\r]*"), re.compile(r"[ \t\n\r]*\]")
_OPEN_OBJECT, _END_OBJECT = re.compile(r"\{[ \t\n\r]*"), re.compile(r"[ \t\n\r]*\}")
_PLAIN_STRING = re.compile(r'"([^"\\\x00-\x1f]*)"')
_PLAIN_ARRAY = re.compile(r'\["([^"\\\x00-\x1f]*(?:","[^"\\\x00-\x1f]*)*)"\]')
_PLAIN = re.compile(r'[^"\\\x00-\x1f]*')
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)")
_HEX4 = re.compile(r"[0-9a-fA-F]{4}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_MUST_ESCAPE = re.compile(r'["\\\x00-\x1f]')
_WORDS: dict[str, tuple[str, bool | None]] = {
    "t": ("true", True),
    "f": ("false", False),
    "n": ("null", None),
}
_UNESCAPED = {
    '"': '"', "\\": "\\", "/": "/", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t",
}  # fmt: skip
_ESCAPED = {v: f"\\{k}" for k, v in _UNESCAPED.items() if k != "/"}


def parse_json(b: bytes, *, limit_bytes: int) -> JsonValue:
    """The value of the JSON text ``b``, of at most ``limit_bytes`` bytes.

    Objects keep the order of their keys as found. Linear in the size of ``b``.
    Raises MalformedError, and nothing else whatever the bytes, for anything outside the dialect.
    """
    if len(b) > limit_bytes:
        raise MalformedError(f"json has {len(b)} bytes, want at most {limit_bytes}")
    try:
        text = b.decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedError(f"json is not UTF-8 at byte {error.start}") from None
    start = _START.match(text)
    value, at = _value(text, start.end() if start else 0, 1)
    if not _END.match(text, at):
        raise _wrong("the end", at)
    return value


def format_json(value: JsonValue) -> bytes:
    """``value`` in canonical form: ``parse_json`` of the result is equal to ``value``.

    No white space, keys in the order of their UTF-8 bytes, only quote, backslash and U+0001..U+001F
    escaped (short form where JSON has one, else four lower-case hex digits), the rest as UTF-8.
    Raises ValueError for what the dialect has no text for (floats, NUL, lone surrogates, integers
    out of range, nesting beyond MAX_DEPTH, keys that are not strings).
    """
    return _format(value, 1).encode("utf-8")


def _wrong(want: str, at: int) -> MalformedError:
    """Says where, never what: the text may be a secret."""
    return MalformedError(f"json: want {want} at character {at}")


def _value(text: str, at: int, depth: int) -> tuple[JsonValue, int]:
    """The value that starts at ``at``, and where it ends; ``depth``: the level a container has."""
    first = text[at : at + 1]
    if first == '"':
        return _string(text, at)
    if first in {"{", "["}:
        if depth > MAX_DEPTH:
            raise MalformedError(f"json is nested deeper than {MAX_DEPTH}")
        return (_object if first == "{" else _array)(text, at, depth + 1)
    if first in _WORDS:
        word, meaning = _WORDS[first]
        if not text.startswith(word, at):
            raise _wrong("a value", at)
        return meaning, at + len(word)
    return _number(text, at)


def _number(text: str, at: int) -> tuple[int, int]:
    match = _NUMBER.match(text, at)
    if match is None:
        raise _wrong("a value", at)
    digits = match.group()
    if digits == "-0" or len(digits) > _MAX_NUMBER_CHARS or abs(int(digits)) > MAX_INTEGER:
        raise _wrong("an integer within 2^53 - 1", at)
    return int(digits), match.end()


def _string(text: str, at: int) -> tuple[str, int]:
    """The string that starts at ``at``, with its opening quote."""
    plain = _PLAIN_STRING.match(text, at)
    if plain:
        return plain.group(1), plain.end()
    if not text.startswith('"', at):
        raise _wrong("a string", at)
    parts: list[str] = []
    at += 1
    while True:
        run = _PLAIN.match(text, at)
        end = run.end() if run else at
        parts.append(text[at:end])
        stop = text[end : end + 1]
        if stop == '"':
            return "".join(parts), end + 1
        if stop != "\\":  # the text ends here, or a control character stands here
            raise _wrong("the end of a string", end)
        character, at = _escape(text, end + 1)
        parts.append(character)


def _escape(text: str, at: int) -> tuple[str, int]:
    """The character that is escaped at ``at``, after the backslash (RFC 8259 §7)."""
    kind = text[at : at + 1]
    if kind in _UNESCAPED:
        return _UNESCAPED[kind], at + 1
    if kind != "u":
        raise _wrong("an escape", at)
    unit, after = _code_unit(text, at + 1)
    if 0xD800 <= unit < 0xDC00 and text.startswith("\\u", after):
        low, end = _code_unit(text, after + 2)
        if 0xDC00 <= low < 0xE000:
            return chr(0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00)), end
    if unit == 0 or 0xD800 <= unit < 0xE000:
        raise _wrong("neither NUL nor a lone surrogate", at)
    return chr(unit), after


def _code_unit(text: str, at: int) -> tuple[int, int]:
    match = _HEX4.match(text, at)
    if match is None:
        raise _wrong("four hex digits", at)
    return int(match.group(), 16), at + 4


def _array(text: str, at: int, depth: int) -> tuple[list[JsonValue], int]:
    """The array that starts at ``at``; ``depth``: the level of its items."""
    plain = _PLAIN_ARRAY.match(text, at)
    if plain:  # no string in it has a quote, so quotes stand between strings only
        return [*plain.group(1).split('","')], plain.end()
    items: list[JsonValue] = []
    mark = _OPEN_ARRAY.match(text, at)
    end = _END_ARRAY.match(text, at + 1)
    while mark and not end:
        value, at = _value(text, mark.end(), depth)
        items.append(value)
        mark = _COMMA.match(text, at)
        if not mark:
            end = _END_ARRAY.match(text, at)
    if not end:
        raise _wrong("a comma or ]", at)
    return items, end.end()


def _object(text: str, at: int, depth: int) -> tuple[dict[str, JsonValue], int]:
    """The object that starts at ``at``; ``depth``: the level of its values."""
    members: dict[str, JsonValue] = {}
    mark = _OPEN_OBJECT.match(text, at)
    end = _END_OBJECT.match(text, at + 1)
    while mark and not end:
        key, at = _string(text, mark.end())
        if key in members:
            raise _wrong("each key once", at)
        colon = _COLON.match(text, at)
        if not colon:
            raise _wrong("a colon", at)
        members[key], at = _value(text, colon.end(), depth)
        mark = _COMMA.match(text, at)
        if not mark:
            end = _END_OBJECT.match(text, at)
    if not end:
        raise _wrong("a comma or }", at)
    return members, end.end()


def _format(value: JsonValue, depth: int) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):  # before int, of which bool is a kind
        return "true" if value else "false"
    if isinstance(value, int):
        if abs(value) > MAX_INTEGER:
            raise ValueError("integer beyond 2^53 - 1")
        return str(value)
    if isinstance(value, str):
        return _quote(value)
    if depth > MAX_DEPTH:
        raise ValueError(f"value is nested deeper than {MAX_DEPTH}")
    if isinstance(value, list):
        return "[" + ",".join(_format(item, depth + 1) for item in value) + "]"
    if isinstance(value, dict):
        if not all(isinstance(key, str) for key in value):
            raise ValueError("an object has a key that is no string")
        # Order of code points = order of UTF-8 bytes.
        members = (f"{_quote(key)}:{_format(value[key], depth + 1)}" for key in sorted(value))
        return "{" + ",".join(members) + "}"
    raise ValueError(f"no JSON for a {type(value).__name__}")


def _quote(text: str) -> str:
    if "\0" in text:
        raise ValueError("string has a NUL")
    if _SURROGATE.search(text):
        raise ValueError("string has a lone surrogate")
    return f'"{_MUST_ESCAPE.sub(_escape_one, text)}"'


def _escape_one(match: re.Match[str]) -> str:
    character = match.group()
    return _ESCAPED.get(character) or f"\\u{ord(character):04x}"
