"""P4 and the first half of P5: appends to a hosted ledger, through HTTP and in process.

The service is `tally ledger serve` in processes of its own, asked over loopback by one client that
keeps a number of connections busy; client and service share the machine's cores. Every append is
answered after the durable commit (fsync) of store and guard and under a signed checkpoint; at the
end the ledger must have exactly as many entries as were acknowledged. Entries are new random ones,
made before the clock starts. What is compared runs in turn, rounds of each; medians.

P4   1000 entries a request: through HTTP as bytes and as JSON, and in process (the batcher of a
     HostedLedger, as many requests waiting as there are connections; and its ledger alone, a
     commit a request).
P5   one entry a request at 32 connections; beside it GET /healthz at 32 connections, which is what
     granian, Flask and this client cost with no append at all.
disk fdatasync of 4 KiB appended to a file in the same folder, one after another.

    python tests/bench/service.py [--quick] [--rounds N] [--folder DIR]
"""

import argparse
import base64
import json
import os
import selectors
import socket
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from ledger.doors.http import get  # noqa: E402
from ledger.operator.access import ACCESS_FILE, Access  # noqa: E402
from ledger.operator.batcher import Committed  # noqa: E402
from ledger.operator.hosted import HostedLedger, make_hosted, read_settings  # noqa: E402
from ledger.operator.hosted_settings import HostedSettings  # noqa: E402
from ledger.operator.sequencer import ENTRY_BYTES  # noqa: E402
from ledger.tlog.checkpoint import parse_checkpoint  # noqa: E402
from ledger.tlog.note import parse_note  # noqa: E402
from tests.hosting import Hosting, hosting  # noqa: E402

BATCH = 1000
BATCH_CONNECTIONS = 8
SINGLE_CONNECTIONS = 32
SYNCS = 500
TIMEOUT_SECONDS = 60
OCTETS = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Run:
    """One measurement: what was done a second, and the seconds each request took, sorted."""

    per_second: float
    latencies: Sequence[float]

    def at(self, percent: int) -> float:
        """The latency that ``percent`` of the requests did not exceed, in milliseconds."""
        last = len(self.latencies) - 1
        return self.latencies[min(last, len(self.latencies) * percent // 100)] * 1000


def load(port: int, requests: Sequence[bytes], connections: int, each: int) -> Run:
    """Send ``requests``, ``connections`` at a time; each counts ``each``. All must answer 200."""
    waiting = iter(requests)
    latencies: list[float] = []
    with selectors.DefaultSelector() as selector:
        talks = [
            socket.create_connection(("127.0.0.1", port), timeout=TIMEOUT_SECONDS)
            for _ in range(connections)
        ]
        began: dict[socket.socket, float] = {}
        heard = dict.fromkeys(talks, b"")
        started = time.perf_counter()
        for talk in talks:
            talk.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(talk, selectors.EVENT_READ, talk)
            _send(talk, next(waiting), began)
        while len(latencies) < len(requests):
            for key, _ in selector.select(TIMEOUT_SECONDS):
                talk = key.data
                part = talk.recv(1 << 17)
                assert part, "the service hung up"
                heard[talk] += part
                if not _is_whole(heard[talk]):
                    continue
                assert heard[talk].startswith(b"HTTP/1.1 200"), heard[talk]
                latencies.append(time.perf_counter() - began[talk])
                heard[talk] = b""
                following = next(waiting, None)
                if following is not None:
                    _send(talk, following, began)
        seconds = time.perf_counter() - started
        for talk in talks:
            talk.close()
    return Run(len(requests) * each / seconds, sorted(latencies))


def _send(talk: socket.socket, request: bytes, began: dict[socket.socket, float]) -> None:
    began[talk] = time.perf_counter()
    talk.sendall(request)


def _is_whole(heard: bytes) -> bool:
    head, found, body = heard.partition(b"\r\n\r\n")
    if not found:
        return False
    lengths = [
        int(line.partition(b":")[2])
        for line in head.split(b"\r\n")
        if line.lower().startswith(b"content-length:")
    ]
    return len(body) >= lengths[0]


def post(token: str, kind: str, body: bytes) -> bytes:
    """An append as it goes over the wire."""
    head = (
        "POST /v1/entries HTTP/1.1\r\nHost: x\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: {kind}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("ascii") + body


def batch(count: int = BATCH) -> list[bytes]:
    """New entries."""
    drawn = os.urandom(count * ENTRY_BYTES)
    return [drawn[at : at + ENTRY_BYTES] for at in range(0, len(drawn), ENTRY_BYTES)]


def as_json(entries: Sequence[bytes]) -> bytes:
    """The body that holds ``entries`` as JSON."""
    rows = [base64.urlsafe_b64encode(one).rstrip(b"=").decode("ascii") for one in entries]
    return json.dumps({"entries": rows}, separators=(",", ":")).encode("ascii")


def through_batcher(hosted: HostedLedger, requests: Sequence[Sequence[bytes]]) -> Run:
    """Keep ``BATCH_CONNECTIONS`` requests waiting in the batcher."""
    latencies: list[float] = []
    under_way: list[tuple[float, Future[Committed]]] = []
    started = time.perf_counter()
    for entries in requests:
        if len(under_way) == BATCH_CONNECTIONS:
            _finish(under_way, latencies)
        under_way.append((time.perf_counter(), hosted.batcher.submit(entries)))
    while under_way:
        _finish(under_way, latencies)
    seconds = time.perf_counter() - started
    return Run(sum(map(len, requests)) / seconds, sorted(latencies))


def _finish(under_way: list[tuple[float, Future[Committed]]], latencies: list[float]) -> None:
    began, answer = under_way.pop(0)
    answer.result(TIMEOUT_SECONDS)
    latencies.append(time.perf_counter() - began)


def one_by_one(hosted: HostedLedger, requests: Sequence[Sequence[bytes]]) -> Run:
    """A durable commit for each request, with no thread between."""
    latencies: list[float] = []
    for entries in requests:
        began = time.perf_counter()
        hosted.ledger.append(entries)
        latencies.append(time.perf_counter() - began)
    return Run(sum(map(len, requests)) / sum(latencies), sorted(latencies))


def sync(folder: Path) -> Run:
    """What one durable write costs on this disk."""
    latencies: list[float] = []
    path = folder / "synced"
    with path.open("wb", buffering=0) as file:
        for _ in range(SYNCS):
            began = time.perf_counter()
            file.write(bytes(4096))
            os.fdatasync(file.fileno())
            latencies.append(time.perf_counter() - began)
    path.unlink()
    return Run(SYNCS / sum(latencies), sorted(latencies))


def measure(folder: Path, batches: int, singles: int, rounds: int) -> dict[str, list[Run]]:
    """Every measurement ``rounds`` times, in turn, after one that warms up."""
    own, other = folder / "own", folder / "served"
    for home in (own, other):
        guard = folder / "guards" / home.name
        make_hosted(home, HostedSettings("bench.example.org/log", str(guard), development=True))
    with closing(Access(other / ACCESS_FILE)) as access:
        token = access.new("bench")
    found: dict[str, list[Run]] = {}
    with hosting(other, folder / "log") as served, HostedLedger(own, read_settings(own)) as hosted:
        hosted.start(scheduled=False)
        kinds = _kinds(served.port, token, hosted, folder, batches, singles)
        for number in range(rounds + 1):
            for name, kind in kinds.items():
                run = kind()
                if number:
                    found.setdefault(name, []).append(run)
        # The service's own first cover, and then exactly what was acknowledged.
        want = 1 + (rounds + 1) * (2 * batches * BATCH + singles)
        size = parse_checkpoint(parse_note(_checkpoint(served)).text).size
        assert size == want, f"{size} entries, want {want}"
    return found


def _checkpoint(served: Hosting) -> bytes:
    answer = get(
        f"{served.url}/checkpoint", accept="text/plain", limit_bytes=1 << 20, timeout_seconds=60
    )
    assert isinstance(answer, bytes), answer
    return answer


def _kinds(
    port: int, token: str, hosted: HostedLedger, folder: Path, batches: int, singles: int
) -> dict[str, Callable[[], Run]]:
    def posted(count: int, size: int, connections: int, *, compact: bool) -> Run:
        kind = OCTETS if compact else "application/json"
        bodies = [batch(size) for _ in range(count)]
        requests = [post(token, kind, b"".join(one) if compact else as_json(one)) for one in bodies]
        return load(port, requests, connections, size)

    alive = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    return {
        "P4 HTTP, bytes": lambda: posted(batches, BATCH, BATCH_CONNECTIONS, compact=True),
        "P4 HTTP, JSON": lambda: posted(batches, BATCH, BATCH_CONNECTIONS, compact=False),
        "P4 in process, batcher": lambda: through_batcher(
            hosted, [batch() for _ in range(batches)]
        ),
        "P4 in process, one by one": lambda: one_by_one(hosted, [batch() for _ in range(batches)]),
        "P5 HTTP, one entry": lambda: posted(singles, 1, SINGLE_CONNECTIONS, compact=True),
        "P5 beside it: /healthz": lambda: load(port, [alive] * singles, SINGLE_CONNECTIONS, 1),
        "disk, fdatasync": lambda: sync(folder),
    }


def print_runs(found: dict[str, list[Run]]) -> None:
    """A row each: the median of its rounds, the lowest and highest, latencies of the median."""
    print(f"{'':28}{'a second':>10}{'lowest':>10}{'highest':>10}{'p50 ms':>9}{'p99 ms':>9}")
    for name, runs in found.items():
        middle = statistics.median_low([run.per_second for run in runs])
        run = next(run for run in runs if run.per_second == middle)
        rates = [one.per_second for one in runs]
        print(
            f"{name:28}{middle:10,.0f}{min(rates):10,.0f}{max(rates):10,.0f}"
            f"{run.at(50):9.2f}{run.at(99):9.2f}"
        )
    medians = {
        name: statistics.median(run.per_second for run in runs) for name, runs in found.items()
    }
    http, own = medians["P4 HTTP, bytes"], medians["P4 in process, batcher"]
    single, alive = medians["P5 HTTP, one entry"], medians["P5 beside it: /healthz"]
    print(f"\nP4 through HTTP : in process {http / own:5.2f}")
    print(f"P5 : /healthz                {single / alive:5.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the requests")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="on the disk to measure")
    given = parser.parse_args()
    batches, singles = (40, 1000) if given.quick else (400, 10_000)
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        before = os.getloadavg()[0]
        found = measure(Path(folder), batches, singles, given.rounds)
        after = os.getloadavg()[0]
    print(f"{os.cpu_count()} cores, load {before:.1f} before and {after:.1f} after\n")
    print_runs(found)


if __name__ == "__main__":
    main()
