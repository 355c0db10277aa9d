import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from ledger.errors import VerificationError
from ledger.tlog.signature import check_ed25519, check_ed25519_key, check_ml_dsa_44

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
SPECCHECK_ACCEPTED = {2, 3}

Point = tuple[int, int]


def add(a: Point, b: Point) -> Point:
    """The sum on edwards25519 (RFC 8032 §5.1.4, affine)."""
    product = D * a[0] * b[0] * a[1] * b[1]
    x = (a[0] * b[1] + b[0] * a[1]) * pow(1 + product, -1, P)
    y = (a[1] * b[1] + a[0] * b[0]) * pow(1 - product, -1, P)
    return x % P, y % P


def times(n: int, point: Point) -> Point:
    total = (0, 1)
    for bit in f"{n:b}":
        total = add(total, total)
        if bit == "1":
            total = add(total, point)
    return total


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


def decode(encoded: bytes) -> Point | None:
    """The point of RFC 8032 §5.1.3, without its demand that y < p; None if there is none."""
    number = int.from_bytes(encoded, "little")
    y, sign = number % 2**255 % P, number >> 255
    square = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(square, (P + 3) // 8, P)
    if x * x % P != square:
        x = x * pow(2, (P - 1) // 4, P) % P
    if x * x % P != square:
        return None
    return (x if x & 1 == sign else (P - x) % P), y


def small_order_points() -> set[Point]:
    """All eight points of order 1, 2, 4 and 8: the multiples by L of points met on the way."""
    found: set[Point] = set()
    y = 2
    while len(found) < 8:
        point = decode(y.to_bytes(32, "little"))
        if point is not None:
            torsion = times(L, point)
            found |= {times(k, torsion) for k in range(8)}
        y += 1
    return found


SMALL_ORDER = small_order_points()
IDENTITY = encode((0, 1))


def accepts_ed25519(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        check_ed25519(public_key, signature, message)
    except VerificationError:
        return False
    return True


def accepts_ml_dsa_44(public_key: bytes, signature: bytes, message: bytes) -> bool:
    try:
        check_ml_dsa_44(public_key, signature, message)
    except VerificationError:
        return False
    return True


def test_all_151_wycheproof_ed25519_cases_come_out_as_stated(vectors: Path) -> None:
    known = json.loads((vectors / "wycheproof/ed25519_test.json").read_text())
    seen = 0
    for group in known["testGroups"]:
        key = bytes.fromhex(group["publicKey"]["pk"])
        for case in group["tests"]:
            ours = accepts_ed25519(key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            assert ours == (case["result"] == "valid"), case["tcId"]
            seen += 1
    assert seen == 151


def test_all_180_wycheproof_ml_dsa_44_cases_come_out_as_stated(vectors: Path) -> None:
    known = json.loads((vectors / "wycheproof/mldsa_44_verify_test.json").read_text())
    seen = 0
    for group in known["testGroups"]:
        key = bytes.fromhex(group["publicKey"])
        for case in group["tests"]:
            ours = accepts_ml_dsa_44(key, bytes.fromhex(case["sig"]), bytes.fromhex(case["msg"]))
            # Ours is the empty context: what was signed under another one is refused.
            assert ours == (case["result"] == "valid" and not case.get("ctx")), case["tcId"]
            seen += 1
    assert seen == 180


def test_the_nist_ml_dsa_44_case_comes_out_as_stated(vectors: Path) -> None:
    known = json.loads((vectors / "signatures/mldsa_acvp/mldsa_sigver_slice.json").read_text())
    cases = [case for case in known["vectors"] if case["parameterSet"] == "ML-DSA-44"]
    for case in cases:
        fields = [bytes.fromhex(case[name]) for name in ("pk", "signature", "message")]
        assert accepts_ml_dsa_44(*fields) == case["testPassed"]
    assert len(cases) == 1
    # Keys and signatures of the larger parameter sets are not ours.
    for case in known["vectors"]:
        if case not in cases:
            fields = [bytes.fromhex(case[name]) for name in ("pk", "signature", "message")]
            assert not accepts_ml_dsa_44(*fields)


def test_speccheck_cases_come_out_as_the_module_states(vectors: Path) -> None:
    known = json.loads((vectors / "signatures/ed25519_speccheck_cases.json").read_text())
    accepted = {
        number
        for number, case in enumerate(known)
        if accepts_ed25519(
            bytes.fromhex(case["pub_key"]),
            bytes.fromhex(case["signature"]),
            bytes.fromhex(case["message"]),
        )
    }
    assert accepted == SPECCHECK_ACCEPTED
    assert len(known) == 12


def test_the_eight_points_of_small_order_are_refused_however_encoded() -> None:
    assert len(SMALL_ORDER) == 8
    refused = 0
    for x, y in SMALL_ORDER:
        # Canonical; with the other sign bit (meant for x = 0); and with y + p where that fits.
        for number in {y, y + P}:
            for sign in (0, 1):
                if number < 2**255:
                    key = (number | sign << 255).to_bytes(32, "little")
                    with pytest.raises(VerificationError, match=r"small order|not canonical"):
                        check_ed25519_key(key)
                    refused += 1
        assert times(8, (x, y)) == (0, 1)
    assert refused > 16


def test_the_identity_as_key_would_verify_everything_and_is_refused() -> None:
    signature = IDENTITY + bytes(32)  # R = identity, S = 0: [0]B = R + [k]A for every k
    for message in (b"", b"one", b"another"):
        with pytest.raises(VerificationError, match="small order"):
            check_ed25519(IDENTITY, signature, message)


def test_no_encoding_from_p_on_is_a_key() -> None:
    for y in range(P, 2**255):
        for sign in (0, 1):
            with pytest.raises(VerificationError, match="not canonical"):
                check_ed25519_key((y | sign << 255).to_bytes(32, "little"))


def test_bytes_that_are_no_point_verify_nothing() -> None:
    encoded = next(
        y.to_bytes(32, "little") for y in range(2, 50) if decode(y.to_bytes(32, "little")) is None
    )
    check_ed25519_key(encoded)
    with pytest.raises(VerificationError, match="Ed25519 signature is wrong"):
        check_ed25519(encoded, IDENTITY + bytes(32), b"")


def test_honest_ed25519_keys_and_signatures_are_accepted_and_changes_refused() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"message")
    check_ed25519(key, signature, b"message")
    for i in range(64):
        changed = signature[:i] + bytes([signature[i] ^ 1]) + signature[i + 1 :]
        assert not accepts_ed25519(key, changed, b"message")
    for i in range(32):
        assert not accepts_ed25519(
            key[:i] + bytes([key[i] ^ 1]) + key[i + 1 :], signature, b"message"
        )
    assert not accepts_ed25519(key, signature, b"messagf")


def test_s_plus_the_order_is_refused_though_the_equation_holds() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    signature = private.sign(b"message")
    s = int.from_bytes(signature[32:], "little") + L
    malleated = signature[:32] + s.to_bytes(32, "little")
    with pytest.raises(VerificationError, match="S out of range"):
        check_ed25519(private.public_key().public_bytes_raw(), malleated, b"message")


def test_other_lengths_are_refused_with_the_length_named() -> None:
    private = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"")
    for wrong in (b"", key[:-1], key + b"\x00"):
        with pytest.raises(VerificationError, match=r"public key has .* bytes, want 32"):
            check_ed25519(wrong, signature, b"")
    for wrong in (b"", signature[:-1], signature + b"\x00"):
        with pytest.raises(VerificationError, match=r"signature has .* bytes, want 64"):
            check_ed25519(key, wrong, b"")
    post = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    key, signature = post.public_key().public_bytes_raw(), post.sign(b"")
    check_ml_dsa_44(key, signature, b"")
    for wrong in (b"", key[:-1], key + b"\x00"):
        with pytest.raises(VerificationError, match=r"public key has .* bytes, want 1312"):
            check_ml_dsa_44(wrong, signature, b"")
    for wrong in (b"", signature[:-1], signature + b"\x00"):
        with pytest.raises(VerificationError, match=r"signature has .* bytes, want 2420"):
            check_ml_dsa_44(key, wrong, b"")


def test_changed_ml_dsa_44_signatures_and_messages_are_refused() -> None:
    private = MLDSA44PrivateKey.from_seed_bytes(bytes(32))
    key, signature = private.public_key().public_bytes_raw(), private.sign(b"message")
    for i in range(0, 2420, 97):
        changed = signature[:i] + bytes([signature[i] ^ 1]) + signature[i + 1 :]
        with pytest.raises(VerificationError, match="ML-DSA-44 signature is wrong"):
            check_ml_dsa_44(key, changed, b"message")
    assert not accepts_ml_dsa_44(key, signature, b"messagf")
    assert not accepts_ml_dsa_44(key, private.sign(b"message", b"context"), b"message")
