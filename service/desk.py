"""The verifier's page on this machine: drop a bundle, read the verdict; nothing leaves.

It listens on 127.0.0.1 only. A page of another site cannot reach it: the path carries a random
token, ``Host`` must be this machine's (so a name that is made to point here is refused), and
``Origin``, when sent, the page's own. Uploads go straight to files in a folder of their own, and
are gone when the request ends, however it ends; only the verdicts of the last checks stay, in
memory. How a bundle is checked is given by the caller.
"""

import hmac
import secrets
import socket
import tempfile
import webbrowser
from collections import OrderedDict
from collections.abc import Callable, Sequence
from pathlib import Path
from threading import Lock
from typing import cast

import flask
from werkzeug.exceptions import HTTPException, NotFound, RequestEntityTooLarge
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.wrappers import Response

from ledger.errors import LedgerError, UnavailableError
from ledger.proof.verdict import Verdict, safe
from ledger.report.html import format_html
from ledger.report.style import POLICY
from ledger.report.text import format_json
from service.desk_guard import only_from_here
from service.desk_upload import DeskRequest, receive
from service.desk_words import WORDS
from service.web import HEADERS, language, read_static, words_in

HOST = "127.0.0.1"
KEPT_VERDICTS = 16
"""Verdicts kept for going back, saving and the other language; older ones are forgotten."""
MAX_FORM_PARTS = 10_000
"""Files in one check: a folder of carriers, and no flood of empty parts."""
STATIC = frozenset({"base.css", "desk.css", "desk.js"})

PAGE_POLICY = (
    "default-src 'none'; base-uri 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src data:; frame-src 'self'; form-action 'self'; frame-ancestors 'none'"
)
REPORT_POLICY = f"{POLICY}; frame-ancestors 'self'"

Check = Callable[[Path, Sequence[Path], Path | None, str], Verdict]
"""Bundle, carriers, trust file or None, language: the verdict, or a LedgerError."""


class Kept:
    """The verdicts of the last checks, by number; for several threads."""

    def __init__(self) -> None:
        self._verdicts: OrderedDict[int, tuple[str, Verdict]] = OrderedDict()
        self._last = 0
        self._lock = Lock()

    def add(self, name: str, verdict: Verdict) -> int:
        """Keep the verdict on the bundle called ``name``; its number."""
        with self._lock:
            self._last += 1
            self._verdicts[self._last] = (name, verdict)
            if len(self._verdicts) > KEPT_VERDICTS:
                self._verdicts.popitem(last=False)
            return self._last

    def find(self, number: int) -> tuple[str, Verdict]:
        """Name and verdict; NotFound (an answer of 404) when it is not kept any more."""
        with self._lock:
            if number not in self._verdicts:
                raise NotFound
            return self._verdicts[number]


class Desk:
    """The pages of one desk, as Flask calls them."""

    def __init__(self, check: Check, token: str, folder: Path, limit_bytes: int) -> None:
        self.check = check
        self.token = token
        self.folder = folder
        self.limit_bytes = limit_bytes
        self.kept = Kept()

    def know_token(self, _: str | None, values: dict[str, str] | None) -> None:
        """404 for whoever does not know the token; taken off what the pages get."""
        given = (values or {}).pop("token", "")
        if not hmac.compare_digest(given.encode("utf-8", "replace"), self.token.encode()):
            raise NotFound
        flask.g.token = self.token

    def page(self) -> str:
        """The form."""
        return _page("form", limit_bytes=self.limit_bytes)

    def static_file(self, name: str) -> flask.Response:
        """One of the files beside the page."""
        return read_static(name, STATIC)

    def run_check(self) -> Response:
        """Check what was sent, delete it, and lead to the verdict."""
        # cast: a proxy for the application's request_class
        with receive(cast("DeskRequest", flask.request), self.folder) as upload:
            verdict = self.check(upload.bundle, upload.carriers, upload.trust, language())
            number = self.kept.add(upload.bundle.name, verdict)
        place = flask.url_for("verdict_page", token=self.token, number=number, lang=language())
        return flask.jsonify(location=place) if _wants_json() else flask.redirect(place, 303)

    def verdict_page(self, number: int) -> str:
        """The report in its frame, with what can be done with it."""
        name, _ = self.kept.find(number)
        return _page("verdict", number=number, name=safe(name))

    def report(self, number: int) -> flask.Response:
        """The report alone, under the policy that it also carries itself."""
        response = flask.make_response(format_html(self.kept.find(number)[1], language()))
        response.headers["Content-Security-Policy"] = REPORT_POLICY
        return response

    def as_json(self, number: int) -> flask.Response:
        """The verdict as ``tally verify --json`` gives it."""
        return flask.jsonify(format_json(self.kept.find(number)[1]))


def create_desk(
    check: Check, *, token: str, port: int, folder: Path, limit_bytes: int
) -> flask.Flask:
    """The page as a Flask application, to be served at 127.0.0.1:``port`` under ``/token/``.

    ``folder``: an existing folder for uploads while they are checked; ``limit_bytes``: the largest
    request taken.
    """
    app = flask.Flask(__name__, static_folder=None)
    app.request_class = DeskRequest
    app.config.update(MAX_CONTENT_LENGTH=limit_bytes, MAX_FORM_PARTS=MAX_FORM_PARTS)
    app.wsgi_app = only_from_here(app.wsgi_app, port)  # type: ignore[assignment,method-assign] # Flask's own way
    desk = Desk(check, token, folder, limit_bytes)
    app.url_value_preprocessor(desk.know_token)
    app.after_request(_protect)
    app.add_url_rule("/<token>/", view_func=desk.page)
    app.add_url_rule("/<token>/static/<name>", view_func=desk.static_file)
    app.add_url_rule("/<token>/check", view_func=desk.run_check, methods=["POST"])
    one = "/<token>/verdicts/<int:number>"
    app.add_url_rule(one, view_func=desk.verdict_page)
    app.add_url_rule(f"{one}/report.html", view_func=desk.report)
    app.add_url_rule(f"{one}/verdict.json", view_func=desk.as_json)
    app.register_error_handler(LedgerError, _tell_ledger_error)
    app.register_error_handler(OSError, _tell_os_error)
    app.register_error_handler(RequestEntityTooLarge, _tell_too_large)
    app.register_error_handler(HTTPException, _tell_nothing)
    return app


def make_desk_server(
    check: Check, *, token: str, port: int, folder: Path, limit_bytes: int
) -> BaseWSGIServer:
    """A server on 127.0.0.1:``port`` (0: a free one), listening, not yet serving.

    UnavailableError if the port cannot be had.
    """
    try:
        listening = socket.create_server((HOST, port))
    except OSError as error:
        message = f"port {port} on {HOST} cannot be had: {error.strerror or error}"
        raise UnavailableError(message, hint="leave out --port to get a free one") from error
    with listening:
        port = listening.getsockname()[1]
        app = create_desk(check, token=token, port=port, folder=folder, limit_bytes=limit_bytes)
        fd = listening.fileno()
        return make_server(HOST, port, app, threaded=True, request_handler=_Quiet, fd=fd)


def serve_desk(
    check: Check,
    *,
    port: int = 0,
    open_browser: bool,
    limit_bytes: int,
    announce: Callable[[str], None],
) -> None:
    """Serve the page until Ctrl-C, after its address was announced. UnavailableError: no port."""
    token = secrets.token_hex(32)
    with tempfile.TemporaryDirectory(prefix="tallystick-desk-") as folder:
        server = make_desk_server(
            check, token=token, port=port, folder=Path(folder), limit_bytes=limit_bytes
        )
        url = f"http://{HOST}:{server.port}/{token}/"
        announce(url)
        if open_browser:
            webbrowser.open(url)
        server.serve_forever()  # returns at Ctrl-C, with its socket closed


class _Quiet(WSGIRequestHandler):
    """Logs no request, since the address holds the token, and names no versions."""

    server_version = "tally"
    sys_version = ""

    def log(self, type: str, message: str, *args: object) -> None:  # noqa: A002 - werkzeug's name
        pass


def _protect(response: flask.Response) -> flask.Response:
    response.headers.update(HEADERS)
    response.headers["Cache-Control"] = "no-store"
    response.headers.setdefault("Content-Security-Policy", PAGE_POLICY)
    return response


def _wants_json() -> bool:
    """The page's script asks for JSON, a form without script for a page."""
    return flask.request.accept_mimetypes.best == "application/json"


def _page(kind: str, **values: object) -> str:
    chosen = language()
    words = words_in(WORDS, chosen)
    return flask.render_template(
        "desk.html", kind=kind, language=chosen, words=words, token=flask.g.token, **values
    )


def _tell(status: int, message: str, hint: str | None) -> flask.Response:
    """An error as a page, or as JSON for the script."""
    message, hint = safe(message), safe(hint or "")
    if _wants_json():
        response = flask.jsonify(message=message, hint=hint)
    else:
        response = flask.make_response(_page("problem", message=message, hint=hint))
    response.status_code = status
    return response


def _tell_ledger_error(error: LedgerError) -> flask.Response:
    return _tell(503 if isinstance(error, UnavailableError) else 400, str(error), error.hint)


def _tell_os_error(error: OSError) -> flask.Response:
    word = WORDS["disk"][language() == "zh"]
    return _tell(507, word.format(error.strerror or "?"), None)


def _tell_too_large(_: RequestEntityTooLarge) -> flask.Response:
    limit: int = flask.current_app.config["MAX_CONTENT_LENGTH"]
    word = WORDS["too-large"][language() == "zh"]
    return _tell(413, word.format(f"{limit:,}"), WORDS["too-large-hint"][language() == "zh"])


def _tell_nothing(error: HTTPException) -> flask.Response:
    """No detail for whoever asks for what is not there."""
    return flask.Response(f"{error.code}\n", status=error.code, mimetype="text/plain")
