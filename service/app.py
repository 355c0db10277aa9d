"""The service of a hosted ledger as one Flask application: its parts, put together."""

import functools
import json
import time
from importlib.resources import files

import flask
import structlog
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response

from ledger.errors import LedgerError, VerificationError
from ledger.operator.hosted import HostedLedger
from service.api import make_api
from service.appending import MAX_BODY_BYTES
from service.front import STARTED
from service.log import make_log
from service.metrics import Metrics, make_metrics
from service.pages import Legal, make_pages
from service.problems import problem, tell_error, tell_http
from service.state import StateReader, read_entry
from service.web import HEADERS

SLOW_SECONDS = 1.0
"""What takes longer is told in the log, and so is what was refused."""

FIXED = (
    *HEADERS.items(),
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'"),
)
"""Headers of every answer that does not say otherwise."""


def create_app(hosted: HostedLedger, metrics: Metrics) -> flask.Flask:
    """The application over ``hosted``, which was started and reports to ``metrics``."""
    app = flask.Flask(__name__, static_folder=None)
    app.config.update(MAX_CONTENT_LENGTH=MAX_BODY_BYTES)
    # One address for one thing: no second one with a slash.
    app.url_map.strict_slashes = True
    app.register_blueprint(make_log(hosted.ledger, hosted.store))
    app.register_blueprint(make_api(hosted))
    settings = hosted.settings
    state = StateReader(
        hosted.ledger,
        hosted.schedule,
        hosted.diary,
        tsas=settings.tsa_names,
        wanted=settings.wanted,
        stamp_interval=hosted.stamp_interval,
        clock=hosted.clock,
        development=settings.development,
    )
    app.register_blueprint(make_metrics(hosted, state, metrics))
    legal = Legal(settings.cac_filing, settings.operator, settings.statement, settings.statement_zh)
    entry = functools.partial(read_entry, hosted.ledger, hosted.store, settings.tsa_names)
    app.register_blueprint(make_pages(state.read, entry, read_openapi_file(), legal))
    app.register_error_handler(LedgerError, _tell_ledger_error)
    app.register_error_handler(HTTPException, tell_http)
    app.register_error_handler(Exception, _tell_fault)
    log = structlog.get_logger("request")

    @app.before_request
    def begin() -> None:
        flask.g.started = flask.request.environ.get(STARTED) or time.perf_counter()

    @app.after_request
    def end(response: flask.Response) -> flask.Response:
        there = {name.lower() for name, _ in response.headers}
        for name, value in FIXED:
            if name.lower() not in there:
                response.headers.add(name, value)
        # The rule and not the address: in an address there may be an entry.
        rule = flask.request.url_rule
        route = "none" if rule is None else rule.rule
        metrics.answered(route, response.status_code)
        seconds = time.perf_counter() - flask.g.started
        # A line for each request would cost half of the rate: the metrics count them.
        if response.status_code >= 400 or seconds >= SLOW_SECONDS:
            log.info(
                "answered",
                method=flask.request.method,
                route=route,
                status=response.status_code,
                ms=round(seconds * 1000, 2),
            )
        return response

    return app


def read_openapi_file() -> dict[str, object]:
    """The description of the interface (OpenAPI 3.1)."""
    content: dict[str, object] = json.loads(
        files(__package__).joinpath("openapi.json").read_bytes()
    )
    return content


def _tell_ledger_error(error: LedgerError) -> Response:
    if isinstance(error, VerificationError):
        structlog.get_logger("service").error("damaged", detail=str(error))
    return tell_error(error)


def _tell_fault(error: Exception) -> Response:
    """What nobody foresaw: for the log, with where it was; whoever asked learns only that."""
    structlog.get_logger("service").error("fault", exc_info=error)
    return problem("damaged", "unexpected; the operator is told")
