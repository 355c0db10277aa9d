"""The interface for holders: append, and ask for what proves. Described in openapi.json.

What an append answers is durable and under the checkpoint it gives. There is nothing here that
takes a record, a carrier or a bundle: the operator must not see them.
"""

import json
import re
from base64 import b64encode
from collections.abc import Sequence

import flask
from werkzeug.wrappers import Response

from ledger.errors import MalformedError, NotFoundError
from ledger.operator.batcher import Committed
from ledger.operator.hosted import HostedLedger
from ledger.operator.receipts import find_material, find_receipt, first_from, list_material
from ledger.operator.stamper import KIND
from ledger.operator.store.protocol import Attachment
from ledger.record.rfc4648 import encode_base64url
from ledger.tlog.checkpoint import parse_checkpoint
from ledger.tlog.merkle import MAX_SIZE, prove_consistency
from ledger.tlog.note import format_vkey, parse_note
from ledger.tlog.tile import tile_hash_reader
from service.appending import MAX_ENTRIES, OCTETS, Appending, Taken, read_entry
from service.front import TAKEN
from service.log import IMMUTABLE, checkpoint_response, newest_checkpoint
from service.problems import RETRY_SECONDS

MAX_STAMPS = 100
"""In one answer: of a few KB each."""

MAX_DIGITS = 19
"""A tree size has no more (``MAX_SIZE``)."""


def make_api(hosted: HostedLedger) -> flask.Blueprint:
    """``/v1/…`` over ``hosted``, which was started."""
    api = _Api(hosted)
    made = flask.Blueprint("api", __name__, url_prefix="/v1")
    made.add_url_rule("/entries", "append", api.append, methods=["POST"])
    made.add_url_rule("/ledger", "ledger", api.about)
    made.add_url_rule("/receipts/<entry>", "receipt", api.receipt)
    made.add_url_rule("/checkpoints/<size>", "checkpoint", api.checkpoint)
    made.add_url_rule("/consistency", "consistency", api.consistency)
    made.add_url_rule("/stamps", "stamps", api.stamps)
    made.add_url_rule("/stamps/<size>", "stamps_of", api.stamps_of)
    made.add_url_rule("/material", "material", api.material)
    made.add_url_rule("/material/<sha256>", "piece", api.piece)
    made.after_request(_open_to_readers)
    return made


class _Api:
    def __init__(self, hosted: HostedLedger) -> None:
        self._hosted = hosted
        self._ledger = hosted.ledger
        self._appending = Appending(hosted)

    def append(self) -> Response:
        done, left = self._taken()
        body = {
            "origin": self._ledger.origin,
            "indexes": done.indexes,
            "checkpoint": done.checkpoint.decode("utf-8"),
        }
        answer = flask.Response(json.dumps(body), mimetype="application/json")
        if left is not None:
            answer.headers["Tally-Quota-Left"] = str(left)
        return _private(answer)

    def _taken(self) -> tuple[Committed, int | None]:
        """What the front took; under a server without it, it is taken here."""
        request = flask.request
        taken: Taken | Exception | None = request.environ.get(TAKEN)
        if taken is None:
            grant = self._appending.begin(request.headers.get("Authorization", ""))
            body = request.get_data(cache=False)
            taken = self._appending.submit(grant, request.mimetype, body)
        if isinstance(taken, Exception):
            raise taken
        return taken.answer.result(), taken.left

    def about(self) -> Response:
        settings = self._hosted.settings
        return _fresh(
            flask.jsonify(
                origin=self._ledger.origin,
                vkeys=[format_vkey(key) for key in self._ledger.keys],
                tsas=list(settings.tsa_names),
                wanted=settings.wanted,
                development=settings.development,
                entries_per_request=MAX_ENTRIES,
            )
        )

    def receipt(self, entry: str) -> Response:
        given = read_entry(entry)
        found = find_receipt(self._ledger, self._hosted.store, given)
        waiting = [] if found.stamps else self._waiting()
        answer = flask.jsonify(
            entry=encode_base64url(given),
            index=found.index,
            size=found.size,
            proof=found.proof.decode("utf-8"),
            checkpoint=self._ledger.signed_file(found.size).decode("utf-8"),
            stamps=_stamps(found.stamps),
            cosignatures=[],
            waiting_for=waiting,
        )
        if not found.stamps:
            answer.status_code = 202
            answer.headers["Retry-After"] = str(RETRY_SECONDS)
        return _fresh(answer)

    def _waiting(self) -> list[dict[str, str]]:
        """Which TSAs the newest tree waits for, and why as far as it is known."""
        report = self._hosted.schedule.report
        if report is None or not report.pending:
            return [{"tsa": name, "reason": "not asked yet"} for name in self._names()]
        return [{"tsa": name, "reason": reason} for name, reason in report.pending]

    def _names(self) -> Sequence[str]:
        return self._hosted.settings.tsa_names

    def checkpoint(self, size: str) -> Response:
        answer = checkpoint_response(self._ledger.signed_file(_number(size, "size")))
        answer.headers["Cache-Control"] = IMMUTABLE
        return answer

    def consistency(self) -> Response:
        given = flask.request.args
        old, new = _number(given.get("from"), "from"), _number(given.get("to"), "to")
        if not 1 <= old <= new:
            raise MalformedError("from and to are tree sizes, 1 <= from <= to")
        newest = self._newest()
        if new > newest:
            raise NotFoundError(f"the ledger has {newest} entries")
        proof = prove_consistency(old, new, tile_hash_reader(new, self._ledger.tiles))
        answer = flask.jsonify(
            {"from": old, "to": new, "hashes": [_base64(one) for one in proof.path]}
        )
        answer.headers["Cache-Control"] = IMMUTABLE
        return answer

    def stamps(self) -> Response:
        start = _number(flask.request.args.get("from", "0"), "from")
        newest = self._newest()
        rows: list[Attachment] = []
        while len(rows) < MAX_STAMPS:
            more = first_from(self._hosted.store, KIND, start, newest)
            if not more:
                return _fresh(flask.jsonify(stamps=_stamps(rows), next=None))
            # All of one size, or none: what is asked for next begins with a size.
            rows += more
            start = more[0].size + 1
        return _fresh(flask.jsonify(stamps=_stamps(rows), next=start))

    def stamps_of(self, size: str) -> Response:
        number = _number(size, "size")
        signed_file = self._ledger.signed_file(number)
        rows = self._hosted.store.attachments(KIND, number, number + 1)
        there = {row.name for row in rows}
        waiting = self._waiting() if number == self._newest() else []
        answer = flask.jsonify(
            size=number,
            checkpoint=signed_file.decode("utf-8"),
            stamps=_stamps(rows),
            waiting_for=[one for one in waiting if one["tsa"] not in there],
        )
        return _fresh(answer)

    def _newest(self) -> int:
        """The size of the newest signed tree."""
        return parse_checkpoint(parse_note(newest_checkpoint(self._ledger)).text).size

    def material(self) -> Response:
        pieces = list_material(self._ledger, self._hosted.store)
        listed = [{"kind": one.kind, "sha256": one.digest.hex()} for one in pieces]
        return _fresh(flask.jsonify(material=listed))

    def piece(self, sha256: str) -> Response:
        if not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise MalformedError("want a SHA-256 in hex")
        der = find_material(self._ledger, self._hosted.store, bytes.fromhex(sha256))
        answer = flask.Response(der, mimetype=OCTETS)
        answer.headers["Cache-Control"] = IMMUTABLE
        return answer


def _number(text: str | None, name: str) -> int:
    if text is None or not re.fullmatch(r"0|[1-9][0-9]*", text, re.ASCII):
        raise MalformedError(f"{name} is not a whole number")
    if len(text) > MAX_DIGITS or int(text) >= MAX_SIZE:
        raise MalformedError(f"{name} is greater than any tree")
    return int(text)


def _stamps(rows: Sequence[Attachment]) -> list[dict[str, str | int]]:
    return [{"size": row.size, "tsa": row.name, "response": _base64(row.content)} for row in rows]


def _base64(content: bytes) -> str:
    return b64encode(content).decode("ascii")


def _fresh(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-cache"
    return answer


def _private(answer: Response) -> Response:
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _open_to_readers(response: flask.Response) -> flask.Response:
    """What is read may be read from any page; what is appended may not (there is no cookie)."""
    if flask.request.method in {"GET", "HEAD"}:
        response.headers["Access-Control-Allow-Origin"] = "*"
        response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response
