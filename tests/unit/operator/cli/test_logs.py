"""Logs of many pods as one stream; the kubelet's part is played by a small server."""

import asyncio
from collections.abc import AsyncIterator

import click
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from eventpipeline_operator.adapters.kube.client import KubeClient
from eventpipeline_operator.cli import logs
from eventpipeline_operator.cli.logs import Line, Printer, merge, select_pods
from eventpipeline_operator.cli.session import Session

SAID = {
    "shop-order-a": ["2026-01-01T10:00:00.5Z first", "2026-01-01T10:00:02Z third"],
    "shop-order-b": ["2026-01-01T10:00:01Z second"],
}


@pytest.fixture
async def session() -> AsyncIterator[Session]:
    async def pods(_: web.Request) -> web.Response:
        items = [{"metadata": {"name": name}} for name in (*SAID, "shop-order-new")]
        return web.json_response({"metadata": {}, "items": items})

    async def log(request: web.Request) -> web.Response:
        lines = SAID.get(request.match_info["pod"])
        assert request.query["container"] == "main"
        if lines is None:
            return web.json_response({"message": "ContainerCreating"}, status=400)
        return web.Response(text="".join(f"{line}\n" for line in lines))

    app = web.Application()
    app.router.add_get("/api/v1/namespaces/team/pods", pods)
    app.router.add_get("/api/v1/namespaces/team/pods/{pod}/log", log)
    async with (
        TestServer(app) as server,
        ApiClient(Configuration(host=str(server.make_url("")).rstrip("/"))) as api,
    ):
        yield Session(KubeClient(api), "team")


async def test_lines_of_all_pods_come_in_the_order_of_their_times(session: Session) -> None:
    pods = await logs._pods(session, select_pods("shop", "order"))
    read = await asyncio.gather(*(logs._read(session, pod, []) for pod in pods))
    assert [(line.pod[-1], line.text) for line in merge(read)] == [
        ("w", "(no log: ContainerCreating)"),
        ("a", "first"),
        ("b", "second"),
        ("a", "third"),
    ]


async def test_following_tells_of_every_pod_once(
    session: Session, capsys: pytest.CaptureFixture[str]
) -> None:
    following = asyncio.create_task(logs._follow(session, "", [], Printer(timestamps=False)))
    seen = ""
    async with asyncio.timeout(10):
        while seen.count("\n") < 3:
            await asyncio.sleep(0)
            seen += capsys.readouterr().out
    following.cancel()
    assert sorted(click.unstyle(seen).splitlines()) == [
        "shop-order-a first", "shop-order-a third", "shop-order-b second",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("workload", "selector"),
    [
        (None, ""),
        ("order", ",app.kubernetes.io/name=order"),
        ("order/relay", ",eventpipeline.dev/workload=order-relay"),
        ("order/api", ",eventpipeline.dev/workload=order"),
    ],
)
def test_a_service_selects_its_workers_too(workload: str | None, selector: str) -> None:
    assert select_pods("shop", workload).partition("pipeline=shop")[2] == selector


def test_what_a_pod_says_keeps_its_own_order() -> None:
    lines = [Line("2026-01-01T10:00:00Z", "a", "1"), Line("2026-01-01T10:00:00Z", "a", "2")]
    assert merge([lines]) == lines
