"""The documentation site is built strictly, and a browser that reaches no other machine shows and searches it."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.browser import needs_browser, open_browser

ROOT = Path(__file__).parents[2]


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    built = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder


@contextmanager
def served(folder: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.mark.both_stacks
def test_every_page_is_built_and_links_to_source_files_lead_to_their_text(site: Path) -> None:
    pages = {path.stem for path in (ROOT / "docs").glob("*.md")}
    assert pages <= {path.stem for path in site.glob("*.html")}
    assert 'href="files/examples/video/pipeline.yaml.txt"' in (site / "video.html").read_text()
    copied = site / "files" / "examples" / "video" / "pipeline.yaml.txt"
    assert copied.read_bytes() == (ROOT / "examples" / "video" / "pipeline.yaml").read_bytes()
    assert 'href="../files/examples/digits/pipeline.yaml.txt"' in (site / "examples" / "index.html").read_text()


def test_a_link_to_nothing_fails_the_build(tmp_path: Path) -> None:
    for name in ("mkdocs.yml", "LICENSE"):
        shutil.copy(ROOT / name, tmp_path)
    for name in ("docs", "scripts", "benchmarks", "examples"):
        unneeded = shutil.ignore_patterns("data", "modules", "serving", ".hubline", ".work")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=unneeded)
    for path in ROOT.glob("*.md"):
        shutil.copy(path, tmp_path)
    with (tmp_path / "docs" / "runs.md").open("a") as page:
        page.write("\n[a](../trainer/none.py) [b](video.md#none) [c](none.md)\n")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")]
    built = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert built.returncode != 0
    for missing in ("trainer/none.py", "#none", "none.md"):
        assert missing in built.stderr


@needs_browser
def test_a_browser_without_network_shows_pages_and_finds_words(site: Path) -> None:
    with served(site) as address, open_browser() as browser:
        browser.get(f"{address}/features.html")
        assert browser.find_element(By.TAG_NAME, "h1").text.startswith("Features and labels")
        field = browser.find_element(By.CSS_SELECTOR, "input.md-search__input")
        browser.execute_script("arguments[0].focus()", field)
        field.send_keys("early stopping")
        found = "a.md-search-result__link[href*='training.html']"
        WebDriverWait(browser, 20).until(lambda it: it.find_elements(By.CSS_SELECTOR, found))
        loaded = browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
        assert len(loaded) > 3 and all(name.startswith(address) for name in loaded)
        failed = [entry for entry in browser.get_log("browser") if "favicon" not in entry["message"]]
        assert not failed
