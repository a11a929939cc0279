"""dev.yaml → what stands, on this machine, for the images and addresses of an object. Pure.

It lies beside the object. Every complaint is reported at once, each with the field it is about.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

Json = Mapping[str, Any]

DEFAULT_ENTRY_PORT = 8088
KNOWN = frozenset({"images", "addresses", "entry", "secrets"})
KNOWN_OF_IMAGE = frozenset({"directory", "command", "watch", "environment"})


class Stand(StrEnum):
    """What an address of the object becomes."""

    KAFKA = "kafka"
    POSTGRES = "postgres"
    MAIL = "mail"
    VAULT = "vault"
    OFF = "off"


@dataclass(frozen=True)
class Program:
    """What runs in place of an image: its entrypoint, where, and what its code is."""

    directory: Path
    command: tuple[str, ...]
    watch: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, order=True)
class Address:
    """A host and a port as an object names them."""

    host: str
    port: int


@dataclass(frozen=True)
class DevFile:
    """The whole file."""

    images: Mapping[str, Program] = field(default_factory=dict)
    addresses: Mapping[Address, Stand] = field(default_factory=dict)
    secrets: Path | None = None
    entry_port: int = DEFAULT_ENTRY_PORT

    def program(self, image: str) -> Program | None:
        """What stands for an image, whatever its tag."""
        return self.images.get(repository(image))


class DevFileError(ValueError):
    """Every complaint about the file in one message."""


def repository(image: str) -> str:
    """An image's name without tag and digest; a port of its registry is no tag."""
    name = image.partition("@")[0]
    before, colon, after = name.rpartition(":")
    return before if colon and "/" not in after else name


def parse_devfile(raw: object, base: Path) -> DevFile:
    """Read the file's content; paths in it are relative to the directory that it lies in."""
    if not isinstance(raw, Mapping):
        raise DevFileError("must be a mapping with images and addresses")
    complaints = [f"{key}: unknown; there are {_list(KNOWN)}" for key in raw if key not in KNOWN]
    images: dict[str, Program] = {}
    for name, given in _mapping(raw, "images", complaints).items():
        found = list(_complaints_of_image(name, given))
        complaints += found
        if not found:
            images[name] = _program(given, base)
    addresses: dict[Address, Stand] = {}
    for text, stand in _mapping(raw, "addresses", complaints).items():
        try:
            addresses[_address(text)] = _stand(stand)
        except ValueError as error:
            complaints.append(f"addresses.{text}: {error}")
    entry = _mapping(raw, "entry", complaints)
    if complaints:
        raise DevFileError("; ".join(complaints))
    return DevFile(
        images=images,
        addresses=addresses,
        secrets=base / raw["secrets"] if raw.get("secrets") else None,
        entry_port=int(entry.get("port", DEFAULT_ENTRY_PORT)),
    )


def _mapping(raw: Json, key: str, complaints: list[str]) -> Json:
    value = raw.get(key) or {}
    if isinstance(value, Mapping):
        return value
    complaints.append(f"{key}: must be a mapping")
    return {}


def _complaints_of_image(name: str, given: object) -> Iterator[str]:
    if not isinstance(given, Mapping):
        yield f"images.{name}: must say directory and command"
        return
    if repository(name) != name:
        yield f"images.{name}: without a tag: it stands for every one"
    for key in given:
        if key not in KNOWN_OF_IMAGE:
            yield f"images.{name}.{key}: unknown; there are {_list(KNOWN_OF_IMAGE)}"
    command = given.get("command")
    if not isinstance(command, list) or not command:
        yield f"images.{name}.command: must be a list, the program first"


def _program(given: Json, base: Path) -> Program:
    directory = (base / given.get("directory", ".")).resolve()
    return Program(
        directory=directory,
        command=tuple(str(part) for part in given["command"]),
        watch=tuple((directory / path).resolve() for path in given.get("watch", ["."])),
        environment={str(k): str(v) for k, v in (given.get("environment") or {}).items()},
    )


def _address(text: str) -> Address:
    host, colon, port = str(text).rpartition(":")
    if not colon or not host or not port.isdecimal():
        raise ValueError("must be host:port, as the object names it")
    return Address(host, int(port))


def _stand(value: object) -> Stand:
    if value is False:  # what YAML makes of a bare off
        return Stand.OFF
    try:
        return Stand(str(value))
    except ValueError:
        raise ValueError(f"{value!r} is none of {_list(Stand)}") from None


def _list(words: object) -> str:
    return ", ".join(sorted(str(word) for word in words))  # type: ignore[attr-defined]
