"""AsyncAPI and JSON Schema from models, and which changes leave readers behind."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pydantic
import pytest

from email_service.contracts import CONTRACTS as EMAIL
from eventbus.asyncapi import Participant, breaches, build, event_schema
from order_service.contracts import CONTRACTS as ORDER
from stock_service.contracts import CONTRACTS as STOCK

REPOSITORY = Path(__file__).resolve().parents[3]
SHOP = [ORDER, STOCK, EMAIL]


class Old(pydantic.BaseModel):
    number: int
    note: str | None = None


class Added(Old):
    """One more member, and words about an old one."""

    number: int = pydantic.Field(description="how many")
    more: str


class Gone(pydantic.BaseModel):
    note: str | None = None


class Changed(pydantic.BaseModel):
    number: str
    note: str | None = None


class Optional(pydantic.BaseModel):
    number: int = 0
    note: str | None = None


def compare(model: type[pydantic.BaseModel]) -> list[str]:
    return breaches(event_schema("Told", Old), event_schema("Told", model))


def test_adding_a_member_leaves_nobody_behind() -> None:
    assert compare(Old) == []
    assert compare(Added) == []


@pytest.mark.parametrize(
    ("model", "breach"), [(Gone, "number is gone"), (Changed, "number is something else")]
)
def test_taking_or_changing_a_member_does(model: type[pydantic.BaseModel], breach: str) -> None:
    assert compare(model) == [breach]


def test_a_member_that_may_be_missing_does() -> None:
    was, becomes = Old.model_json_schema(), Optional.model_json_schema()
    assert breaches(was, becomes) == ["number may be missing"]


def test_every_reference_of_the_document_leads_somewhere() -> None:
    document = build("shop", SHOP)

    def follow(reference: str) -> Any:
        place: Any = document
        for step in reference.removeprefix("#/").split("/"):
            place = place[step]
        return place

    for reference in set(references(document)):
        assert follow(reference)
    assert document["operations"]["email-receive-orders"]["action"] == "receive"
    assert {"orders", "stock-commands", "stock-events"} == document["channels"].keys()


def references(node: Any) -> list[str]:
    if isinstance(node, list):
        return [found for item in node for found in references(item)]
    if not isinstance(node, dict):
        return []
    own = [node["$ref"]] if isinstance(node.get("$ref"), str) else []
    return own + [found for item in node.values() for found in references(item)]


def test_every_schema_that_is_kept_is_one() -> None:
    paths = list((REPOSITORY / "docs" / "api" / "events").glob("*.json"))
    published = {kind for each in SHOP for types in each.publishes.values() for kind in types}
    assert {path.stem for path in paths} == published
    for path in paths:
        jsonschema.Draft202012Validator.check_schema(json.loads(path.read_text()))


@pytest.mark.parametrize("reader", SHOP, ids=lambda each: each.name)
def test_what_a_service_reads_is_published_with_every_member_that_it_needs(
    reader: Participant,
) -> None:
    told = {
        (t, k): m for each in SHOP for t, types in each.publishes.items() for k, m in types.items()
    }
    for topic, types in reader.consumes.items():
        for kind, model in types.items():
            needed = {name for name, member in model.model_fields.items() if member.is_required()}
            promised = event_schema(kind, told[topic, kind])["required"]
            assert needed <= set(promised), f"{reader.name} reads {kind}"
