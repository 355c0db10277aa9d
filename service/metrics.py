"""What Prometheus is told of the service: how it does, and nothing of who asks or for what.

Counters and histograms begin with the process; what is read from the ledger is read when asked.
"""

from collections.abc import Iterator

import flask
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    disable_created_metrics,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from werkzeug.wrappers import Response

from ledger.errors import LedgerError
from ledger.operator.batcher import Group
from ledger.operator.grant import ADMIN
from ledger.operator.hosted import HostedLedger
from service.auth import authorize
from service.state import State, StateReader

# When a counter began is the process's own start, which is known.
disable_created_metrics()  # type: ignore[no-untyped-call] # it says no types

SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.04, 0.1, 0.2, 0.5, 1, 2, 5, 10)
SIZES = (1, 2, 5, 10, 32, 100, 320, 1000, 3200, 10_000, 32_768)


class Metrics:
    """The counters of one service. ``observe`` is for its batcher, ``committed`` for its store."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "tally_requests",
            "Answers given, by route and status.",
            ("route", "status"),
            registry=self.registry,
        )
        self._entries = Counter(
            "tally_appended_entries", "Entries that were committed.", registry=self.registry
        )
        self._group = Histogram(
            "tally_group_entries", "Entries of one commit.", buckets=SIZES, registry=self.registry
        )
        self._append = Histogram(
            "tally_append_seconds",
            "One group: commit, reading again, signing, guard, publishing.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self._commit = Histogram(
            "tally_commit_seconds",
            "The durable commit of one group, which is mostly the disk's fsync.",
            buckets=SECONDS,
            registry=self.registry,
        )

    def observe(self, group: Group) -> None:
        """Count a group that was committed."""
        self._entries.inc(group.entries)
        self._group.observe(group.entries)
        self._append.observe(group.seconds)

    def committed(self, seconds: float) -> None:
        """Count a durable commit."""
        self._commit.observe(seconds)

    def answered(self, route: str, status: int) -> None:
        """Count an answer. ``route``: the rule that matched, never the address asked for."""
        self._requests.labels(route, str(status)).inc()


class Gauges(Collector):
    """What is read from ``hosted`` each time it is asked; what cannot be read is left out."""

    def __init__(self, hosted: HostedLedger, state: StateReader) -> None:
        self._hosted = hosted
        self._state = state

    def collect(self) -> Iterator[Metric]:
        """The gauges."""
        hosted = self._hosted
        closed = hosted.ledger.closed is not None
        yield _gauge("tally_guard_ok", "1 if guard and store are of one history.", not closed)
        yield _gauge(
            "tally_ready", "1 if entries are taken: see /readyz.", not reasons_not_ready(hosted)
        )
        yield _gauge("tally_waiting_entries", "Entries not committed yet.", hosted.batcher.waiting)
        try:
            free, state = hosted.free_bytes(), self._state.read()
        except LedgerError:
            return
        yield _gauge("tally_disk_free_bytes", "Where there is least: store or guard.", free)
        yield _gauge("tally_tree_size", "Entries in the newest signed tree.", state.size)
        yield _gauge(
            "tally_checkpoint_age_seconds",
            "Since the newest checkpoint was signed, or since the service started.",
            hosted.checkpoint_age_seconds,
        )
        yield from _stamps(state)


def reasons_not_ready(hosted: HostedLedger) -> list[str]:
    """Why entries are not taken now, or not stamped; empty if they are."""
    reasons = []
    if hosted.ledger.closed is not None:
        reasons.append("the ledger is closed")
    if not hosted.batcher.running:
        reasons.append("the service is stopping")
    if "schedule" in hosted.schedule.faults:
        reasons.append("the scheduled work ended by a fault")
    try:
        if not hosted.has_room:
            reasons.append("the disk is nearly full")
        hosted.store.head()
    except LedgerError:
        reasons.append("the disk cannot be asked")
    return reasons


def make_metrics(hosted: HostedLedger, state: StateReader, metrics: Metrics) -> flask.Blueprint:
    """``/metrics`` (a token of scope admin), ``/healthz`` and ``/readyz`` (for anybody)."""
    metrics.registry.register(Gauges(hosted, state))
    made = flask.Blueprint("metrics", __name__)

    @made.get("/metrics")
    def metrics_() -> Response:
        authorize(hosted.access, flask.request.headers.get("Authorization", ""), ADMIN)
        return flask.Response(generate_latest(metrics.registry), content_type=CONTENT_TYPE_LATEST)

    @made.get("/healthz")
    def healthz() -> Response:
        return flask.jsonify(status="alive")

    @made.get("/readyz")
    def readyz() -> Response:
        reasons = reasons_not_ready(hosted)
        answer = flask.jsonify(status="not ready" if reasons else "ready", reasons=reasons)
        answer.status_code = 503 if reasons else 200
        return answer

    return made


def _stamps(state: State) -> Iterator[Metric]:
    ages = GaugeMetricFamily(
        "tally_stamp_age_seconds", "Since the last token of a TSA.", labels=["tsa"]
    )
    pending = GaugeMetricFamily(
        "tally_stamp_pending", "1 if the newest tree has no token of a TSA.", labels=["tsa"]
    )
    for tsa in state.tsas:
        stamped = 0 if tsa.last is None else tsa.last.size
        pending.add_metric([tsa.name], float(stamped < state.size))
        if tsa.last is not None:
            ages.add_metric([tsa.name], (state.now - tsa.last.moment).total_seconds())
    yield ages
    yield pending


def _gauge(name: str, text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, value=float(value))
