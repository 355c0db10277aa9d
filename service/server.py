"""Serves a hosted ledger with granian: one process that listens, one that has the ledger.

On SIGTERM or Ctrl-C no more is taken, what was taken is answered, and the ledger is closed.
"""

import gc
import logging
import os
import signal
import socket
import sys
import threading
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any

import structlog
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from ledger.errors import UnavailableError
from ledger.operator.hosted import HostedLedger, read_settings
from service.app import create_app
from service.appending import Appending
from service.front import Front
from service.metrics import Metrics

CONNECTIONS = 1024
"""Waiting to be taken, in the system's queue."""

OPEN_CONNECTIONS = 16_384
"""Taken and open at once. One that sends nothing costs a descriptor until ``HEADER_SECONDS`` are
over; with few allowed, so many idle ones would keep all others waiting that long."""

HEAD_BYTES = 1 << 15
"""Of one request's head, kept for each connection until it is whole: at the most 512 MiB."""

HEADER_SECONDS = 10
"""For a request's head to arrive."""

STOP_SECONDS = 30
"""For what was taken to be answered, when the service is told to stop."""

PARENT_SECONDS = 1.0
"""Between two looks for whether the process that listens is still there."""


def serve(home: Path) -> None:
    """Serve the ledger in ``home`` until told to stop; errors as of ``HostedLedger``."""
    settings = read_settings(home)
    # What is wrong is told here, where there is somebody to tell; and tested for again below.
    HostedLedger(home, settings).close()
    _require_free(settings.host, settings.port)
    Granian(
        "service.server",
        address=settings.host,
        port=settings.port,
        interface=Interfaces.RSGI,
        workers=1,
        backlog=CONNECTIONS,
        backpressure=OPEN_CONNECTIONS,
        http=HTTPModes.http1,
        http1_settings=HTTP1Settings(
            header_read_timeout=HEADER_SECONDS * 1000,
            max_buffer_size=HEAD_BYTES,
            pipeline_flush=False,
        ),
        websockets=False,
        log_level=LogLevels.error,
        log_access=False,
        workers_kill_timeout=STOP_SECONDS,
    ).serve(target_loader=lambda: _load(home), wrap_loader=False)
    start_log()
    structlog.get_logger("service").info("stopped")


def _require_free(host: str, port: int) -> None:
    """UnavailableError if nobody could listen there, or somebody does.

    granian's own sockets may share a port (SO_REUSEPORT): a second ledger would take half of the
    first one's requests.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            place = f"{host} port {port}"
            hint = "another service may have it: port and host are in ledger.toml"
            raise UnavailableError(
                f"cannot listen on {place}: {error.strerror}", hint=hint
            ) from error


def _load(home: Path) -> Any:  # noqa: ANN401 - a Front: what granian wants has no type
    """In the process that has the ledger: open it, and have it closed at the end."""
    start_log()
    _end_with_parent()
    metrics = Metrics()
    hosted = HostedLedger(
        home, read_settings(home), observe=metrics.observe, committed=metrics.committed
    )
    hosted.start()
    # A process of multiprocessing runs these at its end, and not what atexit has.
    Finalize(None, hosted.close, exitpriority=1)
    log = structlog.get_logger("service")
    log.info("serving", origin=hosted.ledger.origin)
    if (closed := hosted.ledger.closed) is not None:
        log.error("closed", reason=str(closed), hint=closed.hint)
    front = Front(create_app(hosted, metrics), Appending(hosted))
    # What is there by now stays: to look through it for garbage again and again costs 50 ms each.
    gc.collect()
    gc.freeze()
    return front


def _end_with_parent() -> None:
    """End as if told to, if the process that listens was killed: nobody else would tell us."""
    parent = os.getppid()

    def watch() -> None:
        pause = threading.Event()
        while not pause.wait(PARENT_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent", daemon=True).start()


def start_log() -> None:
    """One JSON object a line on stderr. Tokens, entries and addresses are never given to it."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
