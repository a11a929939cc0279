"""The EventPipelines that scenarios apply. Pure."""

from dataclasses import dataclass
from typing import Any

Json = dict[str, Any]

IMAGE = "registry.invalid/service:1"
ACCOUNT = "pipeline-vault"


@dataclass(frozen=True)
class Site:
    """Where the servers of a run are."""

    kafka: str
    vault: str


def build_topics_object(site: Site, namespace: str, name: str, topics: int) -> Json:
    """An object with nothing but topics."""
    declared = [
        {"name": f"t{number:04}", "partitions": 1, "config": {"retention.ms": 3_600_000}}
        for number in range(topics)
    ]
    return _object(namespace, name, {**_kafka(site), "topics": declared})


def build_service_object(site: Site, namespace: str, name: str) -> Json:
    """An object with one service, scaled to 0."""
    return _object(namespace, name, {**_kafka(site), "services": [_service()]})


def build_full_object(site: Site, namespace: str, name: str) -> Json:
    """A topic, a kv secret and a service at 0 replicas that uses both."""
    login = {"kubernetes": {"role": namespace, "serviceAccount": ACCOUNT}}
    secret = {
        "name": "login",
        "vault": {"kv": {"path": kv_path(namespace, name)}},
        "env": {"LOGIN": "{user|urlencode}:{password|urlencode}"},
    }
    spec = {
        **_kafka(site),
        "vault": {"address": site.vault, "auth": login},
        "config": {"LOG_LEVEL": "info"},
        "topics": [{"name": "events", "partitions": 1, "config": {"retention.ms": 3_600_000}}],
        "secrets": [secret],
        "services": [_service() | {"secrets": ["login"], "produces": ["events"]}],
    }
    return _object(namespace, name, spec)


def kv_path(namespace: str, name: str) -> str:
    """Where the secret of a full object lies."""
    return f"{namespace}/{name}"


def _kafka(site: Site) -> Json:
    return {"kafka": {"bootstrapServers": site.kafka}}


def _service() -> Json:
    return {"name": "api", "image": IMAGE, "port": 8080, "replicas": 0}


def _object(namespace: str, name: str, spec: Json) -> Json:
    return {
        "apiVersion": "eventpipeline.dev/v1alpha1",
        "kind": "EventPipeline",
        "metadata": {"name": name, "namespace": namespace},
        "spec": spec,
    }
