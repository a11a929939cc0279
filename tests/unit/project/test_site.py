"""The site of docs/: it builds strictly, and whoever reads it asks nobody else."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[3]
FOREIGN = re.compile(r'(?:src|href)="(https?://[^"]+)"[^>]*>')


def build(repository: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """As `make docs` does, with no way out."""
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(target)],
        cwd=repository, capture_output=True, text=True, check=False,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "https_proxy": "http://127.0.0.1:9"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("site")
    done = build(REPOSITORY, target)
    assert done.returncode == 0, done.stderr
    return target


def test_every_page_of_docs_is_built_and_can_be_reached(site: Path) -> None:
    pages = {str(p.relative_to(site)) for p in site.rglob("*.html")} - {"404.html"}
    assert {"index.html", "operations.html", "charts/eventpipeline.html", "changes.html"} <= pages
    shown = (site / "index.html").read_text()
    assert {page for page in pages if f'href="{page}"' not in shown} == set()


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    loaded = {
        match[1]
        for page in site.rglob("*.html")
        for match in FOREIGN.finditer(page.read_text())
        if "<a " not in page.read_text()[match.start() - 200 : match.start()]
    }
    assert loaded == set()


def test_a_link_that_leads_nowhere_breaks_the_build(tmp_path: Path) -> None:
    for folder in ("docs", "charts", "hack/site"):
        shutil.copytree(REPOSITORY / folder, tmp_path / folder)
    for file in ("mkdocs.yml", "CHANGELOG.md"):
        shutil.copy(REPOSITORY / file, tmp_path)
    page = tmp_path / "docs" / "concepts.md"
    page.write_text(page.read_text() + "\n[x](nothing.md) [y](operations.md#nothing)\n")
    done = build(tmp_path, tmp_path / "site")
    assert done.returncode != 0
    assert "'nothing.md'" in done.stderr
    assert "'#nothing'" in done.stderr
