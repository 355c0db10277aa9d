"""A hosted ledger for trying out, and its service without a network."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from ledger.operator.grant import ADMIN, APPEND
from ledger.operator.hosted import HostedLedger, make_hosted, read_settings
from ledger.operator.hosted_settings import HostedSettings
from service.app import create_app
from service.metrics import Metrics

ORIGIN = "ledger.example.org/one"
OCTETS = "application/octet-stream"
START = datetime(2026, 3, 1, 12, tzinfo=UTC)


@dataclass
class Clock:
    """A clock that a test sets."""

    time: datetime = START

    def __call__(self) -> datetime:
        return self.time


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


def entries(count: int, start: int = 0) -> list[bytes]:
    """Entries as they could be; the same in every run."""
    return [number.to_bytes(8, "big") * 8 for number in range(start + 1, start + count + 1)]


@pytest.fixture(scope="session")
def made_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hosted ledger just made, with its guard beside it: copied, since keys take their time."""
    folder = tmp_path_factory.mktemp("hosted")
    settings = HostedSettings(
        ORIGIN, str(folder / "guard.sqlite"), development=True, stamp_interval_seconds=0
    )
    make_hosted(folder / "home", settings, Clock())
    return folder


@pytest.fixture
def home(made_home: Path, tmp_path: Path) -> Path:
    """A new ledger in a folder of its own."""
    copied = tmp_path / "hosted"
    shutil.copytree(made_home, copied)
    settings = copied / "home" / "ledger.toml"
    text = settings.read_text("utf-8").replace(str(made_home), str(copied))
    settings.write_text(text, "utf-8")
    return copied / "home"


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
