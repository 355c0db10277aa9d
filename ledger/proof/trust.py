"""The trust file: what one verifier believes, in TOML; nothing in a bundle ever adds to it.

    [time]
    k = 2                            # TSAs that must agree on an upper bound

    [[tsa]]
    name = "digicert"
    anchor = "552f7bdc…"             # SHA-256 of a root or intermediate certificate (DER)
    accuracy_default = 1             # seconds, where the token states none
    valid_from = 2020-01-01T00:00:00Z
    valid_to = 2031-11-09T23:59:59Z

    [[author]]
    key = "…"                        # RFC 7638 thumbprint
    name = "Li Wei"

    tlog = '''                       # a c2sp.org/tlog-policy, unchanged
    log <vkey>
    '''

Unknown keys are refused: a misspelt restriction must never become a missing one.
"""

import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any, TypeVar

from ledger.errors import MalformedError
from ledger.proof.verdict import STEPS
from ledger.tlog.policy import NO_QUORUM, Policy, parse_policy

MAX_TRUST_BYTES = 1 << 20
"""A trust file is written by people; a megabyte is far beyond any honest one."""

DEFAULT_K = 2
DEFAULT_ACCURACY = timedelta(seconds=1)
"""Where neither token nor trust file says: the bound ETSI EN 319 421 puts on every TSA."""

T = TypeVar("T")

_HEX32 = re.compile(r"[0-9a-f]{64}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,39}")
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")

WEAK_DIGESTS = ("sha1", "sha256", "sha384", "sha512", "sm3")
WEAK_SIGNATURES = ("rsa", "rsa-pkcs1", "rsa-pss", "ecdsa", "ed25519", "sm2")
WEAK_WORDS = frozenset({*WEAK_DIGESTS, *WEAK_SIGNATURES})
"""What ``[[weak]] algorithm`` may name. Others are refused: they would restrict nothing."""

_SPELLINGS = (
    ("rsassa_pkcs1v15", "rsa-pkcs1"),
    ("rsassa_pss", "rsa-pss"),
    ("_rsa", "-rsa-pkcs1"),
    ("_", "-"),
)
"""asn1crypto's names of signature algorithms (sha256_rsa) in ours (sha256-rsa-pkcs1)."""


@dataclass(frozen=True, slots=True)
class TrustedTsa:
    """A pinned anchor of a time-stamping authority, and the limits put on it.

    Several anchors under one ``name`` are one authority, which counts once towards k.

    ``anchor``: SHA-256 of the DER of a root or intermediate. ``signer_spki``: SHA-256 of the one
    signer key accepted, if pinned. ``development``: the anchor of a development TSA, whose times
    prove nothing and say so wherever they are shown.
    """

    name: str
    anchor: bytes
    url: str | None = None
    policy_oid: str | None = None
    signer_spki: bytes | None = None
    accuracy_default: timedelta = DEFAULT_ACCURACY
    valid_from: datetime | None = None
    valid_to: datetime | None = None
    development: bool = False


@dataclass(frozen=True, slots=True)
class WeakFrom:
    """From ``moment`` on, tokens that rest on ``algorithm`` (of WEAK_WORDS) are not counted."""

    algorithm: str
    moment: datetime


@dataclass(frozen=True, slots=True)
class Trust:
    """A parsed trust file. ``sha256`` identifies its bytes in every verdict.

    ``roots``: DER of certificates the verifier holds beside it (``ledger.proof.roots``), so that a
    bundle without a TSA's root can be checked. Like any other, one is an anchor only if pinned.
    """

    tsas: tuple[TrustedTsa, ...] = ()
    k: int = DEFAULT_K
    require: tuple[str, ...] = ()
    weak: tuple[WeakFrom, ...] = ()
    authors: tuple[tuple[str, str], ...] = ()
    policy: Policy | None = None
    sha256: str = ""
    roots: tuple[bytes, ...] = ()

    def author(self, thumbprint: str) -> str | None:
        """The name the verifier gives to a key, or None."""
        return dict(self.authors).get(thumbprint)

    def tsa_of(self, anchor: bytes) -> TrustedTsa | None:
        """The TSA whose pinned anchor is this certificate (DER), or None."""
        digest = hashlib.sha256(anchor).digest()
        return next((tsa for tsa in self.tsas if tsa.anchor == digest), None)

    @property
    def required_steps(self) -> tuple[str, ...]:
        """What it requires in words, and what its policy does: a quorum asks for cosignatures."""
        if self.policy is None or self.policy.quorum == NO_QUORUM:
            return self.require
        return tuple(dict.fromkeys([*self.require, "cosignatures"]))


def algorithm_words(names: Iterable[str]) -> frozenset[str]:
    """The WEAK_WORDS in algorithm names such as ``ecdsa-sha256`` or asn1crypto's ``sha256_rsa``.

    >>> sorted(algorithm_words(["sha256_rsa", "ecdsa-sha384"]))
    ['ecdsa', 'rsa', 'rsa-pkcs1', 'sha256', 'sha384']
    """
    found: set[str] = set()
    for name in names:
        spelled = name.lower()
        for theirs, ours in _SPELLINGS:
            spelled = spelled.replace(theirs, ours)
        parts = spelled.split("-")
        found |= {*parts, *map("-".join, pairwise(parts))}
    return WEAK_WORDS & found


def parse_trust(content: bytes) -> Trust:
    """The trust file in ``content``; MalformedError if anything in it is not understood."""
    if len(content) > MAX_TRUST_BYTES:
        raise MalformedError(f"trust file has {len(content)} bytes, want at most {MAX_TRUST_BYTES}")
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        # ValueError: bytes that are not UTF-8, text that is not TOML, a number of 5000 digits.
        raise MalformedError(f"trust file is not TOML: {error}") from error
    _only(table, {"tlog", "tsa", "time", "require", "weak", "author"}, "trust file")
    tsas = tuple(_tsa(item) for item in _tables(table, "tsa"))
    _distinct([tsa.anchor.hex() for tsa in tsas], "tsa anchor")
    authors = tuple(_author(item) for item in _tables(table, "author"))
    _distinct([key for key, _ in authors], "author key")
    policy = _get(table, "tlog", str)
    return Trust(
        tsas=tsas,
        k=_k(table),
        require=_require(table),
        weak=tuple(_weak(item) for item in _tables(table, "weak")),
        authors=authors,
        policy=None if policy is None else _policy(policy),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def _policy(text: str) -> Policy:
    policy = parse_policy(text)
    _distinct([f"{log.key.name}+{log.key.key_id.hex()}" for log in policy.logs], "log key ID")
    return policy


def _k(table: Mapping[str, Any]) -> int:
    time = _get(table, "time", dict) or {}
    _only(time, {"k"}, "[time]")
    k = _get(time, "k", int)
    if k is None:
        return DEFAULT_K
    if not 1 <= k <= 16:
        raise MalformedError(f"[time] k is {k}, want 1 to 16")
    return int(k)


def _require(table: Mapping[str, Any]) -> tuple[str, ...]:
    names: list[Any] = _get(table, "require", list) or []
    steps = {step.removeprefix("checkpoint."): step for step in STEPS} | {s: s for s in STEPS}
    for name in names:
        if not isinstance(name, str) or name not in steps:
            raise MalformedError(f"require names {name!r}, want one of {', '.join(STEPS)}")
    return tuple(dict.fromkeys(steps[name] for name in names))


def _tsa(item: Mapping[str, Any]) -> TrustedTsa:
    _only(
        item,
        {
            "name",
            "anchor",
            "url",
            "policy_oid",
            "signer_spki",
            "accuracy_default",
            "valid_from",
            "valid_to",
            "development",
        },
        "[[tsa]]",
    )
    accuracy = _get(item, "accuracy_default", int)
    if accuracy is not None and not 0 <= accuracy <= 86400:
        raise MalformedError(f"accuracy_default is {accuracy} seconds, want 0 to 86400")
    spki = _matching(item, "signer_spki", _HEX32)
    begin, end = _moment(item, "valid_from"), _moment(item, "valid_to")
    if begin is not None and end is not None and end < begin:
        raise MalformedError("valid_to is before valid_from")
    return TrustedTsa(
        name=_needed(_matching(item, "name", _NAME), "[[tsa]] name"),
        anchor=bytes.fromhex(_needed(_matching(item, "anchor", _HEX32), "[[tsa]] anchor")),
        url=_get(item, "url", str),
        policy_oid=_matching(item, "policy_oid", _OID),
        signer_spki=None if spki is None else bytes.fromhex(spki),
        accuracy_default=DEFAULT_ACCURACY if accuracy is None else timedelta(seconds=accuracy),
        valid_from=begin,
        valid_to=end,
        development=bool(_get(item, "development", bool)),
    )


def _weak(item: Mapping[str, Any]) -> WeakFrom:
    _only(item, {"algorithm", "from"}, "[[weak]]")
    algorithm: str = _needed(_get(item, "algorithm", str), "[[weak]] algorithm")
    if algorithm not in WEAK_WORDS:
        words = ", ".join(sorted(WEAK_WORDS))
        raise MalformedError(f"[[weak]] algorithm is {algorithm!r}, want one of {words}")
    return WeakFrom(algorithm, _needed(_moment(item, "from"), "[[weak]] from"))


def _author(item: Mapping[str, Any]) -> tuple[str, str]:
    _only(item, {"key", "name"}, "[[author]]")
    key = _needed(_matching(item, "key", _THUMBPRINT), "[[author]] key")
    return key, _needed(_get(item, "name", str), "[[author]] name")


def _only(table: Mapping[str, Any], known: set[str], where: str) -> None:
    unknown = sorted(set(table) - known)
    if unknown:
        raise MalformedError(f"{where} has unknown key {unknown[0]!r}")


def _tables(table: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    items: list[Any] = _get(table, name, list) or []
    if not all(isinstance(item, dict) for item in items):
        raise MalformedError(f"{name} is not a list of tables: write [[{name}]]")
    return items


def _get(table: Mapping[str, Any], name: str, kind: type) -> Any:  # noqa: ANN401 - by ``kind``
    value = table.get(name)
    # bool is an int in Python; `k = true` must not read as 1.
    if value is not None and (not isinstance(value, kind) or (kind is int) is not _plain(value)):
        raise MalformedError(f"{name} is {type(value).__name__}, want {kind.__name__}")
    return value


def _plain(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _matching(table: Mapping[str, Any], name: str, pattern: re.Pattern[str]) -> str | None:
    value: str | None = _get(table, name, str)
    if value is not None and not pattern.fullmatch(value):
        raise MalformedError(f"{name} is {value!r}, want {pattern.pattern}")
    return value


def _moment(table: Mapping[str, Any], name: str) -> datetime | None:
    value = table.get(name)
    if value is None:
        return None
    if not isinstance(value, datetime):
        kind = type(value).__name__
        raise MalformedError(f"{name} is {kind}, want a time: 2025-01-01T00:00:00Z without quotes")
    if value.tzinfo is None:
        raise MalformedError(f"{name} has no time zone: end it in Z")
    return value


def _needed(value: T | None, what: str) -> T:
    if value is None:
        raise MalformedError(f"{what} is missing")
    return value


def _distinct(values: list[str], what: str) -> None:
    seen: set[str] = set()
    for value in values:
        if value in seen:
            raise MalformedError(f"{what} occurs twice: {value}")
        seen.add(value)
