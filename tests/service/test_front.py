"""What stands before the application waits for bodies and commits, and keeps nobody waiting."""

import asyncio
import json
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from granian.rsgi import ProtocolClosed  # type: ignore[attr-defined]

from ledger.errors import UnavailableError
from ledger.operator.batcher import Committed
from service import front as front_module
from service.app import create_app
from service.appending import APPEND_PATH, Appending
from service.front import Front
from tests.hosting import entries
from tests.service.conftest import OCTETS, Service


@dataclass
class Scope:
    """A request's head."""

    method: str = "POST"
    path: str = APPEND_PATH
    query_string: str = ""
    fields: list[tuple[str, str]] = field(default_factory=list)
    http_version: str = "1.1"
    server: str = "127.0.0.1:8600"
    client: str = "127.0.0.1:50000"
    scheme: str = "http"

    @property
    def headers(self) -> Any:
        return Headers(self.fields)


@dataclass
class Headers:
    """Its header fields."""

    fields: list[tuple[str, str]]

    def items(self) -> list[tuple[str, str]]:
        return self.fields


@dataclass
class Exchange:
    """A body that comes when ``come`` is set, and what was answered."""

    body: bytes = b""
    come: asyncio.Event | None = None
    broken: bool = False
    answers: list[tuple[int, dict[str, str], bytes]] = field(default_factory=list)

    async def __call__(self) -> bytes:
        if self.come is not None:
            await self.come.wait()
        if self.broken:
            raise ProtocolClosed
        return self.body

    def response_bytes(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.answers.append((status, dict(headers), body))

    @property
    def status(self) -> int:
        ((status, _, _),) = self.answers
        return status

    @property
    def said(self) -> Any:
        ((_, _, body),) = self.answers
        return json.loads(body)


def append_scope(token: str, length: int | str = 64, **more: str) -> Scope:
    fields = [
        ("authorization", f"Bearer {token}"),
        ("content-type", f"{OCTETS}; x=y"),
        ("content-length", str(length)),
    ]
    return Scope(fields=[*fields, *more.items()])


@pytest.fixture
def front(service: Service) -> Front:
    return Front(create_app(service.hosted, service.metrics), Appending(service.hosted))


def run(front: Front, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """``work`` in the event loop of ``front``; it fails if it takes a minute."""

    async def within_time() -> None:
        front.__rsgi_init__(asyncio.get_running_loop())
        async with asyncio.timeout(60):
            await work()

    asyncio.run(within_time())


def test_appends_that_wait_together_are_answered_each_with_its_own(
    front: Front, service: Service
) -> None:
    given = entries(50)
    exchanges = [Exchange(one) for one in given]

    async def work() -> None:
        scope = append_scope(service.token)
        await asyncio.gather(*[front.__rsgi__(scope, one) for one in exchanges])

    run(front, work)
    assert {one.status for one in exchanges} == {200}
    for one, entry in zip(exchanges, given, strict=True):
        assert service.hosted.store.find(entry) == one.said["indexes"][0]


def test_others_are_answered_while_bodies_and_commits_are_waited_for(
    front: Front, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    never: Future[Committed] = Future()
    monkeypatch.setattr(service.hosted.batcher, "submit", lambda _: never)
    slow = [Exchange(bytes(64)) for _ in range(40)]
    alive = Exchange()

    async def work() -> None:
        held = asyncio.Event()
        slow.extend(Exchange(bytes(64), held) for _ in range(40))
        scope = append_scope(service.token)
        tasks = [asyncio.create_task(front.__rsgi__(scope, one)) for one in slow]
        await front.__rsgi__(Scope("GET", "/healthz"), alive)
        assert not any(one.answers for one in slow)
        never.set_exception(UnavailableError("the disk is full"))
        held.set()
        front._wake()
        await asyncio.gather(*tasks)

    run(front, work)
    assert alive.status == 200
    assert {one.status for one in slow} == {503}


def test_commits_go_on_when_the_loop_has_ended(front: Front, service: Service) -> None:
    run(front, lambda: front.__rsgi__(Scope("GET", "/healthz"), Exchange()))
    for number in range(2):
        done = service.hosted.batcher.submit(entries(1, number)).result(60)
        assert done.indexes == (number,)


def test_a_commit_that_failed_is_told_and_costs_no_quota(
    front: Front, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = service.new_token("append", quota=1)
    exchanges = [Exchange(one) for one in entries(2)]

    async def work() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(service.hosted.ledger, "append", _full)
            await front.__rsgi__(append_scope(token), exchanges[0])
        await front.__rsgi__(append_scope(token), exchanges[1])

    run(front, work)
    assert [one.status for one in exchanges] == [503, 200]
    assert exchanges[1].answers[0][1]["Tally-Quota-Left"] == "0"


def _full(_: object) -> None:
    raise UnavailableError("the disk is full")


@pytest.mark.parametrize(
    ("fields", "body", "status"),
    [
        ({"content-length": "65"}, bytes(64), 400),
        ({"content-length": "131073"}, b"", 413),
        ({"content-length": "9" * 5000}, b"", 413),
        ({"content-length": "64, 64"}, bytes(64), 400),
        ({"content-length": None}, bytes(64), 411),
        ({"authorization": "Bearer x"}, bytes(64), 401),
        ({"authorization": None}, bytes(64), 401),
        ({"content-type": "text/plain"}, bytes(64), 415),
        ({"content-type": None}, bytes(64), 415),
        ({}, bytes(63), 400),
    ],
)
def test_what_is_not_an_append_is_refused(
    front: Front, service: Service, fields: dict[str, str | None], body: bytes, status: int
) -> None:
    head = dict(append_scope(service.token).fields) | fields
    kept = [(name, value) for name, value in head.items() if value is not None]
    exchange = Exchange(body)
    run(front, lambda: front.__rsgi__(Scope(fields=kept), exchange))
    assert exchange.status == status
    assert service.hosted.store.head().size == 0


def test_a_header_with_an_underscore_is_not_taken_for_another(
    front: Front, service: Service
) -> None:
    exchange = Exchange(entries(1)[0])
    more = {"content_length": "5", "content_type": "text/plain"}
    run(front, lambda: front.__rsgi__(append_scope(service.token, **more), exchange))
    assert exchange.status == 200


def test_a_body_that_breaks_off_is_no_fault_of_ours(front: Front, service: Service) -> None:
    exchange = Exchange(broken=True)
    run(front, lambda: front.__rsgi__(append_scope(service.token), exchange))
    assert exchange.status == 400


def test_a_token_has_its_readers_and_no_more(
    front: Front, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(front_module, "BODIES_OF_ONE", 2)
    monkeypatch.setattr(front_module, "BODY_SECONDS", 0.2)
    held: list[Exchange] = []
    other, later = Exchange(entries(1)[0]), Exchange(entries(1)[0])

    async def work() -> None:
        held.extend(Exchange(bytes(64), asyncio.Event()) for _ in range(3))
        scope = append_scope(service.token)
        tasks = [asyncio.create_task(front.__rsgi__(scope, one)) for one in held]
        await front.__rsgi__(append_scope(service.new_token()), other)
        assert not any(one.answers for one in held)
        await asyncio.gather(*tasks)
        await front.__rsgi__(scope, later)

    run(front, work)
    assert sorted(one.status for one in held) == [408, 408, 429]
    assert [other.status, later.status] == [200, 200]
