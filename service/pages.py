"""The pages of a hosted ledger for people: its state, one entry, its interface. zh and en.

They run no script and fetch nothing from anywhere else, take nothing but a language and a number,
and show only what the public log and its stamps show anyway.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

import flask
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.wrappers import Response

from ledger.errors import LedgerError, NotFoundError
from ledger.proof.reasons import in_chinese
from ledger.proof.verdict import safe
from service.chart import draw
from service.openapi import Node, read_openapi
from service.pages_words import REASONS, WORDS
from service.state import DAYS, EntryState, State
from service.web import HEADERS, language, read_static, words_in

STATIC = frozenset({"base.css", "pages.css"})

POLICY = (
    "default-src 'none'; base-uri 'none'; style-src 'self'; img-src data:; form-action 'self';"
    " frame-ancestors 'none'"
)

MAX_DIGITS = 19
"""Of an entry's number: a log has at most 2**63 entries."""


@dataclass(frozen=True, slots=True)
class Legal:
    """What the law may want on the pages of a service: texts from the settings, each may be empty.

    ``filing``: the number under which the Cyberspace Administration of China has the service.
    ``statement_zh``: shown on the Chinese pages in place of ``statement``, if it is not empty.
    """

    filing: str = ""
    operator: str = ""
    statement: str = ""
    statement_zh: str = ""

    def said(self, chosen: str) -> str:
        """The statement in the chosen language, else in the other."""
        texts = (self.statement, self.statement_zh)
        first, second = texts if chosen == "en" else texts[::-1]
        return first or second


class Pages:
    """The pages, as Flask calls them."""

    def __init__(
        self,
        state: Callable[[], State],
        entry: Callable[[int], EntryState],
        openapi: Node,
        legal: Legal,
    ) -> None:
        self._state = state
        self._entry = entry
        self._openapi = openapi
        self._legal = legal

    def state(self) -> Response:
        """The state of the ledger."""
        state = self._state()
        chart = draw(state.days)
        waits = [one.delay for one in state.days if one.delay is not None]
        reasons = {one.name: _reason(one.reason) for one in state.tsas}
        return self._page(
            "state.html",
            state=state,
            chart=chart,
            days=DAYS,
            longest=max(waits, default=None),
            reasons=reasons,
            lacking=_reason(state.lacking),
        )

    def find(self) -> Response:
        """What the form on the state page asks for: leads to the entry."""
        given = flask.request.args.get("index", "").strip()
        if not (given.isascii() and given.isdecimal()) or len(given) > MAX_DIGITS:
            return self._problem("bad-number", 400)
        place = flask.url_for("pages.entry", index=int(given), lang=language())
        return flask.redirect(place, 303)

    def entry(self, index: str) -> Response:
        """One entry."""
        # Not Flask's int: one address for one entry, and no number of a thousand digits.
        if not (index.isascii() and index.isdecimal()) or len(index) > MAX_DIGITS:
            return self._problem("bad-number", 404)
        if index != str(int(index)):
            return self._problem("bad-number", 404)
        try:
            entry = self._entry(int(index))
        except NotFoundError:
            return self._problem("no-entry", 404)
        return self._page("entry.html", entry=entry)

    def docs(self) -> Response:
        """The interface, from the OpenAPI document."""
        return self._page("docs.html", document=read_openapi(self._openapi, language()))

    def openapi(self) -> Response:
        """The document itself, as JSON."""
        return flask.jsonify(self._openapi)

    def static_file(self, name: str) -> Response:
        """One of the files beside the pages."""
        response = read_static(name, STATIC)
        response.headers["Cache-Control"] = "public, max-age=3600"
        return response

    def tell(self, error: Exception) -> Response:
        """An error as a page, without detail: it is in the log."""
        if isinstance(error, HTTPException):
            word = "not-found" if isinstance(error, NotFound) else "problem"
            return self._problem(word, error.code or 500)
        return self._problem("unavailable", 503)

    def _problem(self, word: str, status: int) -> Response:
        response = self._page("problem.html", message=word)
        response.status_code = status
        return response

    def _page(self, template: str, **values: object) -> Response:
        chosen = language()
        return flask.make_response(
            flask.render_template(
                f"pages/{template}",
                language=chosen,
                words=words_in(WORDS, chosen),
                legal=self._legal,
                statement=self._legal.said(chosen),
                filters=_filters(chosen),
                **values,
            )
        )


def make_pages(
    state: Callable[[], State],
    entry: Callable[[int], EntryState],
    openapi: Node,
    legal: Legal,
) -> flask.Blueprint:
    """The pages as a blueprint: ``/``, ``/entries/<n>``, ``/docs`` and what they link to.

    ``entry``: NotFoundError if there is none of this number. ``openapi``: the parsed document;
    MalformedError if it is none. The public log is linked at the root of the same host.
    """
    read_openapi(openapi, "en")
    pages = Pages(state, entry, openapi, legal)
    made = flask.Blueprint("pages", __name__, template_folder="templates")
    made.add_url_rule("/", "state", pages.state)
    made.add_url_rule("/entries", "find", pages.find)
    made.add_url_rule("/entries/<index>", "entry", pages.entry)
    made.add_url_rule("/docs", "docs", pages.docs)
    made.add_url_rule("/openapi.json", "openapi", pages.openapi)
    made.add_url_rule("/pages/<name>", "static_file", pages.static_file)
    made.register_error_handler(LedgerError, pages.tell)
    made.register_error_handler(HTTPException, pages.tell)
    made.after_request(_protect)
    return made


def _protect(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    response.headers.setdefault("Cache-Control", "no-cache")
    response.headers["Content-Security-Policy"] = POLICY
    response.vary.add("Accept-Language")
    return response


def _reason(reason: str | None) -> tuple[str, str] | None:
    """A reason's stable word and the rest of it; None for none."""
    if reason is None:
        return None
    word, _, rest = reason.partition(":")
    return word, safe(rest.strip())


def _filters(chosen: str) -> Mapping[str, Callable[..., str]]:
    """What templates write values with."""
    return {
        "number": lambda number: f"{number:,}",
        "time": _time,
        "span": lambda span: _span(span, chosen),
        "reason": lambda word: REASONS.get(word, (word, word))[chosen == "zh"],
        "safe_text": safe,
        "why": in_chinese if chosen == "zh" else str,
    }


def _time(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"


def _span(span: timedelta | None, chosen: str) -> str:
    """A time span in its two greatest units."""
    if span is None:
        return WORDS["none"][chosen == "zh"]
    seconds = round(span.total_seconds())
    units = ((86400, "d", "天"), (3600, "h", "小时"), (60, "min", "分"), (1, "s", "秒"))
    parts = []
    for size, english, chinese in units:
        count, seconds = divmod(seconds, size)
        if count:
            parts.append(f"{count} {chinese if chosen == 'zh' else english}")
    return " ".join(parts[:2]) or ("0 秒" if chosen == "zh" else "0 s")
