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
