"""What can be built from packages: each artifact's recipe, tools, needs and where it lies."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from provision.cache import REPOSITORY, build_once, cache_root, hash_files, log_file
from provision.commands import ProvisionError, last_line, run_logged
from provision.steps import COMPILE, FETCH, Step
from provision.toolchain import environment_for

RECIPES = REPOSITORY / "hack" / "recipes"


@dataclass(frozen=True)
class Recipe:
    """A script that fills $OUT; the files that it is made of name the version of its result."""

    name: str
    script: str
    tools: tuple[str, ...]
    lane: str
    arguments: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    after: tuple[str, ...] = ()

    def hash(self) -> str:
        """Changes with every file of the recipe."""
        names = self.sources or (self.script.split("/", maxsplit=1)[0],)
        return hash_files([RECIPES / name for name in names], salt=" ".join(self.arguments))

    def path(self) -> Path:
        """Where the artifact is, once it is there."""
        return cache_root() / self.name / self.hash()


def _go(name: str, *sources: str) -> Recipe:
    script = f"{name}/build"
    return Recipe(name, script, ("go",), COMPILE, sources=(script, *sources), after=("go-sources",))


def _rootfs(name: str) -> Recipe:
    files = ("rootfs/build", f"rootfs/{name}.packages")
    return Recipe(
        f"rootfs-{name}", "rootfs/build", ("mmdebstrap",), FETCH, arguments=(name,), sources=files
    )


# In the order in which they should be begun: what the cluster itself needs comes first.
CATALOG: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        Recipe("go-sources", "gotools/fetch", ("go",), FETCH),
        _go("kubernetes", "gotools"),
        _go("coredns", "gotools"),
        _go("kind", "gotools"),
        _go("helm", "gotools"),
        Recipe("vault-sources", "vault/fetch", ("go",), FETCH, after=("go-sources",)),
        Recipe("vault", "vault/build", ("go",), COMPILE, after=("vault-sources",)),
        Recipe(
            "traefik-sources",
            "traefik/fetch",
            ("go",),
            FETCH,
            sources=("traefik", "gotools"),
            after=("go-sources",),
        ),
        Recipe(
            "traefik",
            "traefik/build",
            ("go",),
            COMPILE,
            sources=("traefik", "gotools"),
            after=("traefik-sources",),
        ),
        _rootfs("node"),
        _rootfs("base"),
        _rootfs("kubernetes"),
        _rootfs("postgres"),
        _rootfs("redis"),
        _rootfs("prometheus"),
        Recipe("jre", "jre/build", ("uv",), FETCH),
        Recipe("postgres", "postgres/build", ("uv",), FETCH),
        Recipe("kafka", "kafka/build", ("maven",), FETCH),
        Recipe("kafka-jars", "kafka-jars/build", ("uv",), FETCH),
        Recipe("zipkin", "zipkin/build", ("maven",), FETCH),
        Recipe("maildev", "maildev/build", ("node",), FETCH),
        Recipe("pgadmin", "pgadmin/build", ("uv",), FETCH),
    )
}


def find_recipe(name: str) -> Recipe:
    """The recipe of an artifact, or an error that lists those that exist."""
    if name not in CATALOG:
        raise ProvisionError(f"no artifact {name!r}; there are: {', '.join(sorted(CATALOG))}")
    return CATALOG[name]


def make_artifact(recipe: Recipe) -> str:
    """Builds an artifact unless it is in the cache; answers which it was."""
    log = log_file(recipe.name)

    def build(out: Path) -> None:
        env = environment_for(recipe.tools)
        log.unlink(missing_ok=True)
        work = Path(tempfile.mkdtemp(prefix="work-", dir=_work_home()))
        try:
            env |= {"OUT": str(out), "WORK": str(work), "RECIPES": str(RECIPES)}
            for name in recipe.after:
                env[name.upper().replace("-", "_")] = str(CATALOG[name].path())
            run_logged([RECIPES / recipe.script, *recipe.arguments], log, env=env)
        finally:
            shutil.rmtree(work, ignore_errors=True)

    _, built = build_once(recipe.name, recipe.hash(), build)
    return "built from packages" if built else "cached"


def artifact_steps(names: tuple[str, ...]) -> list[Step]:
    """Steps for these artifacts and what must come before them; none for what is cached."""
    wanted: set[str] = set()
    pending = [find_recipe(name) for name in names]
    while pending:
        recipe = pending.pop()
        if recipe.name in wanted or recipe.path().exists():
            continue
        wanted.add(recipe.name)
        pending.extend(CATALOG[name] for name in recipe.after)
    return [_artifact_step(recipe, wanted) for recipe in CATALOG.values() if recipe.name in wanted]


def _artifact_step(recipe: Recipe, wanted: set[str]) -> Step:
    log = log_file(recipe.name)
    return Step(
        name=recipe.name,
        run=lambda: make_artifact(recipe),
        needs=tuple(name for name in recipe.after if name in wanted),
        lane=recipe.lane,
        detail=lambda: last_line(log),
    )


def _work_home() -> Path:
    home = cache_root() / "work"
    home.mkdir(parents=True, exist_ok=True)
    return home
