"""What the documents show is true: their objects are valid, their files exist."""

import re
from pathlib import Path

import pytest
import yaml

from eventpipeline_operator.api.parsing import parse
from eventpipeline_operator.api.validation import validate

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])


def shown_pipelines() -> list[object]:
    """Every complete EventPipeline in a fenced block or in examples/."""
    texts = [
        block
        for document in DOCUMENTS
        for block in re.findall(r"```yaml\n(.*?)```", document.read_text(), re.DOTALL)
    ]
    texts += [path.read_text() for path in REPOSITORY.glob("examples/*.yaml")]
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


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(REPOSITORY)))
def test_every_relative_link_leads_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", document.read_text())
    missing = [target for target in targets if not (document.parent / target).exists()]
    assert not missing
