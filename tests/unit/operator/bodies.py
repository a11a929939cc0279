"""Bodies of EventPipelines for tests: a full one, and parts to change."""

from typing import Any

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline

Json = dict[str, Any]


def build_spec() -> Json:
    """A spec with every kind of part."""
    return {
        "kafka": {"bootstrapServers": "kafka:9092"},
        "vault": {
            "address": "http://vault:8200",
            "auth": {"kubernetes": {"role": "shop", "serviceAccount": "shop-vault"}},
        },
        "tracing": {"endpoint": "http://zipkin:9411/api/v2/spans", "sampleRatio": 0.5},
        "ingress": {"className": "traefik", "host": "shop.localhost"},
        "config": {"LOG_LEVEL": "info"},
        "topics": [
            {"name": "orders", "partitions": 6, "config": {"retention.ms": -1}},
            {"name": "stock-events", "partitions": 3},
        ],
        "secrets": [
            {
                "name": "db",
                "vault": {"kv": {"mount": "kv", "path": "shop"}},
                "env": {"DATABASE_URL": "postgresql://{USER}:{PASSWORD|urlencode}@db/orders"},
            },
            {
                "name": "mail",
                "vault": {"kv": {"mount": "kv", "path": "shop"}},
                "files": {"smtp.json": '{{"user": "{USER}"}}'},
            },
        ],
        "services": [
            {
                "name": "order",
                "image": "order:1",
                "port": 8080,
                "path": "/api/v1/order",
                "replicas": 2,
                "secrets": ["db"],
                "config": {"DATABASE_OWNER": "orders"},
                "calls": ["stock"],
                "migrate": {"args": ["migrate"]},
                "workers": [
                    {"name": "relay", "args": ["relay"], "produces": ["orders"]},
                    {"name": "consumer", "args": ["consume"], "consumes": ["stock-events"]},
                ],
            },
            {"name": "stock", "image": "stock:1", "port": 8081, "path": "/api/v1/stock"},
        ],
    }


def build_body(spec: Json | None = None, **metadata: Any) -> Json:
    """An object as the API server stores it."""
    return {
        "metadata": {
            "namespace": "team",
            "name": "shop",
            "uid": "uid-1",
            "generation": 1,
            **metadata,
        },
        "spec": build_spec() if spec is None else spec,
        "status": {},
    }


def build_pipeline(spec: Json | None = None, **metadata: Any) -> EventPipeline:
    """The same, parsed."""
    return parse(build_body(spec, **metadata))
