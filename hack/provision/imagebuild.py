"""Builds the backing images where none could be pulled."""

import subprocess
import tempfile
from pathlib import Path

from provision.backing import IMAGES, BackingImage
from provision.cache import cache_root, locked, log_file
from provision.commands import capture
from provision.contexts import build_image
from provision.docker import BUILT_LABEL, image_id, tag_image
from provision.recipes import find_recipe


def build_backing(image: BackingImage) -> str:
    """Makes sure that the image exists under its built name; answers which way it took."""
    name = image.built_name()
    with locked(f"image-{image.name}"):
        if image_id(name) is None:
            if image.definition.is_dir():
                _build_from_dockerfile(image, name)
            else:
                _import_root(image.rootfs, name)
            way = "built"
        else:
            way = "cached"
        for alias in image.aliases():
            tag_image(name, alias)
    return way


def _import_root(rootfs: str, name: str) -> None:
    archive = find_recipe(f"rootfs-{rootfs}").path() / "root.tar"
    labels = f"LABEL {BUILT_LABEL}=true"
    path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8"
    capture(["docker", "import", "--change", labels, "--change", path, archive, name])


def _base_of(image: BackingImage) -> str:
    if image.base:
        base = IMAGES[image.base]
        build_backing(base)
        return base.built_name()
    if not image.rootfs:
        return "scratch"
    name = f"eventpipeline/root-{image.rootfs}:{find_recipe(f'rootfs-{image.rootfs}').hash()}"
    if image_id(name) is None:
        _import_root(image.rootfs, name)
    return name


def _build_from_dockerfile(image: BackingImage, name: str) -> None:
    log = log_file(f"image-{image.name}")
    log.unlink(missing_ok=True)
    sources = {"Dockerfile": image.definition / "Dockerfile"}
    if (image.definition / "files").is_dir():
        sources["files"] = image.definition / "files"
    for artifact in image.artifacts:
        sources[artifact] = find_recipe(artifact).path()
    (cache_root() / "work").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_root() / "work") as work:
        if image.contains:
            sources["images/control-plane.tar"] = _save(image, Path(work))
        build_image(name, sources, [f"BASE_IMAGE={_base_of(image)}"], log)


def _save(image: BackingImage, work: Path) -> Path:
    archive = work / "control-plane.tar"
    names = [alias for part in image.contains for alias in IMAGES[part].aliases()]
    subprocess.run(["docker", "save", "-o", archive, *names], check=True, capture_output=True)
    archive.chmod(0o644)
    return archive
