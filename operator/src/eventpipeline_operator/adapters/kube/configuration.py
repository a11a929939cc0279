"""Where the API server is and as whom we speak to it: the cluster's own way, or a kubeconfig."""

import os
from dataclasses import dataclass

from kubernetes.aio import config as kube_config
from kubernetes.aio.client import Configuration


@dataclass(frozen=True)
class KubeContext:
    """A choice in kubeconfig; without one, its current context."""

    kubeconfig: str | None = None
    name: str | None = None


async def kube_configuration(
    chosen: KubeContext = KubeContext(),
) -> tuple[Configuration, str]:
    """In-cluster where there is one and nothing is chosen, else kubeconfig; and the namespace."""
    configuration = Configuration()
    namespace = "default"
    if "KUBERNETES_SERVICE_HOST" in os.environ and chosen == KubeContext():
        kube_config.load_incluster_config(client_configuration=configuration)  # type: ignore[no-untyped-call]
    else:
        loader = await kube_config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=chosen.kubeconfig, context=chosen.name, client_configuration=configuration
        )
        namespace = dict(loader.current_context["context"]).get("namespace") or namespace
    # Else each request looks for the login of a proxy in ~/.netrc, in a thread.
    configuration.client_session_kwargs = {"trust_env": False}
    return configuration, namespace
