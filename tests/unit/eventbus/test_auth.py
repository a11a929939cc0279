"""An API that asks for tokens: who is let through, what others are told, and that off means off."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel

from eventbus.settings import ServiceSettings, SettingsError
from eventbus.tracing import Tracing
from eventbus.web.api import Api
from eventbus.web.auth import build_guard, read_roles
from eventbus.web.operations import Answer, Operation
from servers.issuer import AUDIENCE, ISSUER, Issuer

ROLES = {
    "GET /things": "public",
    "POST /things": ["maker", "admin"],
    "GET /things/{name}": [],
    "*": ["admin"],
}


class Anything(BaseModel):
    data: str | None = None


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    started = Issuer()
    yield started
    started.stop()


def build_settings(issuer: Issuer, **changes: str) -> ServiceSettings:
    environ = {
        "DATABASE_URL": "postgresql://nowhere",
        "AUTH_ISSUER": ISSUER,
        "AUTH_AUDIENCE": AUDIENCE,
        "AUTH_JWKS_URL": issuer.url,
        "AUTH_ROLES": json.dumps(ROLES),
        **changes,
    }
    return ServiceSettings.from_env(environ)


def build_client(settings: ServiceSettings) -> FlaskClient:
    api = Api("Things", "/things", Tracing(None, 0), build_guard(settings))
    api.add(Operation("GET", "", "List", Anything), lambda: Answer("all"))
    api.add(Operation("GET", "/<name>", "One", Anything), lambda name: Answer(name, None))
    for path in ("", "/<name>/burn"):
        make = Operation("POST", path, "Make", Anything, status=201, body=Anything)
        api.add(make, lambda body, traceparent, **_: Answer(body.data, traceparent, 201))
    return api.complete().test_client()


@pytest.fixture
def client(issuer: Issuer) -> FlaskClient:
    return build_client(build_settings(issuer))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_the_public_needs_no_token(client: FlaskClient) -> None:
    assert client.get("/things").status_code == 200
    assert client.get("/things", headers=bearer("nonsense")).status_code == 200
    assert client.get("/things/docs").status_code == 200


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic YTpi", "token"])
def test_without_a_token_a_client_is_told_what_is_missing(
    client: FlaskClient, header: str | None
) -> None:
    headers = {} if header is None else {"Authorization": header}
    answer = client.get("/things/x", headers=headers)
    assert (answer.status_code, answer.content_type) == (401, "application/problem+json")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_any_good_token_will_do_where_no_role_is_asked_for(
    client: FlaskClient, issuer: Issuer
) -> None:
    answer = client.get("/things/x", headers=bearer(issuer.key.sign()))
    assert answer.get_json()["data"] == "x"
    lower = {"Authorization": f"bearer {issuer.key.sign()}"}
    assert client.get("/things/x", headers=lower).status_code == 200
    assert client.head("/things/x").status_code == 401


@pytest.mark.parametrize(
    ("path", "roles", "status"),
    [
        ("/things", ["maker"], 201),
        ("/things", ["clerk", "admin"], 201),
        ("/things", ["clerk"], 403),
        ("/things", [], 403),
        ("/things", None, 403),
        ("/things", {"maker": True}, 403),
        ("/things/x/burn", ["maker"], 403),
        ("/things/x/burn", ["admin"], 201),
    ],
)
def test_one_role_of_the_operation_is_enough_and_none_is_too_few(
    client: FlaskClient, issuer: Issuer, path: str, roles: Any, status: int
) -> None:
    answer = client.post(path, json={"data": "x"}, headers=bearer(issuer.key.sign(roles=roles)))
    assert answer.status_code == status
    if status == 403:
        assert 'error="insufficient_scope"' in answer.headers["WWW-Authenticate"]


def test_the_token_is_looked_at_before_the_body(client: FlaskClient) -> None:
    assert client.post("/things", data="{", content_type="application/json").status_code == 401


def test_a_bad_token_is_answered_and_logged_without_it(
    client: FlaskClient, issuer: Issuer, capfd: pytest.CaptureFixture[str]
) -> None:
    token = issuer.key.sign(aud="bank")
    answer = client.get("/things/x", headers=bearer(token))
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == (
        'Bearer error="invalid_token", error_description="The token is for another audience."'
    )
    output = "".join(capfd.readouterr())
    for part in token.split("."):
        assert part not in answer.text + output


def test_a_new_key_of_the_issuer_is_taken_without_a_restart(issuer: Issuer) -> None:
    settings = build_settings(issuer)
    issuer.rotate()
    client = build_client(settings)
    asked = issuer.requests
    for _ in range(20):
        assert client.get("/things/x", headers=bearer(issuer.key.sign())).status_code == 200
    assert issuer.requests == asked + 1


def test_an_issuer_that_never_answered_makes_the_service_unavailable(issuer: Issuer) -> None:
    away = Issuer()
    away.stop()
    client = build_client(build_settings(issuer, AUTH_JWKS_URL=away.url))
    answer = client.get("/things/x", headers=bearer(issuer.key.sign()))
    assert answer.status_code == 503
    assert "Retry-After" in answer.headers
    assert client.get("/things").status_code == 200


def test_the_document_tells_tokens_and_roles(client: FlaskClient) -> None:
    document = client.get("/things/openapi.json").get_json()
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    things = document["paths"]["/things"]
    assert "security" not in things["get"]
    assert things["post"]["security"] == [{"bearer": ["admin", "maker"]}]
    assert {"401", "403"} <= things["post"]["responses"].keys()
    one = document["paths"]["/things/{name}"]["get"]
    assert one["security"] == [{"bearer": []}]
    assert "403" not in one["responses"]


def test_a_role_for_an_operation_that_there_is_not_ends_the_process(issuer: Issuer) -> None:
    settings = build_settings(issuer, AUTH_ROLES='{"DELETE /things": ["admin"]}')
    with pytest.raises(SettingsError, match="there is no DELETE /things"):
        build_client(settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"AUTH_AUDIENCE": ""},
        {"AUTH_JWKS_URL": ""},
        {"AUTH_ISSUER": ""},
        {"AUTH_JWKS_URL": "file:///etc/passwd"},
        {"AUTH_ROLES": "admin"},
        {"AUTH_ROLES": "[]"},
        {"AUTH_ROLES": '{"GET /things": "admin"}'},
    ],
)
def test_half_a_protection_is_refused(issuer: Issuer, changes: dict[str, str]) -> None:
    with pytest.raises(SettingsError, match="AUTH_"):
        build_guard(build_settings(issuer, **changes))


@pytest.mark.parametrize(
    ("claims", "claim", "roles"),
    [
        ({"roles": ["a", "b"]}, "roles", {"a", "b"}),
        ({"scope": "a b"}, "scope", {"a", "b"}),
        ({"realm_access": {"roles": ["a"]}}, "realm_access.roles", {"a"}),
        ({"https://shop.test/roles": ["a"]}, "https://shop.test/roles", {"a"}),
        ({"realm_access": "a"}, "realm_access.roles", set()),
        ({"roles": 7}, "roles", set()),
    ],
)
def test_roles_are_read_as_issuers_write_them(
    claims: dict[str, Any], claim: str, roles: set[str]
) -> None:
    assert read_roles(claims, claim) == roles


def test_without_an_issuer_nothing_is_asked_for_and_nothing_loaded() -> None:
    program = (
        "import sys\n"
        "from eventbus.settings import ServiceSettings\n"
        "from eventbus.tracing import Tracing\n"
        "from eventbus.web.api import Api\n"
        "from eventbus.web.auth import build_guard\n"
        "guard = build_guard(ServiceSettings.from_env({'DATABASE_URL': 'x'}))\n"
        "assert guard is None\n"
        "Api('Things', '/things', Tracing(None, 0), guard).complete()\n"
        "print(sorted({'jwt', 'cryptography'} & sys.modules.keys()))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)  # noqa: PLW1510
    assert done.stdout.strip() == "[]", done.stderr
