"""Whoever keeps to ``concurrent.futures.Executor`` can hash a folder, and what breaks is told."""

import multiprocessing
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest

from ledger.doors import carrier as door
from ledger.doors.carrier import FolderCarrier, read_carrier
from ledger.errors import UnavailableError
from ledger.record.manifest import FileEntry


class Cluster(Executor):
    """As a cluster's client does it: work and answer travel as bytes, several go at once, and the
    last handed in is answered first."""

    def __init__(self) -> None:
        self.calls: list[tuple[bytes, Future[Any]]] = []

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        self.calls.append((pickle.dumps((fn, args, kwargs)), future))
        return future

    def map(
        self,
        fn: Callable[..., Any],
        *iterables: Any,
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:
        futures = [self.submit(fn, *args) for args in zip(*iterables, strict=True)]
        for sent, future in reversed(self.calls):
            work, args, kwargs = pickle.loads(sent)
            future.set_result(pickle.loads(pickle.dumps(work(*args, **kwargs))))
        return (future.result(timeout) for future in futures)


def executors() -> list[Callable[[], Executor]]:
    fork = multiprocessing.get_context("fork")
    return [
        lambda: ThreadPoolExecutor(2),
        lambda: ProcessPoolExecutor(2, mp_context=fork),
        Cluster,
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files for three batches, one of them big."""
    monkeypatch.setattr(door, "BATCH_FILES", 4)
    made = tmp_path / "folder"
    (made / "below").mkdir(parents=True)
    for number in range(9):
        (made / "below" / f"{number}").write_bytes(b"%d" % number)
    (made / "big").write_bytes(bytes(3_000_000))
    return made


def read(folder: Path, executor: Executor | None, **options: Any) -> tuple[FileEntry, ...]:
    carrier = read_carrier(folder, executor=executor, **options)
    assert isinstance(carrier, FolderCarrier)
    return carrier.entries


@pytest.mark.parametrize("make", executors(), ids=["threads", "processes", "cluster"])
@pytest.mark.parametrize("sm3", [False, True])
def test_every_executor_gives_what_one_process_gives(
    folder: Path, make: Callable[[], Executor], sm3: bool
) -> None:
    (folder / "link").symlink_to("big")
    alone = read(folder, None, sm3=sm3, skip_unreadable=True)
    assert len(alone) == 11
    assert all((entry.sm3 is not None) is (sm3 and not entry.skipped) for entry in alone)
    with make() as executor:
        assert read(folder, executor, sm3=sm3, skip_unreadable=True) == alone


def test_a_file_that_only_the_worker_cannot_read_is_named(folder: Path) -> None:
    class Elsewhere(Cluster):
        """A worker that does not see one of the files."""

        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            (folder / "big").unlink(missing_ok=True)
            return super().submit(fn, *args, **kwargs)

    with pytest.raises(UnavailableError, match="big: no such file or directory"):
        read(folder, Elsewhere())


class Answering(Executor):
    """Answers every call in one way."""

    def __init__(self, answer: BaseException | list[Any]) -> None:
        self.answer = answer

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        if isinstance(self.answer, BaseException):
            future.set_exception(self.answer)
        else:
            future.set_result(self.answer)
        return future


@pytest.mark.parametrize(
    "answer",
    [
        BrokenProcessPool("it was killed"),
        RuntimeError("lost the scheduler"),
        TimeoutError("no answer"),
        ConnectionResetError("gone"),
        pickle.PicklingError("cannot be sent"),
        [],
        ["one answer for four files"],
    ],
    ids=repr,
)
def test_an_executor_that_broke_is_told(folder: Path, answer: BaseException | list[Any]) -> None:
    with pytest.raises(UnavailableError, match="a process that was hashing is gone") as caught:
        read(folder, Answering(answer))
    assert caught.value.hint is not None


def test_an_executor_that_was_shut_down_is_told(folder: Path) -> None:
    with ThreadPoolExecutor(1) as threads:
        pass
    with pytest.raises(UnavailableError, match="cannot schedule new futures after shutdown"):
        read(folder, threads)


def test_a_call_that_was_cancelled_is_told(folder: Path) -> None:
    class Cancelling(Executor):
        def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            return future

    with pytest.raises(UnavailableError, match="CancelledError"):
        read(folder, Cancelling())


def test_an_executor_that_forgets_a_batch_is_told(folder: Path) -> None:
    class Forgetting(Cluster):
        def map(self, fn: Callable[..., Any], *iterables: Any, **options: Any) -> Iterator[Any]:
            return iter(list(super().map(fn, *iterables))[:-1])

    with pytest.raises(UnavailableError, match="not every file was answered for"):
        read(folder, Forgetting())
