import json
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from ledger.errors import MalformedError, VerificationError
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.sdjwt import (
    MAX_DISCLOSURES,
    MAX_JWT_BYTES,
    MAX_SDJWT_BYTES,
    JwtKey,
    SdJwt,
    SigningKey,
    check_jwt,
    format_sdjwt,
    make_disclosure,
    parse_disclosure,
    parse_jwt,
    parse_sdjwt,
    sign_jwt,
    thumbprint,
)
from ledger.record.strict_json import JsonValue

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
KEYS = [pytest.param(ED25519, id="Ed25519"), pytest.param(P256, id="ES256")]
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
PAYLOAD: dict[str, JsonValue] = {"v": 1}


def raw(value: object) -> str:
    return encode_base64url(json.dumps(value).encode())


def header_of(key: SigningKey) -> dict[str, Any]:
    header: dict[str, Any] = json.loads(decode_base64url(sign_jwt(PAYLOAD, key).split(".")[0]))
    return header


def checked(text: str) -> JwtKey:
    """The key of the JWT in `text`, its signature checked."""
    jwt = parse_jwt(text)
    check_jwt(jwt)
    return jwt.key


def signed(header: object, key: SigningKey = ED25519, payload: str | None = None) -> str:
    """A JWT with any `header`, well signed by `key` all the same."""
    signing_input = f"{raw(header)}.{payload if payload is not None else raw(PAYLOAD)}"
    if isinstance(key, Ed25519PrivateKey):
        return f"{signing_input}.{encode_base64url(key.sign(signing_input.encode()))}"
    raise NotImplementedError


def with_signature(jwt: str, signature: bytes) -> str:
    return f"{jwt.rpartition('.')[0]}.{encode_base64url(signature)}"


def test_given_name_disclosure_of_rfc_9901_has_its_digest() -> None:
    text = "WyIyR0xDNDJzS1F2ZUNmR2ZyeU5STjl3IiwgImdpdmVuX25hbWUiLCAiSm9obiJd"
    disclosure = parse_disclosure(text)
    assert (disclosure.name, disclosure.value) == ("given_name", "John")
    assert disclosure.digest == "jsu9yVulwQQlhFlM_3JlzMaSFzglhQG0DpfayQwLUK4"


def test_key_of_rfc_8037_has_its_thumbprint() -> None:
    key = Ed25519PrivateKey.from_private_bytes(
        bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    )
    assert checked(sign_jwt(PAYLOAD, key)).thumbprint == (
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    )


def test_disclosure_is_canonical_json_in_base64url() -> None:
    disclosure = make_disclosure("title", "载体", bytes(range(16)))
    assert decode_base64url(disclosure.text).decode() == (
        '["AAECAwQFBgcICQoLDA0ODw","title","载体"]'
    )
    assert parse_disclosure(disclosure.text) == disclosure
    want = sha256(disclosure.text.encode()).digest()
    assert decode_base64url(disclosure.digest) == want


@pytest.mark.parametrize(
    ("name", "salt"), [("a", b"short"), ("a", bytes(17)), ("_sd", bytes(16)), ("...", bytes(16))]
)
def test_disclosure_with_bad_salt_or_reserved_name_is_not_made(name: str, salt: bytes) -> None:
    with pytest.raises(ValueError, match=r"salt|reserved"):
        make_disclosure(name, 1, salt)


SALT = "A" * 22


@pytest.mark.parametrize(
    "array",
    [
        [],
        [SALT, "a"],  # of an array element, RFC 9901 §4.2.2
        [SALT, "a", 1, 2],
        {"salt": SALT},
        None,
        [1, "a", 1],
        [SALT, 1, 1],
        [SALT, None, 1],
        ["", "a", 1],
        [SALT[:-1], "a", 1],
        [SALT + "A", "a", 1],
        ["A" * 43, "a", 1],
        ["A" * 21 + "B", "a", 1],  # spare bits
        ["A" * 22 + "==", "a", 1],
        [SALT, "_sd", []],
        [SALT, "...", "x"],
        [SALT, "a", 1.5],
        [SALT, "a", [[[[[[[[]]]]]]]]],
    ],
    ids=lambda x: json.dumps(x)[:40],
)
def test_text_that_is_no_disclosure_is_refused(array: object) -> None:
    with pytest.raises(MalformedError):
        parse_disclosure(raw(array))


@pytest.mark.parametrize("key", KEYS)
def test_signed_jwt_is_opened_and_checked(key: SigningKey) -> None:
    jwt = sign_jwt(PAYLOAD, key)
    assert parse_jwt(jwt).payload == PAYLOAD
    header = header_of(key)
    assert header.keys() == {"alg", "typ", "jwk"}
    found = checked(jwt)
    assert (found.jwk, found.alg) == (header["jwk"], header["alg"])
    assert found.thumbprint == thumbprint(found.jwk)
    assert sign_jwt(PAYLOAD, key) == jwt


def test_key_on_another_curve_does_not_sign() -> None:
    with pytest.raises(ValueError, match="want P-256"):
        sign_jwt(PAYLOAD, ec.derive_private_key(7, ec.SECP384R1()))


HEADER_FAULTS: dict[str, Callable[[dict[str, Any]], object]] = {
    "crit": lambda h: {**h, "crit": ["b64"], "b64": False},
    "kid": lambda h: {**h, "kid": "1"},
    "x5c": lambda h: {**h, "x5c": []},
    "no typ": lambda h: {k: v for k, v in h.items() if k != "typ"},
    "no jwk": lambda h: {k: v for k, v in h.items() if k != "jwk"},
    "typ JWT": lambda h: {**h, "typ": "JWT"},
    "typ case": lambda h: {**h, "typ": "Tallystick+sd-jwt"},
    "typ list": lambda h: {**h, "typ": ["tallystick+sd-jwt"]},
    "alg none": lambda h: {**h, "alg": "none"},
    "alg EdDSA": lambda h: {**h, "alg": "EdDSA"},
    "alg HS256": lambda h: {**h, "alg": "HS256"},
    "alg ES256": lambda h: {**h, "alg": "ES256"},
    "alg null": lambda h: {**h, "alg": None},
    "alg list": lambda h: {**h, "alg": ["Ed25519"]},
    "jwk text": lambda h: {**h, "jwk": "x"},
    "jwk null": lambda h: {**h, "jwk": None},
    "jwk kid": lambda h: {**h, "jwk": {**h["jwk"], "kid": "1"}},
    "jwk alg": lambda h: {**h, "jwk": {**h["jwk"], "alg": "Ed25519"}},
    "jwk d": lambda h: {**h, "jwk": {**h["jwk"], "d": "AA"}},
    "jwk kty": lambda h: {**h, "jwk": {**h["jwk"], "kty": "EC"}},
    "jwk crv": lambda h: {**h, "jwk": {**h["jwk"], "crv": "Ed448"}},
    "jwk no x": lambda h: {**h, "jwk": {"kty": "OKP", "crv": "Ed25519"}},
    "x short": lambda h: {**h, "jwk": {**h["jwk"], "x": "AA"}},
    "x padded": lambda h: {**h, "jwk": {**h["jwk"], "x": h["jwk"]["x"] + "="}},
    "x number": lambda h: {**h, "jwk": {**h["jwk"], "x": 1}},
    "list": lambda h: [h],
}


@pytest.mark.parametrize("fault", HEADER_FAULTS)
def test_header_that_is_not_exactly_ours_is_refused(fault: str) -> None:
    jwt = signed(HEADER_FAULTS[fault](header_of(ED25519)))
    with pytest.raises(MalformedError):
        parse_jwt(jwt)
    with pytest.raises(MalformedError):
        checked(jwt)


def test_header_in_another_order_with_white_space_is_accepted() -> None:
    header = dict(reversed(header_of(ED25519).items()))
    assert checked(signed(header)).alg == "Ed25519"


@pytest.mark.parametrize(
    "payload",
    [raw([]), raw("x"), raw(1), encode_base64url(b"{"), encode_base64url(b'{"v":1,"v":1}')],
)
def test_payload_that_is_no_strict_json_object_is_refused(payload: str) -> None:
    with pytest.raises(MalformedError):
        parse_jwt(signed(header_of(ED25519), payload=payload))


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("size", [0, 1, 63, 65, 70, 128])
def test_signature_of_another_length_is_malformed(key: SigningKey, size: int) -> None:
    with pytest.raises(MalformedError):
        checked(with_signature(sign_jwt(PAYLOAD, key), bytes(size)))


@pytest.mark.parametrize("jwt", ["", "a", "a.b", "a.b.", ".b.c", "a.b.c.d", "a.b=.c", "a b.c.d"])
def test_jwt_that_is_not_three_parts_is_refused(jwt: str) -> None:
    with pytest.raises(MalformedError):
        parse_jwt(jwt)


def test_jwt_over_the_limit_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parse_jwt(signed(header_of(ED25519), payload=raw({"v": " " * MAX_JWT_BYTES})))


@pytest.mark.parametrize("key", KEYS)
def test_jwt_signed_by_another_key_is_refused(key: SigningKey) -> None:
    other: SigningKey = Ed25519PrivateKey.from_private_bytes(bytes(32))
    if isinstance(key, ec.EllipticCurvePrivateKey):
        other = ec.derive_private_key(5, ec.SECP256R1())
    signature = sign_jwt(PAYLOAD, other).rpartition(".")[2]
    with pytest.raises(VerificationError):
        checked(with_signature(sign_jwt(PAYLOAD, key), decode_base64url(signature)))


@pytest.mark.parametrize("key", KEYS)
def test_every_bit_of_the_signature_counts(key: SigningKey) -> None:
    jwt = sign_jwt(PAYLOAD, key)
    signature = decode_base64url(jwt.rpartition(".")[2])
    for bit in range(512):
        changed = int.from_bytes(signature, "big") ^ (1 << bit)
        with pytest.raises(VerificationError):
            checked(with_signature(jwt, changed.to_bytes(64, "big")))


def es256_numbers(jwt: str) -> tuple[int, int]:
    signature = decode_base64url(jwt.rpartition(".")[2])
    return int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")


def test_es256_is_signed_with_low_s_and_high_s_is_refused() -> None:
    for number in range(16):
        jwt = sign_jwt({"v": number}, P256)
        r, s = es256_numbers(jwt)
        assert s <= ORDER // 2
        checked(jwt)
        high = r.to_bytes(32, "big") + (ORDER - s).to_bytes(32, "big")
        with pytest.raises(VerificationError, match="high S"):
            checked(with_signature(jwt, high))


@pytest.mark.parametrize("which", ["r=0", "s=0", "r=n", "s=n"])
def test_es256_numbers_out_of_range_are_refused(which: str) -> None:
    jwt = sign_jwt(PAYLOAD, P256)
    r, s = es256_numbers(jwt)
    r, s = {"r=0": (0, s), "s=0": (r, 0), "r=n": (ORDER, s), "s=n": (r, ORDER)}[which]
    with pytest.raises(VerificationError):
        checked(with_signature(jwt, r.to_bytes(32, "big") + s.to_bytes(32, "big")))


@pytest.mark.parametrize("x", [0, 5, 2**256 - 1])
def test_es256_key_that_is_no_point_of_the_curve_is_refused(x: int) -> None:
    header = header_of(P256)
    jwk = {"kty": "EC", "crv": "P-256", "x": encode_base64url(x.to_bytes(32, "big"))}
    jwk["y"] = encode_base64url((1).to_bytes(32, "big"))
    signature = encode_base64url(bytes([1]) * 64)
    with pytest.raises(VerificationError, match="no point"):
        checked(f"{raw({**header, 'jwk': jwk})}.{raw(PAYLOAD)}.{signature}")


def test_ed25519_identity_key_under_which_every_message_verifies_is_refused() -> None:
    identity = (1).to_bytes(32, "little")
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(identity)}
    header = {"alg": "Ed25519", "typ": "tallystick+sd-jwt", "jwk": jwk}
    signature = encode_base64url(identity + bytes(32))
    with pytest.raises(VerificationError):
        checked(f"{raw(header)}.{raw(PAYLOAD)}.{signature}")


def test_small_order_cases_of_the_speccheck_are_refused_as_jwt_keys(vectors: Path) -> None:
    cases = json.loads((vectors / "signatures/ed25519_speccheck_cases.json").read_bytes())
    for case in cases[:2]:
        key, signature = bytes.fromhex(case["pub_key"]), bytes.fromhex(case["signature"])
        jwk = {"kty": "OKP", "crv": "Ed25519", "x": encode_base64url(key)}
        header = {"alg": "Ed25519", "typ": "tallystick+sd-jwt", "jwk": jwk}
        with pytest.raises(VerificationError):
            checked(f"{raw(header)}.{raw(PAYLOAD)}.{encode_base64url(signature)}")


def example() -> SdJwt:
    disclosures = tuple(
        make_disclosure(name, [name], bytes([i]) * 16) for i, name in enumerate("ab")
    )
    return SdJwt(sign_jwt(PAYLOAD, ED25519), disclosures)


def test_sdjwt_is_read_back_as_written() -> None:
    written = format_sdjwt(example())
    assert written.endswith(b"~")
    assert parse_sdjwt(written) == example()
    without = SdJwt(example().jwt, ())
    assert format_sdjwt(without) == f"{without.jwt}~".encode()
    assert parse_sdjwt(format_sdjwt(without)) == without


@pytest.mark.parametrize(
    "change",
    [
        lambda b: b[:-1],
        lambda b: b + b"~",
        lambda b: b + b"\n",
        lambda b: b + b"a.b.c",  # a key-binding JWT
        lambda b: b"~" + b,
        lambda b: b" " + b,
        lambda b: b.replace(b"~", b"~~", 1),
        lambda b: b.replace(b"~", b"~ ", 1),
        lambda b: b.replace(b".", b"..", 1),
        lambda b: "载".encode() + b,
        lambda b: b"",
        lambda b: b"~",
    ],
)
def test_bytes_that_are_no_compact_sdjwt_are_refused(change: Callable[[bytes], bytes]) -> None:
    with pytest.raises(MalformedError):
        parse_sdjwt(change(format_sdjwt(example())))


def test_sdjwt_over_its_limits_is_refused() -> None:
    with pytest.raises(MalformedError, match="at most"):
        parse_sdjwt(b"a" * (MAX_SDJWT_BYTES + 1))
    many = b"~".join([b"a.b.c", *[b"W10"] * (MAX_DISCLOSURES + 1), b""])
    with pytest.raises(MalformedError, match="disclosures"):
        parse_sdjwt(many)


@given(st.binary(max_size=80) | st.text("ab.~W10-_", max_size=40).map(str.encode))
def test_any_bytes_are_refused_or_read_back(b: bytes) -> None:
    try:
        sdjwt = parse_sdjwt(b)
    except MalformedError:
        return
    assert format_sdjwt(sdjwt) == b


@given(st.text(max_size=60) | st.text("ab.W10-_", max_size=40))
def test_any_text_is_opened_as_a_jwt_or_malformed(text: str) -> None:
    with pytest.raises(MalformedError):
        parse_jwt(text)
