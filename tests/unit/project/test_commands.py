"""Commands that the documents tell exist: make's targets, our scripts, charts' values, kubectl."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from servers.local import find_artifact

REPOSITORY = Path(__file__).resolve().parents[3]
DOCUMENTS = sorted([*REPOSITORY.glob("*.md"), *REPOSITORY.glob("docs/**/*.md")])
TARGETS = set(re.findall(r"^([a-z0-9-]+):", (REPOSITORY / "Makefile").read_text(), re.MULTILINE))
OURS = ("eventpipeline",)  # a plugin, which is not part of kubectl
CHART = REPOSITORY / "charts" / "eventpipeline"


def commands() -> Iterator[tuple[str, str]]:
    """Document and line of every command in a console block or between backquotes."""
    for document in DOCUMENTS:
        text = document.read_text()
        for block in re.findall(r"^ *```console\n(.*?)^ *```", text, re.DOTALL | re.MULTILINE):
            for line in block.replace("\\\n", " ").splitlines():
                yield document.name, line.strip().removeprefix("$ ").split("   #")[0]
        prose = re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE)
        for line in re.findall(r"`([^`]+)`", prose):
            yield document.name, " ".join(line.split())


def named(program: str) -> list[tuple[str, str]]:
    """Those that begin with a program and go on."""
    return [(document, line) for document, line in commands() if line.startswith(f"{program} ")]


def test_a_target_that_is_told_is_one_of_the_makefile() -> None:
    told = {
        (document, target)
        for document, line in named("make")
        for target in line.split()[1:]
        if "=" not in target
    }
    assert len(told) > 15
    assert {(document, target) for document, target in told if target not in TARGETS} == set()


def test_a_script_that_is_told_is_there() -> None:
    told = {
        (document, line.split()[0])
        for document, line in commands()
        if re.match(r"(hack|bench)/[a-z-]+( |$)", line)
    }
    missing = {(d, path) for d, path in told if not (REPOSITORY / path).exists()}
    assert missing == set()


def has(values: Any, path: str) -> bool:
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values:
            return False
        values = values[key]
    return True


def test_a_value_that_is_told_is_one_of_the_chart() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    told = {
        (document, assignment.split("=")[0])
        for document, line in named("helm")
        if "charts/eventpipeline" in line
        for given in re.findall(r"--set(?:-string)? (\S+)", line)
        for assignment in given.split(",")
    }
    assert len(told) > 5
    assert {(document, path) for document, path in told if not has(values, path)} == set()


@pytest.fixture(scope="module")
def kubectl() -> Path:
    found = find_artifact("kubernetes")
    if isinstance(found, str):
        pytest.skip(found)
    return found / "kubectl"


def verb(line: str) -> tuple[str, ...]:
    """What kubectl is to do: the first word that is neither an option nor an option's value."""
    words = line.split()[1:]
    while words[0] in {"-n", "--namespace"}:
        words = words[2:]
    length = {"rollout": 2, "create": 3 if words[1:2] == ["secret"] else 2}.get(words[0], 1)
    return tuple(words[:length])


def test_what_kubectl_is_told_to_do_it_can_do_with_these_options(kubectl: Path) -> None:
    asked: dict[tuple[str, ...], set[str]] = {}
    for _, line in named("kubectl"):
        one = line.split(" | ")[0].split(" -- ")[0]
        options = set(re.findall(r"(?<= )--[a-z][a-z-]+", one))
        if verb(one) != OURS:
            asked.setdefault(verb(one), set()).update(options)
    assert len(asked) > 10
    general = {"--namespace", "--context"}
    wrong = []
    for words, options in asked.items():
        help_text = subprocess.run(
            [kubectl, *words, "--help"], capture_output=True, text=True, check=False
        )
        assert help_text.returncode == 0, words
        known = set(re.findall(r"--[a-z][a-z-]+", help_text.stdout)) | general
        wrong += [(words, option) for option in options - known]
    assert wrong == []
