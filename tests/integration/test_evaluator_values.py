"""Evaluator and report for label `regression`, compared with scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from hubline.artifacts.decision import OVERALL, Decision
from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.evaluator.exported_model import Scale
from hubline.components.evaluator.labels.regression import scale_of
from hubline.core.errors import RunError, UserError
from hubline.core.float64 import from_parts, to_parts
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.report.labels.predictions import ValuePredictions
from hubline.report.predictions import summarize
from hubline.trainer.export_format import HEAD, RECIPE
from hubline.trainer.metrics.r2 import R2
from tests.support import example_data
from tests.support.evaluation import columns, judge, save_oracle, write_test_split


class Teller(tf.Module):
    """An exported model that reads its prediction from a column of the record."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self._column = column

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {self._column: tf.io.FixedLenFeature([], tf.float32)}
        return {"value": tf.io.parse_example(examples, spec)[self._column]}


RNG = np.random.default_rng(0)
TRUE = RNG.lognormal(12, 0.5, 300).astype(np.float32)
SAID = {
    "good": (TRUE * RNG.normal(1, 0.05, 300)).astype(np.float32),
    "poor": (TRUE * RNG.normal(1, 0.4, 300)).astype(np.float32),
    "broken": np.where(np.arange(300) == 17, np.inf, TRUE).astype(np.float32),
}


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("values")
    records = [
        example_data.record(
            price=float(TRUE[row]), town=row % 3, **{name: float(said[row]) for name, said in SAID.items()}
        )
        for row in range(300)
    ]
    records[2] = example_data.record(
        price=float(TRUE[2]), town=9, **{name: float(said[2]) for name, said in SAID.items()}
    )
    write_test_split(folder, records)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(
        'feature {name: "price" type: FLOAT presence {min_fraction: 1} shape {dim {size: 1}}}'
    )
    for name in SAID:
        teller = Teller(name)
        tf.saved_model.save(teller, str(folder / name / "Format-Serving"), signatures={"serving_default": teller.serve})
    save_oracle(folder / "classes" / "Format-Serving", ["a", "b"], "good")
    return folder


class Later(tf.Module):
    """An exported model that predicts a time, in seconds since 1970, with an error from a column of the record."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self._column = column

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"time": tf.io.FixedLenFeature([], tf.int64), self._column: tf.io.FixedLenFeature([], tf.float32)}
        columns = tf.io.parse_example(examples, spec)
        return {"value": tf.cast(columns["time"], tf.float64) + tf.cast(columns[self._column], tf.float64)}


TIMES = 1_600_000_000 + RNG.integers(-60, 60, 300)
OFF = {"near": RNG.normal(0, 7, 300).astype(np.float32), "far": RNG.normal(0, 30, 300).astype(np.float32)}


@pytest.fixture(scope="module")
def timed(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("times")
    write_test_split(
        folder,
        [
            example_data.record(
                time=int(TIMES[row]), town=row % 3, **{name: float(off[row]) for name, off in OFF.items()}
            )
            for row in range(300)
        ],
    )
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(
        'feature {name: "time" type: INT presence {min_fraction: 1} shape {dim {size: 1}}}'
    )
    for name in OFF:
        later = Later(name)
        tf.saved_model.save(later, str(folder / name / "Format-Serving"), signatures={"serving_default": later.serve})
    return folder


def test_numbers_far_greater_than_their_spread_are_kept_and_judged_to_the_last_digit(tmp_path: Path, timed) -> None:
    decision = judge(
        tmp_path,
        timed,
        "near",
        "far",
        Evaluation(metrics=("rmse", "mae", "r2"), slices=[["town"]]).of_label("regression"),
        RegressionLabel.model_validate({"kind": "regression", "from": "time"}),
    )
    said = {name: TIMES + off.astype(np.float64) for name, off in OFF.items()}
    rows = {found.slice: np.arange(300) % 3 == int(found.slice[-1]) for found in decision.slices[1:]}
    for found in decision.slices:
        some = rows.get(found.slice, slice(None))
        assert found.metrics == pytest.approx(reference(TIMES[some], said["near"][some]), rel=1e-9)
        assert found.serving_metrics == pytest.approx(reference(TIMES[some], said["far"][some]), rel=1e-9)
    assert len(rows) == 3 and decision.blessed
    wide = TIMES.astype(np.float64)
    expected = {"rmse": wide.std(), "mae": np.abs(wide - np.median(wide)).mean(), "r2": 0.0}
    assert decision.baseline.metrics == pytest.approx(expected, abs=1e-6)
    assert decision.intervals["rmse"][0] < decision.metrics["rmse"] < decision.intervals["rmse"][1]
    found = summarize(str(tmp_path / "evaluation"))
    assert isinstance(found, ValuePredictions)
    np.testing.assert_array_equal(found.true, TIMES)
    np.testing.assert_array_equal(found.predicted, said["near"])
    assert found.wrong[0].label == f"{TIMES[np.abs(said['near'] - TIMES).argmax()]:,}"


HEADS = {"right": 0.0, "rounded": 1e-4, "wrong": 0.1}
"""Errors of a model's heads, in units of the spread of the labels."""


@pytest.fixture(scope="module")
def with_heads(timed: Path, tmp_path_factory) -> Path:
    """Models that predict the same from records, and differ in the head that predicts from rows."""
    folder = tmp_path_factory.mktemp("heads")
    errors = {name: OFF["near"] + error * TIMES.std() for name, error in HEADS.items()}
    records = [
        example_data.record(
            time=int(TIMES[row]), near=float(OFF["near"][row]), **{name: float(of[row]) for name, of in errors.items()}
        )
        for row in range(300)
    ]
    write_test_split(folder, records)
    (folder / "schema").symlink_to(timed / "schema")
    for name in HEADS:
        whole, head, path = Later("near"), Later(name), folder / name / "Format-Serving"
        tf.saved_model.save(whole, str(path), signatures={"serving_default": whole.serve})
        tf.saved_model.save(head, str(path / HEAD), signatures={"serving_default": head.serve})
        (path / RECIPE).write_text("this one")
    return folder


def judge_times(folder: Path, judged: Path, candidate: str) -> Decision:
    config = Evaluation(metrics=("mae",)).of_label("regression")
    label = RegressionLabel.model_validate({"kind": "regression", "from": "time"})
    return judge(folder, judged, candidate, None, config, label)


@pytest.mark.parametrize("head", ["right", "rounded"])
def test_a_head_that_agrees_with_its_model_predicts_from_rows(tmp_path: Path, with_heads: Path, head: str) -> None:
    decision = judge_times(tmp_path, with_heads, head)
    off = OFF["near"] + HEADS[head] * TIMES.std()
    assert decision.metrics["mae"] == pytest.approx(np.abs(off).mean(), rel=1e-6)


def test_a_head_that_is_wrong_by_a_tenth_of_the_spread_is_found_however_large_the_labels(
    tmp_path: Path, with_heads: Path
) -> None:
    with pytest.raises(RunError, match=r"the model's value differ by 3\.\d+ from those computed"):
        judge_times(tmp_path, with_heads, "wrong")


def test_rounding_is_relative_to_the_spread_and_at_least_a_step_of_the_type() -> None:
    values = np.array([1.6e9, 1.6e9 + 60, 2.6e9])
    scale = scale_of(TIMES.astype(np.float64), "z_score")
    assert scale == Scale(float(np.median(TIMES)), float(TIMES.std()))
    np.testing.assert_allclose(scale.rounding(values), [0.0347, 0.06, 1e6], rtol=0.05)
    np.testing.assert_array_equal(scale.rounding(values.astype(np.float32))[:2], [128, 128])


@pytest.mark.parametrize(
    ("values", "normalize", "spread"),
    [([3.0, 3.0], "z_score", 0.01), ([0.0, 1e-6], "none", 0.01), ([0.0, 4.0], "none", 2.0), ([1e9, 1e9], "log", 1e7)],
)
def test_the_spread_is_not_below_what_float32_resolves(values: list[float], normalize: str, spread: float) -> None:
    assert scale_of(np.array(values), normalize).spread == pytest.approx(spread)


def evaluate(folder: Path, judged: Path, candidate: str, serving: str | None, **config) -> Decision:
    evaluation = Evaluation(**{"baseline": "ignore"} | config).of_label("regression")
    return judge(
        folder,
        judged,
        candidate,
        serving,
        evaluation,
        RegressionLabel.model_validate({"kind": "regression", "from": "price"}),
    )


def reference(true: np.ndarray, said: np.ndarray) -> dict[str, float]:
    true, said = true.astype(np.float64), said.astype(np.float64)
    return {
        "rmse": mean_squared_error(true, said) ** 0.5,
        "mae": mean_absolute_error(true, said),
        "r2": r2_score(true, said) if len(true) > 1 else None,
    }


@pytest.fixture(scope="module")
def decided(judged: Path, tmp_path_factory) -> tuple[Path, Decision]:
    folder = tmp_path_factory.mktemp("decided")
    thresholds = {
        "rmse": Threshold(no_worse_than_serving_by=0.0),
        "mae": Threshold(at_most=1.0),
        "r2": Threshold(at_least=0.5),
    }
    config = {"metrics": ("rmse", "mae", "r2"), "thresholds": thresholds, "slices": [["town"]]}
    return folder, evaluate(folder, judged, "good", "poor", **config)


@pytest.mark.both_stacks
def test_metrics_are_those_of_scikit_learn_over_all_records_and_each_slice(decided) -> None:
    _, decision = decided
    town = np.where(np.arange(300) == 2, 9, np.arange(300) % 3)
    slices = {OVERALL: town >= 0} | {f"town={number}": town == number for number in (0, 1, 2, 9)}
    assert {found.slice: found.examples for found in decision.slices} == {k: rows.sum() for k, rows in slices.items()}
    for found in decision.slices:
        rows = slices[found.slice]
        for metrics, name in ((found.metrics, "good"), (found.serving_metrics, "poor")):
            expected = reference(TRUE[rows], SAID[name][rows])
            assert metrics == {key: value and pytest.approx(value, rel=1e-9) for key, value in expected.items()}


def test_of_errors_less_is_better(decided) -> None:
    _, decision = decided
    assert {check.metric: check.passed for check in decision.checks} == {"rmse": True, "mae": False, "r2": True}
    assert not decision.blessed


def test_predictions_are_kept_in_the_units_of_the_label(decided) -> None:
    folder, _ = decided
    kept = [
        columns(item)
        for item in example_data.read_tfrecord(
            folder / "evaluation" / "predictions" / "predictions-00000-of-00001.tfrecord"
        )
    ]
    assert [item[RECORD] for item in kept] == [[number] for number in range(300)]
    for name, values in ((LABEL, TRUE), (CANDIDATE, SAID["good"]), (SERVING, SAID["poor"])):
        np.testing.assert_array_equal(from_parts(tf.constant([item[name] for item in kept])), values)
    assert json.loads((folder / "evaluation" / "label.json").read_text())["kind"] == "regression"


def test_the_report_shows_each_prediction_and_the_ones_furthest_off(decided) -> None:
    folder, _ = decided
    found = summarize(str(folder / "evaluation"))
    assert isinstance(found, ValuePredictions) and found.count == 300
    np.testing.assert_array_equal(found.true, TRUE)
    np.testing.assert_array_equal(found.predicted, SAID["good"])
    off = np.abs(SAID["good"] - TRUE)
    assert [sample.record for sample in found.wrong] == np.argsort(-off)[: len(found.wrong)].tolist()
    assert found.wrong[0].label == f"{TRUE[off.argmax()]:,.6g}"


def test_without_thresholds_of_its_own_a_challenger_may_not_have_the_greater_rmse(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "poor", "good")
    assert set(decision.metrics) == {"mae", "rmse"} and not decision.blessed
    assert [(check.metric, check.passed) for check in decision.checks] == [("rmse", False)]


def test_the_mean_and_the_median_of_the_training_split_stand_beside(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", None, baseline="beat", metrics=("rmse", "mae", "r2"))
    wide = TRUE.astype(np.float64)
    expected = {"rmse": wide.std(), "mae": np.abs(wide - np.median(wide)).mean(), "r2": 0.0}
    assert decision.baseline.metrics == pytest.approx(expected, rel=1e-5, abs=1e-9)
    assert decision.blessed and decision.checks[-1].rule == "better_than_baseline"


def test_what_is_not_a_finite_number_is_refused_with_its_record(tmp_path: Path, judged: Path) -> None:
    with pytest.raises(RunError, match=r"broken/Format-Serving: the prediction for record 17 of the test split"):
        evaluate(tmp_path, judged, "broken", None)


def test_a_version_that_answers_classes_cannot_be_compared_with(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", "classes")
    assert decision.compared_with is None
    assert "classes/Format-Serving: the model has no output 'value'" in decision.notes[0]
    with pytest.raises(UserError, match="has no output 'value'"):
        evaluate(tmp_path, judged, "classes", None)


@pytest.mark.parametrize(
    ("true", "predicted"),
    [
        (np.float32([2000, 2010, 2020, 2024]), np.float32([2001, 2008, 2020, 2025])),
        (np.float32([1e-6, 2e-6, 4e-6]), np.float32([1e-6, 2e-6, 3e-6])),
        (np.float32([1_000_000, 1_000_010, 1_000_030]), np.float32([1_000_000, 1_000_010, 1_000_020])),
        (np.float32([5, 5, 5]), np.float32([5, 5, 5])),
        (np.float32([5, 5, 5]), np.float32([5, 5, 6])),
        (np.float32([0.1, 0.1, 0.1]), np.float32([0.2, 0.1, 0.1])),
        (np.float32([0, 0, 0]), np.float32([0, 0, 0])),
        (np.float32([0, 0, 0]), np.float32([0, 0, 1])),
    ],
)
def test_r2_is_that_of_scikit_learn_also_put_together_from_parts_and_undefined_where_nothing_varies(
    true, predicted
) -> None:
    whole, first, second = R2(), R2(), R2.from_config(R2().get_config())
    of_true, of_predicted = to_parts(true), to_parts(predicted)
    whole.update_state(of_true, of_predicted)
    first.update_state(of_true[:1], of_predicted[:1])
    second.update_state(of_true[1:], of_predicted[1:])
    whole_again = R2()
    whole_again.set_weights(np.add(first.get_weights(), second.get_weights()))
    expected = r2_score(true.astype(np.float64), predicted.astype(np.float64)) if np.ptp(true) else np.nan
    assert float(whole.result()) == pytest.approx(expected, abs=1e-6, nan_ok=True)
    assert float(whole_again.result()) == pytest.approx(expected, abs=1e-6, nan_ok=True)
