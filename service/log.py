"""The public log over HTTP, exactly as c2sp.org/tlog-tiles has it: for anybody, and cacheable.

Only what is under a published checkpoint is served: what was committed and not yet signed is not
there. Entries are random to whoever has not their records, so that compressing them gains nothing.
"""

import flask

from ledger.errors import NotFoundError
from ledger.operator.local import LocalLedger
from ledger.operator.store.protocol import Store
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.note import parse_note
from ledger.tlog.tile import (
    TILE_WIDTH,
    format_entry_bundle,
    parse_entries_path,
    parse_tile_path,
)

IMMUTABLE = "public, max-age=31536000, immutable"
"""A tile's address says its content, for ever."""

FRESH = "no-cache"
"""A checkpoint may be kept, and is asked about each time."""


def make_log(ledger: LocalLedger, store: Store) -> flask.Blueprint:
    """``/checkpoint``, ``/tile/<L>/<N>[.p/<W>]`` and ``/tile/entries/<N>[.p/<W>]``."""
    log = _Log(ledger, store)
    made = flask.Blueprint("log", __name__)
    made.add_url_rule("/checkpoint", "checkpoint", log.checkpoint)
    made.add_url_rule("/tile/<path:path>", "tile", log.tile)
    made.after_request(_open_to_all)
    return made


class _Log:
    def __init__(self, ledger: LocalLedger, store: Store) -> None:
        self._ledger = ledger
        self._store = store

    def checkpoint(self) -> flask.Response:
        return checkpoint_response(newest_checkpoint(self._ledger))

    def tile(self, path: str) -> flask.Response:
        path = f"tile/{path}"
        entries = path.startswith("tile/entries/")
        content = self._entries(path) if entries else self._hashes(path)
        answer = flask.Response(content, mimetype="application/octet-stream")
        answer.headers["Cache-Control"] = IMMUTABLE
        return answer

    def _hashes(self, path: str) -> bytes:
        tile = parse_tile_path(path)
        leaves = (tile.index * TILE_WIDTH + tile.width) << 8 * tile.level
        self._require_published(leaves, path)
        return self._store.tiles([tile])[0]

    def _entries(self, path: str) -> bytes:
        index, width = parse_entries_path(path)
        start = index * TILE_WIDTH
        self._require_published(start + width, path)
        return format_entry_bundle(self._store.entries(start, start + width))

    def _require_published(self, size: int, path: str) -> None:
        newest = parse_checkpoint(parse_note(newest_checkpoint(self._ledger)).text).size
        if size > newest:
            raise NotFoundError(f"no {path}: the log has {newest} entries")


def newest_checkpoint(ledger: LocalLedger) -> bytes:
    """The newest signed file; of a log without entries, that of size 0."""
    try:
        return ledger.checkpoint()
    except NotFoundError:
        return ledger.signed_file(0)


def checkpoint_response(signed_file: bytes) -> flask.Response:
    """A signed file as tlog-tiles wants it."""
    answer = flask.Response(signed_file, content_type="text/plain; charset=utf-8")
    answer.headers["Cache-Control"] = FRESH
    return answer


def _open_to_all(response: flask.Response) -> flask.Response:
    response.headers["Access-Control-Allow-Origin"] = "*"
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
