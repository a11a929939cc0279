"""An object in a file, which knows in which line each of its fields stands."""

import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import yaml

from eventpipeline_operator.api import names

Json = dict[str, Any]

STEP = re.compile(r"[^.\[\]]+|\[[^\]]*\]")
FIELD = re.compile(r"^spec[\w.\[\]/-]*(?<![.:])")


@dataclass(frozen=True)
class SourceObject:
    """One EventPipeline of a file."""

    file: str
    body: Json
    node: yaml.Node = field(repr=False)

    def locate(self, complaint: str) -> str:
        """The complaint behind the file and line of the field that it begins with."""
        found = FIELD.match(complaint)
        steps = [s.strip("[]") for s in STEP.findall(found.group())] if found else []
        return f"{self.file}:{self.line(*steps)}: {complaint}"

    def line(self, *steps: str) -> int:
        """Where the field stands, or as much of its path as there is."""
        node, line = self.node, self.node.start_mark.line + 1
        for step in steps:
            found = _step(node, step)
            if found is None:
                break
            node, line = found
        return line


def read_object(file: str, namespace: str | None = None) -> SourceObject:
    """The one EventPipeline of a file (`-` is stdin); a sentence when there is not exactly one."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        nodes = [n for n in yaml.compose_all(text, Loader=yaml.SafeLoader) if n is not None]
        loaded = [(yaml.SafeLoader("").construct_document(n), n) for n in nodes]
    except OSError as error:
        raise click.ClickException(f"{file}: {error.strerror}") from error
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise click.ClickException(f"{file}:{line}: {error.problem}") from error
    found = [(body, node) for body, node in loaded if _is_pipeline(body)]
    if len(found) != 1:
        msg = f"{file}: {len(found) or 'no'} EventPipelines in it: there must be one"
        raise click.ClickException(msg)
    body, node = found[0]
    return SourceObject(file, _identified(file, body, namespace), node)


def _is_pipeline(body: object) -> bool:
    return (
        isinstance(body, dict)
        and body.get("kind") == names.KIND
        and body.get("apiVersion") == names.API_VERSION
    )


def _identified(file: str, body: Json, namespace: str | None) -> Json:
    """With a namespace: the file's, else the one that was asked for."""
    meta = body.get("metadata")
    if not isinstance(meta, dict) or not isinstance(meta.get("name"), str):
        raise click.ClickException(f"{file}: metadata.name is needed")
    own = meta.get("namespace", namespace)
    if namespace and own != namespace:
        msg = f"{file}: the object is of namespace {own}, not of {namespace}"
        raise click.ClickException(msg)
    return {**body, "metadata": {**meta, "namespace": own}}


def _step(node: yaml.Node, step: str) -> tuple[yaml.Node, int] | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == step:
                return value, key.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            if step == str(index) or _name_of(item) == step:
                return item, item.start_mark.line + 1
    return None


def _name_of(node: yaml.Node) -> str | None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "name":
                return str(value.value)
    return None
