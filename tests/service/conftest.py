"""A hosted ledger for trying out, and its service without a network."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ledger.operator.grant import ADMIN, APPEND
from ledger.operator.hosted import HostedLedger, read_settings
from service.app import create_app
from service.metrics import Metrics
from tests.hosting import Clock, home, made_home

__all__ = ["home", "made_home"]  # fixtures for the tests here

OCTETS = "application/octet-stream"


@dataclass
class Service:
    """The service over ``hosted``, asked without a network; ``token`` may append."""

    hosted: HostedLedger
    client: FlaskClient
    clock: Clock
    metrics: Metrics
    token: str

    def post(
        self, body: bytes, kind: str = "application/octet-stream", **more: str
    ) -> TestResponse:
        """Append ``body``; with the token, unless another ``authorization`` is given."""
        given = more.get("authorization", f"Bearer {self.token}")
        headers = {"Authorization": given} if given else {}
        return self.client.post("/v1/entries", data=body, content_type=kind, headers=headers)

    def new_token(self, *scopes: str, quota: int | None = None, rate: int | None = None) -> str:
        return self.hosted.access.new("lab", scopes or (APPEND,), None, quota, rate)

    def metrics_text(self) -> str:
        given = {"Authorization": f"Bearer {self.new_token(ADMIN)}"}
        return self.client.get("/metrics", headers=given).text


@pytest.fixture
def open_service(home: Path) -> Iterator[Callable[[], Service]]:
    """Opens the service over ``home``; at the end it is closed."""
    opened: list[HostedLedger] = []

    def open_it() -> Service:
        clock, metrics = Clock(), Metrics()
        hosted = HostedLedger(
            home,
            read_settings(home, {}),
            clock=clock,
            observe=metrics.observe,
            committed=metrics.committed,
        )
        opened.append(hosted)
        hosted.start(scheduled=False)
        client = create_app(hosted, metrics).test_client()
        return Service(hosted, client, clock, metrics, hosted.access.new("lab"))

    yield open_it
    for hosted in opened:
        hosted.close()


@pytest.fixture
def service(open_service: Callable[[], Service]) -> Service:
    return open_service()
