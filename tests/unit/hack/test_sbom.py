"""Bills of materials: what is installed, nothing else, and the same each time."""

import json
import re
from importlib.metadata import distributions
from pathlib import Path

import pytest

from provision import sbom
from provision.ours import MEMBERS, Member
from provision.sbom import build_bom, write_bom

IMAGE = "registry.test:5000/eventpipeline/order:0123"
PINNED = re.compile(r"^([a-z0-9-]+)==([^ \\]+)", re.MULTILINE)


def install(directory: Path, name: str, version: str, *lines: str) -> None:
    """What pip leaves of a package, as far as it matters here."""
    home = directory / f"{name}-{version}.dist-info"
    home.mkdir(parents=True)
    head = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}"]
    (home / "METADATA").write_text("\n".join([*head, *lines]) + "\n")


@pytest.fixture
def site(tmp_path: Path) -> Path:
    install(
        tmp_path, "Flask", "3.1.0", "License-Expression: BSD-3-Clause",
        "Requires-Dist: Jinja2>=3.1.2", "Requires-Dist: asgiref>=3.2; extra == 'async'",
    )  # fmt: skip
    install(tmp_path, "jinja2", "3.1.6", "Requires-Dist: MarkupSafe>=2.0")
    install(tmp_path, "markupsafe", "3.0.2", "License: BSD")
    long = "License: " + "All rights are yours. " * 9
    install(tmp_path, "zope.interface", "7.0", "Requires-Dist: setuptools", long)
    return tmp_path


def build(site: Path) -> sbom.Json:
    return build_bom("order", IMAGE, distributions(path=[str(site)]))


def test_every_package_is_listed_with_version_licence_and_address(site: Path) -> None:
    document = build(site)
    assert [each["purl"] for each in document["components"]] == [
        "pkg:pypi/flask@3.1.0",
        "pkg:pypi/jinja2@3.1.6",
        "pkg:pypi/markupsafe@3.0.2",
        "pkg:pypi/zope-interface@7.0",
    ]
    assert document["components"][0]["licenses"] == [{"expression": "BSD-3-Clause"}]
    assert document["components"][2]["licenses"] == [{"license": {"name": "BSD"}}]
    assert "licenses" not in document["components"][3]
    whole = document["metadata"]["component"]
    assert (whole["name"], whole["version"]) == ("registry.test:5000/eventpipeline/order", "0123")


def test_the_edges_lead_from_the_image_to_all_that_is_installed(site: Path) -> None:
    edges = {each["ref"]: each["dependsOn"] for each in build(site)["dependencies"]}
    assert edges[IMAGE] == ["pkg:pypi/flask@3.1.0", "pkg:pypi/zope-interface@7.0"]
    assert edges["pkg:pypi/flask@3.1.0"] == ["pkg:pypi/jinja2@3.1.6"]
    assert edges["pkg:pypi/jinja2@3.1.6"] == ["pkg:pypi/markupsafe@3.0.2"]
    assert edges["pkg:pypi/zope-interface@7.0"] == []


def test_the_same_image_has_the_same_document_and_another_another(site: Path) -> None:
    assert build(site) == build(site)
    other = build_bom("order", IMAGE + "4", distributions(path=[str(site)]))
    assert other["serialNumber"] != build(site)["serialNumber"]


def test_it_is_written_where_the_build_is(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install_dependencies(member: Member) -> Path:
        assert member.name == "order"
        return site

    monkeypatch.setattr(sbom, "install_dependencies", install_dependencies)
    monkeypatch.setattr(sbom, "TARGET", tmp_path / "build" / "sbom")
    path = write_bom(MEMBERS["order"])
    assert path == tmp_path / "build" / "sbom" / "order.cdx.json"
    document = json.loads(path.read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.6")


@pytest.mark.parametrize("member", MEMBERS.values(), ids=MEMBERS)
def test_what_was_built_holds_the_pinned_versions_and_no_other(member: Member) -> None:
    path = sbom.TARGET / f"{member.name}.cdx.json"
    if not path.exists():
        pytest.skip("`hack/images --sbom` writes it")
    listed = {c["name"]: c["version"] for c in json.loads(path.read_text())["components"]}
    pinned = dict(PINNED.findall(member.requirements.read_text()))
    assert listed.items() <= pinned.items()
    left_out = pinned.keys() - listed.keys()  # by a marker of another platform
    assert all(re.search(rf"^{name}==.* ; ", member.requirements.read_text(), re.MULTILINE)
               for name in left_out)  # fmt: skip
