"""kind, helm and kubectl in build/bin: from a registry's tools image, from PATH, or built."""

import shutil
import subprocess
from pathlib import Path

from provision.backing import IMAGES, NODE
from provision.cache import BUILD, build_once, hash_files, log_file
from provision.commands import capture
from provision.contexts import build_image
from provision.docker import image_id
from provision.pulling import Puller, prefixed, registry_prefix
from provision.recipes import find_recipe
from provision.toolchain import program_version

BIN = BUILD / "bin"
# Which artifact carries the program, and from which version on one on PATH will do.
TOOLS = {
    "kind": ("kind", (0, 30), ("version",)),
    "helm": ("helm", (3, 14), ("version", "--short")),
    "kubectl": ("kubernetes", (1, 33), ("version", "--client")),
}


def tools_image() -> str:
    """The image that carries the three programs; it is named by their recipes."""
    made_of = "".join(find_recipe(artifact).hash() for artifact, _, _ in TOOLS.values())
    return f"eventpipeline/tools:{hash_files([], salt=made_of)}"


def tool_path(name: str) -> Path:
    """Where `hack/artifact` has put the program."""
    return find_recipe(TOOLS[name][0]).path() / name


def link_tool(name: str, target: Path) -> None:
    """build/bin/NAME → target."""
    BIN.mkdir(parents=True, exist_ok=True)
    link = BIN / name
    if not link.is_symlink() or link.readlink() != target:
        link.unlink(missing_ok=True)
        link.symlink_to(target)


def find_tools(puller: Puller, *, connected: bool) -> tuple[dict[str, str], tuple[str, ...]]:
    """Links what needs no building; answers the ways taken and the names left to be built."""
    ways: dict[str, str] = {}
    from_image = _from_tools_image(puller)
    for name, (_, minimum, question) in TOOLS.items():
        if from_image is not None:
            link_tool(name, from_image / name)
            ways[name] = "from the registry's tools image"
        elif tool_path(name).exists():
            link_tool(name, tool_path(name))
            ways[name] = "cached"
        elif connected and program_version(name, *question) >= minimum:
            link_tool(name, Path(shutil.which(name) or name))
            ways[name] = "found on PATH"
        elif connected and name == "kubectl":
            link_tool(name, _from_node_image())
            ways[name] = "taken out of the node image"
    return ways, tuple(name for name in TOOLS if name not in ways)


def _from_tools_image(puller: Puller) -> Path | None:
    if not registry_prefix():
        return None
    name = prefixed(tools_image())
    if image_id(name) is None and not puller.pull(name).pulled:
        return None

    def extract(out: Path) -> None:
        _copy_out(name, "/tools/.", out)

    path, _ = build_once("tools-image", (image_id(name) or "")[-16:], extract)
    return path


def _from_node_image() -> Path:
    name = IMAGES[NODE].upstream

    def extract(out: Path) -> None:
        _copy_out(prefixed(name), "/usr/bin/kubectl", out / "kubectl")

    path, _ = build_once("kubectl-of-node", name.rsplit(":", 1)[1], extract)
    return path / "kubectl"


def _copy_out(image: str, source: str, target: Path) -> None:
    container = capture(["docker", "create", image, "none"]).strip()
    try:
        capture(["docker", "cp", f"{container}:{source}", target])
    finally:
        subprocess.run(["docker", "rm", container], capture_output=True, check=False)


def build_tools_image() -> str:
    """The image for a registry of one's own, from the artifacts."""
    name = tools_image()
    if image_id(name) is None:
        dockerfile = BUILD / "tools.Dockerfile"
        dockerfile.write_text("FROM scratch\nCOPY tools/ /tools/\n")
        sources = {"Dockerfile": dockerfile}
        for tool in TOOLS:
            sources[f"tools/{tool}"] = tool_path(tool).resolve()
        build_image(name, sources, [], log_file("image-tools"))
    return name
