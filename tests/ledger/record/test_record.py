import json
import re
from collections.abc import Callable
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from ledger.errors import MalformedError, NotFoundError, VerificationError
from ledger.record.record import (
    CARRIER_DIGESTS,
    RECORD_DIGESTS,
    Link,
    Record,
    check_record,
    claim_names,
    cover_entry,
    disclose,
    entry_of,
    issue_record,
    parse_record,
)
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.sdjwt import (
    Disclosure,
    SdJwt,
    SigningKey,
    format_sdjwt,
    make_disclosure,
    parse_jwt,
    sign_jwt,
)
from ledger.record.strict_json import JsonValue

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
KEYS = [pytest.param(ED25519, id="Ed25519"), pytest.param(P256, id="ES256")]

CHAIN, ENTRY, DIGEST = "0f" * 16, "0f" * 64, "0f" * 32
CLAIMS: dict[str, JsonValue] = {
    "link": {"chain": CHAIN, "seq": 2, "prev": ENTRY},
    "kind": "carrier",
    "stage": "interim-result",
    "title": "第12批 配方",
    "author": {"name": "李", "role": "engineer"},
    "captured_time": "2026-11-22T12:06:01Z",
    "not_before": [DIGEST],
    "refs": [{"rel": "wasRevisionOf", "entry": ENTRY}],
    "note": "canary",
}
CARRIER: dict[str, JsonValue] = {
    "name": "第12批.xlsx",
    "size": 4096,
    "mtime": 1_700_000_000_000_000,
    "sha256": DIGEST,
    "manifest": {"root": DIGEST, "count": 3},
}


def draws() -> Callable[[int], bytes]:
    """Random bytes that are the same in every run, and never the same twice in one."""
    numbers = count()
    return lambda size: (sha256(str(next(numbers)).encode()).digest() * (size // 32 + 1))[:size]


def issue(
    claims: dict[str, JsonValue] = CLAIMS,
    carrier: dict[str, JsonValue] = CARRIER,
    key: SigningKey = ED25519,
) -> SdJwt:
    return issue_record(claims, carrier, key, draws())


def digests_of(jwt: str) -> Any:
    return parse_jwt(jwt).payload["_sd"]


def forge(
    top: list[Disclosure],
    *shown: Disclosure,
    digests: list[Any] | None = None,
    **payload: JsonValue,
) -> bytes:
    """A well-signed record over the digests of `top` and decoys, showing `shown` or `top`."""
    if digests is None:
        digests = pad([one.digest for one in top], RECORD_DIGESTS)
    body = {"v": 1, "_sd_alg": "sha-256", "_sd": digests, **payload}
    return format_sdjwt(SdJwt(sign_jwt(body, ED25519), shown or tuple(top)))


def pad(digests: list[str], least: int) -> list[Any]:
    decoys = [encode_base64url(sha256(bytes([i])).digest()) for i in range(least)]
    return sorted(digests + decoys[: least - len(digests)])


def opened(name: str, value: JsonValue, salt: int = 0) -> Disclosure:
    return make_disclosure(name, value, sha256(f"{name}{salt}".encode()).digest()[:16])


KIND = opened("kind", "carrier")


@pytest.mark.parametrize("key", KEYS)
def test_issued_record_is_parsed_and_checked(key: SigningKey) -> None:
    sdjwt = issue(key=key)
    record = parse_record(format_sdjwt(sdjwt))
    check_record(record)
    assert record.claims == CLAIMS
    assert record.carrier == CARRIER
    assert record.link == Link(CHAIN, 2, ENTRY)
    assert record.entry == entry_of(sdjwt.jwt)
    assert record.sdjwt == sdjwt
    assert len(decode_base64url(record.thumbprint)) == 32


def test_open_part_is_exactly_version_algorithm_and_32_sorted_digests() -> None:
    header = json.loads(decode_base64url(issue().jwt.split(".")[0]))
    assert header.keys() == {"alg", "typ", "jwk"}
    payload = parse_jwt(issue().jwt).payload
    assert payload.keys() == {"v", "_sd_alg", "_sd"}
    assert (payload["v"], payload["_sd_alg"]) == (1, "sha-256")
    digests = digests_of(issue().jwt)
    assert len(digests) == RECORD_DIGESTS == 32
    assert digests == sorted(set(digests))
    carrier = next(one for one in issue().disclosures if one.name == "carrier").value
    assert isinstance(carrier, dict)
    assert len(carrier["_sd"]) == CARRIER_DIGESTS == 12  # type: ignore[arg-type]  # a list


@pytest.mark.parametrize("key", KEYS)
def test_length_of_j_tells_nothing_of_the_claims(key: SigningKey) -> None:
    lengths = {
        len(issue(claims, carrier, key).jwt)
        for claims in ({}, {"kind": "note"}, {"note": "n" * 60_000}, CLAIMS)
        for carrier in ({}, {"size": 1}, CARRIER)
    }
    assert len(lengths) == 1


def test_no_claim_stands_in_j_and_no_salt_twice() -> None:
    sdjwt = issue()
    header, payload, _ = (decode_base64url(part) for part in sdjwt.jwt.split("."))
    for word in (b"canary", b"carrier", b"link", b"note", "配方".encode()):
        assert word not in header + payload
    salts = [one.salt for one in sdjwt.disclosures]
    assert len(set(salts)) == len(salts) == len(CLAIMS) + 1 + len(CARRIER)


def test_guessed_content_is_not_found_in_j_without_the_salt() -> None:
    guess = opened("note", "13800000000")
    assert guess.digest not in digests_of(issue({"note": "13800000000"}, {}).jwt)


def test_disclosures_stand_in_the_order_of_the_tables_whatever_the_order_given() -> None:
    names = claim_names(issue(dict(reversed(CLAIMS.items())), dict(reversed(CARRIER.items()))))
    assert names == (*CLAIMS, "carrier", *(f"carrier.{name}" for name in CARRIER))


@pytest.mark.parametrize(
    ("claims", "carrier"),
    [
        ({"unknown": 1}, {}),
        ({"carrier": {}}, {}),
        ({"kind": "unknown"}, {}),
        ({}, {"unknown": 1}),
        ({}, {"size": -1}),
        ({}, {"link": CLAIMS["link"]}),
        ({"title": "\ud800"}, {}),
        ({"title": "\0"}, {}),
        ({"persons": tuple("a")}, {}),
    ],
)
def test_record_with_a_claim_outside_the_format_is_not_issued(claims: Any, carrier: Any) -> None:
    with pytest.raises(ValueError, match=r"claim|surrogate|NUL"):
        issue(claims, carrier)


def test_record_larger_than_the_limit_is_not_issued() -> None:
    long = [{"name": f"{i:04}" + "\n" * 1020, "role": "\n" * 1024, "organisation": "\n" * 1024}
            for i in range(64)]  # fmt: skip
    texts = dict.fromkeys(
        ("source", "generation", "storage", "notarisation", "third_party", "corroboration"),
        "\x01" * 4096,
    )
    points = [f"{i:04}" + "\x01" * 1020 for i in range(64)]
    claims: Any = {"persons": long, "points": points, "provenance": texts, "note": "\x01" * 65536}
    with pytest.raises(ValueError, match="larger"):
        issue({**claims, "title": "\x01" * 1024, "label": "\x01" * 1024}, {})


def test_entry_is_sha256_then_sm3() -> None:
    sm3_abc = "66c7f0f462eeedd9d1f2d46bdc10e4e24167c4875cf2f7a2297da02b8f4ba8e0"  # GB/T 32905 A.1
    assert entry_of("abc") == sha256(b"abc").digest() + bytes.fromhex(sm3_abc)


def test_cover_entry_is_the_entry_of_the_prefix_and_32_random_bytes() -> None:
    random32 = bytes(range(32))
    entry = cover_entry(random32)
    assert entry[:32] == sha256(b"tallystick/cover/v1\n" + random32).digest()
    assert len(entry) == 64
    assert entry != cover_entry(bytes(32))
    for wrong in (b"", bytes(31), bytes(33)):
        with pytest.raises(ValueError, match="want 32"):
            cover_entry(wrong)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        ([], ()),
        (["link"], ("link",)),
        (["note", "kind"], ("kind", "note")),
        (["carrier"], ("carrier",)),
        (["carrier.size"], ("carrier", "carrier.size")),
        (["carrier.size", "carrier", "link"], ("link", "carrier", "carrier.size")),
    ],
)
def test_disclosed_claims_are_those_named(names: list[str], kept: tuple[str, ...]) -> None:
    sdjwt = issue()
    narrowed = disclose(sdjwt, names)
    assert narrowed.jwt == sdjwt.jwt
    assert claim_names(narrowed) == kept
    record = parse_record(format_sdjwt(narrowed))
    check_record(record)
    assert record.entry == entry_of(sdjwt.jwt)
    assert set(record.claims) == {name for name in kept if not name.startswith("carrier")}
    assert b"canary" not in b"".join(
        decode_base64url(one.text) for one in narrowed.disclosures if "note" not in kept
    )


def test_withheld_record_is_j_and_its_link() -> None:
    record = parse_record(format_sdjwt(disclose(issue(), ["link"])))
    assert record.link == Link(CHAIN, 2, ENTRY)
    assert list(record.claims) == ["link"]
    assert record.carrier == {}
    assert parse_record(format_sdjwt(disclose(issue(), []))).link is None


@pytest.mark.parametrize("name", ["stag", "unknown", "sha256", "carrier.sm3", "carrier.", ""])
def test_claim_that_is_not_open_cannot_be_disclosed(name: str) -> None:
    with pytest.raises(NotFoundError):
        disclose(issue(), ["kind", name])
    with pytest.raises(NotFoundError):
        disclose(disclose(issue(), ["link"]), ["kind"])


def test_disclosures_may_come_in_any_order() -> None:
    sdjwt = issue()
    turned = SdJwt(sdjwt.jwt, sdjwt.disclosures[::-1])
    record = parse_record(format_sdjwt(turned))
    assert record.claims == CLAIMS
    assert record.carrier == CARRIER
    assert record.sdjwt == turned


def test_forged_records_of_these_tests_are_accepted_when_they_have_no_fault() -> None:
    record = parse_record(forge([KIND, opened("title", "t")]))
    check_record(record)
    assert record.claims == {"kind": "carrier", "title": "t"}


@pytest.mark.parametrize("count_", [32, 48, 64, 128])
def test_digests_may_be_32_or_a_larger_multiple_of_16(count_: int) -> None:
    assert parse_record(forge([KIND], digests=pad([KIND.digest], count_))).claims


@pytest.mark.parametrize("count_", [1, 12, 16, 31, 33, 40, 47, 49])
def test_digests_of_another_number_are_refused(count_: int) -> None:
    with pytest.raises(MalformedError, match="_sd is not 32 digests"):
        parse_record(forge([KIND], digests=pad([KIND.digest], count_)))


@pytest.mark.parametrize(
    "payload",
    [
        {"v": 2},
        {"v": True},
        {"v": "1"},
        {"v": None},
        {"_sd_alg": "sha-512"},
        {"_sd_alg": "SHA-256"},
        {"_sd_alg": None},
        {"iss": "x"},
        {"kind": "carrier"},
        {"cnf": {}},
        {"_sd": []},
        {"_sd": {}},
        {"_sd": None},
        {"_sd": "x"},
    ],
    ids=str,
)
def test_open_payload_that_is_not_exactly_ours_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(MalformedError):
        parse_record(forge([KIND], **payload))


@pytest.mark.parametrize("missing", ["v", "_sd_alg", "_sd"])
def test_open_payload_that_lacks_a_member_is_refused(missing: str) -> None:
    body: dict[str, JsonValue] = {"v": 1, "_sd_alg": "sha-256", "_sd": pad([], 32)}
    del body[missing]
    with pytest.raises(MalformedError):
        parse_record(format_sdjwt(SdJwt(sign_jwt(body, ED25519), ())))


def test_digests_out_of_order_twice_or_no_digests_are_refused() -> None:
    sound = pad([], 32)
    faults: list[list[Any]] = [
        sound[::-1],
        [sound[1], sound[0], *sound[2:]],
        [sound[0], sound[0], *sound[2:]],
        [1, *sound[1:]],
        [None, *sound[1:]],
        [sound[0][:-1], *sound[1:]],
        [sound[0] + "=", *sound[1:]],
        sorted([sound[0][:-1] + "B", *sound[1:]]),
        sorted(["载", *sound[1:]]),
        [{"...": sound[0]}, *sound[1:]],
    ]
    for digests in faults:
        with pytest.raises(MalformedError):
            parse_record(forge([], digests=digests))


def test_disclosure_without_a_digest_is_refused() -> None:
    with pytest.raises(MalformedError, match="disclosure 2 belongs to no digest"):
        parse_record(forge([KIND], KIND, opened("title", "t")))


def test_disclosure_given_twice_is_refused() -> None:
    with pytest.raises(MalformedError, match="claim twice"):
        parse_record(forge([KIND], KIND, KIND))


def test_claim_disclosed_twice_with_two_salts_is_refused() -> None:
    with pytest.raises(MalformedError, match="claim twice"):
        parse_record(forge([KIND, opened("kind", "note", 1)]))


def test_salt_used_twice_is_refused() -> None:
    with pytest.raises(MalformedError, match="salt twice"):
        parse_record(forge([KIND, make_disclosure("title", "t", decode_base64url(KIND.salt))]))


@pytest.mark.parametrize(
    ("name", "value"),
    [("iss", "x"), ("sha256", DIGEST), ("carrier.size", 1), ("", 1), ("canary", "canary")],
)
def test_unknown_claim_is_refused(name: str, value: JsonValue) -> None:
    with pytest.raises(MalformedError) as error:
        parse_record(forge([KIND, opened(name, value)]))
    assert "canary" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [("kind", "unknown"), ("link", {"chain": CHAIN, "seq": 1, "prev": ENTRY}), ("title", 1)],
)
def test_claim_of_another_shape_is_refused(name: str, value: JsonValue) -> None:
    with pytest.raises(MalformedError):
        parse_record(forge([opened(name, value)]))


def nested(below: list[Disclosure], *, digests: list[Any] | None = None) -> Disclosure:
    inner = [one.digest for one in below]
    decoys = [encode_base64url(sha256(b"carrier" + bytes([i])).digest()) for i in range(12)]
    wanted = sorted(inner + decoys[: 12 - len(inner)]) if digests is None else digests
    return opened("carrier", {"_sd": wanted})


SIZE = opened("size", 1)


def test_nested_claim_is_read_with_its_parent_and_refused_without() -> None:
    carrier = nested([SIZE])
    assert parse_record(forge([KIND, carrier], SIZE, carrier)).carrier == {"size": 1}
    with pytest.raises(MalformedError, match="belongs to no digest"):
        parse_record(forge([KIND, carrier], KIND, SIZE))


def test_nested_claim_is_refused_at_the_top_and_a_top_claim_below() -> None:
    with pytest.raises(MalformedError, match="unknown"):
        parse_record(forge([SIZE]))
    with pytest.raises(MalformedError, match="unknown"):
        parse_record(forge([nested([KIND])], nested([KIND]), KIND))


def test_carrier_within_the_carrier_is_refused() -> None:
    inner = opened("carrier", {"_sd": pad([], 12)}, 1)
    outer = nested([inner])
    for shown in ([outer, inner], [inner, outer]):
        with pytest.raises(MalformedError):
            parse_record(forge([outer], *shown))


def test_digest_both_above_and_below_is_refused() -> None:
    carrier = nested([KIND])
    with pytest.raises(MalformedError, match="both"):
        parse_record(forge([KIND, carrier]))
    decoy_above = nested([], digests=pad([], 12))  # the decoys of the top again
    with pytest.raises(MalformedError, match="both"):
        parse_record(forge([decoy_above]))


def test_carrier_disclosed_twice_is_refused() -> None:
    one, other = nested([SIZE]), opened("carrier", {"_sd": pad([], 12)}, 9)
    with pytest.raises(MalformedError):
        parse_record(forge([one, other], one, other))


@pytest.mark.parametrize("count_", [0, 1, 11, 13, 14, 15, 17, 20])
def test_carrier_digests_of_another_number_are_refused(count_: int) -> None:
    digests = [encode_base64url(sha256(b"c%d" % i).digest()) for i in range(count_)]
    with pytest.raises(MalformedError, match=r"carrier\._sd is not 12"):
        parse_record(forge([nested([], digests=sorted(digests))]))


@pytest.mark.parametrize(
    "value", [{}, [], None, "x", {"_sd": "x"}, {"size": 1}, {"_sd": [], "size": 1}], ids=str
)
def test_carrier_that_is_not_exactly_its_digests_is_refused(value: JsonValue) -> None:
    with pytest.raises(MalformedError):
        parse_record(forge([opened("carrier", value)]))


def test_digests_within_another_claim_are_refused() -> None:
    hidden = {"name": "n", "_sd": [KIND.digest]}
    with pytest.raises(MalformedError):
        parse_record(forge([opened("author", hidden)]))


@pytest.mark.parametrize("key", KEYS)
def test_record_signed_by_another_key_is_parsed_and_refused(key: SigningKey) -> None:
    sdjwt = issue(key=key)
    head, _, signature = sdjwt.jwt.rpartition(".")
    old = decode_base64url(signature)
    new = encode_base64url(bytes([old[0] ^ 1]) + old[1:])
    record = parse_record(format_sdjwt(SdJwt(f"{head}.{new}", sdjwt.disclosures)))
    with pytest.raises(VerificationError):
        check_record(record)


def reading(b: bytes) -> Record | None:
    """The record in `b`, parsed and checked, or None when it is refused."""
    try:
        record = parse_record(b)
        check_record(record)
    except (MalformedError, VerificationError):
        return None
    return record


@pytest.mark.parametrize("key", KEYS)
def test_every_one_byte_change_is_refused(key: SigningKey) -> None:
    b = format_sdjwt(issue({"kind": "carrier", "title": "t"}, {"size": 1}, key))
    for at in range(len(b)):
        changed = bytearray(b)
        changed[at] ^= 1 + at % 127
        assert reading(bytes(changed)) is None, at


def test_truncation_is_refused_or_withholds_the_last_claims() -> None:
    sdjwt = issue()
    b = format_sdjwt(sdjwt)
    ends = [match.end() for match in re.finditer(b"~", b)]
    for size in range(len(b)):
        record = reading(b[:size])
        assert (record is not None) == (size in ends), size
        if record:
            assert record.sdjwt.disclosures == sdjwt.disclosures[: ends.index(size)]


@pytest.mark.parametrize("tail", [b"~", b" ", b"\n", b"\0", b"a", b"a.b.c", b"a.b.c~"])
def test_trailing_bytes_are_refused(tail: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_record(format_sdjwt(issue()) + tail)


@given(st.binary(max_size=200))
def test_any_bytes_are_malformed(b: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_record(b)


@settings(max_examples=200)
@given(st.lists(st.tuples(st.integers(0, 5000), st.binary(max_size=6)), min_size=1, max_size=4))
def test_no_damage_raises_anything_but_the_errors_of_the_house(
    damage: list[tuple[int, bytes]],
) -> None:
    b = format_sdjwt(issue())
    for at, piece in damage:
        b = b[: at % len(b)] + piece + b[at % len(b) + len(piece) // 2 :]
    record = reading(b)  # any other error ends the test
    assert record is None or format_sdjwt(record.sdjwt) == b
