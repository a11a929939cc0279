"""Our own four images: named by their content, their dependencies installed on the host."""

import shutil
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from provision.cache import REPOSITORY, build_once, cache_root, hash_files, locked, log_file
from provision.commands import ProvisionError, run_logged
from provision.contexts import build_image
from provision.docker import image_id
from provision.pulling import Puller, prefixed, registry_prefix
from provision.toolchain import environment_for

# Changes when this module lays out an image in another way.
LAYOUT = "2"
EVENTBUS = REPOSITORY / "libs" / "eventbus" / "src"


@dataclass(frozen=True)
class Member:
    """A project of the repository that becomes an image."""

    name: str
    directory: Path
    package: str

    @property
    def requirements(self) -> Path:
        """Its pinned dependencies."""
        return REPOSITORY / "requirements" / f"{self.name}.txt"

    def sources(self) -> list[Path]:
        """Everything that the image is made of, but for its base."""
        candidates = [
            self.directory / "src",
            self.directory / "migrations",
            self.directory / "Dockerfile",
            self.directory / "pyproject.toml",
            self.requirements,
            EVENTBUS,
        ]
        return [path for path in candidates if path.exists()]

    def image(self) -> str:
        """`eventpipeline/NAME:HASH`, in REGISTRY where one is given."""
        return prefixed(f"eventpipeline/{self.name}:{_content_hash(self)}")


@cache
def _content_hash(member: Member) -> str:
    """Taken once, so that one run speaks of one image even while someone edits the sources."""
    return hash_files(member.sources(), salt=LAYOUT)


MEMBERS: dict[str, Member] = {
    "operator": Member("operator", REPOSITORY / "operator", "eventpipeline_operator"),
    **{
        name: Member(name, REPOSITORY / "services" / name, f"{name}_service")
        for name in ("order", "stock", "email")
    },
}


def ensure_member(member: Member, base_image: str, puller: Puller) -> str:
    """Makes sure that the image is here; answers which way it took."""
    name = member.image()
    with locked(f"image-{member.name}"):
        if image_id(name) is not None:
            return "cached"
        if registry_prefix() and puller.pull(name).pulled:
            return "pulled"
        _build(member, name, base_image)
    return "built"


def _build(member: Member, name: str, base_image: str) -> None:
    dockerfile = member.directory / "Dockerfile"
    if not dockerfile.exists():
        raise ProvisionError(f"{dockerfile.relative_to(REPOSITORY)} is missing")
    dependencies = install_dependencies(member)
    (cache_root() / "work").mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_root() / "work") as work:
        site = Path(work) / "site"
        _lay_out_code(member, site)
        log = log_file(f"image-{member.name}")
        log.unlink(missing_ok=True)
        sources = {"Dockerfile": dockerfile, "dependencies": dependencies, "site": site}
        build_image(name, sources, [f"BASE_IMAGE={base_image}"], log)


def install_dependencies(member: Member) -> Path:
    """What the member needs from the package index, compiled, cached by its requirements."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"

    def build(out: Path) -> None:
        env = environment_for(("uv",))
        log = log_file(f"dependencies-{member.name}")
        log.unlink(missing_ok=True)
        install = ["uv", "pip", "install", "--target", str(out), "--python-version", "3.11"]
        options = ["--require-hashes", "--only-binary", ":all:", "--link-mode", "copy"]
        run_logged([*install, *options, "-r", member.requirements], log, env=env)
        shutil.rmtree(out / "bin", ignore_errors=True)
        (out / ".lock").unlink(missing_ok=True)
        _compile(out, "/app", log)

    path, _ = build_once(
        f"dependencies-{member.name}", hash_files([member.requirements], salt=version), build
    )
    return path


def _lay_out_code(member: Member, site: Path) -> None:
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc", "*.egg-info")
    shutil.copytree(member.directory / "src", site, ignore=ignore)
    shutil.copytree(EVENTBUS, site, ignore=ignore, dirs_exist_ok=True)
    migrations = member.directory / "migrations"
    if migrations.is_dir():
        shutil.copytree(migrations, site / member.package / "migrations", ignore=ignore)
    _compile(site, "/app", log_file(f"image-{member.name}"))


def _compile(directory: Path, installed_at: str, log: Path) -> None:
    """Byte code that is believed without looking at times: the image never changes."""
    compiler = [sys.executable, "-m", "compileall", "-q", "-j", "0"]
    options = ["--invalidation-mode", "unchecked-hash", "-s", str(directory), "-p", installed_at]
    # Templates that are no valid Python are part of some packages; they are not for import.
    try:
        run_logged([*compiler, *options, directory], log)
    except ProvisionError:
        return
