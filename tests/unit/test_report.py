"""The report of a run: computed summaries, and the contents of its page."""

import base64
import dataclasses
import html
import io
import json
import re
import shlex
import subprocess
import sys
from datetime import datetime
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import yaml
from PIL import Image
from sklearn import metrics
from typer.testing import CliRunner

from hubline.pipeline.cli import app
from hubline.pipeline.load import load
from hubline.pipeline.report import write_page
from hubline.pipeline.result import Result
from hubline.pipeline.runs import RunInputs
from hubline.report.contents import PAGE, Artifacts, Findings, RunReport, StepTime
from hubline.report.page import render
from hubline.report.predictions import summarize, with_pictures
from hubline.report.read_artifacts import read
from hubline.report.sample_values import column_values
from tests.support import example_data
from tests.support import report as make_report
from tests.support import statistics as make_statistics
from tests.support.project import PIPELINE, make_project
from tests.support.report import text_of


def predictions(folder: Path, labels: np.ndarray, candidate: np.ndarray, serving: np.ndarray | None = None):
    names = [str(index) for index in range(candidate.shape[1])]
    found = summarize(str(make_report.evaluation(folder, labels, candidate, serving, names)))
    assert found is not None
    return found


@pytest.fixture(scope="module")
def known(tmp_path_factory):
    """Predictions for 3,000 records in four classes, one of them rare, by a good model and a worse one."""
    labels = np.random.default_rng(3).choice(4, 3000, p=[0.4, 0.3, 0.29, 0.01])
    candidate, serving = make_report.scores(4, labels, 4), make_report.scores(5, labels, 4, skill=0.5)
    return labels, candidate, serving, predictions(tmp_path_factory.mktemp("known"), labels, candidate, serving)


def test_the_confusion_matrix_is_scikit_learns(known) -> None:
    labels, candidate, _, found = known
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(labels, candidate.argmax(axis=1)))


def test_areas_under_roc_are_scikit_learns_for_both_models(known) -> None:
    labels, candidate, serving, found = known
    for index in range(4):
        exact = metrics.roc_auc_score(labels == index, candidate[:, index])
        assert found.roc[index].auc == pytest.approx(exact, abs=2e-4)
        assert found.serving_auc[index] == pytest.approx(
            metrics.roc_auc_score(labels == index, serving[:, index]), abs=2e-4
        )


def test_a_sure_models_scores_at_0_and_1_are_still_told_apart(tmp_path: Path) -> None:
    labels = np.array([0] * 50 + [1] * 50)
    # In steps of a thousandth of the score's distance from 1, with the first class above the second by one step.
    missing = 1e-5 * (1.1 ** np.arange(100))
    candidate = np.stack([1 - missing, missing], axis=1).astype(np.float32)
    assert predictions(tmp_path, labels, candidate).roc[0].auc == pytest.approx(1.0)


def test_a_class_without_records_has_no_roc(tmp_path: Path) -> None:
    labels = np.array([0, 1] * 10)
    found = predictions(tmp_path, labels, make_report.scores(0, labels, 3))
    assert set(found.roc) == {0, 1} and found.serving_auc == {}


def test_the_worst_are_the_surest_of_a_wrong_class(known) -> None:
    labels, candidate, _, found = known
    predicted, sure = candidate.argmax(axis=1), candidate.max(axis=1)
    wrong = sorted(np.flatnonzero(predicted != labels), key=lambda row: (-sure[row], row))
    assert [sample.record for sample in found.wrong] == wrong[: len(found.wrong)] and len(found.wrong) > 10
    for sample in found.wrong:
        row = sample.record
        assert (sample.label, sample.predicted) == (str(labels[row]), str(predicted[row]))
        assert (sample.score, sample.label_score) == (sure[row], candidate[row, labels[row]])


def test_the_right_ones_are_the_first_of_each_class(known) -> None:
    labels, candidate, _, found = known
    right = labels == candidate.argmax(axis=1)
    assert {int(sample.label): sample.record for sample in found.right} == {
        index: np.flatnonzero(right & (labels == index))[0] for index in range(4)
    }


@pytest.mark.slow
def test_batches_change_nothing(known, tmp_path: Path, monkeypatch) -> None:
    labels, candidate, serving, _ = known
    monkeypatch.setattr("hubline.report.scores.PER_BATCH", 28)
    pieces = predictions(tmp_path, labels[:300], candidate[:300], serving[:300])
    monkeypatch.undo()
    once = predictions(tmp_path, labels[:300], candidate[:300], serving[:300])
    assert (pieces.wrong, pieces.right, pieces.serving_auc) == (once.wrong, once.right, once.serving_auc)
    np.testing.assert_array_equal(pieces.confusion, once.confusion)


@pytest.mark.slow
def test_with_very_many_classes_there_are_samples_and_no_charts_of_classes(tmp_path: Path) -> None:
    labels = np.arange(40)
    found = predictions(tmp_path, labels, make_report.scores(0, labels, 1001))
    assert found.confusion is None and not found.roc and found.wrong
    page = render(RunReport("many", "p.yaml", datetime.now(), 1.0, "succeeded", artifacts=Artifacts(
        evaluation=str(tmp_path))))  # fmt: skip
    assert 'id="samples"' in page and 'id="classes"' not in page


def test_each_sample_has_the_picture_and_origin_of_its_own_record(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 3, make_report.RECORDS)
    found = predictions(tmp_path / "evaluation", labels, make_report.scores(1, labels, 3))
    shown = with_pictures(found, str(make_report.examples(tmp_path / "examples", labels)))
    for sample in (*shown.right, *shown.wrong):
        assert sample.picture is not None
        pixels = Image.open(io.BytesIO(base64.b64decode(sample.picture.partition(",")[2])))
        assert pixels.size == (8, 8) and pixels.getpixel((3, 3)) == (sample.record,) * 3
        assert sample.values == {"label": str(labels[sample.record])}
        assert sample.origin == ("in/a.gz" if sample.record < 25 else f"in/{make_report.HOSTILE}")
    assert {sample.record < 25 for sample in (*shown.right, *shown.wrong)} == {True, False}


@pytest.mark.slow
def test_large_pictures_become_small_ones_and_broken_ones_none(tmp_path: Path) -> None:
    labels = np.zeros(make_report.RECORDS, int)
    folder = make_report.examples(tmp_path, labels)
    records = [example_data.record(photo=example_data.random_image(0, 600, 1200, "JPEG"), label=0)]
    records += [example_data.record(photo=example_data.random_image(0)[:60], label=0)] * 24
    example_data.write_tfrecord(folder / "Split-test" / "data-00000-of-00002.gz", records, "GZIP")
    scores = np.tile(np.float32([0.9, 0.1]), [make_report.RECORDS, 1])
    scores[1] = [0.2, 0.8]
    found = with_pictures(predictions(tmp_path / "evaluation", labels, scores), str(folder))
    (large,), (broken,) = found.right, found.wrong
    assert large.picture is not None and len(large.picture) < 20_000
    assert Image.open(io.BytesIO(base64.b64decode(large.picture.partition(",")[2]))).size == (112, 56)
    assert broken.picture is None and broken.origin == "in/a.gz"


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> tuple[RunReport, Findings, str]:
    report = make_report.report(tmp_path_factory.mktemp("whole"))
    return report, read(report.artifacts), render(report)


def test_what_was_set_aside_is_counted_by_reason_and_listed(whole) -> None:
    _, findings, _ = whole
    assert findings.counts == {"train": 1199, "validation": 40, "test": 60, "quarantine": 4}
    assert (findings.quarantine.total, findings.quarantine.undecodable) == (4, 1)
    assert findings.quarantine.reasons[0] == ("it has no label 'label'", 2)
    assert [(item.file, item.record) for item in findings.quarantine.first] == [
        ("in/a.gz", 7), ("in/a.gz", 9), (f"in/{make_report.HOSTILE}", 11), ("in/a.gz", 4),
    ]  # fmt: skip


def test_statistics_are_those_of_the_data(whole) -> None:
    _, findings, _ = whole
    company, miles = findings.columns
    assert [(column.name, column.type) for column in (company, miles)] == [("company", "string"), ("miles", "float")]
    values = np.random.default_rng(1).normal(10, 3, 400)[40:]  # validation's, as make_report draws them
    split = next(split for split in miles.splits if split.split == "validation")
    assert (split.count, split.missing) == (360, 40)
    expected = {"min": values.min(), "mean": values.mean(), "max": values.max(), "std": values.std()}
    assert {name: split.figures[name] for name in expected} == pytest.approx(expected)
    assert sum(count for _, _, count in split.buckets) == pytest.approx(360)
    assert company.splits[0].figures["unique"] == 3
    assert {value for value, _ in company.splits[0].top} == {"blue", "yellow", make_report.HOSTILE}


def test_a_column_that_is_compared_stands_beside_its_baseline_the_drifted_first(whole) -> None:
    _, findings, page = whole
    assert [item.drift.column for item in findings.drift] == ["miles", "company"]
    means = {split.split: split.figures["mean"] for split in findings.drift[0].column.splits}
    drawn = {
        name: np.random.default_rng(seed).normal(10, 3, 400)[40:].mean()
        for seed, name in enumerate(("train", "baseline"))
    }
    assert means == pytest.approx(drawn)
    text = text_of(page)
    assert "miles drifted 0.0625 0.05 10.0 % 10.0 % Jensen-Shannon divergence" in text
    assert "mean 9.9, was 10.1" in text
    assert "train hour warning every value is 3, in 400 of 400 records" in text


@pytest.mark.slow
def test_values_that_are_no_numbers_count_as_missing_and_spoil_no_chart(tmp_path: Path) -> None:
    values = [float("nan")] * 10 + [float("inf"), float("-inf")] + [1.0, 2.0] * 20
    made = make_statistics.statistics(tmp_path, {"train": [make_statistics.rows(52, x=values)]})
    (column,) = read(Artifacts(statistics=made.uri)).columns
    train = column.splits[0]
    assert (train.count, train.missing, train.figures["NaN"]) == (42, 10, 10)
    assert all(np.isfinite(bucket).all() for bucket in train.buckets)
    report = RunReport("x", "p.yaml", datetime.now(), 1.0, "failed", artifacts=Artifacts(statistics=made.uri))
    figures = re.search(r'<script type="application/json" id="figures">(.*?)</script>', render(report), re.DOTALL)
    assert figures is not None and json.loads(figures[1], parse_constant=pytest.fail)["column-0"]["data"]


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict]] = []

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_says_what_was_noted_of_training_and_how_sure_metrics_are(whole) -> None:
    _, _, page = whole
    assert page.count("the loss has not changed &lt;") == 2  # next to the decision, and with the curves
    assert "0.7123 to 0.9012" in page and "+0.4125" in page and "best constant 0.4000" in page
    assert "no threshold applied to auc" in page


def test_the_page_says_what_was_decided_and_why(whole) -> None:
    _, findings, page = whole
    text = text_of(page)
    assert "pets not blessed" in text and "compared with serving/3" in text
    assert "failed accuracy 0.5000, must be at least 0.7 passed accuracy 0.8125, must be at least 0.7" in text
    assert "accuracy overall at_least 0.7 0.8125 0.7500 passed" in text
    assert "at_least 0.7 0.5000 0.6250 failed" in text
    assert "cross_entropy 0.4321 0.4000 to 0.5000 1.2500 0.5000 -0.0679" in text
    assert "ExampleGen cached 2.5 Trainer done 61.2 Evaluator done 9.0" in text
    assert "validation company stops the run Examples contain values missing from the schema" in text
    assert findings.predictions is not None
    assert "hubs.photos 0 1,200,300 head 4,500 64 total 4,500 1,200,364" in text
    assert f"{findings.predictions.roc[0].auc:.4f}" in text and "quarantine 4 0.3 %" in text


def test_the_legend_of_roc_has_the_areas(whole) -> None:
    _, findings, page = whole
    embedded = re.search(r'<script type="application/json" id="figures">(.*?)</script>', page, re.DOTALL)
    assert embedded is not None
    names = [trace.get("name") for trace in json.loads(embedded[1])["roc"]["data"]]
    assert f"cat (AUC {findings.predictions.roc[0].auc:.4f})" in names


def test_nothing_that_users_name_becomes_markup_and_nothing_is_fetched(whole) -> None:
    _, _, page = whole
    assert make_report.HOSTILE not in page and "&lt;script&gt;alert(" in page
    tags = Tags()
    tags.feed(page)
    assert [attributes for tag, attributes in tags.found if tag == "script"] == [
        {"type": "application/json", "id": "figures"}, {}, {},
    ]  # fmt: skip
    places = [at for _, attributes in tags.found for name, at in attributes.items() if name in ("src", "href")]
    assert len(places) > 10 and all(place.startswith(("data:", "#")) for place in places)


@pytest.mark.slow
def test_the_page_of_a_failed_run_shows_the_step_its_error_and_what_there_is(whole, tmp_path: Path) -> None:
    report, _, _ = whole
    failed = RunReport(
        "pets", "p.yaml", datetime.now(), 4.0, "failed", steps=[StepTime("ExampleGen", 2.5, False)],
        failed_step="DataGate", error="the data does not fit its schema:\n  train: <b>column</b>", log="run.log",
        artifacts=Artifacts(statistics=report.artifacts.statistics, anomalies=report.artifacts.anomalies),
    )  # fmt: skip
    page = render(failed)
    text = text_of(page)
    assert "Failed in DataGate the data does not fit its schema: train: &lt;b&gt;column&lt;/b&gt;" in text
    assert "ExampleGen done 2.5 DataGate failed" in text and "company" in text
    assert set(re.findall(r'<section id="(\w+)"', page)) == {"data", "drift", "anomalies", "steps"}


@pytest.mark.slow
def test_a_run_that_failed_before_its_first_step_has_a_page_without_tensorflow() -> None:
    program = """
import sys
from datetime import datetime
from hubline.report.contents import RunReport
from hubline.report.page import render
page = render(RunReport("x", "p.yaml", datetime.now(), 0.1, "failed", error="data/*: no such file"))
assert "data/*: no such file" in page
print("tensorflow" in sys.modules, len(page) < 100_000)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout.split() == ["False", "True"], done.stderr


def result(folder: Path, artifacts: Artifacts = Artifacts()) -> Result:  # noqa: B008 - it is frozen
    return Result(
        status="failed", failed_step="Trainer", error="no", seconds=1, artifacts=artifacts, report=str(folder), log="l"
    )


@pytest.mark.slow
def test_points_in_time_have_an_axis_of_dates_and_identifiers_their_digits(tmp_path: Path) -> None:
    began = [1_750_000_000_000, 1_750_086_400_000, 1_750_172_800_000] * 20
    columns = {"began": began, "id": [10_000_000 + each % 1000 for each in range(60)]}
    made = make_statistics.statistics(tmp_path / "made", {"train": [make_statistics.rows(60, **columns)]})
    features = "features:\n  hour: {kind: timestamp, from: began, part: hour, unit: milliseconds}\n"
    text = re.sub(r"features:\n.*\n", features, re.sub(r"hubs:\n.*\n", "", PIPELINE))
    file, _ = load(make_project(tmp_path, text))
    write_page(result(tmp_path, Artifacts(statistics=made.uri)), file, Path("p.yaml"), None, (), datetime.now())
    page = (tmp_path / PAGE).read_text()
    figures = json.loads(re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)[0])
    times, numbers = figures["column-0"], figures["column-1"]
    assert times["layout"]["xaxis"]["type"] == "date"
    assert times["data"][0]["x"][0] == "2025-06-15T15:06:40.000000"
    assert times["data"][0]["x"][-1] == "2025-06-17T15:06:40.000000"
    assert numbers["layout"]["xaxis"]["exponentformat"] == "none" and numbers["data"][0]["x"][0] == 10_000_000
    assert "10,000,059" in text_of(page)


@pytest.mark.slow
@pytest.mark.parametrize("outlier", [2**63 - 1, -(2**63), 1_700_000_000_000_000, 67_768_036_191_694_799])
def test_a_column_of_times_with_a_number_that_is_no_time_keeps_its_numbers(tmp_path: Path, outlier: int) -> None:
    columns = {"began": [1_750_000_000, 1_750_086_400, outlier] * 20}
    made = make_statistics.statistics(tmp_path / "made", {"train": [make_statistics.rows(60, **columns)]})
    report = RunReport("x", "p", datetime.now(), 1.0, "failed", artifacts=Artifacts(statistics=made.uri))
    page = render(dataclasses.replace(report, time_units={"began": "seconds"}))
    figures = json.loads(re.findall(r'id="figures">(.*?)</script>', page, re.DOTALL)[0])
    assert figures["column-0"]["layout"]["xaxis"].get("type") != "date"


def test_a_page_that_cannot_be_made_fails_no_run(tmp_path: Path, capfd) -> None:
    gone = Artifacts(examples=str(tmp_path / "gone"))
    file, _ = load(make_project(tmp_path))
    write_page(result(tmp_path, gone), file, Path("p.yaml"), None, (), datetime.now())
    assert not (tmp_path / PAGE).exists()
    assert "manifest.json" in capfd.readouterr().err


def test_the_page_says_how_to_run_the_run_again_and_keeps_secrets(tmp_path: Path) -> None:
    path = make_project(tmp_path, PIPELINE + "kubeflow: {alert: {webhook: 'https://chat.example/secret'}}\n")
    settings = ["training.epochs=9", f"label.from={json.dumps(make_report.HOSTILE)}"]
    file, _ = load(path, settings)
    pins = {"files": "ab12", "modules": {"mean": "cd34"}}
    inputs = RunInputs(file={}, pins=pins, code="ef56", versions={"python": "3.10.1", "tfx": "1.16"})
    (tmp_path / "inputs.json").write_text(inputs.model_dump_json())
    made = result(tmp_path).model_copy(update={"log": str(tmp_path / "run.log")})
    write_page(made, file, path, tmp_path / "root", settings, datetime.now())
    page = (tmp_path / PAGE).read_text()
    text = html.unescape(text_of(page))
    assert (
        "This run again: "
        + shlex.join(
            ["hubline", "run", str(path), "--root", f"{tmp_path}/root", "--set", settings[0], "--set", settings[1]]
        )
        in text
    )
    assert "python 3.10.1 tfx 1.16 code ef56 list of data files ab12 hubs.mean cd34" in text
    described = yaml.safe_load(html.unescape(re.findall(r"<pre>(name: .*?)</pre>", page, re.DOTALL)[0]))
    assert described["training"]["epochs"] == 9 and described["label"]["from"] == make_report.HOSTILE
    assert described["data"] == {"examples": f"{tmp_path}/data", "split": {"train": 6, "validation": 2, "test": 2}}
    assert "chat.example" not in page


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        ([2.5], "2.5"),
        ([1234567.0], "1234567"),
        ([0.1], "0.1"),
        ([-2e-7], "-2e-07"),
        ([float("nan")], "nan"),
        ([20260101], "20260101"),
        (["a", "b"], "a, b"),
        (["x" * 99], "x" * 59 + "…"),
        (list(range(28)), "0, 1, 2, 3, … (28 values)"),
        ([], ""),
    ],
)
def test_values_of_a_record_are_shown_shortly(values: list, shown: str) -> None:
    feature = values[0] if len(values) == 1 else tf.train.Feature()
    if len(values) > 1 and isinstance(values[0], str):
        feature.bytes_list.value.extend(value.encode() for value in values)
    elif len(values) > 1:
        feature.int64_list.value.extend(values)
    record = example_data.record(x=feature, photo=b"\xff\xd8\xff", hidden=3)
    assert column_values(tf.train.Example.FromString(record), {"hidden"}) == {"x": shown}


@pytest.mark.slow
def test_the_command_names_the_newest_page(tmp_path: Path) -> None:
    file = make_project(tmp_path)
    none = CliRunner().invoke(app, ["report", str(file)])
    assert "no report of" in str(none.exception)
    runs = tmp_path / ".hubline" / "tiny" / "runs"
    for name in ("20260101-000000-000000", "20260102-000000-000000"):
        (runs / name / "report").mkdir(parents=True)
        write_page(result(runs / name / "report"), load(file)[0], file, None, (), datetime.now())
    (runs / "20260103-000000-000000").mkdir()  # a run in progress
    newest = f"{runs}/20260102-000000-000000/report/{PAGE}"
    assert CliRunner().invoke(app, ["report", str(file)]).stdout == f"{newest}\n"
    said = CliRunner().invoke(app, ["report", str(file), "--json"]).stdout
    assert json.loads(said) == {"status": "succeeded", "report": newest}
