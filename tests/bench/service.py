"""P4, P5: appends to a hosted ledger, in process and over HTTP; all durable, tiled and signed.

A ledger in a temporary folder, with everything on that a served one has: the store's fsynced
commit, reading again, both signatures, the guard's fsynced commit, publication. Its TSAs are its
own, and asked as often as a real ledger's would be. Both ends share the machine: wrk (Debian's
package) sends from the loopback, and its CPU is not ours.

fsync  what the disk takes for one: an appended block of 4 KiB and fdatasync, median
P4     entries a second, 1000 to a request: in process from 4 threads, then over HTTP from 8
       connections
P5     single appends a second from 32 connections, and how long one takes; then from 512

    python tests/bench/service.py [--seconds N]
"""

import argparse
import json
import os
import secrets
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, os.fspath(ROOT))

from ledger.operator.access import ACCESS_FILE, Access  # noqa: E402
from ledger.operator.hosted import HostedLedger, make_hosted, read_settings  # noqa: E402
from ledger.operator.hosted_settings import HostedSettings  # noqa: E402
from tests.hosting import hosting  # noqa: E402

SCRIPT = Path(__file__).with_name("append.lua")
ENTRIES = 1000


def fsync_microseconds(folder: Path, count: int = 300) -> float:
    """What one durable block costs, in the median."""
    times = []
    with (folder / "fsync").open("wb", buffering=0) as file:
        for _ in range(count):
            file.write(bytes(4096))
            started = time.perf_counter()
            os.fdatasync(file.fileno())
            times.append(time.perf_counter() - started)
    return statistics.median(times) * 1e6


def make_ledger(folder: Path) -> Path:
    """A new ledger in ``folder``; its home."""
    home = folder / "home"
    settings = HostedSettings(
        "ledger.example.org/bench", os.fspath(folder / "guard" / "guard.sqlite"), development=True
    )
    make_hosted(home, settings)
    return home


def in_process(home: Path, seconds: float) -> float:
    """Entries a second through the batcher, from four threads that wait for their answers."""
    with HostedLedger(home, read_settings(home, {})) as hosted:
        hosted.start()
        appended = [0] * 4
        until = time.perf_counter() + seconds

        def work(number: int) -> None:
            while time.perf_counter() < until:
                content = secrets.token_bytes(64 * ENTRIES)
                entries = [content[at : at + 64] for at in range(0, len(content), 64)]
                hosted.batcher.submit(entries).result()
                appended[number] += ENTRIES

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        started = time.perf_counter()
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return sum(appended) / (time.perf_counter() - started)


def over_http(
    url: str, token: str, connections: int, entries: int, seconds: int
) -> dict[str, float]:
    """What wrk found."""
    line = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "30s"]
    line += ["-s", os.fspath(SCRIPT), f"{url}/v1/entries", "--", token, str(entries)]
    ran = subprocess.run(line, capture_output=True, text=True, check=True)
    found: dict[str, float] = json.loads(ran.stdout.splitlines()[-1])
    if found["refused"] or found["broken"]:
        raise SystemExit(f"not all was taken: {found}")
    return found


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=int, default=10)
    seconds = parser.parse_args(arguments).seconds
    with tempfile.TemporaryDirectory(prefix="tally-bench-") as name:
        folder = Path(name)
        print(f"fsync                    {fsync_microseconds(folder):9.0f} us")
        (folder / "one").mkdir()
        rate = in_process(make_ledger(folder / "one"), seconds)
        print(f"P4 in process            {rate:9.0f} entries/s   (goal 300000)")
        (folder / "two").mkdir()
        home = make_ledger(folder / "two")
        with closing(Access(home / ACCESS_FILE)) as access:
            token = access.new("bench")
        with hosting(home, folder / "log") as served:
            found = over_http(served.url, token, 8, ENTRIES, seconds)
            rate = found["requests"] * ENTRIES / found["seconds"]
            print(f"P4 over HTTP             {rate:9.0f} entries/s   (goal 150000)")
            for connections, goal in ((32, "goal 3000, 40 ms"), (512, "no goal yet")):
                found = over_http(served.url, token, connections, 1, seconds)
                rate = found["requests"] / found["seconds"]
                times = f"p50 {found['p50']:.1f} ms, p99 {found['p99']:.1f} ms"
                label = f"P5 at {connections} connections"
                print(f"{label:25}{rate:9.0f} appends/s   {times}   ({goal})")


if __name__ == "__main__":
    main(sys.argv[1:])
