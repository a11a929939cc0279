"""A plan in a file of its own: for its maker alone, since it holds the whole object."""

import json
import os
from pathlib import Path
from typing import Any

import click

from eventpipeline_operator.cli.planning import Plan

VERSION = 1
PRIVATE = 0o600


def save_plan(path: Path, plan: Plan) -> None:
    """Write it, readable for nobody else."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, PRIVATE)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump({"formatVersion": VERSION, **plan.to_file()}, file, indent=1)


def load_plan(path: Path) -> dict[str, Any]:
    """What was written; a sentence when it is something else."""
    try:
        loaded = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise click.ClickException(f"{path}: not a plan: {error}") from error
    if not isinstance(loaded, dict) or loaded.get("formatVersion") != VERSION:
        raise click.ClickException(f"{path}: not a plan of this version: make a new one")
    return loaded
