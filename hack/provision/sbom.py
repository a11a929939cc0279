"""What is in our images, as CycloneDX: the packages that were installed, and who needs whom.

Read from what is laid into the image, not from what was asked for, so that nothing is listed that a
platform left out. The same image has the same document: no time, no random number.
"""

import json
import re
import uuid
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from provision.cache import BUILD
from provision.ours import Member, install_dependencies

Json = dict[str, Any]

SPECIFICATION = "1.6"
LONGEST = 64
TARGET = BUILD / "sbom"
REQUIREMENT = re.compile(r"[A-Za-z0-9._-]+")
SEPARATORS = re.compile(r"[-_.]+")


def write_bom(member: Member) -> Path:
    """The document of a member's image, in build/sbom."""
    installed = distributions(path=[str(install_dependencies(member))])
    document = build_bom(member.name, member.image(), installed)
    TARGET.mkdir(parents=True, exist_ok=True)
    path = TARGET / f"{member.name}.cdx.json"
    path.write_text(json.dumps(document, indent=2) + "\n")
    return path


def build_bom(name: str, image: str, installed: Iterable[Distribution]) -> Json:
    """The image as a whole, its packages in order, and the edges between them."""
    found = {_normal(each.metadata["Name"]): each for each in installed}
    packages = dict(sorted(found.items()))
    repository, _, tag = image.rpartition(":")
    whole = {"type": "container", "bom-ref": image, "name": repository, "version": tag}
    edges = {_purl(key, each): _needed(each, packages) for key, each in packages.items()}
    needed = {purl for purls in edges.values() for purl in purls}
    roots = [purl for purl in edges if purl not in needed]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, image)}",
        "version": 1,
        "metadata": {
            "component": whole,
            "properties": [{"name": "eventpipeline:member", "value": name}],
        },
        "components": [_component(key, each) for key, each in packages.items()],
        "dependencies": [
            {"ref": image, "dependsOn": roots},
            *({"ref": purl, "dependsOn": purls} for purl, purls in edges.items()),
        ],
    }


def _component(key: str, package: Distribution) -> Json:
    purl = _purl(key, package)
    component: Json = {
        "type": "library", "bom-ref": purl, "name": key, "version": package.version, "purl": purl,
    }  # fmt: skip
    component.update(_licences(package))
    if summary := _told(package, "Summary"):
        component["description"] = summary
    return component


def _licences(package: Distribution) -> Json:
    """An SPDX expression, or a name where that is all a package gives; never a whole text."""
    expression, name = _told(package, "License-Expression"), _told(package, "License")
    if expression:
        return {"licenses": [{"expression": expression}]}
    return {"licenses": [{"license": {"name": name}}]} if name and len(name) < LONGEST else {}


def _told(package: Distribution, field: str) -> str:
    return package.metadata[field] if field in package.metadata else ""  # noqa: SIM401 - no get


def _needed(package: Distribution, packages: dict[str, Distribution]) -> list[str]:
    """Which of the installed packages it may use."""
    return sorted({_purl(key, packages[key]) for key in _required(package) if key in packages})


def _required(package: Distribution) -> Iterator[str]:
    for requirement in package.requires or ():
        name = REQUIREMENT.match(requirement)
        if name:
            yield _normal(name[0])


def _purl(key: str, package: Distribution) -> str:
    return f"pkg:pypi/{key}@{package.version}"


def _normal(name: str) -> str:
    return SEPARATORS.sub("-", name).lower()
