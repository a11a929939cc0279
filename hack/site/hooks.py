"""What MkDocs does not do by itself for `make docs`.

Pages that lie outside of docs/ (the charts' tables of values, the changelog) come in; decisions and
pages that nobody has listed get their place; links to the repository's other files become their
names, because a site that is read anywhere has no repository beside it.
"""

import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

REPOSITORY = Path(__file__).resolve().parents[2]
DOCS = REPOSITORY / "docs"
BROUGHT_IN = {
    "charts/eventpipeline.md": "charts/eventpipeline/README.md",
    "charts/platform.md": "charts/platform/README.md",
    "changes.md": "CHANGELOG.md",
}
LINK = re.compile(r"\[(?P<text>[^\]]*)\]\((?P<target>[^)#:\s]+)(?P<anchor>#[^)\s]*)?\)")
FENCE = re.compile(r"^ *```", re.MULTILINE)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Decisions in their order, and what the navigation does not name under More."""
    nav: list[Any] = config.nav or []
    decisions = sorted(DOCS.glob("adr/*.md"))
    nav.append({"Decisions": [str(path.relative_to(DOCS)) for path in decisions]})
    listed = {*named(nav)}
    others = {str(path.relative_to(DOCS)) for path in DOCS.rglob("*.md")} - listed
    if others:
        nav.append({"More": sorted(others)})
    config.nav = nav
    return config


def named(nav: Any) -> list[str]:
    """Every page that a part of the navigation names."""
    if isinstance(nav, str):
        return [nav]
    parts = nav.values() if isinstance(nav, dict) else nav
    return [page for part in parts for page in named(part)]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Bring in the pages that lie elsewhere."""
    for page, source in BROUGHT_IN.items():
        files.append(File.generated(config, page, abs_src_path=str(REPOSITORY / source)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Let links lead to pages, wherever these come from, and to nothing that is no page."""
    del config
    here = source_of(page.file.src_uri).parent

    def lead(match: re.Match[str]) -> str:
        target = (here / match["target"]).resolve()
        if target.is_dir() and target.is_relative_to(DOCS):
            return match["text"]
        uri = uri_of(target)
        if files.get_file_from_path(uri):
            up = "../" * page.file.src_uri.count("/")
            return f"[{match['text']}]({up}{uri}{match['anchor'] or ''})"
        if target.is_relative_to(DOCS) or not target.exists():
            return match[0]  # MkDocs complains
        name = str(target.relative_to(REPOSITORY))
        told = match["text"].strip("`")
        return f"`{name}`" if told in (name, target.name) else f"{match['text']} (`{name}`)"

    parts = FENCE.split(markdown)  # every second one is code
    parts[::2] = [LINK.sub(lead, part) for part in parts[::2]]
    fences = [*FENCE.findall(markdown), ""]
    return "".join(part + fence for part, fence in zip(parts, fences, strict=True))


def source_of(uri: str) -> Path:
    """The file that a page is made of."""
    return REPOSITORY / BROUGHT_IN[uri] if uri in BROUGHT_IN else DOCS / uri


def uri_of(source: Path) -> str:
    """The page that is made of a file; of none, its path."""
    for uri, path in BROUGHT_IN.items():
        if source == REPOSITORY / path:
            return uri
    return str(source.relative_to(DOCS)) if source.is_relative_to(DOCS) else str(source)
