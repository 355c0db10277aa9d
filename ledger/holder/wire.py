"""What a ledger's service is asked over HTTP, and what its answers are in form.

Nothing is believed here but the form: ``remote`` checks. What is public is asked for without the
token, so that asking for tiles names nobody; the token goes with what is appended, and is read from
its file each time.
"""

import hashlib
import http
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ledger.doors.client import Stamp
from ledger.doors.files import check_private, read_limited
from ledger.doors.http import NoAnswer, exchange, get
from ledger.errors import MalformedError, NotFoundError, UnavailableError, VerificationError
from ledger.record.strict_json import JsonValue, parse_json
from ledger.timestamp.path import MAX_MATERIAL_BYTES
from ledger.tlog.merkle import HASH_SIZE
from ledger.tlog.note import MAX_NOTE_BYTES, NoteKey, parse_vkey
from ledger.tlog.text import parse_base64
from ledger.tlog.tile import TILE_WIDTH, Tile, format_tile_path

TIMEOUT_SECONDS = 30.0
"""An append waits for a durable commit, behind others; tiles come within one."""

MAX_APPENDED_BYTES = 1 << 16
"""The answer to a full batch: a thousand indexes, and a checkpoint."""

MAX_PAGE_BYTES = 1 << 25
"""A hundred responses of the largest size in base64."""

MAX_LIST_BYTES = 1 << 24
"""What a ledger has of certificates, CRLs and OCSP answers: 100 bytes each, some a day for ever."""

MAX_TOKEN_FILE_BYTES = 1 << 10

MAX_KEYS_BYTES = 1 << 14
"""Two keys, of them one with ML-DSA-44: some 2 KB."""

OCTETS = "application/octet-stream"
JSON = "application/json"
TEXT = "text/plain"

_TOKEN = re.compile(r"tally_[0-9a-f]{8}_[A-Za-z0-9_-]{43}")


@dataclass(frozen=True, slots=True)
class Page:
    """Stamps, smallest tree first, all of each tree; ``next``: the size to go on from, or None."""

    stamps: tuple[Stamp, ...]
    next: int | None


class Wire:
    """The service at ``url``.

    ``token_file``: None for who only reads. ``offline``: why nobody may be asked, if so.
    Every method: NotFoundError for what it does not have, MalformedError for an answer in another
    form, UnavailableError for everything else that is no answer.
    """

    def __init__(
        self,
        url: str,
        token_file: Path | None,
        *,
        timeout_seconds: float = TIMEOUT_SECONDS,
        offline: str | None = None,
    ) -> None:
        self._url = url.rstrip("/")
        self._token_file = token_file
        self._timeout_seconds = timeout_seconds
        self._offline = offline

    def keys(self) -> tuple[NoteKey, ...]:
        """The public keys that it says it signs with: to be pinned once, and compared by a person.

        MalformedError also if they are none.
        """
        keys = self._ask("v1/ledger", MAX_KEYS_BYTES).get("vkeys")
        if not isinstance(keys, list):
            raise MalformedError("the ledger's answer has no list of keys")
        return tuple(parse_vkey(one if isinstance(one, str) else "") for one in keys)

    def checkpoint(self) -> bytes:
        """The newest signed file (c2sp.org/tlog-tiles)."""
        return self._get("checkpoint", TEXT, MAX_NOTE_BYTES)

    def tile(self, tile: Tile) -> bytes:
        """The content of ``tile``; of a partial one that is gone, from the full one.

        c2sp.org/tlog-tiles: a partial tile may go when the full one is there.
        """
        try:
            return self._tile(tile)
        except NotFoundError:
            if tile.width == TILE_WIDTH:
                raise
        whole = self._tile(Tile(tile.level, tile.index, TILE_WIDTH))
        return whole[: tile.size_bytes]

    def _tile(self, tile: Tile) -> bytes:
        content = self._get(format_tile_path(tile), OCTETS, TILE_WIDTH * HASH_SIZE)
        if len(content) != tile.size_bytes:
            raise MalformedError(f"{tile} has {len(content)} bytes, want {tile.size_bytes}")
        return content

    def append(self, entries: Sequence[bytes]) -> tuple[tuple[int, ...], bytes]:
        """Send ``entries``; their indexes and a signed file, as answered after they are durable."""
        authorization = self._authorization()
        self._require_online()
        answer = exchange(
            f"{self._url}/v1/entries",
            b"".join(entries),
            OCTETS,
            accept=JSON,
            limit_bytes=MAX_APPENDED_BYTES,
            timeout_seconds=self._timeout_seconds,
            authorization=authorization,
        )
        table = _object(_given(answer))
        indexes, checkpoint = table.get("indexes"), table.get("checkpoint")
        if not isinstance(indexes, list) or not isinstance(checkpoint, str):
            raise MalformedError("the answer to an append has no indexes and checkpoint")
        return tuple(map(_number, indexes)), checkpoint.encode()

    def signed_file(self, size: int) -> bytes:
        """The signed file of tree ``size``; NotFoundError."""
        return self._get(f"v1/checkpoints/{size}", TEXT, MAX_NOTE_BYTES)

    def stamps(self, start: int) -> Page:
        """The first stamps over trees of ``start`` entries or more."""
        table = self._ask(f"v1/stamps?from={start}", MAX_PAGE_BYTES)
        stamps = tuple(
            Stamp(_number(one.get("size")), _text(one, "tsa"), _der(one, "response"))
            for one in _tables(table, "stamps")
        )
        following = table.get("next")
        page = Page(stamps, None if following is None else _number(following))
        sizes = [start, *(one.size for one in stamps), *(() if page.next is None else (page.next,))]
        if sizes != sorted(sizes) or (page.next is not None and page.next <= start):
            raise MalformedError(f"the ledger's stamps are not those from {start} on, in order")
        return page

    def waiting(self, size: int) -> tuple[tuple[str, str], ...]:
        """What tree ``size`` waits for: a TSA's name and a reason each."""
        rows = _tables(self._ask(f"v1/stamps/{size}", MAX_PAGE_BYTES), "waiting_for")
        return tuple((_text(one, "tsa"), _text(one, "reason")) for one in rows)

    def material(self) -> tuple[tuple[str, str], ...]:
        """What the ledger captured for its stamps: kind (certificate, crl, ocsp) and SHA-256."""
        rows = _tables(self._ask("v1/material", MAX_LIST_BYTES), "material")
        return tuple((_text(one, "kind"), _text(one, "sha256")) for one in rows)

    def piece(self, sha256: str) -> bytes:
        """The DER of one of ``material``; VerificationError if it is another; NotFoundError."""
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise MalformedError(f"{sha256[:80]!r} is no SHA-256 in hex")
        der = self._get(f"v1/material/{sha256}", OCTETS, MAX_MATERIAL_BYTES)
        if hashlib.sha256(der).hexdigest() != sha256:
            raise VerificationError(f"the ledger gave other bytes for {sha256}")
        return der

    def _ask(self, path: str, limit_bytes: int) -> dict[str, JsonValue]:
        return _object(self._get(path, JSON, limit_bytes))

    def _get(self, path: str, accept: str, limit_bytes: int) -> bytes:
        self._require_online()
        answer = get(
            f"{self._url}/{path}",
            accept=accept,
            limit_bytes=limit_bytes,
            timeout_seconds=self._timeout_seconds,
        )
        return _given(answer, path)

    def _require_online(self) -> None:
        if self._offline is not None:
            raise UnavailableError(self._offline)

    def _authorization(self) -> str:
        """The header's value: a secret, which no message ever shows."""
        if self._token_file is None:
            raise UnavailableError("no token to append with", hint="--token-file FILE")
        return f"Bearer {read_token(self._token_file)}"


def read_token(path: Path) -> str:
    """The token in the file at ``path``: a secret.

    MalformedError if others may read the file, or it has no token; NotFoundError, UnavailableError.
    """
    content = read_limited(path, MAX_TOKEN_FILE_BYTES)
    check_private(path)
    token = content.decode("ascii", "replace").strip()
    if not _TOKEN.fullmatch(token):
        text = f"{path} has no token in it, want tally_…"
        raise MalformedError(text, hint="the ledger's operator makes one: tally ledger token")
    return token


def _given(answer: bytes | NoAnswer, path: str = "v1/entries") -> bytes:
    """The answer's body, or why there is none."""
    if isinstance(answer, bytes):
        return answer
    if answer.status == http.HTTPStatus.NOT_FOUND:
        raise NotFoundError(f"the ledger has no {path}")
    if answer.status in (http.HTTPStatus.UNAUTHORIZED, http.HTTPStatus.FORBIDDEN):
        hint = "it is wrong, expired, revoked or not for appending: ask the ledger's operator"
        raise UnavailableError("the ledger does not take the token", hint=hint)
    if answer.code == "closed":
        hint = "ask its operator which ledger follows it; what is queued stays in the vault"
        raise UnavailableError(f"the ledger is closed: {answer.detail}", hint=hint)
    after = answer.retry_after_seconds
    again = None if after is None else f"it asks to be tried again in {after} s"
    if answer.detail:
        raise UnavailableError(f"the ledger refused: {answer.detail}", hint=again)
    raise UnavailableError(f"no answer from the ledger: {answer.text}", hint=again)


def _object(content: bytes) -> dict[str, JsonValue]:
    return _as_object(parse_json(content, limit_bytes=len(content)))


def _as_object(value: JsonValue) -> dict[str, JsonValue]:
    if not isinstance(value, dict):
        raise MalformedError("the ledger's answer is no JSON object")
    return value


def _tables(table: dict[str, JsonValue], name: str) -> list[dict[str, JsonValue]]:
    value = table.get(name)
    if not isinstance(value, list):
        raise MalformedError(f"the ledger's answer has no list of {name}")
    return [_as_object(one) for one in value]


def _text(table: dict[str, JsonValue], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise MalformedError(f"the ledger's answer has no text {name}")
    return value


def _der(table: dict[str, JsonValue], name: str) -> bytes:
    return parse_base64(_text(table, name), f"{name} in the ledger's answer")


def _number(value: JsonValue) -> int:
    if type(value) is not int or value < 0:
        raise MalformedError("the ledger's answer has no number where one is wanted")
    return value
