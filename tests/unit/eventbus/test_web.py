"""Declared operations: validation, answers, problems, documentation, draining."""

import json
from typing import Any

import psycopg2
import pytest
from flask.testing import FlaskClient
from pydantic import BaseModel, Field

from eventbus.errors import Unavailable
from eventbus.tracing import Tracing
from eventbus.web.api import Api
from eventbus.web.operations import Answer, Operation
from eventbus.web.problems import Problem


class Thing(BaseModel):
    name: str = Field(min_length=1, examples=["x"])


class Named(BaseModel):
    data: Thing
    timestamp: str
    status: int


class Page(BaseModel):
    limit: int = Field(10, ge=1, le=20)


@pytest.fixture
def api() -> Api:
    made = Api("Things", "/things", Tracing(None, 0))

    def create(body: Thing, traceparent: str | None) -> Answer:
        return Answer({"name": body.name, "trace": traceparent}, "Made.", 201, {"Location": "/x"})

    def fail(name: str) -> Answer:
        raise {
            "problem": Problem(409, "It is taken.", headers={"Retry-After": "9"}),
            "away": Unavailable("the database is away"),
            "lost": psycopg2.OperationalError("connection lost"),
            "defect": KeyError("secret detail"),
        }[name]

    made.add(Operation("POST", "", "Make a thing", Named, status=201, body=Thing), create)
    made.add(Operation("GET", "", "List", Named, query=Page), lambda query: Answer(query.limit))
    made.add(Operation("GET", "/<name>", "Fail", Named, problems=[409]), fail)
    return made


@pytest.fixture
def client(api: Api) -> FlaskClient:
    return api.flask.test_client()


def assert_problem(answer: Any, status: int) -> dict[str, Any]:
    assert answer.status_code == status
    assert answer.content_type == "application/problem+json"
    problem: dict[str, Any] = answer.get_json(force=True)
    assert problem["status"] == status
    assert problem["message"] == problem["detail"]
    return problem


def test_an_answer_has_the_common_members(client: FlaskClient) -> None:
    answer = client.post("/things", json={"name": "x"})
    body = answer.get_json()
    assert (answer.status_code, body["status"], body["message"]) == (201, 201, "Made.")
    assert body["data"]["name"] == "x"
    assert body["timestamp"].endswith("Z")
    assert answer.headers["Location"] == "/x"


def test_what_is_not_said_is_left_out(client: FlaskClient) -> None:
    assert "message" not in client.get("/things").get_json()


def test_a_query_has_defaults_and_bounds(client: FlaskClient) -> None:
    assert client.get("/things").get_json()["data"] == 10
    problem = assert_problem(client.get("/things?limit=99"), 400)
    assert problem["errors"][0]["pointer"] == "/limit"


def test_unknown_query_members_are_passed_over(client: FlaskClient) -> None:
    assert client.get("/things?utm=1").status_code == 200


def test_a_fault_names_the_member_and_not_the_input(client: FlaskClient) -> None:
    answer = client.post("/things", json={"name": ["hunter2"]})
    problem = assert_problem(answer, 400)
    assert problem["errors"][0]["pointer"] == "/name"
    assert "hunter2" not in answer.text
    assert "Thing" not in answer.text


def test_what_is_not_json_is_told_apart(client: FlaskClient) -> None:
    headers = {"Content-Type": "application/json"}
    broken = client.post("/things", data="{", headers=headers)
    assert assert_problem(broken, 400)["detail"] == "The body is not valid JSON."
    assert_problem(client.post("/things", data="name=x"), 415)
    suffix = {"Content-Type": "application/vnd.thing+json"}
    assert client.post("/things", data='{"name": "x"}', headers=suffix).status_code == 201


def test_too_much_is_refused(client: FlaskClient) -> None:
    assert_problem(client.post("/things", json={"name": "x" * 70_000}), 413)


def test_an_operation_may_answer_with_a_problem(client: FlaskClient) -> None:
    answer = client.get("/things/problem")
    assert assert_problem(answer, 409)["detail"] == "It is taken."
    assert answer.headers["Retry-After"] == "9"


@pytest.mark.parametrize("name", ["away", "lost"])
def test_an_outage_is_temporary(client: FlaskClient, name: str) -> None:
    answer = client.get(f"/things/{name}")
    assert_problem(answer, 503)
    assert "Retry-After" in answer.headers


def test_a_defect_tells_nothing_of_itself(client: FlaskClient) -> None:
    answer = client.get("/things/defect")
    assert_problem(answer, 500)
    assert "secret detail" not in answer.text


def test_routing_faults_are_problems(client: FlaskClient) -> None:
    assert_problem(client.get("/nowhere"), 404)
    wrong = client.delete("/things")
    assert_problem(wrong, 405)
    assert {"GET", "POST"} <= set(wrong.headers["Allow"].split(", "))


def test_head_is_answered_without_a_body(client: FlaskClient) -> None:
    answer = client.head("/things")
    assert answer.status_code == 200
    assert answer.data == b""


def test_every_operation_is_documented(client: FlaskClient) -> None:
    document = json.loads(client.get("/things/openapi.json").data)
    assert document["openapi"] == "3.1.0"
    make = document["paths"]["/things"]["post"]
    assert make["requestBody"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/Thing"
    }
    assert {"201", "400", "413", "415", "503"} == set(make["responses"])
    assert "application/problem+json" in make["responses"]["400"]["content"]
    (parameter,) = document["paths"]["/things"]["get"]["parameters"]
    assert (parameter["name"], parameter["schema"]["maximum"]) == ("limit", 20)
    assert set(document["paths"]["/things/{name}"]["get"]["responses"]) == {
        *("200", "404", "409", "414", "503"),
    }
    assert {"Thing", "Named", "ProblemModel"} <= document["components"]["schemas"].keys()


def test_the_page_needs_no_other_server(client: FlaskClient) -> None:
    page = client.get("/things/docs")
    assert page.content_type == "text/html; charset=utf-8"
    assert "://" not in page.text
