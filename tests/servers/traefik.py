"""Traefik as the Ingress controller is, but told by a file: one route for each prefix."""

import subprocess
from pathlib import Path

import requests
import yaml

from servers.local import free_port, stop_process
from servers.waiting import wait_for

UNKNOWN = "404 page not found"  # what it says itself of a path without a route


class TraefikServer:
    """One Traefik with its entry point and its metrics on 127.0.0.1."""

    def __init__(self, binaries: Path, directory: Path, routes: dict[str, int]) -> None:
        self._binaries = binaries
        self._directory = directory
        self._routes = routes
        self._port, self._admin = free_port(), free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Where clients come in."""
        return f"http://127.0.0.1:{self._port}"

    @property
    def metrics_url(self) -> str:
        """Where Prometheus would ask."""
        return f"http://127.0.0.1:{self._admin}/metrics"

    def start(self) -> None:
        """Starts it and waits until it routes."""
        routes = self._directory / "routes.yaml"
        routes.write_text(yaml.safe_dump({"http": self._routing()}))
        with (self._directory / "traefik.log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    self._binaries / "traefik",
                    f"--entrypoints.web.address=127.0.0.1:{self._port}",
                    f"--entrypoints.traefik.address=127.0.0.1:{self._admin}",
                    f"--providers.file.filename={routes}",
                    "--metrics.prometheus=true",
                    "--global.checknewversion=false",
                    "--global.sendanonymoususage=false",
                ],
                stdout=log,
                stderr=log,
            )
        wait_for(f"Traefik ({self._directory})", self._answers, seconds=60)

    def stop(self) -> None:
        """Stops it."""
        if self._process:
            stop_process(self._process)

    def _routing(self) -> dict[str, object]:
        names = {prefix: prefix.strip("/").replace("/", "-") for prefix in self._routes}
        return {
            "routers": {
                name: {"rule": f"PathPrefix(`{prefix}`)", "service": name}
                for prefix, name in names.items()
            },
            "services": {
                name: {"loadBalancer": {"servers": [{"url": self._target(prefix)}]}}
                for prefix, name in names.items()
            },
        }

    def _target(self, prefix: str) -> str:
        return f"http://127.0.0.1:{self._routes[prefix]}"

    def _answers(self) -> bool:
        """It reads its routes after it has begun to listen: no prefix is unknown to it."""
        pages = (requests.get(f"{self.url}{prefix}", timeout=2) for prefix in self._routes)
        return all(page.text.strip() != UNKNOWN for page in pages)
