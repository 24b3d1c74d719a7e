"""Evaluator on real artifacts, real SavedModels and real TFMA, compared with scikit-learn."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma
from sklearn.metrics import (
    accuracy_score,
)

from hubline.artifacts.decision import OVERALL, Decision
from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.components.config.evaluation import Threshold
from hubline.components.evaluator.test_split import TestSplit
from hubline.core.errors import RunError
from hubline.preprocessing.config import BinaryLabel
from hubline.preprocessing.examples import drop
from hubline.trainer.export_format import HEAD
from hubline.trainer.export_format import RECIPE as RECIPE_FILE
from tests.support import example_data, hub_modules
from tests.support import metrics as reference_metrics
from tests.support.evaluation import Oracle, columns, evaluate, save_oracle, write_test_split


@pytest.mark.parametrize(
    ("has_images", "rows_only", "sizes"),
    [(True, False, [64, 64, 64, 8]), (True, True, [200]), (False, False, [200])],
)
def test_only_images_make_batches_small(tmp_path: Path, has_images: bool, rows_only: bool, sizes: list[int]) -> None:
    write_test_split(tmp_path, [example_data.record(x=number) for number in range(200)])
    split = TestSplit(
        records=[str(tmp_path / "examples" / "Split-test" / "data-0.gz")],
        rows=[str(tmp_path / "rows" / "Split-test" / "data-0")],
        count=200,
        undecodable=(),
        recipe=None,
        largest=30,
        has_images=has_images,
    )
    assert [len(numbers) for (numbers, _), _ in split.batches(rows_only)] == sizes


NAMES = ["ant", "bee", "cat", "dog"]


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Examples on which the model `good` is mostly right and `poor` mostly wrong, and both models."""
    folder = tmp_path_factory.mktemp("judged")
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 4, 200)
    scores = {}
    for name, share in (("good", 0.9), ("poor", 0.4)):
        favoured = np.where(rng.random(200) < share, labels, rng.integers(0, 4, 200))
        scores[name] = rng.dirichlet(np.ones(4), 200) * 0.5 + 0.5 * np.eye(4)[favoured]
    # `poor` has its classes in another order.
    order = [2, 0, 3, 1]
    records = [
        example_data.record(
            label=NAMES[label],
            good=example_data.feature(*map(float, scores["good"][row])),
            poor=example_data.feature(*map(float, scores["poor"][row][order])),
            hour=row % 2,
        )
        for row, label in enumerate(labels)
    ]
    write_test_split(folder, records)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(
        'feature {name: "label" type: BYTES presence {min_fraction: 1} shape {dim {size: 1}}}'
    )
    for name, classes in (("good", NAMES), ("poor", [NAMES[k] for k in order])):
        save_oracle(folder / name / "Format-Serving", classes, name)
    return folder, labels, scores


def reference(labels: np.ndarray, scores: np.ndarray) -> dict[str, float]:
    return reference_metrics.of_one_class(labels, scores, NAMES, 2, 3)


ALL_METRICS = reference_metrics.names_of("class", NAMES, 2, 3)


NO_WORSE = {
    "accuracy": Threshold(no_worse_than_serving_by=0.01),
    "cross_entropy": Threshold(no_worse_than_serving_by=0.0),
}


@pytest.mark.both_stacks
def test_a_better_challenger_is_blessed_with_the_metrics_that_scikit_learn_gives(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    decision = evaluate(tmp_path, folder, "good", "poor", metrics=ALL_METRICS, **NO_WORSE)
    assert decision.blessed and decision.compared_with == str(folder / "poor" / "Format-Serving")
    assert decision.serving_metrics is not None
    for metrics, name in ((decision.metrics, "good"), (decision.serving_metrics, "poor")):
        assert metrics == pytest.approx(reference(labels, scores[name]), rel=1e-5)
    areas = {name for name in ALL_METRICS if name.startswith("pr_auc")}
    assert decision.intervals.keys() == decision.metrics.keys() - areas
    for metric, bounds in decision.intervals.items():
        assert bounds is not None and bounds[0] < decision.metrics[metric] < bounds[1], metric


def test_a_worse_challenger_is_not_blessed(tmp_path: Path, judged) -> None:
    decision = evaluate(tmp_path, judged[0], "poor", "good", **NO_WORSE)
    assert not decision.blessed
    assert [check.passed for check in decision.checks] == [False, False]


def test_a_first_run_has_nothing_to_be_compared_with(tmp_path: Path, judged) -> None:
    decision = evaluate(tmp_path, judged[0], "poor", None, **NO_WORSE)
    assert decision.blessed and decision.serving_metrics is None and decision.compared_with is None
    # TFMA's own tools read the same values.
    results = tfma.load_eval_result(str(tmp_path / "evaluation"))
    assert results.slicing_metrics[0][1][""][""]["accuracy"]["doubleValue"] == pytest.approx(
        decision.metrics["accuracy"]
    )


def test_a_model_that_is_no_better_than_a_constant_is_not_blessed_unless_the_file_says_so(
    tmp_path: Path, judged
) -> None:
    folder, labels, _ = judged
    rng = np.random.default_rng(2)
    random = rng.dirichlet(np.ones(4), 200)
    records = [
        example_data.record(label=NAMES[label], random=example_data.feature(*map(float, random[row])), hour=row % 2)
        for row, label in enumerate(labels)
    ]
    write_test_split(tmp_path, records)
    (tmp_path / "schema").symlink_to(folder / "schema")
    save_oracle(tmp_path / "random" / "Format-Serving", NAMES, "random")
    decision = evaluate(tmp_path / "out", tmp_path, "random", None, baseline="beat")
    (check,) = decision.checks
    assert not decision.blessed and check.rule == "better_than_baseline"
    assert "not significantly better than the best constant prediction" in check.reason
    shares = np.bincount(labels) / 200
    assert decision.baseline.metrics == {
        "accuracy": pytest.approx(shares.max()),
        "cross_entropy": pytest.approx(-(shares * np.log(shares)).sum()),
        "auc": 0.5,
        "top_3_accuracy": pytest.approx(1 - shares.min()),
    }
    for metric, value in decision.metrics.items():
        low, high = decision.intervals[metric]
        assert low < value < high
    ignored = evaluate(tmp_path / "ignored", tmp_path, "random", None, baseline="ignore")
    assert ignored.blessed and ignored.checks == () and ignored.baseline == decision.baseline


def test_a_model_that_is_better_than_a_constant_is_blessed(tmp_path: Path, judged) -> None:
    decision = evaluate(tmp_path, judged[0], "good", "poor", baseline="beat", **NO_WORSE)
    assert decision.blessed and decision.checks[-1].rule == "better_than_baseline"
    assert decision.serving_intervals.keys() == decision.intervals.keys() == decision.metrics.keys()


def test_a_class_that_the_model_does_not_know_counts_against_it(tmp_path: Path, judged) -> None:
    for name in ("schema", "good"):
        (tmp_path / name).symlink_to(judged[0] / name)
    records = [
        example_data.record(label="zebra" if row % 2 else "ant", good=example_data.feature(0.7, 0.1, 0.1, 0.1))
        for row in range(40)
    ]
    write_test_split(tmp_path, records)
    decision = evaluate(tmp_path, tmp_path, "good", None)
    assert decision.metrics["accuracy"] == pytest.approx(0.5)


def test_a_class_that_the_test_split_lacks_does_not_count_in_the_area_under_the_curve(tmp_path: Path, judged) -> None:
    for name in ("schema", "good"):
        (tmp_path / name).symlink_to(judged[0] / name)
    right = {"ant": (0.7, 0.1, 0.1, 0.1), "bee": (0.1, 0.7, 0.1, 0.1)}
    records = [
        example_data.record(label=name, good=example_data.feature(*scores)) for name, scores in right.items()
    ] * 20
    write_test_split(tmp_path, records)
    assert evaluate(tmp_path, tmp_path, "good", None).metrics["auc"] == pytest.approx(1.0, abs=1e-3)


def judged_alone(decision: Decision, labels: np.ndarray, scores: np.ndarray) -> str:
    """Checks that a candidate was evaluated by its own bounds, and why it was not compared."""
    assert decision.compared_with is None and decision.serving_metrics is None
    known = reference(labels, scores)
    assert decision.metrics == pytest.approx({name: known[name] for name in decision.metrics}, rel=1e-5)
    (note,) = decision.notes
    assert note.startswith("the serving version cannot be compared, so this model is evaluated alone: ")
    return note


@pytest.mark.parametrize("candidate", ["good", "poor"])
def test_a_damaged_version_in_serving_is_named_and_the_candidate_judged_alone(
    tmp_path: Path, judged, candidate: str
) -> None:
    folder, labels, scores = judged
    (tmp_path / "damaged" / "Format-Serving").mkdir(parents=True)
    (tmp_path / "damaged" / "Format-Serving" / "saved_model.pb").write_bytes(b"\xff")
    for name in ("schema", candidate, "examples", "rows"):
        (tmp_path / name).symlink_to(folder / name)
    held = Threshold(at_least=0.8, no_worse_than_serving_by=0.0)
    decision = evaluate(tmp_path, tmp_path, candidate, "damaged", accuracy=held)
    assert "damaged/Format-Serving/saved_model.pb: it is cut short or damaged" in judged_alone(
        decision, labels, scores[candidate]
    )
    passed = {check.rule: check.passed for check in decision.checks}
    assert passed == {"at_least": candidate == "good", "no_worse_than_serving_by": True}


def test_a_model_of_another_make_in_serving_is_not_compared_with(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    hub_modules.two_inputs(tmp_path / "foreign" / "Format-Serving")
    for name in ("schema", "good", "examples", "rows"):
        (tmp_path / name).symlink_to(folder / name)
    decision = evaluate(tmp_path, tmp_path, "good", "foreign", **NO_WORSE)
    assert "foreign/Format-Serving: the model has no signature" in judged_alone(decision, labels, scores["good"])


def test_a_version_of_wholly_other_classes_is_not_compared_with(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    save_oracle(tmp_path / "renamed" / "Format-Serving", ["formica", "apis", "felis", "canis"], "good")
    for name in ("schema", "good", "examples", "rows"):
        (tmp_path / name).symlink_to(folder / name)
    decision = evaluate(tmp_path, tmp_path, "good", "renamed", **NO_WORSE)
    why = judged_alone(decision, labels, scores["good"])
    assert "its classes (formica, apis, felis, canis) don't overlap with those of this model" in why
    assert decision.blessed and decision.compared_with is None


def test_classes_that_only_one_of_the_two_knows_are_said(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    save_oracle(tmp_path / "other" / "Format-Serving", ["ant", "bee", "cat", "eel"], "good")
    for name in ("schema", "good", "examples", "rows"):
        (tmp_path / name).symlink_to(folder / name)
    decision = evaluate(tmp_path, tmp_path, "good", "other", **NO_WORSE)
    assert decision.notes == (
        "the version that serves does not know the classes dog: these count against it",
        "the version that serves knows classes that this model does not: eel",
    )
    right = scores["good"].argmax(axis=1) == labels
    assert decision.serving_metrics["accuracy"] == pytest.approx((right & (labels != 3)).mean())


def test_a_column_that_what_serves_needs_and_records_lack_leaves_the_candidate_alone(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    save_oracle(tmp_path / "older" / "Format-Serving", NAMES, "a_column_that_is_gone")
    for name in ("schema", "good", "examples", "rows"):
        (tmp_path / name).symlink_to(folder / name)
    decision = evaluate(tmp_path, tmp_path, "good", "older", **NO_WORSE)
    assert "a_column_that_is_gone" in judged_alone(decision, labels, scores["good"])


def test_predictions_are_kept_as_examples_beside_what_is_true(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    evaluate(tmp_path, folder, "good", "poor", slices=[["hour"]])
    kept = tmp_path / "evaluation" / "predictions"
    assert json.loads((tmp_path / "evaluation" / "classes.json").read_text()) == NAMES
    predictions = [
        columns(item) for file in sorted(kept.glob("*.tfrecord")) for item in example_data.read_tfrecord(file)
    ]
    assert [item[RECORD] for item in predictions] == [[number] for number in range(200)]
    assert [item[LABEL] for item in predictions] == [[label] for label in labels]
    assert [item["hour"] for item in predictions] == [[number % 2] for number in range(200)]
    for model, name in ((CANDIDATE, "good"), (SERVING, "poor")):
        np.testing.assert_allclose([item[model] for item in predictions], scores[name], atol=1e-6)


def test_every_slice_has_its_metrics_and_what_is_held_to_it_decides(tmp_path: Path, judged) -> None:
    folder, labels, scores = judged
    odd = np.arange(200) % 2 == 1
    accuracy = [accuracy_score(labels[rows], scores["good"][rows].argmax(axis=1)) for rows in (~odd, odd)]
    bound = min(accuracy) + 0.001  # which the worse of the two misses
    held = Threshold(at_least=bound, every_slice=True)
    decision = evaluate(tmp_path, folder, "good", "poor", [["hour"]], metrics=ALL_METRICS, accuracy=held)
    assert [found.slice for found in decision.slices] == [OVERALL, "hour=0", "hour=1"]
    assert [found.examples for found in decision.slices] == [200, 100, 100]
    for found, rows in zip(decision.slices, (odd | ~odd, ~odd, odd), strict=True):
        assert found.metrics == pytest.approx(reference(labels[rows], scores["good"][rows]), rel=1e-5)
        assert found.serving_metrics == pytest.approx(reference(labels[rows], scores["poor"][rows]), rel=1e-5)
    verdicts = {check.slice: check.passed for check in decision.checks}
    assert verdicts == {OVERALL: True, "hour=0": accuracy[0] >= bound, "hour=1": accuracy[1] >= bound}
    assert not decision.blessed
    # TFMA reaches the same decision, and its own tools show it.
    result = tfma.load_validation_result(str(tmp_path / "evaluation"))
    failures = result.metric_validations_per_slice
    (failed,) = [of_slice for of_slice in failures if of_slice.failures]
    (key,) = failed.slice_key.single_slice_keys
    assert not result.validation_ok and not verdicts[f"{key.column}={key.int64_value}"]


def test_tfma_keeps_the_difference_from_the_version_that_serves(tmp_path: Path, judged) -> None:
    decision = evaluate(tmp_path, judged[0], "good", "poor")
    (overall,) = tfma.load_metrics(str(tmp_path / "evaluation"))
    differences = {
        item.key.name: item.value.double_value.value for item in overall.metric_keys_and_values if item.key.is_diff
    }
    assert decision.serving_metrics is not None
    for metric, value in decision.metrics.items():
        assert differences[metric] == pytest.approx(value - decision.serving_metrics[metric], abs=1e-6)


@pytest.fixture
def embedded(tmp_path: Path, judged) -> Path:
    """The same records, with cached rows that a model's head can use."""
    folder, _, scores = judged
    records = example_data.read_tfrecord(folder / "examples" / "Split-test" / "data-0.gz", "GZIP")
    rows = drop(tf.constant(records), ["good", "poor"]).numpy()
    vectors = [example_data.record(vector=example_data.feature(*map(float, row))) for row in scores["good"]]
    broken = (3, 150)
    kept = [row + vector for n, (row, vector) in enumerate(zip(rows, vectors, strict=True)) if n not in broken]
    write_test_split(tmp_path, records, kept, broken)
    (tmp_path / "schema").symlink_to(folder / "schema")
    for name, recipe in (("good", "this one"), ("other", "another one")):
        save_oracle(tmp_path / name / "Format-Serving", NAMES, "good", recipe)
    save_oracle(tmp_path / "poor" / "Format-Serving", NAMES, "poor", "this one")
    return tmp_path


def test_kept_vectors_are_used_where_the_model_knows_them_and_records_that_have_none_are_left_out(
    embedded: Path, judged, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, labels, scores = judged
    decision = evaluate(embedded, embedded, "good", "other")
    there = np.setdiff1d(np.arange(200), [3, 150])
    known = reference(labels[there], scores["good"][there])
    assert decision.metrics == pytest.approx({name: known[name] for name in decision.metrics}, rel=1e-5)
    assert decision.serving_metrics == pytest.approx(decision.metrics, abs=1e-6)
    kept = example_data.read_tfrecord(embedded / "evaluation" / "predictions" / "predictions-00000-of-00001.tfrecord")
    assert [columns(item)[RECORD][0] for item in kept] == there.tolist()


@pytest.mark.parametrize("harm", ["cut", "gone"])
def test_a_version_whose_variables_are_harmed_is_not_judged_by_its_head_alone(
    embedded: Path, judged, tmp_path: Path, harm: str
) -> None:
    class WithVariable(Oracle):
        def __init__(self) -> None:
            super().__init__(NAMES, "good")
            self.scale = tf.Variable(tf.ones([1000]))

    serving = embedded / "harmed" / "Format-Serving"
    oracle = WithVariable()
    tf.saved_model.save(oracle, str(serving), signatures={"serving_default": oracle.serve})
    save_oracle(serving / HEAD, NAMES, "vector")
    (serving / RECIPE_FILE).write_text("this one")
    whole = evaluate(tmp_path / "whole", embedded, "good", "harmed", **NO_WORSE)
    assert whole.notes == () and whole.serving_metrics["accuracy"] == whole.metrics["accuracy"]
    (variables,) = (serving / "variables").glob("*.data-*")
    if harm == "cut":
        variables.write_bytes(variables.read_bytes()[:100])
    else:
        variables.unlink()
    decision = evaluate(tmp_path / "harmed", embedded, "good", "harmed", **NO_WORSE)
    assert decision.blessed and decision.compared_with is None and decision.serving_metrics is None
    assert str(serving / "variables") in decision.notes[0]


def test_a_version_whose_head_says_something_else_is_asked_whole(embedded: Path, judged) -> None:
    _, labels, scores = judged
    decision = evaluate(embedded, embedded, "good", "poor", **NO_WORSE)  # its head reads the other's vectors
    there = np.setdiff1d(np.arange(200), [3, 150])
    whole = scores["poor"][there][:, [2, 0, 3, 1]]  # the order in which the records contain them
    known = reference(labels[there], whole)
    assert decision.serving_metrics == pytest.approx({name: known[name] for name in decision.metrics}, rel=1e-5)


def test_a_model_that_says_something_else_of_kept_rows_than_of_records_is_not_trusted(embedded: Path) -> None:
    with pytest.raises(RunError, match=r"poor/Format-Serving: for the same records, the model's scores differ"):
        evaluate(embedded, embedded, "poor", None)


def test_a_binary_label_has_the_precision_recall_and_f1_of_its_second_class(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ratio = rng.random(150).astype(np.float32)
    true = ratio > 0.7
    yes = np.clip(0.6 * true + rng.normal(0.25, 0.2, 150), 0.01, 0.99).astype(np.float32)
    slices = np.arange(150) % 2
    slices[:3], yes[:3] = 7, 0.1  # a slice without predicted positives
    scores = np.stack([1 - yes, yes], axis=1)
    records = [
        example_data.record(
            ratio=float(ratio[row]), good=example_data.feature(*map(float, scores[row])), hour=int(slices[row])
        )
        for row in range(150)
    ]
    write_test_split(tmp_path, records)
    save_oracle(tmp_path / "good" / "Format-Serving", ["no", "yes"], "good")
    save_oracle(tmp_path / "eager" / "Format-Serving", ["no", "yes"], "good", threshold=0.35)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text(
        'feature {name: "ratio" type: FLOAT presence {min_fraction: 1} shape {dim {size: 1}}}'
    )
    label = BinaryLabel.model_validate({"kind": "binary", "from": "ratio", "above": 0.7})
    names = reference_metrics.names_of("binary", ["no", "yes"])
    decision = evaluate(tmp_path, tmp_path, "eager", "good", slices=[["hour"]], label=label, metrics=names)
    eager = (yes >= 0.35).astype(int)
    assert 0 < (eager != scores.argmax(axis=1)).sum() < 50
    for found in decision.slices:
        rows = slices == int(found.slice.removeprefix("hour=")) if found.slice != OVERALL else slices >= 0
        of = true[rows].astype(int), scores[rows], ["no", "yes"]
        expected = reference_metrics.of_one_class(*of, positive=1, predicted=eager[rows])
        assert reference_metrics.numbers(found.metrics) == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert found.serving_metrics is not None
        expected = reference_metrics.of_one_class(*of, positive=1)
        assert reference_metrics.numbers(found.serving_metrics) == pytest.approx(expected, rel=1e-5, nan_ok=True)
        assert np.isnan(expected["precision"]) == (found.slice == "hour=7")
    points = {name: estimate for name, estimate in decision.metrics.items()}
    of = true.astype(int), scores, ["no", "yes"]
    assert points == pytest.approx(reference_metrics.of_one_class(*of, positive=1, predicted=eager), rel=1e-5)
    assert {found.slice for found in decision.slices} == {OVERALL, "hour=0", "hour=1", "hour=7"}
