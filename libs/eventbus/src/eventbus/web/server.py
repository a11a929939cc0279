"""gunicorn, configured in code: the same for every service's API.

Threads, because the work is waiting for Postgres; nothing is built before the fork; the processes'
metrics meet in memory-backed files. On SIGTERM a worker first answers `/readyz` with 503 and closes
each connection after its answer, and stops when the load balancer has had time to notice.
"""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gunicorn import util
from gunicorn.app.base import BaseApplication

from eventbus.settings import ServiceSettings
from eventbus.web.problems import Problem, to_response
from eventbus.web.worker import FollowingWorker

GRACE_SECONDS = 20
# Longer than proxies keep an idle connection (Traefik 90 s): who closes it must be who sends the
# next request, else that request meets a closed door, and a POST is not sent twice.
KEEPALIVE_SECONDS = 120


def _write_problem(sock: Any, status: int, reason: str, detail: str) -> None:
    """What never reaches an operation (a line too long, a header that is none) is a problem too."""
    answer = to_response(Problem(status, detail or reason), "")
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\n"
        f"Content-Type: {answer.content_type}\r\nContent-Length: {answer.content_length}\r\n\r\n"
    )
    util.write_nonblock(sock, head.encode("latin-1") + answer.get_data())


util.write_error = _write_problem  # gunicorn writes a page of HTML and has no setting for it


@dataclass(frozen=True)
class Served:
    """One worker process's application, and how it ends."""

    wsgi: Any
    close: Callable[[], None]
    draining: threading.Event = field(default_factory=threading.Event)


class Worker(FollowingWorker):
    """Asks clients to go before it goes."""

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Answer on, but ask clients to go; then stop as gunicorn does."""
        served: Served | None = self.app.served
        if served is None or served.draining.is_set():
            return
        served.draining.set()
        self.draining = True  # from now on every answer says `Connection: close`
        stop = super().handle_exit
        timer = threading.Timer(self.app.settings.drain_seconds, stop, (sig, frame))
        timer.daemon = True
        timer.start()


class Application(BaseApplication):  # type: ignore[misc]  # untyped
    """Hands our settings and application to gunicorn."""

    def __init__(
        self, settings: ServiceSettings, create: Callable[[], Served], metrics: str
    ) -> None:
        self.settings = settings
        self.served: Served | None = None
        self._create = create
        self._metrics = metrics
        super().__init__()

    def load_config(self) -> None:
        """Options of the server."""
        options = {
            "bind": f"0.0.0.0:{self.settings.port}",
            "worker_class": Worker,
            "workers": self.settings.processes,
            "threads": self.settings.threads,
            "keepalive": KEEPALIVE_SECONDS,
            "graceful_timeout": GRACE_SECONDS + int(self.settings.drain_seconds),
            "control_socket_disable": True,
            "preload_app": False,
            "worker_tmp_dir": self._metrics,
            "loglevel": "warning",
            "worker_exit": _close,
            "child_exit": _forget_process,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Called in each worker process, after the fork."""
        self.served = self._create()
        return self.served.wsgi


def serve(settings: ServiceSettings, create: Callable[[], Served]) -> int:
    """Run until SIGTERM. `create` must be what imports prometheus_client first."""
    shared = Path("/dev/shm")  # noqa: S108  # memory-backed where there is one
    parent = shared if os.access(shared, os.W_OK) else None
    metrics = tempfile.mkdtemp(prefix="metrics-", dir=parent)
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = metrics
    owner = os.getpid()
    try:
        Application(settings, create, metrics).run()
    finally:
        if os.getpid() == owner:  # a forked process ends here too, and the others go on
            shutil.rmtree(metrics, ignore_errors=True)
    return 0


def _close(_: Any, worker: Any) -> None:
    if worker.app.served is not None:
        worker.app.served.close()


def _forget_process(_: Any, worker: Any) -> None:
    from prometheus_client import multiprocess  # noqa: PLC0415  # after the directory is chosen

    multiprocess.mark_process_dead(worker.pid)  # type: ignore[no-untyped-call]
