"""Label `regression`: pipeline file, validation of records, and display."""

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from rich.console import Console
from typer.testing import CliRunner

from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.core.float64 import from_parts, to_parts
from hubline.pipeline.cli import app
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.predict.predict import predict_inputs
from hubline.pipeline.predict.show import show_predictions
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.report.contents import Findings, RunReport
from hubline.report.labels.predictions import ValuePredictions
from hubline.report.page import render_findings
from hubline.report.predictions import summarize, with_pictures
from tests.support import example_data
from tests.support import model as make_model
from tests.support import report as make_report
from tests.support.report import text_of

FILE = """\
name: houses
data: {examples: data/*.gz}
features:
  rooms: {kind: numeric}
label: {from: price, kind: regression, normalize: log}
training: {epochs: 2}
serving: {destination: gs://bucket/serving}
"""


def write(folder: Path, text: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(text)
    return path


def test_what_the_file_does_not_say_of_evaluation_is_as_the_label_asks(tmp_path: Path) -> None:
    of_numbers = load(write(tmp_path, FILE))[0].evaluation
    assert of_numbers.metrics == ("rmse", "mae")
    assert {name: held.no_worse_than_serving_by for name, held in of_numbers.thresholds.items()} == {"rmse": 0.0}
    of_classes = load(write(tmp_path, FILE.replace("regression, normalize: log", "class")))[0].evaluation
    assert of_classes.metrics == ("accuracy", "cross_entropy") and list(of_classes.thresholds) == ["accuracy"]


def test_what_the_file_says_of_evaluation_stays(tmp_path: Path) -> None:
    said = load(write(tmp_path, f"{FILE}evaluation: {{metrics: [r2], thresholds: {{}}}}\n"))[0].evaluation
    assert said.metrics == ("r2",) and said.thresholds == {}
    half = load(write(tmp_path, f"{FILE}evaluation: {{thresholds: {{mae: {{at_most: 3}}}}}}\n"))[0].evaluation
    assert half.metrics == ("rmse", "mae") and list(half.thresholds) == ["mae"]


def test_each_metric_that_does_not_fit_the_label_is_named_where_it_stands(tmp_path: Path) -> None:
    text = f"{FILE}evaluation:\n  metrics:\n  - rmse\n  - auc\n  thresholds:\n    accuracy: {{at_least: 0.9}}\n"
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, text))
    assert [(diagnostic.line, diagnostic.key) for diagnostic in caught.value.diagnostics] == [
        (11, "evaluation.metrics[1]"), (13, "evaluation.thresholds.accuracy"),
    ]  # fmt: skip
    assert caught.value.diagnostics[0].message == "auc does not fit a label of kind regression; these do: rmse, mae, r2"
    with pytest.raises(PipelineFileError, match="rmse does not fit a label of kind class"):
        load(write(tmp_path, text.replace("regression, normalize: log", "class")))


def contract(normalize: str) -> Contract:
    label = RegressionLabel.model_validate({"kind": "regression", "from": "price", "normalize": normalize})
    return contract_of({}, label)


@pytest.mark.parametrize("normalize", ["none", "log", "z_score"])
@pytest.mark.parametrize(
    ("values", "fault"),
    [
        ((2.5,), ""),
        ((7,), ""),
        ((-2.5,), "which the label is the logarithm of, is -2.5; it must be above 0"),
        ((0,), "which the label is the logarithm of, is 0; it must be above 0"),
        ((float("nan"),), "is nan"),
        ((float("inf"),), "is inf"),
        (("12",), "it must be a number"),
        ((1.0, 2.0), "has 2 values; it must have one"),
        ((), "it has no column 'price'"),
    ],
)
def test_a_record_has_one_finite_number_and_above_0_where_its_logarithm_is_learned(normalize, values, fault) -> None:
    fault = fault if normalize == "log" or "logarithm" not in fault else ""
    held = contract(normalize)
    item = example_data.record(price=example_data.feature(*values)) if values else example_data.record(other=1)
    found = find_fault(item, held)
    assert (found is None) == (not fault) and fault in (found or "")
    if values and not isinstance(values[0], str):
        sound = are_sound(tf.constant([item]), held, kind_of(example_data.record(price=values[0]), held))
        assert sound.numpy().tolist() == [not fault]


def numbers(value: float) -> tf.train.Feature:
    return example_data.feature(*to_parts(np.array(value)).tolist())


def predictions(folder: Path, true: np.ndarray, predicted: np.ndarray) -> ValuePredictions:
    rows = [
        example_data.record(**{RECORD: number, LABEL: numbers(true[number]), CANDIDATE: numbers(predicted[number])})
        for number in range(len(true))
    ]
    for part, at in enumerate(range(0, len(rows), 5000)):
        example_data.write_tfrecord(folder / "predictions" / f"data-{part}", rows[at : at + 5000])
    (folder / "label.json").write_text('{"kind": "regression", "from": "price"}')
    found = summarize(str(folder))
    assert isinstance(found, ValuePredictions)
    return found


@pytest.mark.slow
def test_of_many_predictions_an_even_choice_is_charted_and_the_worst_of_all_are_shown(tmp_path: Path) -> None:
    true = np.arange(11_000, dtype=np.float32)
    predicted = true + 1
    predicted[[7, 10_999, 6001]] += [500, -900, 700]
    found = predictions(tmp_path, true, predicted)
    assert found.count == 11_000 and 1000 < len(found.true) <= 4000
    assert len(set(np.diff(found.true))) == 1 and found.true[0] == 0 and found.true[-1] > 10_990
    np.testing.assert_array_equal(found.predicted - found.true, np.where(np.isin(found.true, [7, 6001]), 501, 1))
    assert [(sample.record, sample.score) for sample in found.wrong[:3]] == [(10_999, 899), (6001, 701), (7, 501)]


@pytest.mark.slow
def test_the_page_has_charts_of_values_and_the_worst_with_their_pictures(tmp_path: Path) -> None:
    true = np.linspace(1e5, 5e5, make_report.RECORDS).astype(np.float32)
    found = predictions(tmp_path / "evaluation", true, (true * 1.5).astype(np.float32))
    examples = make_report.examples(tmp_path / "examples", np.zeros(make_report.RECORDS, int))
    shown = with_pictures(found, str(examples))
    assert shown.wrong[0].record == make_report.RECORDS - 1 and shown.wrong[0].picture is not None
    report = RunReport("houses", "p.yaml", datetime.now(), 4.0, "succeeded")
    page = render_findings(report, Findings(predictions=shown))
    assert set(re.findall(r'data-figure="([\w-]+)"', page)) == {"values", "residuals"}
    assert set(re.findall(r'<section id="(\w+)"', page)) == {"values", "samples"}
    assert "750,000 true: 500,000 error 250,000 record 59" in text_of(page)
    some = render_findings(report, Findings(predictions=replace(shown, count=1234)))
    assert "60 of 1,234 records" in text_of(some) and "60 of" not in text_of(page)


class Doubles(tf.Module):
    """An exported regression model: twice the column `x`."""

    @staticmethod
    def answer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"value": 2 * x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([], tf.float32)})["x"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def predict(self, x: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(x)


@pytest.mark.slow
def test_predict_gives_and_shows_values(tmp_path: Path) -> None:
    model = Doubles()
    signatures = {"serving_default": model.serving_default, "predict": model.predict}
    tf.saved_model.save(model, str(tmp_path / "1"), signatures=signatures)
    numbers: Sequence[float] = [0.25, 172_300.5]
    path = str(
        example_data.write_tfrecord(tmp_path / "x.tfrecord", [example_data.record(x=number) for number in numbers])
    )
    said = list(predict_inputs(str(tmp_path), [path]))
    assert said == [{"input": path, "record": n, "value": 2 * number} for n, number in enumerate(numbers)]
    console = Console(file=io.StringIO(), width=300)
    show_predictions(console, said)
    lines = [line.split()[-2:] for line in console.file.getvalue().splitlines()]  # type: ignore[attr-defined]
    assert lines == [["record", "value"], ["0", "0.5"], ["1", "344601"]]


class Seconds(Doubles):
    """A time: the column `x` in seconds after 1970."""

    @staticmethod
    def answer(x: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"value": tf.constant(1.6e9, tf.float64) + tf.cast(x, tf.float64)}


@pytest.mark.slow
def test_tfrecords_of_predictions_hold_all_digits_of_a_value(tmp_path: Path) -> None:
    make_model.served_as(tmp_path / "serving", Seconds())
    path = example_data.write_tfrecord(
        tmp_path / "x.tfrecord", [example_data.record(x=number) for number in (0.25, 30.0, 31.0)]
    )
    arguments = ["predict", str(tmp_path / "serving"), str(path), "--output", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*arguments, "--format", "tfrecord"])
    assert done.exit_code == 0, done.output
    (file,) = (tmp_path / "out").iterdir()
    spec = {"record": tf.io.FixedLenFeature([], tf.int64), "value": tf.io.FixedLenFeature([3], tf.float32)}
    parsed = tf.io.parse_example(list(example_data.read_tfrecord(file)), spec)
    assert parsed["record"].numpy().tolist() == [0, 1, 2]
    assert from_parts(parsed["value"]).numpy().tolist() == [1_600_000_000.25, 1_600_000_030, 1_600_000_031]
    np.testing.assert_array_equal(parsed["value"][:, 0], np.float32([1_600_000_000] * 3))
