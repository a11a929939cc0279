"""How a command reaches a cluster: the options that all share, and the connection."""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import click
from kubernetes.aio.client import ApiClient
from kubernetes.aio.config import ConfigException

from eventpipeline_operator.adapters.kube.client import ApiError, KubeClient
from eventpipeline_operator.adapters.kube.configuration import KubeContext, kube_configuration
from eventpipeline_operator.adapters.kube.resources import PIPELINE, Json, Kind, Ref

Command = Callable[..., Any]

MANAGER = "eventpipeline-cli"
COMPLETION_SECONDS = 3.0

OPTIONS = (
    click.option("--kubeconfig", type=click.Path(), help="Instead of $KUBECONFIG."),
    click.option("--context", help="Context in kubeconfig; the current one if not given."),
    click.option("-n", "--namespace", help="Namespace; the context's if not given."),
)


operator_namespace_option = click.option(
    "--operator-namespace",
    default="eventpipeline-system",
    show_default=True,
    help="Where the operator lives and keeps its journal.",
)


@dataclass(frozen=True)
class Access:
    """Which cluster and namespace a command speaks of."""

    context: KubeContext
    namespace: str | None = None


@dataclass(frozen=True)
class Session:
    """A connection, and the namespace that it speaks of."""

    client: KubeClient
    namespace: str

    async def items(
        self, kind: Kind, namespace: str | None, selector: str = ""
    ) -> AsyncIterator[Json]:
        """All objects of a kind in a namespace, or everywhere."""
        query = [("labelSelector", selector)] if selector else []
        async for page in self.client.pages(kind.path(namespace), query):
            for live in page["items"]:
                yield live

    def within(self, namespace: str) -> "Session":
        """The same connection for another namespace."""
        return replace(self, namespace=namespace)

    async def read_pipeline(self, name: str) -> Json:
        """One object; a sentence when it is not there."""
        live = await self.client.get(Ref(PIPELINE.name, self.namespace, name))
        if live is None:
            msg = f"there is no EventPipeline {name} in namespace {self.namespace}"
            raise click.ClickException(msg)
        return live


def cluster_options(command: Command) -> Command:
    """Give a command the shared options; it gets them as `access`."""

    @functools.wraps(command)
    def called(
        *arguments: Any,
        kubeconfig: str | None,
        context: str | None,
        namespace: str | None,
        **others: Any,
    ) -> Any:
        access = Access(KubeContext(kubeconfig, context), namespace)
        return command(*arguments, access=access, **others)

    return functools.reduce(lambda wrapped, option: option(wrapped), reversed(OPTIONS), called)


def complete_name(ctx: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """Names of the objects in the namespace; a cluster that does not answer has none."""
    asked = {option: ctx.params.get(option) for option in ("kubeconfig", "context", "namespace")}
    access = Access(KubeContext(asked["kubeconfig"], asked["context"]), asked["namespace"])
    try:
        names = asyncio.run(asyncio.wait_for(_names(access), COMPLETION_SECONDS))
    except (click.ClickException, TimeoutError):
        return []
    return [name for name in names if name.startswith(incomplete)]


async def _names(access: Access) -> list[str]:
    async with connect(access) as session:
        found = [body async for body in session.items(PIPELINE, session.namespace)]
    return [body["metadata"]["name"] for body in found]


name_argument = click.argument("name", shell_complete=complete_name)


@asynccontextmanager
async def connect(access: Access, *, writes: bool = False) -> AsyncIterator[Session]:
    """Speak to the cluster; a session that is not for writing cannot write."""
    try:
        configuration, namespace = await kube_configuration(access.context)
    except ConfigException as error:
        raise click.ClickException(f"kubeconfig: {error}") from error
    async with ApiClient(configuration) as api:
        client = KubeClient(api, _allow if writes else refuse_to_write, MANAGER)
        try:
            yield Session(client, access.namespace or namespace)
        except ApiError as error:
            raise click.ClickException(f"Kubernetes answers: {error}") from error


def refuse_to_write() -> None:
    """What a client of a reading command asks before each write."""
    msg = "this command only reads"
    raise AssertionError(msg)


def _allow() -> None:
    pass
