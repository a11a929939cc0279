"""The platform's Redis: off unless asked for, and with the chart's own options a cache."""

import shutil
import socket
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from charts.platform_chart import ChartError, PlatformChart, list_names
from servers.local import answers, free_port, stop_process
from servers.waiting import wait_for

Ask = Callable[..., str]


def test_it_comes_when_it_is_asked_for(platform_chart: PlatformChart) -> None:
    before, after = (
        list_names(platform_chart.render(redis__enabled=wished)) for wished in (False, True)
    )
    assert after - before == {"Service/redis", "Deployment/redis"}


@pytest.mark.parametrize("size", ["64", "0mb", "much"])
def test_a_size_that_redis_does_not_know_is_refused(
    platform_chart: PlatformChart, size: str
) -> None:
    with pytest.raises(ChartError, match="maxMemory"):
        platform_chart.render(redis__enabled=True, redis__maxMemory=size)


def test_its_service_and_its_probes_find_it(platform_chart: PlatformChart) -> None:
    service = platform_chart.find("Service", "redis", redis__enabled=True)["spec"]
    pod = platform_chart.find("Deployment", "redis", redis__enabled=True)["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    assert service["selector"].items() <= pod["metadata"]["labels"].items()
    (port,) = container["ports"]
    assert {p["targetPort"] for p in service["ports"]} == {port["name"]}
    arguments = container["args"]
    assert arguments[arguments.index("--port") + 1] == str(port["containerPort"])
    assert "runAsUser" in pod["spec"]["securityContext"]


@pytest.fixture
def ask(platform_chart: PlatformChart, tmp_path: Path) -> Iterator[Ask]:
    """A Redis as the chart starts it, but on a port of its own; asks it one command."""
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("Redis is not installed: apt-get install redis-server")
    pod = platform_chart.find(
        "Deployment", "redis", redis__enabled=True, redis__maxMemory="2mb"
    )["spec"]["template"]["spec"]  # fmt: skip
    port = free_port()
    chosen = {"--port": str(port), "--dir": str(tmp_path)}
    given = pod["containers"][0]["args"]
    arguments = [chosen.get(before, now) for before, now in zip(["", *given], given, strict=False)]
    with (tmp_path / "redis.log").open("wb") as log:
        server = subprocess.Popen([program, *arguments, "--bind", "127.0.0.1"], stdout=log)
    wait_for(f"Redis ({tmp_path})", lambda: answers(port))

    def ask(*words: str) -> str:
        parts = "".join(f"${len(word)}\r\n{word}\r\n" for word in words)
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"*{len(words)}\r\n{parts}".encode())
            return connection.recv(4096).decode()

    yield ask
    stop_process(server)


def test_the_charts_options_make_a_cache_that_keeps_nothing(ask: Ask, tmp_path: Path) -> None:
    assert ask("PING") == "+PONG\r\n"
    assert "\r\n\r\n" in ask("CONFIG", "GET", "save")
    assert "no" in ask("CONFIG", "GET", "appendonly")
    for number in range(300):
        assert ask("SET", f"key-{number}", "x" * 10_000) == "+OK\r\n"
    kept = int(ask("DBSIZE").strip(":\r\n"))
    assert 0 < kept < 300  # the oldest went, nothing was refused
    assert not list(tmp_path.glob("*.rdb"))
