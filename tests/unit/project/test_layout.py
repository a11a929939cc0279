"""What keeps the folder names `operator` and `email` harmless, and the layers as they are."""

import email
import operator
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
MEMBERS = sorted(
    path.parent
    for path in REPOSITORY.glob("*/**/pyproject.toml")
    if not {"build", ".venv"} & set(path.relative_to(REPOSITORY).parts)
)


SERVICES = ["email", "order", "stock"]
RUN_CONTRACTS = """
import sys
sys.path[:0] = {folders!r}
from importlinter.cli import lint_imports
sys.exit(lint_imports(no_cache=True))
"""


@pytest.mark.parametrize("module", [operator, email])
def test_a_project_folder_never_shadows_the_standard_library(module: object) -> None:
    where = Path(str(getattr(module, "__file__", "")))
    assert where.is_relative_to(Path(sysconfig.get_paths()["stdlib"]))


@pytest.mark.parametrize("member", MEMBERS, ids=lambda path: path.name)
def test_a_project_folder_is_never_a_package(member: Path) -> None:
    assert not (member / "__init__.py").exists()
    assert not (member / "conftest.py").exists()


def test_every_member_is_found() -> None:
    assert [path.name for path in MEMBERS] == ["loyalty", "eventbus", "operator", *SERVICES]


@pytest.fixture
def copied_sources(tmp_path: Path) -> Path:
    """The sources of all members and the contracts, where a test may spoil them."""
    for member in MEMBERS:
        shutil.copytree(member / "src", tmp_path / member.relative_to(REPOSITORY) / "src")
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    return tmp_path


def lint_imports(sources: Path) -> subprocess.CompletedProcess[str]:
    """Runs the import contracts over the copied sources instead of the installed ones."""
    folders = [str(path) for path in sources.glob("**/src")]
    return subprocess.run(
        [
            sys.executable,
            "-c",
            RUN_CONTRACTS.format(folders=folders),
        ],
        cwd=sources,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_sources_keep_the_contracts(copied_sources: Path) -> None:
    outcome = lint_imports(copied_sources)
    assert outcome.returncode == 0, outcome.stdout


@pytest.mark.parametrize(
    ("module", "planted", "contract"),
    [
        ("desired/topics.py", "import kubernetes", "Decisions and steps know no client library"),
        ("reconcile/topics.py", "import confluent_kafka", "Decisions and steps know no client"),
        (
            "policies/readiness.py",
            "import eventpipeline_operator.adapters.kafka",
            "The operator's layers point downwards",
        ),
        (
            "main.py",
            "import eventpipeline_operator.adapters.local.backing.kafka",
            "The core and the operator know nothing of the local runtime",
        ),
        (
            "policies/readiness.py",
            "import eventpipeline_operator.adapters.local",
            "The core and the operator know nothing of the local runtime",
        ),
        ("main.py", "import order_service", "Operator and services never import each other"),
    ],
)
def test_a_planted_breach_is_found(
    copied_sources: Path, module: str, planted: str, contract: str
) -> None:
    source = copied_sources / "operator/src/eventpipeline_operator" / module
    source.write_text(source.read_text() + f"\n{planted}\n")
    outcome = lint_imports(copied_sources)
    assert outcome.returncode != 0
    assert contract in outcome.stdout
