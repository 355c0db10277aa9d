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
    number, imprint and its algorithm, policy. NOT checked: signatures, or anything else. Of a
    token that embeds OCSP answers (RFC 5940) only the TSTInfo is read again: rfc3161ng knows no
    envelope with them.
    """
    told, gen_time = _read(response, token)
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


def _read(response: bytes, token: Token) -> tuple[Any, Any]:
    """The TSTInfo and genTime as rfc3161ng sees them (it publishes no types).

    With pyasn1's BER decoder: CMS is BER, and some TSAs send indefinite lengths.
    """
    import rfc3161ng
    from rfc3161ng import api, types

    try:
        if token.signed.foreign:
            told, rest = types.decoder.decode(token.signed.content, asn1Spec=rfc3161ng.TSTInfo())
        elif response == token.raw:
            bare, rest = types.decoder.decode(response, asn1Spec=rfc3161ng.TimeStampToken())
            told = bare.tst_info
        else:
            answer, rest = types.decoder.decode(response, asn1Spec=rfc3161ng.TimeStampResp())
            told = answer.time_stamp_token.tst_info
        if rest:
            raise VerificationError("the second reader sees bytes after the token")
        return told, api.generalizedtime_to_utc_datetime(str(told["genTime"]), naive=False)
    except (api.PyAsn1Error, *READER_ERRORS) as error:
        raise VerificationError("the second reader cannot read the token") from error
