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

import json
import re
from typing import Final, NoReturn, TypeAlias

from ledger.errors import MalformedError

JsonValue: TypeAlias = "bool | int | str | list[JsonValue] | dict[str, JsonValue] | None"

MAX_DEPTH: Final = 8
"""Deepest nesting of arrays and objects: our formats need 5, and no parser's stack is in danger."""

MAX_INTEGER: Final = 2**53 - 1
"""Largest magnitude: every integer up to it is exact in the numbers of a browser."""

_MAX_NUMBER_CHARS = len(str(-MAX_INTEGER))  # longer ones are out of range before they are converted
_SURROGATE = re.compile("[\ud800-\udfff]")
_NO_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?+|[^][{}"]++', re.DOTALL)  # strings, or between


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
    _check_depth(text)
    try:
        value: JsonValue = _DECODER.decode(text)
    except json.JSONDecodeError as error:  # says where, never what: the text may be a secret
        raise MalformedError(f"json is malformed at character {error.pos}") from None
    if "\\u" in text:  # an escape alone can say what UTF-8 cannot, or a NUL
        _check_writable(value)
    return value


def format_json(value: JsonValue) -> bytes:
    """``value`` in canonical form: ``parse_json`` of the result is equal to ``value``.

    No white space, keys in the order of their UTF-8 bytes, only quote, backslash and U+0001..U+001F
    escaped (short form where JSON has one, else four lower-case hex digits), the rest as UTF-8.
    Raises ValueError for what the dialect has no text for (floats, NUL, lone surrogates, integers
    out of range, nesting beyond MAX_DEPTH, keys that are not strings).
    """
    return _format(value, 1).encode("utf-8")


def _check_depth(text: str) -> None:
    """Raise MalformedError if ``text`` nests too deep, before anything recurses into it.

    Of a text that is not JSON nothing is said behind its first fault.
    """
    if text.count("[") + text.count("{") <= MAX_DEPTH:
        return
    depth = 0
    for bracket in _NO_BRACKETS.sub("", text):
        depth += 1 if bracket in "[{" else -1
        if depth > MAX_DEPTH:
            raise MalformedError(f"json is nested deeper than {MAX_DEPTH}")


def _check_writable(value: JsonValue) -> None:
    try:
        format_json(value)
    except ValueError as error:
        raise MalformedError(f"json: {error}") from None


def _object(members: list[tuple[str, JsonValue]]) -> dict[str, JsonValue]:
    value = dict(members)
    if len(value) != len(members):
        raise MalformedError("json has an object with a key twice")
    return value


def _integer(digits: str) -> int:
    if digits == "-0" or len(digits) > _MAX_NUMBER_CHARS or abs(int(digits)) > MAX_INTEGER:
        raise MalformedError("json has a number that is no integer within 2^53 - 1")
    return int(digits)


def _no_integer(_: str) -> NoReturn:
    """Refuses fractions and exponents, and NaN and Infinity, which are not JSON at all."""
    raise MalformedError("json has a number that is no integer within 2^53 - 1")


_ENCODER = json.JSONEncoder(ensure_ascii=False)  # of strings only

# Its grammar is RFC 8259's but for NaN and Infinity; control characters in strings are refused.
_DECODER = json.JSONDecoder(
    object_pairs_hook=_object,
    parse_int=_integer,
    parse_float=_no_integer,
    parse_constant=_no_integer,
)


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
    if not text.isascii() and _SURROGATE.search(text):
        raise ValueError("string has a lone surrogate")
    return _ENCODER.encode(text)
