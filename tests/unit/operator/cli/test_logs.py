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
    "shop-order-new": [],
}


class Kubelet:
    """What each pod says, and how often its container was restarted."""

    def __init__(self) -> None:
        self.said = {pod: list(lines) for pod, lines in SAID.items()}
        self.restarts = dict.fromkeys(SAID, 0)
        self.refused = asyncio.Event()  # somebody asked for a log that has not begun

    async def pods(self, _: web.Request) -> web.Response:
        items = [
            {
                "metadata": {"name": pod},
                "status": {"containerStatuses": [{"name": "main", "restartCount": count}]},
            }
            for pod, count in self.restarts.items()
        ]
        return web.json_response({"metadata": {}, "items": items})

    async def log(self, request: web.Request) -> web.Response:
        assert request.query["container"] == "main"
        lines = self.said[request.match_info["pod"]]
        if not lines:
            self.refused.set()
            return web.json_response({"message": "ContainerCreating"}, status=400)
        lines = lines[-int(request.query.get("tailLines", len(lines))) :]
        return web.Response(text="".join(f"{line}\n" for line in lines))


@pytest.fixture
def kubelet() -> Kubelet:
    return Kubelet()


@pytest.fixture
async def session(kubelet: Kubelet) -> AsyncIterator[Session]:
    app = web.Application()
    app.router.add_get("/api/v1/namespaces/team/pods", kubelet.pods)
    app.router.add_get("/api/v1/namespaces/team/pods/{pod}/log", kubelet.log)
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


class Follower:
    """Follows with the last line of each pod, and reads along."""

    def __init__(self, session: Session, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys
        following = logs._follow(session, "", [("tailLines", "1")], Printer(timestamps=False))
        self._task = asyncio.create_task(following)

    async def read(self, count: int) -> list[str]:
        """So many lines, without the pods' common name."""
        seen = ""
        async with asyncio.timeout(10):
            while seen.count("\n") < count:
                await asyncio.sleep(0)
                seen += self._capsys.readouterr().out
        return sorted(line.removeprefix("shop-order-") for line in click.unstyle(seen).splitlines())

    def stop(self) -> None:
        self._task.cancel()


@pytest.fixture
async def follower(
    session: Session, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Follower]:
    monkeypatch.setattr(logs, "NEW_PODS_SECONDS", 0.01)
    found = Follower(session, capsys)
    yield found
    found.stop()


async def test_following_tells_of_every_pod_once(follower: Follower) -> None:
    assert await follower.read(2) == ["a third", "b second"]


async def test_who_begins_meanwhile_is_told_from_its_beginning(
    follower: Follower, kubelet: Kubelet
) -> None:
    await follower.read(2)
    async with asyncio.timeout(10):  # it is there from the start, but has nothing to say yet
        await kubelet.refused.wait()
    kubelet.said["shop-order-new"] = ["2026-01-01T10:00:03Z one", "2026-01-01T10:00:03Z two"]
    assert await follower.read(2) == ["new one", "new two"]


async def test_a_container_that_is_started_anew_is_followed_on(
    follower: Follower, kubelet: Kubelet
) -> None:
    await follower.read(2)
    kubelet.said["shop-order-b"] += ["2026-01-01T10:00:04Z again", "2026-01-01T10:00:05Z here"]
    kubelet.restarts["shop-order-b"] = 1
    assert await follower.read(2) == ["b again", "b here"]


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
