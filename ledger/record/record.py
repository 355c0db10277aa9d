"""A record: a signed SD-JWT each of whose claims can be disclosed or withheld alone.

The open payload is exactly ``{"v":1,"_sd_alg":"sha-256","_sd":[…]}``; every claim is behind a
digest, and decoys fill the digests up to 32 (``carrier._sd``: 12), so that neither the open part
nor the length of J tells anything about the claims. What a ledger sees is the **entry** alone:

    entry = SHA-256(J) ‖ SM3(J)                                                        64 bytes

>>> len(entry_of("e30.e30.e30"))
64

Narrowing (``disclose``) never touches J, so entry and signature stay. Whether the entry is in a
ledger, and whose key signed, is left to the rooms above.
"""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from operator import ge
from types import MappingProxyType
from typing import Final

from cryptography.hazmat.primitives import hashes

from ledger.errors import MalformedError, NotFoundError
from ledger.record.claims import CARRIER_CLAIMS, CLAIMS, check_carrier_claim, check_claim
from ledger.record.rfc4648 import encode_base64url
from ledger.record.sdjwt import (
    MAX_SDJWT_BYTES,
    SALT_BYTES,
    Disclosure,
    Jwt,
    RandomBytes,
    SdJwt,
    SigningKey,
    check_jwt,
    format_sdjwt,
    make_disclosure,
    parse_jwt,
    parse_sdjwt,
    sign_jwt,
)
from ledger.record.strict_json import JsonValue

VERSION: Final = 1
ENTRY_BYTES: Final = 64
RECORD_DIGESTS: Final = 32  # the claims there are, with room for as many again
CARRIER_DIGESTS: Final = 12
DIGEST_STEP: Final = 16  # beyond these, digests come in multiples of it
COVER_PREFIX: Final = b"tallystick/cover/v1\n"

HEARTBEAT: Final = timedelta(days=1)
"""A day: an outage is seen to the day, and no TSA is asked more often for it than it would be."""

_DIGEST = re.compile("[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]")  # 32 bytes; two spare bits are zero
_PAYLOAD_KEYS = {"v", "_sd_alg", "_sd"}


@dataclass(frozen=True, slots=True)
class Link:
    """A record's place in its chain. ``chain``: 32 hex digits; ``seq``: from 1 on.

    ``prev``: the previous record's entry in 128 hex digits, None for the first.
    """

    chain: str
    seq: int
    prev: str | None

    def __post_init__(self) -> None:
        try:
            check_claim("link", {"chain": self.chain, "seq": self.seq, "prev": self.prev})
        except MalformedError as error:
            raise ValueError(str(error)) from None


@dataclass(frozen=True, slots=True)
class Record:
    """A record as far as it is opened.

    ``jwt``: its J, read; ``claims``: the opened claims but ``carrier``; ``carrier``: the opened
    claims under it (empty also when it is withheld); ``link``: the claim of that name, None when
    withheld; ``entry``: 64 bytes.
    """

    sdjwt: SdJwt
    jwt: Jwt
    claims: Mapping[str, JsonValue]
    carrier: Mapping[str, JsonValue]
    link: Link | None
    entry: bytes

    @property
    def thumbprint(self) -> str:
        """Of the key in J's header (RFC 7638)."""
        return self.jwt.key.thumbprint


def issue_record(
    claims: Mapping[str, JsonValue],
    carrier: Mapping[str, JsonValue],
    key: SigningKey,
    random_bytes: RandomBytes,
) -> SdJwt:
    """The record of ``claims`` and ``carrier`` (none when empty), signed, everything disclosed.

    Each claim gets 128 fresh bits of salt from ``random_bytes``, each decoy 256. For one kind of
    key J has the same length whatever the claims. Disclosures stand in the order of the tables.
    Raises ValueError for an unknown claim, another shape, or more than MAX_SDJWT_BYTES in all.
    """
    try:
        for name, value in claims.items():
            check_claim(name, value)
        for name, value in carrier.items():
            check_carrier_claim(name, value)
    except MalformedError as error:
        raise ValueError(str(error)) from None

    def disclose_one(name: str, value: JsonValue) -> Disclosure:
        return make_disclosure(name, value, random_bytes(SALT_BYTES))

    top = [disclose_one(name, claims[name]) for name in CLAIMS if name in claims]
    below = [disclose_one(name, carrier[name]) for name in CARRIER_CLAIMS if name in carrier]
    if below:
        top.append(disclose_one("carrier", {"_sd": _digests(below, CARRIER_DIGESTS, random_bytes)}))
    payload: dict[str, JsonValue] = {
        "v": VERSION,
        "_sd_alg": "sha-256",
        "_sd": _digests(top, RECORD_DIGESTS, random_bytes),
    }
    sdjwt = SdJwt(sign_jwt(payload, key), (*top, *below))
    if len(format_sdjwt(sdjwt)) > MAX_SDJWT_BYTES:
        raise ValueError(f"record is larger than {MAX_SDJWT_BYTES} bytes")
    return sdjwt


def parse_record(b: bytes) -> Record:
    """The record in ``b``, as far as it is opened. Its signature is not checked (``check_record``).

    Raises MalformedError unless J and every disclosure are in the format: the exact open payload,
    each disclosure's digest once in the whole SD-JWT and in its place, nested ones only with their
    parent, each claim known, once and of its shape (RFC 9901 §7.1 steps 3 to 5).
    """
    sdjwt = parse_sdjwt(b)
    return open_record(sdjwt, parse_jwt(sdjwt.jwt))


def open_record(sdjwt: SdJwt, jwt: Jwt) -> Record:
    """The record of ``sdjwt`` whose J is ``jwt``: what ``parse_record`` checks after reading both.

    Raises MalformedError unless every disclosure is in its place, of a known claim and its shape.
    """
    claims: dict[str, JsonValue] = {}
    carrier: dict[str, JsonValue] = {}
    for path, disclosure in zip(_place(sdjwt, jwt.payload), sdjwt.disclosures, strict=True):
        if path != disclosure.name:
            check_carrier_claim(disclosure.name, disclosure.value)
            carrier[disclosure.name] = disclosure.value
        elif path != "carrier":
            check_claim(path, disclosure.value)
            claims[path] = disclosure.value
    return Record(
        sdjwt,
        jwt,
        MappingProxyType(claims),
        MappingProxyType(carrier),
        _link_of(claims.get("link")),
        entry_of(sdjwt.jwt),
    )


def check_record(record: Record) -> None:
    """Returns when the key in J's header signed J; whose key that is, is not asked.

    Raises VerificationError otherwise.
    """
    check_jwt(record.jwt)


def entry_of(jwt: str) -> bytes:
    """The entry of J: SHA-256 then SM3 of its ASCII bytes, 64 bytes."""
    return _entry(jwt.encode("ascii"))


def cover_entry(random32: bytes) -> bytes:
    """The entry that stands for nothing: the same hashes over the cover prefix and ``random32``.

    Whoever keeps ``random32`` can show that no record hides behind it.
    Raises ValueError unless ``random32`` is 32 bytes.
    """
    if len(random32) != 32:
        raise ValueError(f"cover has {len(random32)} random bytes, want 32")
    return _entry(COVER_PREFIX + random32)


def heartbeat_due(latest: datetime | None, now: datetime) -> bool:
    """Whether a cover entry is due: no entry, the ``latest`` of which is known, for ``HEARTBEAT``.

    A ledger in which nothing is anchored so shows that it ran. ``latest`` far ahead of ``now``
    comes from a clock that was wrong, and must not silence the heartbeat for years.
    """
    return latest is None or abs(now - latest) >= HEARTBEAT


def claim_names(sdjwt: SdJwt) -> tuple[str, ...]:
    """The names of the opened claims, in the order of the disclosures; ``carrier.x`` below carrier.

    Raises MalformedError when digests and disclosures do not fit (see ``parse_record``).
    """
    return _place(sdjwt, parse_jwt(sdjwt.jwt).payload)


def disclose(sdjwt: SdJwt, names: Collection[str]) -> SdJwt:
    """``sdjwt`` with only the claims ``names`` left open; J stays as it is.

    ``carrier`` is kept with any ``carrier.x``; alone it opens no claim.
    Raises NotFoundError for a name not open in ``sdjwt``, MalformedError as ``claim_names`` does.
    """
    have = claim_names(sdjwt)
    missing = sorted(set(names) - set(have))
    if missing:
        raise NotFoundError(f"record has no open claim {missing[0]}")
    wanted = set(names)
    if any(name.startswith("carrier.") for name in wanted):
        wanted.add("carrier")
    kept = (one for name, one in zip(have, sdjwt.disclosures, strict=True) if name in wanted)
    return SdJwt(sdjwt.jwt, tuple(kept))


def sm3_of(message: bytes) -> bytes:
    """SM3 of ``message``, 32 bytes (GB/T 32905-2016)."""
    sm3 = hashes.Hash(hashes.SM3())
    sm3.update(message)
    return sm3.finalize()


def _entry(message: bytes) -> bytes:
    return sha256(message).digest() + sm3_of(message)


def _link_of(value: JsonValue) -> Link | None:
    """The link in a claim whose shape is already checked."""
    if not isinstance(value, dict):
        return None
    chain, seq, prev = value["chain"], value["seq"], value["prev"]
    if not isinstance(chain, str) or not isinstance(seq, int):
        return None
    return Link(chain, seq, prev if isinstance(prev, str) else None)


def _wanted_digests(count: int, least: int) -> int:
    """How many digests ``count`` claims are padded to: ``least``, then multiples of 16."""
    return least if count <= least else -(-count // DIGEST_STEP) * DIGEST_STEP


def _digests(
    disclosures: Sequence[Disclosure], least: int, random_bytes: RandomBytes
) -> list[JsonValue]:
    """The digests of ``disclosures`` among decoys, sorted (RFC 9901 §4.2.5, §4.2.4.1)."""
    decoys = _wanted_digests(len(disclosures), least) - len(disclosures)
    digests = [disclosure.digest for disclosure in disclosures]
    digests += [encode_base64url(sha256(random_bytes(32)).digest()) for _ in range(decoys)]
    return [*sorted(digests)]


def _read_digests(value: JsonValue, least: int, where: str) -> list[str]:
    """The digests in an ``_sd``: 32 bytes each, sorted, none twice, of the number padding makes."""
    if not isinstance(value, list) or len(value) != _wanted_digests(len(value), least):
        raise MalformedError(
            f"{where} is not {least} digests or a larger multiple of {DIGEST_STEP}"
        )
    digests = [digest for digest in value if isinstance(digest, str)]
    if len(digests) != len(value) or not all(map(_DIGEST.fullmatch, digests)):
        raise MalformedError(f"{where} has a digest that is not 32 bytes of base64url")
    if any(map(ge, digests, digests[1:])):
        raise MalformedError(f"{where} is not sorted with each digest once")
    return digests


def _place(sdjwt: SdJwt, payload: dict[str, JsonValue]) -> tuple[str, ...]:
    """The path (``kind``, ``carrier.sha256``) of each disclosure of ``sdjwt``.

    RFC 9901 §7.1 steps 3 to 5, for a payload with one object in which claims can be: ``carrier``.
    """
    if payload.keys() != _PAYLOAD_KEYS or payload["_sd_alg"] != "sha-256":
        raise MalformedError('open payload is not exactly {"v", "_sd_alg", "_sd"} with sha-256')
    if payload["v"] != VERSION or isinstance(payload["v"], bool):
        raise MalformedError(f"record has another version, want {VERSION}")
    top = _read_digests(payload["_sd"], RECORD_DIGESTS, "_sd")
    digests = [disclosure.digest for disclosure in sdjwt.disclosures]
    below: list[str] = []
    for digest, disclosure in zip(digests, sdjwt.disclosures, strict=True):
        if disclosure.name == "carrier" and digest in top:
            below = _carrier_digests(disclosure.value)
            break
    places = dict.fromkeys(top, "") | dict.fromkeys(below, "carrier.")
    if len(places) != len(top) + len(below):
        raise MalformedError("a digest stands both in _sd and in carrier._sd")
    paths = []
    for number, (digest, disclosure) in enumerate(zip(digests, sdjwt.disclosures, strict=True), 1):
        if digest not in places:
            raise MalformedError(f"disclosure {number} belongs to no digest that is shown")
        paths.append(places[digest] + disclosure.name)
    _check_each_once(sdjwt, paths)
    return tuple(paths)


def _carrier_digests(value: JsonValue) -> list[str]:
    if not isinstance(value, dict) or value.keys() != {"_sd"}:
        raise MalformedError('claim carrier is not exactly {"_sd"}')
    return _read_digests(value["_sd"], CARRIER_DIGESTS, "carrier._sd")


def _check_each_once(sdjwt: SdJwt, paths: Sequence[str]) -> None:
    if len(set(paths)) != len(paths):
        raise MalformedError("record has a claim twice")
    if len({disclosure.salt for disclosure in sdjwt.disclosures}) != len(paths):
        raise MalformedError("record has a salt twice")
