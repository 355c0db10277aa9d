"""The real service, killed under load: what it acknowledged is there, and its history is one."""

import hashlib
import http.client
import os
import random
import signal
import subprocess
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from ledger.operator.audit import audit
from ledger.operator.guard import Guard
from ledger.operator.hosted import HostedLedger, read_settings
from ledger.operator.store.sqlite import SqliteStore
from ledger.tlog.checkpoint import check_signatures, parse_checkpoint
from ledger.tlog.merkle import TreeHead, check_consistency, prove_consistency
from ledger.tlog.note import parse_note, parse_vkey
from ledger.tlog.tile import tile_hash_reader
from tests.hosting import PROGRAM, ROOT, Hosted, make_hosted, read_answer, until

pytestmark = pytest.mark.slow

RUNS = 10
CLIENTS = 4
MAX_BATCH = 40


@dataclass
class Seen:
    """What all clients of all runs were told."""

    entries: dict[int, bytes] = field(default_factory=dict)
    checkpoints: set[bytes] = field(default_factory=set)
    answers: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledged(self, indexes: list[int], entries: list[bytes], signed_file: bytes) -> None:
        with self.lock:
            self.answers += 1
            self.checkpoints.add(signed_file)
            for index, entry in zip(indexes, entries, strict=True):
                assert self.entries.setdefault(index, entry) == entry

    def saw(self, signed_file: bytes) -> None:
        with self.lock:
            self.checkpoints.add(signed_file)


def append_until_killed(hosted: Hosted, name: str, seen: Seen) -> None:
    """Append batches on one connection until it breaks."""
    dice = random.Random(name)
    headers = {"Content-Type": "application/octet-stream"}
    headers |= {"Authorization": f"Bearer {hosted.token}"}
    connection = http.client.HTTPConnection("127.0.0.1", hosted.port, timeout=30)
    number = 0
    with closing(connection), suppress(OSError, http.client.HTTPException):
        while True:
            count = dice.randint(1, MAX_BATCH)
            given = [
                hashlib.sha512(b"%s %d %d" % (name.encode(), number, one)).digest()
                for one in range(count)
            ]
            connection.request("POST", "/v1/entries", b"".join(given), headers)
            answer = read_answer(connection)
            if answer.status != 200:
                return
            told = answer.json
            seen.acknowledged(told["indexes"], given, told["checkpoint"].encode())
            number += 1


def watch_until_killed(hosted: Hosted, seen: Seen) -> None:
    """Read the published checkpoint again and again."""
    with suppress(OSError, http.client.HTTPException):
        while True:
            answer = hosted.get("/checkpoint")
            if answer.status != 200:
                return
            seen.saw(answer.body)


def children(pid: int) -> list[int]:
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kill_all(process: "subprocess.Popen[bytes]") -> None:
    os.killpg(process.pid, signal.SIGKILL)


def kill_the_one_that_has_the_ledger(process: "subprocess.Popen[bytes]") -> None:
    for child in children(process.pid):
        os.kill(child, signal.SIGKILL)


def kill_the_one_that_listens(process: "subprocess.Popen[bytes]") -> None:
    process.kill()


BLOWS: tuple[Callable[["subprocess.Popen[bytes]"], None], ...] = (
    kill_all,
    kill_the_one_that_has_the_ledger,
    kill_the_one_that_listens,
)


def is_gone(process: "subprocess.Popen[bytes]") -> bool:
    """Whether nothing of the service is left."""
    if process.poll() is None:
        return False
    try:
        os.killpg(process.pid, 0)
    except ProcessLookupError:
        return True
    return False


def run_until_killed(hosted: Hosted, run: int, seen: Seen, dice: random.Random) -> None:
    process = hosted.start()
    try:
        assert process.poll() is None, (hosted.folder / "log").read_text()[-2000:]
        before, wanted = seen.answers, dice.randint(1, 40)
        threads = [
            threading.Thread(target=append_until_killed, args=(hosted, f"{run} {client}", seen))
            for client in range(CLIENTS)
        ]
        threads.append(threading.Thread(target=watch_until_killed, args=(hosted, seen)))
        for thread in threads:
            thread.start()
        until(lambda: seen.answers >= before + wanted)
        # Some work, so that the blow falls at any moment of a commit.
        hashlib.pbkdf2_hmac("sha256", b"", b"", dice.randint(1, 50_000))
        BLOWS[run % len(BLOWS)](process)
        until(lambda: is_gone(process))
        for thread in threads:
            thread.join()
    finally:
        with suppress(ProcessLookupError):
            kill_all(process)
        process.wait()


def check_history(hosted: Hosted, seen: Seen) -> None:
    """All that was acknowledged is there; all that was signed and seen is of one history."""
    keys = [parse_vkey(vkey) for vkey in hosted.vkeys]
    heads: dict[int, TreeHead] = {}
    files: dict[int, bytes] = {}
    for signed_file in seen.checkpoints:
        note = parse_note(signed_file)
        assert len(check_signatures(note, keys)) == 2
        head = parse_checkpoint(note.text).head
        heads[head.size] = head
        assert files.setdefault(head.size, signed_file) == signed_file
    with (
        closing(SqliteStore(hosted.home / "store.sqlite", create=False)) as store,
        closing(Guard(hosted.guard, create=False)) as guard,
    ):
        for index, entry in seen.entries.items():
            assert store.entries(index, index + 1) == (entry,)
        newest = store.head()
        assert newest.size >= max(heads)
        read = tile_hash_reader(newest.size, store.tiles)
        for size, head in heads.items():
            assert guard.file(size) == files[size]
            if size:
                proof = prove_consistency(size, newest.size, read)
                check_consistency(proof, head, newest)
        # As the blow left it nothing is wrong, though the last step may be missing; the next start
        # does it, and then all can be compared.
        assert audit(store, guard, keys).first == ()
        HostedLedger(hosted.home, read_settings(hosted.home, {})).close()
        found = audit(store, guard, keys)
        assert (found.first, found.unchecked, found.size) == ((), (), store.head().size)


def test_ten_services_killed_under_load_leave_one_history_with_all_they_acknowledged(
    tmp_path: Path,
) -> None:
    hosted = make_hosted(tmp_path)
    seen, dice = Seen(), random.Random(1)
    for run in range(RUNS):
        run_until_killed(hosted, run, seen, dice)
        check_history(hosted, seen)
    assert seen.answers >= RUNS
    # It goes on: what was resent has its place still, and what is new comes after all.
    with hosted.served():
        index, entry = max(seen.entries.items())
        assert hosted.append([entry]).json["indexes"] == [index]
        size = parse_checkpoint(parse_note(hosted.get("/checkpoint").body).text).size
        new = hosted.append([bytes(64)]).json
        assert new["indexes"] == [size]
        seen.acknowledged(new["indexes"], [bytes(64)], new["checkpoint"].encode())
    check_history(hosted, seen)


def test_a_second_service_on_one_ledger_says_that_there_is_one_and_harms_none(
    tmp_path: Path,
) -> None:
    hosted = make_hosted(tmp_path)
    line = [*PROGRAM, "ledger", "serve", "--ledger", os.fspath(hosted.home)]
    # On a port of its own, so that nothing but the ledger is in its way.
    environment = {**os.environ, "TALLY_LEDGER_PORT": "0"}
    with hosted.served():
        before = hosted.append([b"\1" * 64]).json["indexes"]
        second = subprocess.run(
            line, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )
        assert second.returncode == 3
        assert f"another process serves the ledger in {hosted.home}" in second.stderr
        assert "hint: stop it first" in second.stderr
        assert hosted.append([b"\2" * 64]).json["indexes"] == [before[0] + 1]
    with hosted.served():
        assert hosted.append([b"\3" * 64]).json["indexes"] == [before[0] + 2]
