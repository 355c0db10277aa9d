"""Who asks: the bearer token of a request (RFC 6750), or an answer that says nothing of why not."""

import flask

from ledger.errors import NotFoundError
from ledger.operator.access import Access
from ledger.operator.grant import Grant
from service.problems import problem

MAX_TOKEN_CHARACTERS = 128
"""A token has 58: what is longer is none, and is not hashed."""


def authorize(access: Access, authorization: str, scope: str) -> Grant:
    """The grant of the token in the header ``authorization``, if it is good and has ``scope``.

    Its rate is counted.

    Aborts the request: 401 whatever is wrong with the token, 403 for another scope. LimitError.
    """
    kind, _, text = authorization.partition(" ")
    if kind.lower() != "bearer" or len(text) > MAX_TOKEN_CHARACTERS:
        text = ""
    try:
        grant = access.check(text.strip())
    except NotFoundError as error:
        challenge = {"WWW-Authenticate": 'Bearer realm="tallystick"'}
        answer = problem("unauthorized", "no good token", error.hint, challenge)
        flask.abort(answer)
    if scope not in grant.scopes:
        flask.abort(problem("forbidden", f"the token has not the scope {scope}"))
    access.pace(grant)
    return grant
