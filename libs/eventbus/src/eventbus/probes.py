"""The worker's small HTTP server: /livez, /readyz, /metrics."""

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from prometheus_client import REGISTRY
from prometheus_client.exposition import choose_encoder

_TEXT = "text/plain; charset=utf-8"


class ProbeServer:
    """Listens on a port of its own; port 0 means that nobody asks."""

    def __init__(
        self, port: int, is_alive: Callable[[], bool], is_ready: Callable[[], bool]
    ) -> None:
        self._server: ThreadingHTTPServer | None = None
        if not port:
            return

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path == "/livez":
                    self._answer(200 if is_alive() else 503, _TEXT, b"")
                elif self.path == "/readyz":
                    self._answer(200 if is_ready() else 503, _TEXT, b"")
                elif self.path == "/metrics":
                    # OpenMetrics for who asks for it: exemplars travel in it alone.
                    encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                    self._answer(200, content_type, encode(REGISTRY))
                else:
                    self._answer(404, _TEXT, b"not found\n")

            def _answer(self, status: int, content_type: str, body: bytes) -> None:
                body = body or (b"ok\n" if status == 200 else b"not ready\n")
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                """Probes come every few seconds and are not worth a line."""

        self._server = ThreadingHTTPServer(("", port), Handler)
        self._server.daemon_threads = True

    def start(self) -> None:
        """Serve from a thread of its own."""
        if self._server is not None:
            threading.Thread(target=self._server.serve_forever, name="probes", daemon=True).start()

    def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
