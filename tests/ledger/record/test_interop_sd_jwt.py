"""Both ways with the PyPI package `sd-jwt`, which only the tests need."""

import importlib
import json
from hashlib import sha256
from itertools import count
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from ledger.record.record import (
    CARRIER_DIGESTS,
    RECORD_DIGESTS,
    check_record,
    claim_names,
    disclose,
    issue_record,
    parse_record,
)
from ledger.record.rfc4648 import decode_base64url, encode_base64url
from ledger.record.sdjwt import HEADER_TYPE, SdJwt, SigningKey, format_sdjwt

ED25519 = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
P256 = ec.derive_private_key(0xC0FFEE, ec.SECP256R1())
KEYS = [pytest.param(ED25519, "Ed25519", id="Ed25519"), pytest.param(P256, "ES256", id="ES256")]
ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551

CLAIMS: dict[str, Any] = {
    "link": {"chain": "0f" * 16, "seq": 1, "prev": None},
    "kind": "carrier",
    "title": '第12批 \U0001f600 "配方"\n',
    "refs": [{"rel": "wasRevisionOf", "entry": "0f" * 64}],
    "environment": {"tool": "t", "clock_offset_ms": -5},
}
CARRIER: dict[str, Any] = {"size": 4096, "sha256": "0f" * 32, "mtime": -1}


@pytest.fixture
def sd_jwt() -> Any:
    """The modules of `sd-jwt` and of `jwcrypto` that it signs with."""
    reason = "the package sd-jwt is not installed"
    for name in ("issuer", "holder", "verifier", "common"):
        pytest.importorskip(f"sd_jwt.{name}", reason=reason)
    pytest.importorskip("jwcrypto.jwk", reason=reason)
    return importlib.import_module("sd_jwt")


def issue(key: SigningKey) -> SdJwt:
    numbers = count()

    def draw(size: int) -> bytes:
        return sha256(str(next(numbers)).encode()).digest()[:size]

    return issue_record(CLAIMS, CARRIER, key, draw)


def jwk_of(key: SigningKey) -> Any:
    jwk: Any = importlib.import_module("jwcrypto.jwk")
    return jwk.JWK.from_pem(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def verified(sd_jwt: Any, b: bytes) -> Any:
    """The claims that `sd-jwt` finds in `b`, under the key in its header."""

    def key_of(issuer: str | None, header: dict[str, Any]) -> Any:
        jwk: Any = importlib.import_module("jwcrypto.jwk")
        return jwk.JWK(**header["jwk"])

    return sd_jwt.verifier.SDJWTVerifier(b.decode(), key_of).get_verified_payload()


def low_s(text: str) -> str:
    """An ES256 SD-JWT with S at most half the order: others sign with either."""
    jwt, rest = text.split("~", 1)
    head, _, signature = jwt.rpartition(".")
    old = decode_base64url(signature)
    s = int.from_bytes(old[32:], "big")
    new = encode_base64url(old[:32] + min(s, ORDER - s).to_bytes(32, "big"))
    return f"{head}.{new}~{rest}"


def issued_by_the_package(sd_jwt: Any, key: SigningKey, alg: str) -> bytes:
    """CLAIMS and CARRIER as `sd-jwt` writes them; only the number of decoys is told to it."""
    hide = sd_jwt.common.SDObj

    class Issuer(sd_jwt.issuer.SDJWTIssuer):  # type: ignore[misc]  # the package has no types
        def _create_sd_claims_object(self, user_claims: dict[Any, Any]) -> dict[str, Any]:
            made: dict[str, Any] = super()._create_sd_claims_object(user_claims)
            if "_sd" in made:
                wanted = CARRIER_DIGESTS if hide("sha256") in user_claims else RECORD_DIGESTS
                missing = wanted - len(made["_sd"])
                made["_sd"] += [self._create_decoy_claim_entry() for _ in range(missing)]
                made["_sd"].sort()
            return made

    public = json.loads(jwk_of(key).export_public())
    public.pop("kid", None)
    carrier = {hide(name): value for name, value in CARRIER.items()}
    claims = {hide(name): value for name, value in CLAIMS.items()} | {hide("carrier"): carrier}
    made = Issuer(
        {"v": 1, **claims},
        jwk_of(key),
        sign_alg=alg,
        extra_header_parameters={"typ": HEADER_TYPE, "jwk": public},
    ).sd_jwt_issuance
    return str(low_s(made) if alg == "ES256" else made).encode()


@pytest.mark.parametrize(("key", "alg"), KEYS)
def test_record_of_ours_is_verified_by_the_package(sd_jwt: Any, key: SigningKey, alg: str) -> None:
    sdjwt = issue(key)
    assert verified(sd_jwt, format_sdjwt(sdjwt)) == {"v": 1, **CLAIMS, "carrier": CARRIER}
    narrowed = disclose(sdjwt, ["link", "carrier.sha256"])
    assert verified(sd_jwt, format_sdjwt(narrowed)) == {
        "v": 1,
        "link": CLAIMS["link"],
        "carrier": {"sha256": CARRIER["sha256"]},
    }


@pytest.mark.parametrize(("key", "alg"), KEYS)
def test_record_of_the_package_is_parsed_and_checked(
    sd_jwt: Any, key: SigningKey, alg: str
) -> None:
    b = issued_by_the_package(sd_jwt, key, alg)
    record = parse_record(b)
    check_record(record)
    assert record.claims == CLAIMS
    assert record.carrier == CARRIER
    assert format_sdjwt(record.sdjwt) == b
    narrowed = disclose(record.sdjwt, ["kind", "carrier.size"])
    found = verified(sd_jwt, format_sdjwt(narrowed))
    assert found == {"v": 1, "kind": "carrier", "carrier": {"size": 4096}}


@pytest.mark.parametrize(("key", "alg"), KEYS)
def test_presentation_made_by_the_package_from_ours_is_parsed(
    sd_jwt: Any, key: SigningKey, alg: str
) -> None:
    holder = sd_jwt.holder.SDJWTHolder(format_sdjwt(issue(key)).decode())
    holder.create_presentation({"kind": True, "carrier": {"size": True}})
    record = parse_record(holder.sd_jwt_presentation.encode())
    check_record(record)
    assert set(claim_names(record.sdjwt)) == {"kind", "carrier", "carrier.size"}
