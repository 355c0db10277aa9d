"""What a person may say of a carrier, and carriers of which only the digest is given."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from ledger.errors import MalformedError
from ledger.record.claims import check_carrier_claim, check_claim
from ledger.record.strict_json import JsonValue

MADE_HERE = frozenset(
    {"link", "notebook", "captured_time", "not_before", "ledger", "key", "predecessor"}
)
"""Claims that the vault makes, or that other commands are for: saying them would be lying."""

DIGEST_PREFIX = "sha256:"
"""How a carrier is named of which only the digest was given."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What the user says about a carrier. ``keep``: True, False, or None for the vault's limit.

    ``parts``: seal each piece of a file by itself, so that it can be shown alone: True, False, or
    None for what ``ledger.doors.pieces`` chooses by content. ``claims``: other claims than those
    with a name here, any but ``MADE_HERE``; members of ``environment`` are added to the vault's.
    """

    notebook: str
    kind: str = "carrier"
    stage: str | None = None
    title: str | None = None
    label: str | None = None
    note: str | None = None
    trigger: str = "manual"
    keep: bool | None = None
    parts: bool | None = None
    again: bool = False
    claims: Mapping[str, JsonValue] | None = None

    @property
    def said(self) -> dict[str, JsonValue]:
        """The claims it makes, those not said left out."""
        names = ("kind", "trigger", "notebook", "stage", "title", "label", "note")
        named: dict[str, Any] = {name: getattr(self, name) for name in names}  # Any: str or None
        return {
            **(self.claims or {}),
            **{name: said for name, said in named.items() if said is not None},
        }


def unsaid(wish: Wish, claims: Mapping[str, JsonValue]) -> tuple[str, ...]:
    """Names of what ``wish`` says beyond its defaults and a record of these ``claims`` does not.

    >>> unsaid(Wish("n", title="new", stage="final"), {"title": "old", "stage": "final"})
    ('title',)
    """
    default = Wish(wish.notebook).said
    return tuple(
        name
        for name, value in wish.said.items()
        if default.get(name) != value and not _says(claims.get(name), value)
    )


def _says(held: JsonValue, value: JsonValue) -> bool:
    """Whether ``held`` is ``value``, or an object or list with all its members."""
    if isinstance(held, dict) and isinstance(value, dict):
        return value.items() <= held.items()
    if isinstance(held, list) and isinstance(value, list):
        return all(one in held for one in value)
    return held == value


def check_wish(wish: Wish) -> None:
    """MalformedError if no record can hold what ``wish`` says, or it is not a person's to say."""
    for name, value in wish.said.items():
        check_claim(name, value)
    if made := sorted(MADE_HERE & (wish.claims or {}).keys()):
        hint = "leave it out: it is made with the record"
        raise MalformedError(f"claim {made[0]} is not yours to make", hint=hint)


@dataclass(frozen=True, slots=True)
class Unread:
    """A carrier that is not read here: the digest that somebody else computed, or none at all.

    ``sha256``: None where a record is about no carrier (an agreement by word, a note).
    MalformedError for a digest, name or size that no record can hold.
    """

    sha256: str | None = None
    name: str | None = None
    size: int | None = None

    def __post_init__(self) -> None:
        if self.sha256 is not None and len(self.sha256) != 64:
            text = f"digest has {len(self.sha256)} digits, want 64: a SHA-256 in hex"
            raise MalformedError(text, hint="sha256sum FILE prints it")
        for name, value in self.claims.items():
            check_carrier_claim(name, value)
        if self.sha256 is None and self.claims:
            raise MalformedError("a name or size is given of a carrier without a digest")

    @property
    def claims(self) -> dict[str, JsonValue]:
        """The claims under ``carrier``."""
        named: dict[str, JsonValue] = {
            "name": self.name,
            "size": self.size,
            "sha256": self.sha256,
        }
        return {name: value for name, value in named.items() if value is not None}

    @property
    def path(self) -> str | None:
        """What stands for its path in the vault, so that the same digest is found again."""
        return None if self.sha256 is None else DIGEST_PREFIX + self.sha256


def parse_unread(text: str, name: str | None = None, size: int | None = None) -> Unread:
    """The carrier of digest ``text``, with ``sha256:`` before it or not; MalformedError."""
    return replace(Unread(text.removeprefix(DIGEST_PREFIX).lower()), name=name, size=size)
