"""The navigation of the documentation site."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
from mkdocs.config import load_config
from mkdocs.structure.files import Files

ROOT = Path(__file__).parents[2]


def in_nav(entry: object) -> set[str]:
    match entry:
        case str():
            return {entry}
        case list():
            return set().union(*map(in_nav, entry))
        case dict():
            return set().union(*map(in_nav, entry.values()))
    raise AssertionError(entry)


@pytest.fixture(scope="module")
def nav() -> list[dict]:
    return load_config(str(ROOT / "mkdocs.yml")).nav


def test_links_to_folders_and_out_of_the_project_leave_their_text(caplog: pytest.LogCaptureFixture) -> None:
    hooks = runpy.run_path(str(ROOT / "scripts" / "site_hooks.py"))
    config = load_config(str(ROOT / "mkdocs.yml"))
    files = Files([])
    page = SimpleNamespace(file=SimpleNamespace(src_uri="runs.md"))
    said = hooks["on_page_markdown"]("[root](..), [tests](../tests/), [other](../../etc/passwd)", page, config, files)
    assert said == "root, tests, other"
    assert "../etc/passwd is outside the project" in caplog.text and not list(files)


def test_every_page_is_in_the_navigation(nav: list[dict]) -> None:
    pages = {path.name for path in (ROOT / "docs").glob("*.md")}
    outside = {page for page in in_nav(nav) if (ROOT / page).is_file()}
    assert in_nav(nav) - outside == pages, "add the page to nav in mkdocs.yml"


def test_the_sections_are_those_of_the_field(nav: list[dict]) -> None:
    sections = ["Tour", "Concepts and glossary", "How-to", "Reference", "Operations", "Contributing"]
    assert [name for entry in nav for name in entry] == sections
