"""Which logs and witnesses a verifier believes (c2sp.org/tlog-policy).

    log <vkey> [<url>]
    witness <name> <vkey> [<url>]
    group <name> all|any|<k> <member>…
    quorum <name>|none

Two rules are stricter than the specification. A log signs with Ed25519 (0x01) or ML-DSA-44
(0x06), a witness with their cosignatures (0x04, 0x06). And no witness has a log's key: what a log
says about itself never counts as somebody else's word. Time is not in the policy's scope.

Two log lines of one name with keys of different types are one log that signs twice; they are two
``LogKey`` values here, and who needs the log looks for its name.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from ledger.errors import MalformedError
from ledger.tlog.note import (
    COSIGNATURE_ED25519,
    COSIGNATURE_ML_DSA_44,
    ED25519,
    NoteKey,
    format_vkey,
    parse_vkey,
)
from ledger.tlog.text import parse_decimal

MAX_POLICY_CHARACTERS = 1 << 20
"""Written by people. The 32 logs and 32 witnesses that must fit are 120 kB with ML-DSA-44."""

NO_QUORUM = "none"
"""The predefined name: no cosignature is required."""

LOG_TYPES = frozenset({ED25519, COSIGNATURE_ML_DSA_44})
WITNESS_TYPES = frozenset({COSIGNATURE_ED25519, COSIGNATURE_ML_DSA_44})

_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")
_WHITE = re.compile(r"[ \t]+")
_WORD = re.compile(r"[^\x00-\x20\x7f\ud800-\udfff]+")


@dataclass(frozen=True, slots=True)
class LogKey:
    """One key of a log; the log's origin is the key's name."""

    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Witness:
    """A witness. ``name`` is the policy's own; the name in its cosignatures is ``key.name``."""

    name: str
    key: NoteKey
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Group:
    """Has witnessed when at least ``threshold`` of its ``members`` have; 1 <= threshold <= n."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A parsed policy; each part in the order of its lines.

    ``quorum``: the name of a witness or group, or "none". ValueError if a name is defined twice
    or used before it is defined, a member is listed twice, a key is used twice or has a type that
    does not fit, a threshold is out of range, or a name or URL is not one word.
    """

    logs: tuple[LogKey, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def __post_init__(self) -> None:
        _require_keys(self.logs, self.witnesses)
        for url in [*(log.url for log in self.logs), *(w.url for w in self.witnesses)]:
            if url is not None:
                _require_word(url)
        defined: set[str] = set()
        for witness in self.witnesses:
            _define(witness.name, defined)
        used: set[str] = set()
        for group in self.groups:
            _require_group(group, defined, used)
            _define(group.name, defined)
        if self.quorum != NO_QUORUM and self.quorum not in defined:
            raise ValueError(f"quorum {self.quorum!r} is not defined")


def parse_policy(text: str) -> Policy:
    """The policy in ``text``. Raises MalformedError for anything that is not understood."""
    if len(text) > MAX_POLICY_CHARACTERS:
        raise MalformedError(f"policy is longer than {MAX_POLICY_CHARACTERS} characters")
    if _FORBIDDEN.search(text):
        raise MalformedError("policy has a control character other than tab and newline")
    if not text.endswith("\n"):
        raise MalformedError("policy does not end in a newline")
    parser = _Parser()
    for number, line in enumerate(text[:-1].split("\n"), start=1):
        words = [word for word in _WHITE.split(line) if word]
        if words and not words[0].startswith("#"):
            try:
                parser.take(words)
            except (MalformedError, ValueError) as error:
                raise MalformedError(f"policy line {number}: {error}") from error
    return parser.policy()


def format_policy(policy: Policy) -> str:
    """``policy`` as text, without comments; ``parse_policy`` gives an equal policy back."""
    lines = [_join("log", format_vkey(log.key), log.url) for log in policy.logs]
    lines += [_join("witness", w.name, format_vkey(w.key), w.url) for w in policy.witnesses]
    lines += [_join("group", g.name, str(g.threshold), *g.members) for g in policy.groups]
    return "".join(f"{line}\n" for line in [*lines, f"quorum {policy.quorum}"])


def quorum_met(policy: Policy, names: Collection[str]) -> bool:
    """Whether cosignatures by the witnesses ``names`` satisfy the policy's quorum.

    ``names``: names that the policy gives its witnesses, of those whose cosignature has been
    checked. ValueError for a name that is not a witness of the policy.
    """
    unknown = set(names) - {witness.name for witness in policy.witnesses}
    if unknown:
        raise ValueError(f"{min(unknown)!r} is not a witness of the policy")
    met = set(names)
    for group in policy.groups:  # each refers only to what was defined before it
        if sum(member in met for member in group.members) >= group.threshold:
            met.add(group.name)
    return policy.quorum == NO_QUORUM or policy.quorum in met


class _Parser:
    """Collects the lines; order between kinds of lines is checked as they come."""

    def __init__(self) -> None:
        self.logs: list[LogKey] = []
        self.witnesses: list[Witness] = []
        self.groups: list[Group] = []
        self.quorum: str | None = None
        self.defined: set[str] = set()

    def take(self, words: list[str]) -> None:
        """One line's words."""
        match words:
            case ["log", vkey, *url] if len(url) <= 1:
                self.logs.append(LogKey(parse_vkey(vkey), *url))
            case ["witness", name, vkey, *url] if len(url) <= 1:
                _define(name, self.defined)
                self.witnesses.append(Witness(name, parse_vkey(vkey), *url))
            case ["group", name, threshold, *members] if members:
                self._require_defined(*members)
                _define(name, self.defined)
                self.groups.append(Group(name, _threshold(threshold, members), tuple(members)))
            case ["quorum", name]:
                if self.quorum is not None:
                    raise MalformedError("a second quorum line")
                if name != NO_QUORUM:
                    self._require_defined(name)
                self.quorum = name
            case _:
                raise MalformedError(f"{words[0][:40]!r} line is not understood")

    def policy(self) -> Policy:
        """The policy of the lines taken."""
        if self.quorum is None:
            raise MalformedError("policy has no quorum line")
        try:
            return Policy(tuple(self.logs), tuple(self.witnesses), tuple(self.groups), self.quorum)
        except ValueError as error:
            raise MalformedError(f"policy: {error}") from error

    def _require_defined(self, *names: str) -> None:
        for name in names:
            if name not in self.defined:
                raise MalformedError(f"{name!r} is not defined on a line above")


def _threshold(text: str, members: list[str]) -> int:
    if text == "any":
        return 1
    return len(members) if text == "all" else parse_decimal(text, "threshold")


def _require_word(word: str) -> None:
    if _WORD.fullmatch(word) is None:
        raise ValueError(f"{word!r} is not one word")


def _define(name: str, defined: set[str]) -> None:
    _require_word(name)
    if name == NO_QUORUM or name in defined:
        raise ValueError(f"name {name!r} is already defined")
    defined.add(name)


def _require_group(group: Group, defined: set[str], used: set[str]) -> None:
    for member in group.members:
        if member not in defined:
            raise ValueError(f"{member!r} is not defined before group {group.name!r}")
        if member in used:
            raise ValueError(f"{member!r} is a member twice")
        used.add(member)
    if not 1 <= group.threshold <= len(group.members):
        raise ValueError(
            f"threshold of group {group.name!r} is {group.threshold}, "
            f"want 1 to {len(group.members)}"
        )


def _require_keys(logs: Collection[LogKey], witnesses: Collection[Witness]) -> None:
    # Two vkeys are duplicates if they wrap the same public key, whatever their names.
    seen: set[bytes] = set()
    for key, types, kind in [
        *((log.key, LOG_TYPES, "log") for log in logs),
        *((witness.key, WITNESS_TYPES, "witness") for witness in witnesses),
    ]:
        if key.type not in types:
            raise ValueError(f"signature type {key.type:#04x} is not for a {kind}")
        if key.public_key in seen:
            raise ValueError(f"the key of {kind} {key.name!r} is there twice")
        seen.add(key.public_key)


def _join(*words: str | None) -> str:
    return " ".join(word for word in words if word is not None)
