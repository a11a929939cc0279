"""A pipeline with every kind of part."""

from typing import Any

import pytest

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.types import EventPipeline


@pytest.fixture
def body() -> dict[str, Any]:
    meta = {"namespace": "team", "name": "shop", "uid": "u", "generation": 1}
    spec = {
        "kafka": {"bootstrapServers": "127.0.0.1:1"},
        "vault": {
            "address": "http://vault:8200",
            "auth": {"kubernetes": {"role": "shop", "serviceAccount": "shop"}},
        },
        "ingress": {"host": "shop.localhost:8088"},
        "topics": [{"name": "orders", "partitions": 6}],
        "secrets": [
            {"name": "db", "vault": {"kv": {"path": "shop"}}, "env": {"PASSWORD": "{PASSWORD}"}}
        ],
        "services": [
            {
                "name": "order",
                "image": "order:1",
                "port": 8080,
                "path": "/api/v1/order",
                "workers": [{"name": "consumer", "consumes": ["orders"]}],
            },
            {"name": "stock", "image": "stock:1", "port": 8081, "paths": ["/api/v1/stock", "/api"]},
        ],
    }
    return {"metadata": meta, "spec": spec, "status": {}}


@pytest.fixture
def pipeline(body: dict[str, Any]) -> EventPipeline:
    return parse(body)
