"""A token read as far as it goes, with every fault by the name of the check that it fails.

Reading stops at nothing that leaves the rest readable. What comes out is to be looked at, by
``ledger.timestamp.examine`` and by people, and believed in nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from ledger.errors import MalformedError, VerificationError
from ledger.timestamp.cms import (
    MAX_TOKEN_BYTES,
    SIGNED_DATA,
    SignedContent,
    Signer,
    find_signer,
    parse_signed,
)
from ledger.timestamp.der import check_nesting, split
from ledger.timestamp.token import Response, Token, parse_response, read_content


@dataclass(frozen=True, slots=True)
class OpenedToken:
    """A token as far as it can be read. ``faults``: the first for each check that parsing failed.

    ``signed`` and ``token`` may have holes where there are faults, as ``parse_signed`` says.
    """

    response: Response
    signed: SignedContent | None
    token: Token | None
    faults: Mapping[str, str]


def open_token(b: bytes) -> OpenedToken:
    """Read a TimeStampResp or a bare token as far as it goes.

    MalformedError: b is not recognisable as either (no response, no CMS SignedData), so that there
    is nothing to judge. Every other fault is in ``faults``.
    """
    response = parse_response(b)
    if response.token is None:
        return OpenedToken(response, None, None, {})
    _recognise(response.token)
    faults: dict[str, str] = {}

    def fault(check: str, message: str) -> None:
        faults.setdefault(check, message)

    signed = token = None
    try:
        signed = parse_signed(response.token, fault)
        token = read_content(response.token, signed, _embedded(signed), fault)
    except MalformedError as error:
        fault("format", str(error))
    return OpenedToken(response, signed, token, faults)


def _recognise(raw: bytes) -> None:
    """Raise MalformedError unless raw begins as a ContentInfo of SignedData does."""
    check_nesting(raw, "timestamp token", MAX_TOKEN_BYTES)
    parts = split(raw)
    if not parts or parts[0] != SIGNED_DATA:
        raise MalformedError("neither a timestamp response nor a timestamp token")


def _embedded(signed: SignedContent) -> Signer | None:
    """The embedded certificate of the signer; None as well where ``examine`` will say why not."""
    try:
        return find_signer(signed, signed.certificates)
    except (MalformedError, VerificationError):
        return None
