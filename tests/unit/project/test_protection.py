"""Every operation of every service asks for a token, once the environment names an issuer."""

import pkgutil
from collections.abc import Iterator
from uuid import uuid4

import pytest
from flask import Flask

from eventbus import command, tracing
from servers.issuer import AUDIENCE, ISSUER

METHODS = {"get", "post", "put", "patch", "delete"}


@pytest.fixture(params=["order", "stock", "email"])
def application(request: pytest.FixtureRequest) -> Iterator[Flask]:
    """The service's own API, with neither database nor issuer."""
    declared = pkgutil.resolve_name(f"{request.param}_service.__main__:SERVICE")
    environ = {
        "SERVICE": request.param,
        "DATABASE_URL": "postgresql://127.0.0.1/never-asked",
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS_URL": "http://127.0.0.1:1/never-asked",
        "AUTH_ROLES": f'{{"GET /api/v1/{request.param}": ["clerk"]}}',
    }
    settings = declared.settings.from_env(environ)
    context = command.Context(settings, environ, tracing.build_tracing(settings))
    served = pkgutil.resolve_name(declared.api)(context)
    yield served.wsgi
    served.close()


def test_no_operation_is_forgotten(application: Flask) -> None:
    client = application.test_client()
    prefix = f"/api/v1/{application.name.lower().removesuffix('s')}"
    document = client.get(f"{prefix}/openapi.json").get_json()
    asked = 0
    for path, operations in document["paths"].items():
        address = path.replace("{order_id}", str(uuid4())).replace("{mail_id}", str(uuid4()))
        for method in operations.keys() & METHODS:
            answer = client.open(address.replace("{product}", "x"), method=method.upper())
            assert answer.status_code == 401, (method, path)
            asked += 1
    assert asked >= 4
    assert client.get("/livez").status_code == 200
