"""What the documents show is true: their objects are valid, their files exist."""

import json
import re
import textwrap
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.validation import validate

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def shown_yaml() -> list[tuple[str, str]]:
    """Document and text of every fenced block of YAML."""
    return [
        (document.name, textwrap.dedent(block))
        for document in DOCUMENTS
        for block in re.findall(
            r"^ *```yaml\n(.*?)^ *```", document.read_text(), re.DOTALL | re.MULTILINE
        )
    ]


def shown_pipelines() -> list[object]:
    """Every complete EventPipeline in a fenced block or in examples/."""
    texts = [text for _, text in shown_yaml()]
    texts += [path.read_text() for path in REPOSITORY.glob("examples/**/*.yaml")]
    objects = [each for text in texts for each in yaml.safe_load_all(text)]
    return [each for each in objects if isinstance(each, dict) and is_pipeline(each)]


def is_pipeline(loaded: dict[str, object]) -> bool:
    return loaded.get("kind") == "EventPipeline" and "metadata" in loaded


def test_readme_and_example_show_a_pipeline() -> None:
    assert len(shown_pipelines()) >= 2


@pytest.mark.parametrize("shown", shown_pipelines(), ids=lambda each: each["metadata"]["name"])
def test_a_shown_pipeline_is_valid(shown: dict[str, dict[str, object]]) -> None:
    body = {**shown, "metadata": {"uid": "u", "generation": 1, **shown["metadata"]}}
    assert not validate(parse(body))


def schema_of_spec() -> Any:
    """What the API server holds a spec against."""
    crd = yaml.safe_load((REPOSITORY / "crds/eventpipelines.eventpipeline.dev.yaml").read_text())
    schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return closed(schema)


def closed(schema: Any) -> Any:
    """The API server cuts what a schema does not know; here it is an error."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: closed(value) for key, value in schema.items()}
    if isinstance(made.get("properties"), dict) and made.get("type") == "object":
        made.setdefault("additionalProperties", made.get("x-kubernetes-preserve-unknown-fields"))
        made["additionalProperties"] = bool(made["additionalProperties"])
    return made


@pytest.mark.parametrize("shown", shown_pipelines(), ids=lambda each: each["metadata"]["name"])
def test_a_shown_pipeline_is_taken_by_the_api_server(shown: dict[str, Any]) -> None:
    jsonschema.validate(shown["spec"], schema_of_spec())


def fragments() -> list[tuple[str, Any, Any]]:
    """Document, what it shows of an object or of the chart's values, and their schema."""
    values = json.loads((REPOSITORY / "charts/eventpipeline/values.schema.json").read_text())
    return [
        (document, shown, schema)
        for document, text in shown_yaml()
        for shown in yaml.safe_load_all(text)
        for schema in (schema_of_spec(), values)
        if isinstance(shown, dict) and shown.keys() <= schema["properties"].keys()
    ]


@pytest.mark.parametrize(("document", "shown", "schema"), fragments(), ids=lambda _: "")
def test_a_shown_part_is_a_part_of_an_object_or_of_the_charts_values(
    document: str, shown: Any, schema: Any
) -> None:
    assert document
    jsonschema.validate(shown, {**schema, "required": []})


def test_the_guides_show_parts() -> None:
    assert len(fragments()) >= 5


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing


def shown_files() -> list[tuple[str, str]]:
    """Path and text of every block of a guide that is introduced by the name of its file."""
    text = (REPOSITORY / "docs" / "write-a-service.md").read_text()
    return re.findall(r"^`(examples/[^`]+)`\n\n```\w+\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_guide_shows_every_file_of_its_example() -> None:
    folder = REPOSITORY / "examples" / "loyalty"
    code = [p for p in folder.rglob("*.py") if "__pycache__" not in p.parts]
    others = [folder / name for name in ("pyproject.toml", "Dockerfile", "pipeline.yaml")]
    told = {str(p.relative_to(REPOSITORY)) for p in [*code, *others] if p.name != "__init__.py"}
    assert {path for path, _ in shown_files()} == told


@pytest.mark.parametrize(("path", "shown"), shown_files(), ids=lambda text: text.splitlines()[0])
def test_what_the_guide_shows_is_what_the_example_has(path: str, shown: str) -> None:
    assert shown == (REPOSITORY / path).read_text()
