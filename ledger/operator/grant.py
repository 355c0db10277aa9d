"""What a token for a hosted ledger is, and what it allows.

    tally_<8 hex digits>_<43 characters of base64url>
          the token's id  the secret, 32 bytes

The id is no secret: it stands in lists and logs, and by it a token is revoked.

>>> format_token("0a1b2c3d", bytes(32))
'tally_0a1b2c3d_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA'
>>> parse_token_text(format_token("0a1b2c3d", bytes(32))) == ("0a1b2c3d", bytes(32))
True
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from ledger.errors import MalformedError
from ledger.record.rfc4648 import decode_base64url, encode_base64url

APPEND = "append"
ADMIN = "admin"
SCOPES = (APPEND, ADMIN)
"""``append``: add entries. ``admin``: what only the operator may ask of the running service."""

MAX_LIMIT = 10**9
"""Of a quota or a rate: more than any ledger does."""

ID_BYTES = 4
SECRET_BYTES = 32

_TEXT = re.compile(r"tally_([0-9a-f]{8})_([0-9A-Za-z_-]{43})")
_ACCOUNT = re.compile(r"[0-9a-z][0-9a-z._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Grant:
    """What a token allows. Moments are aware UTC, of whole seconds.

    ``quota``: entries in one UTC day; ``rate``: requests a second; None: no limit. ``revoked``:
    since when, or None. It holds no secret.
    """

    id: str
    account: str
    scopes: tuple[str, ...]
    made: datetime
    expires: datetime | None
    revoked: datetime | None
    quota: int | None
    rate: int | None

    def __post_init__(self) -> None:
        if not _ACCOUNT.fullmatch(self.account):
            raise MalformedError(
                f"account is {self.account!r}, want up to 64 of a-z, 0-9, '.', '_' and '-'"
            )
        if not self.scopes or not set(self.scopes) <= set(SCOPES):
            raise MalformedError(f"scopes are {', '.join(self.scopes)!r}, want of: append, admin")
        for name, limit in (("quota", self.quota), ("rate", self.rate)):
            if limit is not None and not 1 <= limit <= MAX_LIMIT:
                raise MalformedError(f"{name} is {limit}, want 1 to {MAX_LIMIT}")

    def holds(self, now: datetime) -> bool:
        """Whether it is good at ``now``: neither revoked nor expired."""
        return self.revoked is None and (self.expires is None or now < self.expires)


def format_token(id_: str, secret: bytes) -> str:
    """The text of a token; the text is a secret."""
    return f"tally_{id_}_{encode_base64url(secret)}"


def parse_token_text(text: str) -> tuple[str, bytes]:
    """Id and secret of a token's ``text``. MalformedError, with nothing of the text in it."""
    match = _TEXT.fullmatch(text)
    if match is None:
        raise MalformedError("not a token")
    return match[1], decode_base64url(match[2])


def parse_expiry(text: str, now: datetime) -> datetime:
    """When a token ends that is to last ``text``: ``90d`` from ``now``, or a day ``2027-03-01``.

    A day ends the token as it begins, in UTC. MalformedError for anything else, and for the past.
    """
    if (days := re.fullmatch(r"([1-9][0-9]{0,4})d", text)) is not None:
        return now + timedelta(days=int(days[1]))
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII) is None:
        raise MalformedError(f"expiry is {text!r}, want days as 90d or a day as 2027-03-01")
    try:
        end = datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        raise MalformedError(f"expiry is {text!r}, there is no such day") from None
    if end <= now:
        raise MalformedError(f"expiry is {text}, which is past")
    return end
