"""Puts the pieces together: from whatever the machine has to a cluster with all images."""

import json
import threading
from dataclasses import dataclass, field
from functools import partial

from provision import kindcluster, network
from provision.backing import (
    BASE,
    IMAGES,
    NODE,
    BackingImage,
    chosen_extras,
    platform_images,
)
from provision.cache import BUILD
from provision.console import CONSOLE
from provision.docker import ensure_engine
from provision.imagebuild import build_backing
from provision.loading import load_images
from provision.ours import MEMBERS, ensure_member
from provision.pulling import Puller, find_local, registry_prefix, remote_names
from provision.recipes import artifact_steps
from provision.steps import CLUSTER, FETCH, Runner, Step
from provision.tools import TOOLS, find_tools, link_tool, tool_path

IMAGES_FILE = BUILD / "images.yaml"


@dataclass
class Provision:
    """One run: what was found out about the images, and the steps that this leads to."""

    puller: Puller = field(default_factory=Puller)
    names: dict[str, str] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def find_images(self, wanted: tuple[str, ...]) -> None:
        """Takes images that are here, and asks registries for the others."""
        Runner().run([Step("docker engine", ensure_engine, lane=CLUSTER)])
        BUILD.mkdir(exist_ok=True)
        for name in wanted:
            if local := find_local(IMAGES[name]):
                self.names[name] = local
        if self.names:
            CONSOLE.say(f"✓ images: already here: {', '.join(sorted(self.names))}")
        missing = [name for name in wanted if name not in self.names]
        Runner().run([self._pull_step(IMAGES[name]) for name in missing])

    def _pull_step(self, image: BackingImage) -> Step:
        def pull() -> str:
            outcome = None
            for name in remote_names(image, registry_prefix()):
                outcome = self.puller.pull(name)
                if outcome.pulled:
                    self.names[image.name] = name
                    return f"pulled {name}"
            self.reasons[image.name] = outcome.reason if outcome else "nobody to ask"
            return f"will be built: {self.reasons[image.name]}"

        return Step(f"ask for {image.upstream}", pull, lane=FETCH)

    @property
    def connected(self) -> bool:
        """Whether the node came from elsewhere; the rest of the world is then there too."""
        return NODE in self.names and self.names[NODE] != IMAGES[NODE].built_name()

    def tool_steps(self) -> tuple[list[Step], tuple[str, ...]]:
        """Links for the tools, and the artifacts that must be built for them."""
        ways, left = find_tools(self.puller, connected=self.connected)
        for name, way in ways.items():
            CONSOLE.say(f"✓ {name}: {way}")
        artifacts = tuple(TOOLS[name][0] for name in left)

        def link(name: str) -> str:
            link_tool(name, tool_path(name))
            return "in build/bin"

        steps = [
            Step(f"{name} program", partial(link, name), (TOOLS[name][0],), CLUSTER)
            for name in left
        ]
        return steps, artifacts

    def build_steps(self, wanted: tuple[str, ...]) -> tuple[list[Step], tuple[str, ...]]:
        """Builds for the images that could not be had, and the artifacts that they need."""
        building = [IMAGES[name] for name in wanted if name not in self.names]
        if any(image.base for image in building) and BASE not in self.names:
            building = [IMAGES[BASE], *(image for image in building if image.name != BASE)]
        every = {part.name: part for image in building for part in _with_parts(image)}
        artifacts = tuple(dict.fromkeys(a for i in every.values() for a in i.all_artifacts()))
        return [self._build_step(image) for image in every.values()], artifacts

    def _build_step(self, image: BackingImage) -> Step:
        needs = (*image.all_artifacts(), *(_step_of(n) for n in (*image.bases(), *image.contains)))

        def build() -> str:
            way = build_backing(image)
            with self._lock:
                self.names[image.name] = image.built_name()
            return way

        return Step(_step_of(image.name), build, needs, CLUSTER)

    def cluster_step(self, tools: tuple[str, ...]) -> Step:
        """The cluster itself: kept if it lives, otherwise created."""

        def create() -> str:
            if kindcluster.is_alive():
                return "running"
            state = kindcluster.container_state()
            node = kindcluster.inspect_node(self.names[NODE])
            mode = "connected" if self.connected else "air-gapped"
            kindcluster.remove()
            network.wait_for_vanished_nodes()
            port = kindcluster.create(node, mode)
            network.drop_stray_packets()
            if node.home_built:
                network.blackhole_ranges(node.image)
                network.answer_only_cluster_names()
            network.wait_for_node()
            why = f"recreated, its container was {state} and its API silent" if state else "created"
            return f"{why}; ingress at 127.0.0.1:{port}"

        return Step("cluster", create, (_step_of(NODE), *tools), CLUSTER)

    def load_step(self, name: str, wanted: tuple[str, ...], needs: tuple[str, ...]) -> Step:
        """Brings images into the node."""

        def load() -> str:
            names = [self.names[key] for key in wanted if key in self.names]
            names += [MEMBERS[key].image() for key in wanted if key in MEMBERS]
            count = load_images(names)
            return f"{count} loaded, {len(names) - count} were there"

        return Step(name, load, ("cluster", *needs), CLUSTER)

    def member_steps(self) -> list[Step]:
        """Our own images."""

        def ensure(name: str) -> str:
            return ensure_member(MEMBERS[name], self.names[BASE], self.puller)

        return [
            Step(f"image {name}", partial(ensure, name), (_step_of(BASE),), FETCH)
            for name in MEMBERS
        ]

    def write_values(self) -> None:
        """build/images.yaml: values of charts/platform, images by their names and chosen parts."""
        images = {name: self.names[name] for name in platform_images()}
        images["bootstrap"] = MEMBERS["operator"].image()
        values = {"images": images, **{name: {"enabled": True} for name in chosen_extras()}}
        IMAGES_FILE.write_text(json.dumps(values, indent=2) + "\n")


def _step_of(image: str) -> str:
    return f"image {image}"


def _with_parts(image: BackingImage) -> list[BackingImage]:
    return [*(IMAGES[name] for name in image.contains), image]


def bring_up(*, with_members: bool) -> Provision:
    """Everything up to a cluster that holds all images; safe to repeat at any point."""
    run = Provision()
    wanted = (NODE, BASE, *platform_images())
    run.find_images(wanted)
    tool_steps, tool_artifacts = run.tool_steps()
    build_steps, image_artifacts = run.build_steps(wanted)
    artifacts = artifact_steps((*image_artifacts, *tool_artifacts))
    members = run.member_steps() if with_members else []
    tool_names = tuple(step.name for step in tool_steps if not step.name.startswith("helm"))
    # The dear ones last: what is there already is loaded while they compile.
    late = tuple(name for name in ("vault", "traefik") if name not in run.names)
    early = tuple(name for name in platform_images() if name not in late)
    steps = [*artifacts, *build_steps, *tool_steps, run.cluster_step(tool_names), *members]
    early_needs = tuple(_step_of(name) for name in early)
    member_needs = tuple(step.name for step in members)
    ours = tuple(MEMBERS) if with_members else ()
    steps.append(run.load_step("load images", (*early, *ours), (*early_needs, *member_needs)))
    if late:
        needs = tuple(_step_of(name) for name in late)
        steps.append(run.load_step("load late images", late, needs))
    Runner().run(_without_dangling_needs(steps))
    run.write_values()
    return run


def _without_dangling_needs(steps: list[Step]) -> list[Step]:
    """A need without a step is something that is there already."""
    there = {step.name for step in steps}
    return [
        Step(s.name, s.run, tuple(n for n in s.needs if n in there), s.lane, s.detail)
        for s in steps
    ]


def build_members() -> None:
    """Our own images alone, on whatever base can be had."""
    run = Provision()
    run.find_images((BASE,))
    build_steps, artifacts = run.build_steps((BASE,))
    steps = [*artifact_steps(artifacts), *build_steps, *run.member_steps()]
    Runner().run(_without_dangling_needs(steps))


def provide_images() -> Provision:
    """All images on this machine, without a cluster."""
    run = Provision()
    wanted = (NODE, BASE, *platform_images())
    run.find_images(wanted)
    build_steps, artifacts = run.build_steps(wanted)
    steps = [*artifact_steps(artifacts), *build_steps, *run.member_steps()]
    Runner().run(_without_dangling_needs(steps))
    return run
