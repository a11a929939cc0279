"""What dev.yaml may say, and what is said about what it may not."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from eventpipeline_operator.adapters.local.devfile import (
    Address,
    DevFileError,
    Stand,
    parse_devfile,
    repository,
)
from eventpipeline_operator.adapters.local.objects import read_objects
from servers.local import REPOSITORY


@pytest.mark.parametrize(
    ("image", "name"),
    [
        ("eventpipeline/order:abc", "eventpipeline/order"),
        ("eventpipeline/order", "eventpipeline/order"),
        ("registry:5000/order", "registry:5000/order"),
        ("registry:5000/order:1.0", "registry:5000/order"),
        ("order@sha256:abc", "order"),
        ("registry:5000/order:1.0@sha256:abc", "registry:5000/order"),
    ],
)
def test_an_image_is_named_without_its_tag(image: str, name: str) -> None:
    assert repository(image) == name


def test_paths_are_relative_to_the_file() -> None:
    raw = {"images": {"a": {"directory": "../a", "command": ["./run"], "watch": ["src"]}}}
    program = parse_devfile(raw, Path("/home/ada/examples")).program("a:1")
    assert program
    assert program.directory == Path("/home/ada/a")
    assert program.watch == (Path("/home/ada/a/src"),)


def test_a_bare_off_is_what_yaml_makes_of_it() -> None:
    raw = yaml.safe_load("addresses: {'zipkin:9411': off}")
    assert parse_devfile(raw, Path()).addresses == {Address("zipkin", 9411): Stand.OFF}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ([], "must be a mapping"),
        ({"image": {}}, "image: unknown"),
        ({"images": {"a:1": {"command": ["x"]}}}, "images.a:1: without a tag"),
        ({"images": {"a": {}}}, "images.a.command"),
        ({"images": {"a": {"command": ["x"], "dir": "."}}}, "images.a.dir: unknown"),
        ({"images": {"a": "x"}}, "images.a: must say"),
        ({"addresses": {"kafka": "kafka"}}, "addresses.kafka: must be host:port"),
        ({"addresses": {"kafka:1": "kafkaa"}}, "addresses.kafka:1: 'kafkaa' is none of"),
        ({"addresses": []}, ""),
        ({"addresses": ["a"]}, "addresses: must be a mapping"),
    ],
)
def test_what_is_wrong_is_said_with_its_field(raw: Any, words: str) -> None:
    if not words:
        parse_devfile(raw, Path())
        return
    with pytest.raises(DevFileError, match=words):
        parse_devfile(raw, Path())


def test_all_complaints_come_at_once() -> None:
    raw = {"x": 1, "images": {"a": {}}, "addresses": {"b": "off"}}
    with pytest.raises(DevFileError) as caught:
        parse_devfile(raw, Path())
    assert str(caught.value).count(";") >= 2


def test_the_examples_file_stands_for_all_that_the_shop_names() -> None:
    examples = REPOSITORY / "examples"
    devfile = parse_devfile(yaml.safe_load((examples / "dev.yaml").read_text()), examples)
    (shop,) = read_objects(examples / "shop.yaml")
    for service in shop["spec"]["services"]:
        program = devfile.program(service["image"])
        assert program
        assert program.directory.is_dir()
        assert all(path.is_dir() for path in program.watch)
    assert devfile.secrets
    assert devfile.secrets.exists()
