"""What is answered when something is not given: one form (RFC 9457), with a code that stays.

Nothing of the request is repeated in it, and nothing of the machine.
"""

import json
from collections.abc import Mapping
from math import ceil

import flask
from werkzeug.exceptions import HTTPException

from ledger.errors import (
    ConflictError,
    LedgerError,
    MalformedError,
    NotFoundError,
    UnavailableError,
    VerificationError,
)
from ledger.operator.access import LimitError

RETRY_SECONDS = 5
"""When to ask again what could not be had just now: a full disk or a slow one, a restart."""

CODES: Mapping[str, int] = {
    "malformed": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not-found": 404,
    "method-not-allowed": 405,
    "timeout": 408,
    "length-required": 411,
    "too-large": 413,
    "media-type": 415,
    "limit": 429,
    "damaged": 500,
    "unavailable": 503,
    "closed": 503,
}
"""Code -> HTTP status."""

_BY_STATUS = {status: code for code, status in CODES.items() if code != "closed"}


def problem(
    code: str, detail: str, hint: str | None = None, headers: Mapping[str, str] | None = None
) -> flask.Response:
    """The answer for one of ``CODES``."""
    body = {"title": code, "status": CODES[code], "code": code, "detail": detail}
    if hint is not None:
        body["hint"] = hint
    return flask.Response(
        json.dumps(body), CODES[code], headers, mimetype="application/problem+json"
    )


def tell_error(error: LedgerError) -> flask.Response:
    """The answer to a request that raised ``error``."""
    text, hint = str(error), error.hint
    match error:
        case LimitError():
            again = {"Retry-After": str(ceil(error.retry_after_seconds))}
            return problem("limit", text, hint, again)
        case MalformedError():
            return problem("malformed", text, hint)
        case NotFoundError():
            return problem("not-found", text, hint)
        case ConflictError():
            return problem("closed", "nothing is appended to this ledger any more")
        case VerificationError():
            # What is wrong is for the operator's log.
            return problem("damaged", "the ledger's own bytes do not hold; its operator is told")
        case UnavailableError():
            return problem("unavailable", text, hint, {"Retry-After": str(RETRY_SECONDS)})
    return problem("damaged", "unexpected")


def tell_http(error: HTTPException) -> flask.Response:
    """The answer to what Flask or Werkzeug refused."""
    status = error.code or 500
    code = _BY_STATUS.get(status, "malformed" if status < 500 else "damaged")
    answer = problem(code, error.name.lower())
    answer.status_code = status
    for name, value in error.get_headers():
        if name in {"Allow", "Retry-After"}:
            answer.headers[name] = value
    return answer
