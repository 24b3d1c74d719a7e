"""Model cards beside pushed versions, and what `hubline models` shows of them."""

import json
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from hubline.artifacts.decision import OVERALL, Check, Decision, SliceMetrics
from hubline.core import storage
from hubline.core.digest import tree_digest
from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.serving.model_card import HTML, JSON, ModelCard, ModuleOrigin, model_digest
from hubline.serving.push import push

EVIL = "<script>alert('{{ 7 * 7 }}')</script>"


def card(**changes: Any) -> ModelCard:
    metrics = {"accuracy": 0.91234, "auc": None}
    return ModelCard(
        pipeline="tiny",
        intended_use=EVIL,
        data={"all": "gs://bucket/span-{SPAN}/*"},
        spans=(3, 4, 7),
        file={"name": "tiny", "label": {"from": EVIL}, "training": {"epochs": 3}},
        code="c0de",
        examples={"train": 1200, "test": 300},
        modules={"photos": ModuleOrigin(handle=EVIL, sha256="ab" * 32)},
        decision=Decision(
            blessed=True,
            compared_with="serving/1",
            metrics=metrics,
            serving_metrics=None,
            slices=(
                SliceMetrics(slice=OVERALL, examples=300, metrics=metrics, serving_metrics=None),
                SliceMetrics(slice=f"town={EVIL}", examples=12, metrics={"accuracy": 0.5}, serving_metrics=None),
            ),
            checks=(
                Check(
                    slice=OVERALL,
                    metric="accuracy",
                    rule="at_least",
                    bound=0.9,
                    value=0.91234,
                    serving=None,
                    passed=True,
                    reason="accuracy is 0.9123, at least 0.9",
                ),
            ),
            intervals={"accuracy": (0.88, 0.94), "auc": None},
        ),
        versions={"tensorflow": "2.16.2"},
        digest="d1",
    ).model_copy(update=changes)


class Page(HTMLParser):
    """The tags of a page, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href"}, "the page loads something"

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_escapes_all_data_and_loads_nothing() -> None:
    page = Page(card().files[HTML].decode())
    assert "script" not in page.tags and page.text.count(EVIL) == 4
    for fact in ("0.9123", "0.8800 to 0.9400", "undefined", "1,200", "3, from 3 to 7", "accuracy is 0.9123", "c0de"):
        assert fact in page.text, fact


def test_dated_spans_are_shown_as_dates() -> None:
    dated = card(data={"all": "data/{YYYY}-{MM}-{DD}/*"}, spans=(20_423, 20_425))
    assert "2, from 2025-12-01 to 2025-12-03" in Page(dated.files[HTML].decode()).text


@pytest.fixture
def folder(destination: str, tmp_path: Path) -> str:
    """A serving folder with two versions, on a disk or in a store."""
    for number, each in enumerate((card(), card(file={"training": {"epochs": 5}}, code="0ther", owner="us"))):
        model = tmp_path / f"model-{number}"
        model.mkdir()
        (model / "saved_model.pb").write_text(str(number))
        push(str(model), destination, beside=each.files)
    return destination


def test_a_card_reads_back_and_makes_no_other_model(folder: str, tmp_path: Path) -> None:
    assert ModelCard.read(f"{folder}/1") == card()
    assert storage.exists(f"{folder}/1/{HTML}")
    assert model_digest(f"{folder}/1") == tree_digest(str(tmp_path / "model-0"))
    storage.write_text(f"{folder}/1/{JSON}", "{}")
    with pytest.raises(UserError, match=r"model_card\.json: no model card that this Hubline knows"):
        ModelCard.read(f"{folder}/1")


def test_the_commands_show_and_compare_cards(tmp_path: Path) -> None:
    for number, each in enumerate((card(), card(file={"training": {"epochs": 5}}, owner="us"))):
        version = tmp_path / "serving" / str(number + 1)
        version.mkdir(parents=True)
        (version / "saved_model.pb").write_text("same")
        for name, content in each.files.items():
            (version / name).write_bytes(content)
    runner, serving = CliRunner(), str(tmp_path / "serving")
    said = " ".join(runner.invoke(app, ["models", "show", serving, "2"]).stdout.split())
    for fact in (EVIL, "owner: us", "train 1,200, test 300", "accuracy: 0.9123 (0.8800 to 0.9400)", "auc: undefined"):
        assert fact in said, fact
    shown = json.loads(runner.invoke(app, ["models", "show", serving, "1", "--json"]).stdout)
    assert shown["card"] == json.loads(card().files[JSON])
    found = json.loads(runner.invoke(app, ["models", "diff", serving, "1", "2", "--json"]).stdout)
    assert found["files"] == {}
    assert found["card"] == {
        "owner": ["", "us"],
        "file.name": ["tiny", None],
        "file.label.from": [EVIL, None],
        "file.training.epochs": [3, 5],
    }
