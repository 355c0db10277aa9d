"""Bad weather on the loopback: ten thousand connections, slow ones, endless ones.

Meanwhile the service answers, and afterwards it has its memory and its descriptors back. Bodies
that dawdle are in test_server.py.
"""

import contextlib
import resource
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from service.server import HEADER_SECONDS
from tests.hosting import Hosted, make_hosted, until
from tests.interop.log import entry

pytestmark = pytest.mark.slow

CONNECTIONS = 10_000
SLOW = 300
"""More than four times the threads that the service has."""
SPARE_DESCRIPTORS = 500
ANSWER_SECONDS = 10.0
"""For one answer on a busy machine; waiting for others to be cut off would take them all."""
MAX_MIB = 700
"""32 KiB for each connection, and what the service has anyway. Afterwards the allocator keeps some
of it; it is used again, and does not grow (``ROUNDS``)."""
ROUNDS = 3
MAX_GROWTH_MIB = 64
"""From round to round: less than a tenth of what one round takes, for the allocator's whims."""

POST = "POST /v1/entries HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\n"
WEATHERS: dict[str, bytes] = {
    "nothing sent": b"",
    "half a head": b"GET /checkpoint HTTP/1.1\r\nHost: x\r\nX: ",
    "much of a head": b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 20_000,
    "silent after an answer": b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n",
    "closed on their side": b"GET /checkpoint HTTP/1.1\r\n",
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A running service, and what its processes use."""

    hosted: Hosted
    process: "subprocess.Popen[bytes]"

    def pids(self) -> list[int]:
        own = self.process.pid
        children = Path(f"/proc/{own}/task/{own}/children").read_text().split()
        return [own, *map(int, children)]

    def memory_mib(self) -> int:
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.pids()]
        return sum(int(text.split("VmRSS:")[1].split()[0]) for text in texts) >> 10

    def sockets(self) -> int:
        """Descriptors that are sockets, in all its processes."""
        count = 0
        for pid in self.pids():
            for path in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    count += path.readlink().name.startswith("socket:")
        return count

    def serves(self, number: int) -> bool:
        """Whether it is alive and appends, each within the deadline; if not, OSError."""
        kind = {"Content-Type": "application/octet-stream"}
        given = kind | {"Authorization": f"Bearer {self.hosted.token}"}
        ask = self.hosted.ask
        alive = ask("GET", "/healthz", None, {}, ANSWER_SECONDS).status
        body = entry(number)
        appended = ask("POST", "/v1/entries", body, given, ANSWER_SECONDS).status
        return (alive, appended) == (200, 200)


@pytest.fixture(scope="module")
def many() -> Iterator[int]:
    """How many connections this process, and the service that inherits its limit, may have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + SPARE_DESCRIPTORS
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))
    yield max(soft, most) - SPARE_DESCRIPTORS if most < wanted else CONNECTIONS
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(scope="module")
def watched(many: int, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    hosted = make_hosted(tmp_path_factory.mktemp("hosted"))
    with hosted.served() as process:
        one = Watched(hosted, process)
        # Its threads are begun, and its pools filled: growth is counted from here.
        assert all(one.serves(number) for number in range(1, 200))
        yield one


@contextlib.contextmanager
def connections(hosted: Hosted, count: int, text: bytes) -> Iterator[list[socket.socket]]:
    """So many connections, on each of which ``text`` was sent."""
    with contextlib.ExitStack() as stack:
        opened = []
        for _ in range(count):
            one = socket.create_connection(("127.0.0.1", hosted.port), timeout=ANSWER_SECONDS)
            opened.append(stack.enter_context(one))
            one.sendall(text)
        yield opened


def is_cut_off(one: socket.socket) -> bool:
    """Whether the other side closed; what it said before is read away."""
    one.setblocking(False)
    try:
        while one.recv(65_536):
            pass
    except BlockingIOError:
        return False
    except ConnectionError:
        pass
    return True


def until_cut_off(opened: list[socket.socket], each: Callable[[], None] = lambda: None) -> None:
    """Wait until each of ``opened`` is closed by the service; it fails long after it should be."""
    left = set(opened)
    deadline = time.monotonic() + HEADER_SECONDS * 6
    while left:
        assert time.monotonic() < deadline, f"{len(left)} are open still"
        poll = select.poll()
        by_number = {one.fileno(): one for one in left}
        for number in by_number:
            poll.register(number, select.POLLIN)
        for number, _ in poll.poll(1000):
            if is_cut_off(by_number[number]):
                left.discard(by_number[number])
        each()


def stand(watched: Watched, count: int, weather: str) -> int:
    """So many connections; the service goes on, and ends each by itself. Its MiB meanwhile."""
    sockets = watched.sockets()
    base = 1000 * (1 + list(WEATHERS).index(weather))
    with connections(watched.hosted, count, WEATHERS[weather]) as opened:
        if weather.startswith("closed"):
            for one in opened:
                one.shutdown(socket.SHUT_WR)
        assert all(watched.serves(base + number) for number in range(20))
        most = watched.memory_mib()
        assert most < MAX_MIB
        # The clients keep theirs open.
        until_cut_off(opened)
        until(lambda: watched.sockets() <= sockets)
        assert watched.serves(base + 20)
    assert watched.memory_mib() < MAX_MIB
    return most


@pytest.mark.parametrize("weather", WEATHERS)
def test_ten_thousand_connections_delay_nobody_and_are_all_given_back(
    watched: Watched, many: int, weather: str
) -> None:
    stand(watched, many, weather)


def test_the_worst_weather_again_and_again_takes_no_more_memory(
    watched: Watched, many: int
) -> None:
    most = [stand(watched, many, "much of a head") for _ in range(ROUNDS)]
    assert most[-1] <= most[0] + MAX_GROWTH_MIB


def test_heads_that_come_a_byte_a_second_are_cut_off(watched: Watched) -> None:
    sockets = watched.sockets()
    with connections(watched.hosted, SLOW, b"GET /checkpoint HTTP/1.1\r\nX: ") as opened:

        def drip() -> None:
            for one in opened:
                with contextlib.suppress(OSError):
                    one.send(b"x")
            assert watched.serves(10_001)

        until_cut_off(opened, drip)
    until(lambda: watched.sockets() <= sockets)


@pytest.mark.parametrize(
    "said",
    ["Content-Length: 64\r\n\r\nx", "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"],
    ids=["slow", "in chunks without end"],
)
def test_a_stranger_is_refused_before_the_body_is_there(watched: Watched, said: str) -> None:
    sockets = watched.sockets()
    with connections(watched.hosted, SLOW, f"{POST}{said}".encode()) as opened:
        for one in opened:
            assert one.recv(1000).startswith(b"HTTP/1.1 401 ")
        assert watched.serves(10_002)
    until(lambda: watched.sockets() <= sockets)


def test_heads_without_end_are_refused(watched: Watched) -> None:
    sockets = watched.sockets()
    with connections(watched.hosted, SLOW, b"GET /checkpoint HTTP/1.1\r\n") as opened:
        for one in opened:
            with contextlib.suppress(ConnectionError, TimeoutError):
                for number in range(200):
                    one.sendall(b"X-%d: " % number + b"x" * 1000 + b"\r\n")
        assert watched.serves(10_003)
        heard = [first_bytes(one) for one in opened]
        assert set(heard) <= {b"", b"HTTP/1.1 431", b"HTTP/1.1 400"}
    until(lambda: watched.sockets() <= sockets)
    assert watched.memory_mib() < MAX_MIB


def first_bytes(one: socket.socket) -> bytes:
    """The beginning of an answer; nothing if it was cut off before one could be read."""
    try:
        return one.recv(1000)[:12]
    except ConnectionError:
        return b""
