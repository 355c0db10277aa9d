"""The second reader: a token that arrives is read again by another ASN.1 stack.

rfc3161ng reads with pyasn1; ours reads with asn1crypto. A token whose time, serial number,
imprint or policy is not the same to both is not kept: some later verifier would read it the
other way. It verifies nothing, and is imported only when a token arrives (a quarter of a second).
"""

from datetime import timedelta
from typing import Any

from ledger.errors import VerificationError
from ledger.timestamp.request import DIGEST_NAMES
from ledger.timestamp.token import Token

READER_ERRORS = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
    NotImplementedError,
    OverflowError,
    RecursionError,
)
"""What pyasn1 raises for bytes it does not like, beside its own error."""

ROUNDING = timedelta(microseconds=2)
"""The second reader goes through a float and cuts off; ours is exact and rounds up."""


def read_again(response: bytes, token: Token) -> None:
    """Raise VerificationError unless rfc3161ng reads from response what token says.

    ``response``: what the TSA sent, or the bare token. Compared: genTime (to 2 µs), serial
    number, imprint and its algorithm, policy. NOT checked: signatures, or anything else.
    """
    told, gen_time = _read(response, bare=response == token.raw)
    imprint = told["messageImprint"]
    oid = str(imprint["hashAlgorithm"]["algorithm"])
    compared = (
        ("serial number", int(told["serialNumber"]), token.serial),
        ("policy", str(told["policy"]), token.policy),
        ("imprint algorithm", DIGEST_NAMES.get(oid, oid), token.imprint_algorithm),
        ("imprint", bytes(imprint["hashedMessage"]), token.imprint),
    )
    for what, theirs, ours in compared:
        if theirs != ours:
            raise VerificationError(f"two readers differ on the token's {what}")
    if abs(gen_time - token.gen_time) > ROUNDING:
        raise VerificationError("two readers differ on the token's genTime")


def _read(response: bytes, *, bare: bool) -> tuple[Any, Any]:
    """The TSTInfo and genTime as rfc3161ng sees them (it publishes no types).

    With pyasn1's BER decoder: CMS is BER, and some TSAs send indefinite lengths.
    """
    import rfc3161ng
    from rfc3161ng import api, types

    wanted = rfc3161ng.TimeStampToken() if bare else rfc3161ng.TimeStampResp()
    try:
        value, rest = types.decoder.decode(response, asn1Spec=wanted)
        if rest:
            raise VerificationError("the second reader sees bytes after the token")
        token = value if bare else value.time_stamp_token
        return token.tst_info, api.get_timestamp(token, naive=False)
    except (api.PyAsn1Error, *READER_ERRORS) as error:
        raise VerificationError("the second reader cannot read the token") from error
