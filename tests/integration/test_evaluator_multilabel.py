"""Evaluator and report for label `multilabel`, compared with scikit-learn."""

import json
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from hubline.artifacts.decision import OVERALL, Decision
from hubline.artifacts.predictions import CANDIDATE, LABEL, SERVING
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.report.contents import Artifacts, RunReport
from hubline.report.labels.predictions import MultilabelPredictions
from hubline.report.page import render
from hubline.report.predictions import summarize
from tests.support import example_data
from tests.support.evaluation import columns, save_oracle, write_test_split
from tests.support.evaluation import evaluate as evaluate_label
from tests.support.metrics import names_of, numbers, of_several_classes

THRESHOLD = 0.4
RECORDS = 300
ALL = ["ant", "bee", "cat", "dog", "eel"]
"""The candidate's classes, one that only the serving version knows, and one that only occurs in records."""
KNOWN = {"good": ["bee", "ant", "cat"], "poor": ["dog", "cat", "bee", "ant"]}


class Teller(tf.Module):
    """An exported model that reads its scores from a column of the record."""

    def __init__(self, classes: Sequence[str], column: str) -> None:
        super().__init__()
        self._classes, self._column = tf.constant(list(classes)), column

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {self._column: tf.io.FixedLenFeature([len(self._classes)], tf.float32)}
        scores = tf.io.parse_example(examples, spec)[self._column]
        classes = tf.tile(self._classes[tf.newaxis], [tf.shape(scores)[0], 1])
        return {"scores": scores, "classes": classes, "chosen": scores >= THRESHOLD}


def save_teller(path: Path, classes: Sequence[str], column: str) -> None:
    teller = Teller(classes, column)
    tf.saved_model.save(teller, str(path), signatures={"serving_default": teller.serve})


RNG = np.random.default_rng(0)
TRUE = RNG.random([RECORDS, 5]) < [0.5, 0.3, 0.2, 0.3, 0.05]
"""Some records have no class."""
TOWN = np.where(np.arange(RECORDS) < 4, 9, np.arange(RECORDS) % 2)
TRUE[:4] = [[1, 0, 0, 0, 0], [1, 0, 0, 0, 0], [0, 0, 0, 0, 0], [1, 0, 0, 0, 0]]  # a slice without most classes


def scores_of(name: str, noise: float) -> np.ndarray:
    """Scores by all classes, 0 for those that a model does not know."""
    scores = np.clip(0.4 * TRUE + 0.2 + RNG.normal(0, noise, TRUE.shape), 0.001, 0.999)
    return np.where(np.isin(ALL, KNOWN[name]), scores, 0).astype(np.float32)


SAID = {"good": scores_of("good", 0.15), "poor": scores_of("poor", 0.35)}
SAID["good"][:3] *= 0.3  # hardly anything is predicted there


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("multilabel")
    order = {name: [ALL.index(known) for known in classes] for name, classes in KNOWN.items()}
    records = []
    for row in range(RECORDS):
        tags = [name for name, true in zip(ALL, TRUE[row], strict=True) if true]
        said: dict[str, Any] = {name: example_data.feature(*map(float, SAID[name][row][order[name]])) for name in SAID}
        # Neither order nor repetition matters.
        records.append(
            example_data.record(
                town=int(TOWN[row]), **said, **({"tags": example_data.feature(*tags[::-1], tags[0])} if tags else {})
            )
        )
    write_test_split(folder, records)
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text('feature {name: "tags" type: BYTES}')
    for name, classes in KNOWN.items():
        save_teller(folder / name / "Format-Serving", classes, name)
    save_oracle(folder / "classes" / "Format-Serving", ALL[:3], "good")
    return folder


def evaluate(folder: Path, judged: Path, candidate: str, serving: str | None, **options: Any) -> Decision:
    label = MultilabelLabel.model_validate({"kind": "multilabel", "from": "tags", "threshold": THRESHOLD})
    options = {"metrics": names_of("multilabel", ALL), "label": label} | options
    return evaluate_label(folder, judged, candidate, serving, **options)


def reference(true: np.ndarray, scores: np.ndarray, classes: Sequence[str] = ALL) -> dict[str, float]:
    return of_several_classes(true, scores, scores >= np.float32(THRESHOLD), classes)


@pytest.fixture(scope="module")
def decided(judged: Path, tmp_path_factory) -> tuple[Path, Decision]:
    folder = tmp_path_factory.mktemp("decided")
    worst = reference(TRUE[TOWN == 9], SAID["good"][TOWN == 9])["f1"]
    thresholds = {
        "f1": Threshold(at_least=worst + 1e-4, no_worse_than_serving_by=0.0, every_slice=True),
        "cross_entropy": Threshold(no_worse_than_serving_by=0.0),
        "exact_match": Threshold(at_least=0.99),
    }
    return folder, evaluate(folder, judged, "good", "poor", slices=[["town"]], **thresholds)


@pytest.mark.both_stacks
def test_metrics_are_those_of_scikit_learn_over_all_records_and_each_slice(decided) -> None:
    _, decision = decided
    slices = {OVERALL: TOWN >= 0} | {f"town={n}": np.equal(TOWN, n) for n in (0, 1, 9)}
    assert {found.slice: found.examples for found in decision.slices} == {k: rows.sum() for k, rows in slices.items()}
    for found in decision.slices:
        rows = slices[found.slice]
        for metrics, name in ((found.metrics, "good"), (found.serving_metrics, "poor")):
            assert numbers(metrics) == pytest.approx(reference(TRUE[rows], SAID[name][rows]), rel=1e-5, nan_ok=True)


def test_thresholds_hold_over_all_records_and_each_slice(decided) -> None:
    _, decision = decided
    passed = {(check.metric, check.slice, check.rule): check.passed for check in decision.checks}
    assert passed[("f1", OVERALL, "at_least")] and not passed[("f1", "town=9", "at_least")]
    assert passed[("f1", OVERALL, "no_worse_than_serving_by")]
    assert not passed[("exact_match", OVERALL, "at_least")] and not decision.blessed


def test_predictions_are_kept_by_all_classes_that_models_or_records_know(decided) -> None:
    folder, _ = decided
    names = json.loads((folder / "evaluation" / "classes.json").read_text())
    assert sorted(names) == ALL
    order = [ALL.index(name) for name in names]
    kept = [
        columns(item)
        for item in example_data.read_tfrecord(
            folder / "evaluation" / "predictions" / "predictions-00000-of-00001.tfrecord"
        )
    ]
    np.testing.assert_array_equal([item[LABEL] for item in kept], TRUE[:, order])
    for column, values in ((CANDIDATE, SAID["good"]), (SERVING, SAID["poor"])):
        scores, chosen = np.split(np.float32([item[column] for item in kept]), 2, axis=1)
        np.testing.assert_array_equal(scores, values[:, order])
        np.testing.assert_array_equal(chosen, values[:, order] >= np.float32(THRESHOLD))


def test_without_thresholds_of_its_own_a_challenger_may_not_have_the_lower_f1(tmp_path: Path, judged: Path) -> None:
    config = Evaluation().of_label("multilabel")
    assert config.metrics == ("f1", "macro_f1")
    decision = evaluate(tmp_path, judged, "poor", "good", metrics=config.metrics, **config.thresholds)
    assert [(check.metric, check.passed) for check in decision.checks] == [("f1", False)] and not decision.blessed


def test_a_version_that_tells_one_class_cannot_be_compared_with(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", "classes")
    assert decision.compared_with is None and "has no output 'classes' and 'chosen'" in decision.notes[0]


def test_where_there_is_one_class_and_where_no_record_has_any_there_are_metrics(tmp_path: Path) -> None:
    scores, true = np.float32([0.1, 0.9, 0.6, 0.3, 0.8]), np.array([0, 1, 0, 1, 1], bool)
    records = [
        example_data.record(
            one=example_data.feature(float(score)), part=int(row > 2), **({"tags": "ant"} if of else {})
        )
        for row, (score, of) in enumerate(zip(scores, true, strict=True))
    ]
    records.append(example_data.record(one=example_data.feature(0.1), part=7))
    write_test_split(tmp_path, records)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "schema.pbtxt").write_text('feature {name: "tags" type: BYTES}')
    save_teller(tmp_path / "one" / "Format-Serving", ["ant"], "one")
    decision = evaluate(tmp_path, tmp_path, "one", None, slices=[["part"]], metrics=names_of("multilabel", ["ant"]))
    expected = reference(np.append(true, False)[:, np.newaxis], np.float32([*scores, 0.1])[:, np.newaxis], ["ant"])
    assert decision.metrics == pytest.approx(expected, rel=1e-5)
    (nothing,) = (found.metrics for found in decision.slices if found.slice == "part=7")
    assert nothing.pop("cross_entropy") == pytest.approx(-np.log(0.9), rel=1e-5)
    assert nothing.pop("exact_match") == nothing.pop("binary_accuracy") == 1
    assert set(nothing.values()) == {None}  # none of the others is defined


def test_the_report_shows_each_class_and_the_records_that_are_most_wrong(decided) -> None:
    folder, _ = decided
    found = summarize(str(folder / "evaluation"))
    assert isinstance(found, MultilabelPredictions) and sorted(found.classes) == ALL
    order = [ALL.index(name) for name in found.classes]
    true, scores = TRUE[:, order], SAID["good"][:, order]
    told = scores >= np.float32(THRESHOLD)
    np.testing.assert_array_equal(found.counts.true, true.sum(axis=0))
    np.testing.assert_array_equal(found.counts.predicted, told.sum(axis=0))
    np.testing.assert_array_equal(found.counts.true_positives, (true & told).sum(axis=0))
    for index in range(5):
        for auc, said in (
            (found.roc[index].auc, scores[:, index]),
            (found.serving_auc[index], SAID["poor"][:, order[index]]),
        ):
            assert auc == pytest.approx(roc_auc_score(true[:, index], said), abs=1e-3)
    clipped = np.clip(scores.astype(np.float64), 1e-7, 1 - 1e-7)
    loss = -np.log(np.where(true, clipped, 1 - clipped)).mean(axis=1)
    wrong = [row for row in np.argsort(-loss, kind="stable") if (true != told)[row].any()]
    assert [sample.record for sample in found.wrong] == wrong[: len(found.wrong)] and len(found.wrong) > 10
    for sample in found.wrong:
        names = {kind: [found.classes[k] for k in np.flatnonzero(rows[sample.record])] for kind, rows in
                 (("true", true), ("told", told))}  # fmt: skip
        assert sample.label == (", ".join(names["true"]) or "none")
        assert sample.predicted == (", ".join(names["told"]) or "none")
        assert sample.score == pytest.approx(loss[sample.record])


def test_the_page_has_a_row_for_each_class(decided) -> None:
    folder, _ = decided
    report = RunReport(
        "tags", "p.yaml", datetime.now(), 1.0, "succeeded", artifacts=Artifacts(evaluation=str(folder / "evaluation"))
    )
    page = render(report)
    told = SAID["good"] >= np.float32(THRESHOLD)
    for index, name in enumerate(ALL[:3]):
        precision, recall, f1 = (
            f"{score(TRUE[:, index], told[:, index]):.4f}" for score in (precision_score, recall_score, f1_score)
        )
        row = page[page.index(f'<th class="long">{name}</th>') :].partition("</tr>")[0]
        assert f">{TRUE[:, index].sum()}<" in row and row.index(recall) and precision in row and f1 in row
    assert 'data-figure="roc"' in page and 'data-figure="confusion"' not in page
    assert "cross-entropy" in page and "wrong classes with the highest scores" not in page
