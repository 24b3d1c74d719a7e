"""Hooks of MkDocs: pages outside docs/, and links to the project's files.

Links from pages to files outside docs/ lead to a page if the file is one of PAGES, and otherwise to a copy of the file
under files/. A folder has no address on the site: of a link to one, the text remains.
"""

import logging
import os
import re
from pathlib import Path
from urllib.parse import urldefrag

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PAGES = (
    "CHANGELOG.md",
    "CODE_OF_CONDUCT.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "benchmarks/RESULTS.md",
    "examples/README.md",
)
"""Pages of the site outside docs/."""
_LINK = re.compile(r"(?<!!)\[((?:[^][]|\[[^][]*\])*)\]\(([^)\s]+)\)")
_FENCED = re.compile(r"^(```.*?^```)", re.MULTILINE | re.DOTALL)
_log = logging.getLogger("mkdocs.hooks.site")


def on_files(files: Files, config: MkDocsConfig) -> Files:
    for name in PAGES:
        files.append(File.generated(config, name, abs_src_path=str(ROOT / name)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    source = Path(page.file.src_uri) if page.file.src_uri in PAGES else Path("docs", page.file.src_uri)

    def linked(match: re.Match[str]) -> str:
        text, target = match.groups()
        path, fragment = urldefrag(target)
        if not path or "://" in path or path.startswith("mailto:"):
            return match[0]
        there = Path(os.path.normpath(source.parent / path))
        uri = _uri(there, config, files)
        if uri is None:
            return text
        relative = os.path.relpath(uri, Path(page.file.src_uri).parent)
        return f"[{text}]({relative}{'#' * bool(fragment)}{fragment})"

    pieces = _FENCED.split(markdown)
    return "".join(piece if index % 2 else _LINK.sub(linked, piece) for index, piece in enumerate(pieces))


def _uri(path: Path, config: MkDocsConfig, files: Files) -> str | None:
    """The address of a file of the project on the site, or None for a folder, which has none."""
    if path.parts[:1] == ("docs",):
        return str(path.relative_to("docs"))
    if path.parts[:1] == ("..",):
        _log.warning("%s is outside the project", path)
        return None
    if str(path) in PAGES:
        return str(path)
    if (ROOT / path).is_dir():
        return None
    uri = f"files/{path}.txt"
    if not (ROOT / path).is_file():
        _log.warning("%s doesn't exist", path)
    elif files.get_file_from_path(uri) is None:
        text = File.generated(config, uri, abs_src_path=str(ROOT / path), inclusion=InclusionLevel.NOT_IN_NAV)
        files.append(text)
    return uri
