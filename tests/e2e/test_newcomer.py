"""Someone's first day: every command of docs/first-pipeline.md, then a look at what came of it."""

import json
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import REPOSITORY, Cluster, Site
from servers.waiting import wait_for

GUIDE = REPOSITORY / "docs" / "first-pipeline.md"
BLOCK = re.compile(r"^```console\n(.*?)^```", re.MULTILINE | re.DOTALL)
MINUTES = 10
PICTURES = REPOSITORY / "build" / "newcomer"
PAGE_MS = 15_000

pytestmark = pytest.mark.long


class Browser:
    """A headless Chromium: what a page shows, as text and as a picture."""

    def __init__(self, program: str) -> None:
        self._program = program

    def look(self, address: str, picture: str) -> str:
        """The page's elements once its scripts have run; the picture lies in build/newcomer."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        self._run(f"--screenshot={PICTURES / picture}", address)
        return self._run("--dump-dom", address)

    def _run(self, action: str, address: str) -> str:
        # --no-sandbox: CI's root may not use it, and the pages are our own.
        options = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars")
        done = subprocess.run(
            [
                *(self._program, *options, "--window-size=1400,1000"),
                *(f"--virtual-time-budget={PAGE_MS}", action, address),
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=120,
        )
        return done.stdout


@pytest.fixture(scope="module")
def browser() -> Browser:
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no Chromium; install the package `chromium`")
    return Browser(program)


@pytest.fixture(scope="module")
def guide(cluster: Cluster) -> Iterator[float]:
    """Runs the guide as it stands, but for its last block, which runs at the end; its seconds."""
    *path, farewell = BLOCK.findall(GUIDE.read_text())
    began = time.monotonic()
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "".join(path)],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
        timeout=MINUTES * 60,
    )
    seconds = time.monotonic() - began
    try:
        assert done.returncode == 0, f"{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        yield seconds
    finally:
        cluster.attempt(*farewell.split()[1:])
        for statement in (
            "DROP DATABASE IF EXISTS kiosk_order WITH (FORCE)",
            "DROP DATABASE IF EXISTS kiosk_stock WITH (FORCE)",
            "DROP ROLE IF EXISTS kiosk",
        ):
            cluster.ask_postgres("postgres", statement)


@pytest.fixture(scope="module")
def trace(guide: float, http_port: int) -> list[dict[str, Any]]:  # noqa: ARG001 — made by it
    """The spans of the guide's order, as soon as all have arrived."""
    zipkin = Site("zipkin.localhost", http_port)

    def whole() -> list[dict[str, Any]] | None:
        recent = {"limit": "100", "lookback": "600000"}
        for spans in zipkin.call("GET", "/api/v2/traces", params=recent).json():
            text = json.dumps(spans)
            if "kiosk" in text and {each["localEndpoint"]["serviceName"] for each in spans} >= {
                "order",
                "stock",
            }:
                found: list[dict[str, Any]] = spans
                return found
        return None

    spans = wait_for("the trace of the kiosk's order", whole, seconds=60)
    assert spans
    return spans


def test_every_command_of_the_guide_works_within_its_ten_minutes(guide: float) -> None:
    assert guide < MINUTES * 60


def test_the_order_is_seen_as_one_trace(
    trace: list[dict[str, Any]], browser: Browser, http_port: int
) -> None:
    identity = trace[0]["traceId"]
    page = browser.look(
        f"http://zipkin.localhost:{http_port}/zipkin/traces/{identity}", "trace.png"
    )
    assert identity in page
    assert "stock" in page.lower()


def test_the_dashboard_draws_what_the_pipeline_does(
    guide: float,  # noqa: ARG001 — there is nothing to draw without it
    browser: Browser,
    http_port: int,
) -> None:
    page = browser.look(
        f"http://metrics.localhost:{http_port}/consoles/eventpipeline-traffic.html", "dashboard.png"
    )
    assert 'data-drawn="yes"' in page
    assert '<p class="none">cannot be drawn' not in page
    assert page.count('class="curve"') >= 4


def test_the_pictures_in_the_guide_exist() -> None:
    named = re.findall(r"!\[[^]]*\]\((\S+)\)", GUIDE.read_text())
    assert named
    assert [name for name in named if not Path(GUIDE.parent / name).is_file()] == []
