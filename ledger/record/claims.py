"""The claims a record can make, and the exact shape of each.

A claim outside the two tables is unknown and refused; so is a known one of another shape, down to
the last member. Texts are counted in bytes of UTF-8, and may hold any character strict JSON allows:
displays escape them.

>>> check_claim("link", {"chain": 32 * "0", "seq": 1, "prev": None})
>>> check_carrier_claim("size", 4096)

What a claim is worth as evidence is not decided here, nor whether claims fit one another.
"""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final, TypeAlias

from ledger.errors import MalformedError
from ledger.record.strict_json import MAX_INTEGER, JsonValue
from ledger.record.vocabulary import check_term
from ledger.tlog.text import parse_base64

Shape: TypeAlias = Callable[[JsonValue, str], None]
"""Returns when a value has the shape; raises MalformedError naming where (never what) if not."""

MAX_NAME_BYTES: Final = 1024  # a path is at most 4096 bytes, a name in it at most 255 on most disks
MAX_TEXT_BYTES: Final = 4096  # a page of a form
MAX_NOTE_BYTES: Final = 64 * 1024  # free text; what is longer is a carrier
MAX_CERTIFICATE_BYTES: Final = 16 * 1024  # X.509 of a person: 1 to 4 KiB
MAX_ITEMS: Final = 64  # persons, points, relations: a page of them
MAX_NOT_BEFORE: Final = 16  # one token per TSA, and nobody asks sixteen

_TIME = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})Z")
_HEX = re.compile(r"[0-9a-f]*")
_RESTRICTED_NAME = "[a-z0-9][a-z0-9!#$&^_.+-]{0,126}"  # RFC 6838 §4.2 restricted-name, lower case
_MEDIA_TYPE = re.compile(f"{_RESTRICTED_NAME}/{_RESTRICTED_NAME}")
_THUMBPRINT = re.compile("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # the two spare bits are zero
_NOT_IN_ORIGIN = re.compile(r"[\s+\x00-\x1f\x7f-\x9f]")  # c2sp.org/signed-note: key names


def parse_time(text: str) -> datetime:
    """The aware UTC time of ``text``, RFC 3339 with ``Z`` and whole seconds.

    Raises MalformedError for another form and for times that do not exist (a leap second too).
    """
    match = _TIME.fullmatch(text)
    if match is None:
        raise MalformedError("time is not YYYY-MM-DDTHH:MM:SSZ")
    year, month, day, hour, minute, second = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise MalformedError("time does not exist") from None


def format_time(time: datetime) -> str:
    """``time``, aware, as RFC 3339 with ``Z``; the part of a second is cut off, not rounded.

    Raises ValueError for a naive time.
    """
    if time.tzinfo is None:
        raise ValueError("time is naive")
    return time.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


def _fail(where: str, want: str) -> MalformedError:
    return MalformedError(f"claim {where} is not {want}")


def _text(limit_bytes: int) -> Shape:
    def check(value: JsonValue, where: str) -> None:
        try:
            size = len(value.encode("utf-8")) if isinstance(value, str) else 0
        except UnicodeEncodeError:
            raise _fail(where, "a text of Unicode characters") from None
        if not 0 < size <= limit_bytes:
            raise _fail(where, f"a text of 1 to {limit_bytes} bytes")

    return check


def _integer(minimum: int) -> Shape:
    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _fail(where, "an integer")
        if not minimum <= value <= MAX_INTEGER:
            raise _fail(where, f"an integer of {minimum} to 2^53 - 1")

    return check


def _hex(size_bytes: int) -> Shape:
    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, str) or len(value) != 2 * size_bytes or not _HEX.fullmatch(value):
            raise _fail(where, f"{2 * size_bytes} lower-case hex digits")

    return check


def _term(claim: str) -> Shape:
    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, str):
            raise _fail(where, "a term")
        try:
            check_term(claim, value)
        except MalformedError:
            raise _fail(where, f"a term for {claim} in the vocabulary") from None

    return check


def _matching(pattern: re.Pattern[str], want: str) -> Shape:
    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise _fail(where, want)

    return check


def _list_of(shape: Shape, limit: int) -> Shape:
    """1 to ``limit`` items of ``shape``, none twice."""

    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, list) or not 0 < len(value) <= limit:
            raise _fail(where, f"an array of 1 to {limit} items")
        for index, item in enumerate(value):
            shape(item, f"{where}[{index}]")
            if item in value[:index]:
                raise _fail(where, "an array with each item once")

    return check


def _members(required: Mapping[str, Shape], optional: Mapping[str, Shape]) -> Shape:
    """An object with all of ``required``, some of ``optional``, at least one and no other."""
    shapes = {**required, **optional}

    def check(value: JsonValue, where: str) -> None:
        if not isinstance(value, dict) or not value:
            raise _fail(where, "an object with members")
        if not required.keys() <= value.keys() <= shapes.keys():
            raise _fail(where, f"an object with the members {', '.join(shapes)}")
        for name, member in value.items():
            shapes[name](member, f"{where}.{name}")

    return check


def _time(value: JsonValue, where: str) -> None:
    if not isinstance(value, str):
        raise _fail(where, "a time")
    try:
        parse_time(value)
    except MalformedError as error:
        raise MalformedError(f"claim {where}: {error}") from None


def _link(value: JsonValue, where: str) -> None:
    _LINK_MEMBERS(value, where)
    if isinstance(value, dict) and (value["seq"] == 1) != (value["prev"] is None):
        raise _fail(where, "first with prev null, or later with prev")


def _prev(value: JsonValue, where: str) -> None:
    if value is not None:
        _hex(64)(value, where)


def _period(value: JsonValue, where: str) -> None:
    _PERIOD_MEMBERS(value, where)
    if isinstance(value, dict) and isinstance(until := value.get("to"), str):
        begin = value["from"]
        # Order of texts = order of times, both being of one fixed form.
        if isinstance(begin, str) and until < begin:
            raise _fail(where, "a period that ends after it begins")


def _origin(value: JsonValue, where: str) -> None:
    _text(MAX_NAME_BYTES)(value, where)
    if isinstance(value, str) and _NOT_IN_ORIGIN.search(value):
        raise _fail(where, "an origin (no white space, no +)")


def _certificate(value: JsonValue, where: str) -> None:
    if not isinstance(value, str) or not 0 < len(value) <= MAX_CERTIFICATE_BYTES:
        raise _fail(where, f"base64 of 1 to {MAX_CERTIFICATE_BYTES} characters")
    parse_base64(value, f"claim {where}")


def _any_integer(value: JsonValue, where: str) -> None:
    _integer(-MAX_INTEGER)(value, where)


_NAME = _text(MAX_NAME_BYTES)
_TEXT = _text(MAX_TEXT_BYTES)
_PERSON = _members({"name": _NAME}, {"role": _NAME, "organisation": _NAME})
_LINK_MEMBERS = _members({"chain": _hex(16), "seq": _integer(1), "prev": _prev}, {})
_PERIOD_MEMBERS = _members({"from": _time}, {"to": _time})
_SIX_POINTS = ("source", "generation", "storage", "notarisation", "third_party", "corroboration")

CLAIMS: Final[Mapping[str, Shape]] = {
    "link": _link,
    "kind": _term("kind"),
    "stage": _term("stage"),
    "category": _term("category"),
    "article": _term("article"),
    "meaning": _term("meaning"),
    "trigger": _term("trigger"),
    "label": _NAME,
    "title": _NAME,
    "notebook": _NAME,
    "author": _PERSON,
    "persons": _list_of(_PERSON, MAX_ITEMS),
    "points": _list_of(_NAME, MAX_ITEMS),
    "captured_time": _time,
    "in_force": _period,
    "not_before": _list_of(_hex(32), MAX_NOT_BEFORE),
    "refs": _list_of(_members({"rel": _term("rel"), "entry": _hex(64)}, {}), MAX_ITEMS),
    "key": _matching(_THUMBPRINT, "an RFC 7638 thumbprint: base64url of 32 bytes"),
    "provenance": _members({}, dict.fromkeys(_SIX_POINTS, _TEXT)),
    "environment": _members(
        {},
        {
            "tool": _NAME,
            "tool_sha256": _hex(32),
            "os": _NAME,
            "user": _NAME,
            "host": _NAME,
            "clock_offset_ms": _any_integer,
        },
    ),
    "ledger": _origin,
    "predecessor": _members({"origin": _origin, "size": _integer(0), "root": _hex(32)}, {}),
    "certificate": _certificate,
    "note": _text(MAX_NOTE_BYTES),
}
"""Shapes of the claims at the top of a record, in the order they are disclosed.

``carrier`` stands beside them: its members are claims of their own.
"""

CARRIER_CLAIMS: Final[Mapping[str, Shape]] = {
    "name": _NAME,
    "size": _integer(0),
    "media_type": _matching(_MEDIA_TYPE, "a media type in lower case"),
    "mtime": _any_integer,
    "sha256": _hex(32),
    "sm3": _hex(32),
    "manifest": _members({"root": _hex(32), "count": _integer(1)}, {}),
    "parts": _members({"scheme": _term("scheme"), "root": _hex(32), "count": _integer(1)}, {}),
}
"""Shapes of the claims under ``carrier``. ``size`` in bytes, ``mtime`` in microseconds of Unix."""


def check_claim(name: str, value: JsonValue) -> None:
    """Returns when ``name`` is a claim other than ``carrier`` and ``value`` has its shape.

    Raises MalformedError for an unknown claim or another shape; the message has no value.
    """
    if name not in CLAIMS:
        raise MalformedError("record has a claim unknown to version 1")
    CLAIMS[name](value, name)


def check_carrier_claim(name: str, value: JsonValue) -> None:
    """Returns when ``name`` is a claim under ``carrier`` and ``value`` has its shape.

    Raises MalformedError for an unknown claim or another shape; the message has no value.
    """
    if name not in CARRIER_CLAIMS:
        raise MalformedError("carrier has a claim unknown to version 1")
    CARRIER_CLAIMS[name](value, f"carrier.{name}")
