"""Fills a registry with every image, so that another machine needs nothing else."""

import os
from collections.abc import Callable

from provision import plan
from provision.backing import IMAGES, NODE
from provision.commands import ProvisionError, capture
from provision.docker import tag_image
from provision.ours import MEMBERS
from provision.pulling import registry_prefix
from provision.recipes import artifact_steps
from provision.steps import FETCH, Runner, Step
from provision.tools import TOOLS, build_tools_image


def push_everything() -> None:
    """Backing images under their upstream names, the node and the tools under ours."""
    prefix = registry_prefix()
    if not prefix:
        raise ProvisionError("which registry? REGISTRY=host:port hack/images --push")
    # What is pushed is what was found or built without that registry.
    del os.environ["REGISTRY"]
    run = plan.provide_images()
    tools = tuple(artifact for artifact, _, _ in TOOLS.values())
    Runner().run(artifact_steps(tools))
    names = {f"{prefix}/{_name_there(key, run.names[key])}": run.names[key] for key in run.names}
    names |= {f"{prefix}/{m.image()}": m.image() for m in MEMBERS.values()}
    tools_image = build_tools_image()
    names[f"{prefix}/{tools_image}"] = tools_image
    Runner().run(
        [
            Step(f"push {remote}", _pusher(local, remote), lane=FETCH)
            for remote, local in names.items()
        ]
    )


def _name_there(key: str, local: str) -> str:
    return local if key == NODE else IMAGES[key].upstream


def _pusher(local: str, remote: str) -> Callable[[], str]:
    def push() -> str:
        tag_image(local, remote)
        capture(["docker", "push", "-q", remote])
        return "pushed"

    return push
