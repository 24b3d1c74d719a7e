"""The report in a real browser without network access."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from hubline.report.page import render
from hubline.report.read_artifacts import read
from tests.support import report as make_report
from tests.support.browser import needs_browser, open_browser

pytestmark = needs_browser


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    return make_report.report(tmp_path_factory.mktemp("report"))


@pytest.fixture(scope="module")
def page(report, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("page") / "index.html"
    path.write_text(render(report), encoding="utf-8")
    return path


@pytest.fixture
def browser() -> Iterator[webdriver.Chrome]:
    with open_browser() as driver:
        yield driver


def drawn(browser: webdriver.Chrome) -> set[str]:
    return set(browser.execute_script(
        "return [...document.querySelectorAll('[data-figure]')].filter(place => place.querySelector('svg.main-svg'))"
        ".map(place => place.dataset.figure)"
    ))  # fmt: skip


def scroll_through(browser: webdriver.Chrome) -> None:
    for place in browser.find_elements(By.CSS_SELECTOR, "[data-figure]"):
        browser.execute_script("arguments[0].scrollIntoView({behavior: 'instant'})", place)
        WebDriverWait(browser, 20).until(lambda _, place=place: place.find_elements(By.CSS_SELECTOR, "svg.main-svg"))


def rows(browser: webdriver.Chrome, table: str) -> list[list[str]]:
    return [
        [cell.text for cell in row.find_elements(By.CSS_SELECTOR, "th, td")]
        for row in browser.find_elements(By.CSS_SELECTOR, f"{table} tbody tr")
    ]


@pytest.mark.both_stacks
def test_charts_are_drawn_and_tables_filled_with_nothing_from_elsewhere(browser, page, report) -> None:
    browser.get(page.as_uri())
    scroll_through(browser)
    figures = {"confusion", "roc", "curve-loss", "curve-accuracy", "column-0", "column-1", "drift-0", "drift-1"}
    figures |= {"trials", "tuned-0", "tuned-1"}
    assert drawn(browser) == figures

    predictions = read(report.artifacts).predictions
    assert predictions is not None and predictions.confusion is not None
    cells = browser.find_elements(By.CSS_SELECTOR, "[data-figure=confusion] .heatmap-label text")
    assert sorted(cell.text for cell in cells) == sorted(str(n) for n in predictions.confusion.ravel() if n)
    legend = [item.text for item in browser.find_elements(By.CSS_SELECTOR, "[data-figure=roc] .legendtext")]
    assert legend == [
        f"{name} (AUC {predictions.roc[index].auc:.4f})" for index, name in enumerate(make_report.CLASSES)
    ]

    assert rows(browser, "#counts") == [
        ["train", "1,199", "92.0 %"], ["validation", "40", "3.1 %"], ["test", "60", "4.6 %"],
        ["quarantine", "4", "0.3 %"],
    ]  # fmt: skip
    assert rows(browser, "#trials") == [
        ["2 best", "0.001", "[64, 32]", "0.75", "completed", "3", "2.0"],
        ["1", "0.001", "[64, 32]", "0.8125", "stopped", "1", "2.0"],
        ["3", "0.001", "[64, 32]", "", f"failed: the loss became nan {make_report.HOSTILE}", "3", "2.0"],
    ]
    assert rows(browser, "#checks")[1] == [
        "accuracy", f"company={make_report.HOSTILE}", "at_least", "0.7", "0.5000", "0.6250", "failed",
    ]  # fmt: skip
    assert rows(browser, "#set-aside")[2] == [
        f"in/{make_report.HOSTILE}", "11", "the file ends in the middle of a record",
    ]  # fmt: skip
    assert rows(browser, "#distances") == [
        ["miles", "drifted", "0.0625", "0.05", "10.0 %", "10.0 %", "Jensen-Shannon divergence"],
        ["company", "similar", "0.0300", "0.05", "0.0 %", "0.0 %", "L-infinity distance"],
    ]
    assert rows(browser, "#anomalies-found")[1] == [
        "train", "hour", "warning", "every value is 3, in 400 of 400 records",
    ]  # fmt: skip
    pictures = browser.find_elements(By.CSS_SELECTOR, ".samples img")
    assert len(pictures) == len(predictions.right) + len(predictions.wrong)
    assert all(browser.execute_script("return arguments[0].naturalWidth", picture) == 8 for picture in pictures)

    assert browser.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)") == []
    assert browser.get_log("browser") == []


@pytest.mark.parametrize("width", [360, 1300])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_its_window_and_can_be_read(browser, page, width: int, scheme: str) -> None:
    screen = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", screen)
    colours = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", colours)
    browser.get(page.as_uri())
    scroll_through(browser)
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    # Brightness of text on the page and in a chart, compared with the background.
    page_colour, ink, label = browser.execute_script("""
        const brightness = (element, property) => {
          const [r, g, b] = getComputedStyle(element)[property].match(/[0-9.]+/g).map(Number);
          return (0.299 * r + 0.587 * g + 0.114 * b) / 255;
        };
        return [brightness(document.body, "backgroundColor"), brightness(document.body, "color"),
                brightness(document.querySelector("[data-figure=confusion] .xtick text"), "fill")];
    """)
    assert (page_colour < 0.2) == (scheme == "dark")
    assert abs(page_colour - ink) > 0.7 and abs(page_colour - label) > 0.4


def test_links_lead_to_their_sections_in_another_pages_frame_too(browser, page, tmp_path: Path) -> None:
    outside = tmp_path / "dashboard.html"
    outside.write_text("<iframe sandbox='allow-scripts' width='900' height='500'></iframe>")
    browser.get(outside.as_uri())
    frame = browser.find_element(By.TAG_NAME, "iframe")
    browser.execute_script("arguments[0].srcdoc = arguments[1]", frame, page.read_text())
    browser.switch_to.frame(frame)
    link = WebDriverWait(browser, 20).until(lambda it: it.find_elements(By.CSS_SELECTOR, "nav a[href='#training']"))[0]
    WebDriverWait(browser, 20).until(lambda it: it.execute_script("return document.readyState") == "complete")
    link.click()
    WebDriverWait(browser, 20).until(lambda it: "curve-loss" in drawn(it))


def test_on_paper_every_chart_is_there(browser, page) -> None:
    browser.get(page.as_uri())
    browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert len(drawn(browser)) == 11
    assert browser.get_log("browser") == []
