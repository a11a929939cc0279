"""A service as anybody could write one: told everything by its environment, without our library."""

import http.server
import json
import os
import pathlib
import signal
import sys
import time
from typing import Any


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/readyz" and pathlib.Path("unready").exists():
            self._answer(503, {"error": "told so"})
        elif self.path == "/livez" and pathlib.Path("dead").exists():
            self._answer(500, {})
        else:
            shown = {k: v for k, v in os.environ.items() if k not in os.environ.get("HIDE", "")}
            self._answer(200, {"pid": os.getpid(), "path": self.path, "env": shown,
                               "headers": dict(self.headers)})  # fmt: skip

    def do_POST(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        self._answer(201, {"said": self.rfile.read(size).decode()})

    def _answer(self, status: int, body: dict[str, Any]) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: Any) -> None:
        """Silent."""


def stop(*_: Any) -> None:
    pathlib.Path(f"stopped-{os.getpid()}").touch()
    time.sleep(float(os.environ.get("DRAIN", "0")))
    sys.exit(0)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["migrate"]:
            with pathlib.Path("migrated").open("a") as told:
                told.write("x")
            sys.exit(int(os.environ.get("MIGRATION_CODE", "0")))
        case ["crash"]:
            sys.exit(3)
        case _:
            signal.signal(signal.SIGTERM, stop)
            port = int(os.environ.get("PORT") or os.environ["METRICS_PORT"])
            http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()
