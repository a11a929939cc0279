import re
from pathlib import Path

import pytest

from provision.backing import EXTRAS, IMAGES, PLATFORM, chosen_extras
from provision.commands import ProvisionError
from provision.recipes import CATALOG, RECIPES, artifact_steps, find_recipe
from provision.steps import order_steps
from provision.toolchain import TOOLCHAINS, parse_version


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTPIPELINE_CACHE", str(tmp_path))


@pytest.mark.parametrize("name", CATALOG)
def test_recipe_has_its_script_and_knows_its_tools(name: str) -> None:
    recipe = find_recipe(name)
    assert (RECIPES / recipe.script).stat().st_mode & 0o100
    assert set(recipe.tools) <= set(TOOLCHAINS)


def test_sources_are_fetched_before_they_are_compiled() -> None:
    names = [step.name for step in order_steps(artifact_steps(("traefik",)))]
    assert names == ["go-sources", "traefik-sources", "traefik"]


def test_what_is_cached_needs_no_step() -> None:
    recipe = find_recipe("kafka")
    recipe.path().mkdir(parents=True)
    assert artifact_steps(("kafka",)) == []


def test_an_unknown_artifact_is_answered_with_the_known_ones() -> None:
    with pytest.raises(ProvisionError, match=r"'nonsense'.*kafka"):
        find_recipe("nonsense")


def test_roots_differ_by_their_packages() -> None:
    assert find_recipe("rootfs-base").hash() != find_recipe("rootfs-node").hash()


def test_jars_without_maven_are_of_the_same_kafka() -> None:
    wanted = re.search(
        "<kafka.version>(.*)</kafka.version>", (RECIPES / "kafka/pom.xml").read_text()
    )
    assert wanted
    jars = (RECIPES / "kafka-jars" / "jars.txt").read_text().splitlines()
    kafka = [line.split()[0] for line in jars if line.startswith("org.apache.kafka:")]
    assert {name.rpartition(":")[2] for name in kafka} == {wanted.group(1)}
    assert f"org.apache.kafka:kafka_2.13:{wanted.group(1)}" in kafka


@pytest.mark.parametrize("name", IMAGES)
def test_every_image_can_be_built_from_known_artifacts(name: str) -> None:
    image = IMAGES[name]
    assert image.all_artifacts()
    assert (image.definition / "Dockerfile").is_file() or image.rootfs
    assert set(image.all_artifacts()) <= set(CATALOG)


def test_every_image_of_the_platform_has_an_upstream_name() -> None:
    assert all(":" in IMAGES[name].upstream for name in (*PLATFORM, *EXTRAS))


def test_a_part_that_nobody_asks_for_is_not_provided() -> None:
    assert chosen_extras({}) == chosen_extras({"PLATFORM_EXTRAS": ""}) == ()
    assert chosen_extras({"PLATFORM_EXTRAS": "redis,redis"}) == ("redis",)


def test_a_part_that_is_not_known_is_answered_with_those_that_are() -> None:
    with pytest.raises(ProvisionError, match=r"no part 'rediss'; there is redis, pgadmin"):
        chosen_extras({"PLATFORM_EXTRAS": "rediss"})


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("go version go1.26.8 linux/amd64", (1, 26, 8)),
        ("v24.19.0", (24, 19, 0)),
        ("v3.19", (3, 19)),
        ("no number", ()),
    ],
)
def test_versions_are_found_in_what_programs_say(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version
