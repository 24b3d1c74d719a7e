"""Evaluator, report and predictions for label `class_and_box`, compared with NumPy and scikit-learn."""

import base64
import io
import json
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from rich.console import Console

from hubline.artifacts.decision import OVERALL, Decision
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.artifacts.predictions import CANDIDATE, LABEL, OBJECTS
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.core.errors import RunError
from hubline.pipeline.predict.predict import Request, predict_one_by_one, predict_to_folder
from hubline.report.contents import Artifacts, RunReport
from hubline.report.drawing import PREDICTED, TRUE
from hubline.report.labels.predictions import BoxPredictions
from hubline.report.page import render
from hubline.report.predictions import summarize, with_pictures
from tests.support import boxes as make_boxes
from tests.support import example_data
from tests.support.evaluation import columns, judge, save_oracle, write_test_split
from tests.support.metrics import names_of, numbers, of_one_class

COUNT = 120
CLASSES = make_boxes.CLASSES


class Teller(tf.Module):
    """An exported model that reads scores and a box from a column of the record, or returns constants for bare
    images."""

    def __init__(self, column: str) -> None:
        super().__init__()
        self._column = column

    def _answer(self, said: tf.Tensor) -> dict[str, tf.Tensor]:
        scores, names = said[:, :2], tf.constant(CLASSES)
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
            "score": tf.reduce_max(scores, axis=1),
            "scores": scores,
            "classes": tf.tile(names[tf.newaxis], [tf.shape(said)[0], 1]),
            "box": said[:, 2:],
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {self._column: tf.io.FixedLenFeature([6], tf.float32)}
        return self._answer(tf.io.parse_example(examples, spec)[self._column])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def predict(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self._answer(tf.tile([[0.25, 0.75, 0.25, 0.5, 0.75, 1.0]], [tf.shape(image)[0], 1]))


RNG = np.random.default_rng(0)
DRAWN = [make_boxes.rectangle(RNG) for _ in range(COUNT)]
TRUE_CLASS = np.array([CLASSES.index(name) for _, _, name in DRAWN])
TRUE_BOX = np.array([box for _, box, _ in DRAWN])


def _said(skill: float, noise: float) -> np.ndarray:
    """Scores of both classes, and a box, float32 [COUNT, 6]."""
    logits = RNG.normal(size=[COUNT, 2])
    logits[np.arange(COUNT), TRUE_CLASS] += skill
    scores = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    box = np.clip(TRUE_BOX + RNG.normal(0, noise, [COUNT, 4]), 0, 1)
    opposite = np.roll(box, 2, axis=1)  # boxes inverted by noise are turned back
    sides = [np.minimum(box, opposite)[:, :2], np.maximum(box, opposite)[:, 2:]]
    return np.concatenate([scores, *sides], axis=1).astype(np.float32)


SAID = {"good": _said(3, 0.03), "poor": _said(1, 0.15)}
SAID["broken"] = np.where(np.arange(COUNT * 6).reshape(COUNT, 6) == 17 * 6 + 3, np.nan, SAID["good"]).astype(np.float32)


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("boxes")
    records = []
    for row, (pixels, box, name) in enumerate(DRAWN):
        said = {column: example_data.feature(*values[row].tolist()) for column, values in SAID.items()}
        smaller = [box[0], box[1], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2]
        boxes = example_data.feature(*(smaller + box if row % 4 == 0 else box))
        labels = example_data.feature(*([CLASSES[0], name] if row % 4 == 0 else [name]))
        records.append(
            example_data.record(
                image=example_data.image_bytes(pixels), boxes=boxes, box_labels=labels, town=row % 3, **said
            )
        )
    write_test_split(folder, records)
    largest = max(map(len, records))
    shards = [
        ShardFile(
            split=split, name="data-0.gz", origins=(Origin(file="in/a", count=COUNT),), largest=largest, digest=""
        )
        for split in ("test", "train")
    ]
    Manifest(shards=tuple(shards), images=("image",), quarantined=0).write(str(folder / "examples"))
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text(
        'feature {name: "boxes" type: FLOAT} feature {name: "box_labels" type: BYTES}'
    )
    for name in SAID:
        teller = Teller(name)
        signatures = {"serving_default": teller.serve, "predict": teller.predict}
        tf.saved_model.save(teller, str(folder / name / "Format-Serving"), signatures=signatures)
    save_oracle(folder / "classes" / "Format-Serving", CLASSES, "good")
    return folder


def evaluate(folder: Path, judged: Path, candidate: str, serving: str | None, **config) -> Decision:
    evaluation = Evaluation(**{"baseline": "ignore"} | config).of_label("class_and_box")
    return judge(folder, judged, candidate, serving, evaluation, make_boxes.label(), make_boxes.features())


METRICS = names_of("class_and_box", CLASSES, 1)


def reference(said: np.ndarray, rows: np.ndarray) -> dict[str, float]:
    overlap = make_boxes.iou(said[rows, 2:], TRUE_BOX[rows])
    of_class = of_one_class(TRUE_CLASS[rows], said[rows, :2], CLASSES, 1)
    return of_class | {"mean_iou": overlap.mean(), "iou_50": (overlap >= 0.5).mean()}


@pytest.fixture(scope="module")
def decided(judged: Path, tmp_path_factory) -> tuple[Path, Decision]:
    folder = tmp_path_factory.mktemp("decided")
    thresholds = {"mean_iou": Threshold(at_least=0.5), "iou_50": Threshold(at_least=1.0)}
    config = {"metrics": METRICS, "thresholds": thresholds, "slices": [["town"]]}
    return folder, evaluate(folder, judged, "good", "poor", **config)


@pytest.mark.both_stacks
def test_metrics_are_those_of_numpy_over_all_records_and_each_slice(decided) -> None:
    _, decision = decided
    town = np.arange(COUNT) % 3
    slices = {OVERALL: town >= 0} | {f"town={number}": town == number for number in range(3)}
    assert {found.slice: found.examples for found in decision.slices} == {k: rows.sum() for k, rows in slices.items()}
    for found in decision.slices:
        for said, metrics in (("good", found.metrics), ("poor", found.serving_metrics)):
            assert numbers(metrics) == pytest.approx(reference(SAID[said], slices[found.slice]), rel=1e-4, nan_ok=True)
    assert {check.metric: check.passed for check in decision.checks} == {"mean_iou": True, "iou_50": False}


def test_class_and_box_are_kept_and_the_largest_of_several_objects_is_true(decided) -> None:
    folder, _ = decided
    kept = [
        columns(item)
        for item in example_data.read_tfrecord(
            folder / "evaluation" / "predictions" / "predictions-00000-of-00001.tfrecord"
        )
    ]
    np.testing.assert_allclose([item[LABEL] for item in kept], np.column_stack([TRUE_CLASS, TRUE_BOX]), rtol=1e-6)
    np.testing.assert_allclose([item[CANDIDATE] for item in kept], SAID["good"], rtol=1e-6)
    assert [item[OBJECTS] for item in kept] == [[1 + (row % 4 == 0)] for row in range(COUNT)]


def test_the_report_counts_and_shows_both_boxes_in_the_picture(decided, judged: Path) -> None:
    folder, decision = decided
    found = summarize(str(folder / "evaluation"))
    assert isinstance(found, BoxPredictions)
    overlap = make_boxes.iou(SAID["good"][:, 2:], TRUE_BOX)
    np.testing.assert_array_equal(found.iou, np.histogram(overlap, bins=len(found.iou), range=(0, 1))[0])
    assert (found.count, found.several) == (COUNT, COUNT // 4)
    assert found.mean_iou == pytest.approx({index: overlap[index == TRUE_CLASS].mean() for index in (0, 1)}, rel=1e-5)
    predicted = SAID["good"][:, :2].argmax(axis=1)
    assert found.confusion.tolist() == [
        [int(((true == TRUE_CLASS) & (predicted == said)).sum()) for said in (0, 1)] for true in (0, 1)
    ]
    wrong = np.flatnonzero((predicted != TRUE_CLASS) | (overlap < 0.5))
    assert [sample.record for sample in found.wrong] == wrong[np.argsort(overlap[wrong])][:24].tolist()
    for sample in (shown := with_pictures(found, str(judged / "examples"))).right:
        picture = Image.open(io.BytesIO(base64.b64decode(sample.picture.partition(",")[2])))
        assert picture.size == (224, 224)
        for (top, left, bottom, right), colour in zip(sample.boxes, (TRUE, PREDICTED), strict=True):
            first, last = round(top * 223), round(bottom * 223)
            lines = np.asarray(picture)[first : last + 1, round(left * 223) : round(right * 223) + 1]
            drawn = (lines == tuple(bytes.fromhex(colour[1:]))).all(axis=2)
            assert drawn[0].mean() > 0.3 or colour == TRUE  # the other box may be drawn over it
            assert drawn.any()
    artifacts = Artifacts(evaluation=str(folder / "evaluation"), examples=str(judged / "examples"))
    began = datetime(2026, 3, 4)
    page = render(RunReport("boxes", "p", began, 1.0, "not_blessed", decision=decision, artifacts=artifacts))
    assert f"{COUNT // 4} of {COUNT} records of the test split have several objects" in page
    assert 'data-figure="overlap"' in page and "Mean IoU" in page and shown.right[0].picture in page


def test_the_median_box_and_the_most_frequent_class_stand_beside(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", None, baseline="beat", metrics=METRICS)
    box = np.median(TRUE_BOX.astype(np.float32), axis=0)
    overlap = make_boxes.iou(np.tile(box, [COUNT, 1]), TRUE_BOX)
    shares = np.bincount(TRUE_CLASS) / COUNT
    most, of_each = shares.max(), dict(zip(CLASSES, shares, strict=True))
    expected = {
        "mean_iou": overlap.mean(),
        "iou_50": (overlap >= 0.5).mean(),
        "cross_entropy": -(shares * np.log(shares)).sum(),
        **dict.fromkeys(("accuracy", "top_1_accuracy", "micro_f1", "macro_precision"), most),
        "macro_recall": 0.5,
        "macro_f1": most / (1 + most),
        **dict.fromkeys(("auc", *(f"auc({name})" for name in CLASSES)), 0.5),
        **{f"precision({name})": share for name, share in of_each.items()},
        **{f"recall({name})": 1.0 for name in CLASSES},
        **{f"f1({name})": 2 * share / (1 + share) for name, share in of_each.items()},
    }
    assert decision.baseline.metrics == pytest.approx(expected, rel=1e-4)
    assert decision.baseline.answers["f1(green)"] == "always 'green'"
    assert decision.blessed
    assert [check.metric for check in decision.checks[1:]] == ["mean_iou", "cross_entropy"]


def test_a_box_that_is_not_finite_is_refused_with_its_record(tmp_path: Path, judged: Path) -> None:
    with pytest.raises(RunError, match=r"broken/Format-Serving: the prediction for record 17 of the test split"):
        evaluate(tmp_path, judged, "broken", None)


def test_a_version_without_boxes_cannot_be_compared_with(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", "classes")
    assert decision.compared_with is None and "has no output 'classes' and 'scores' and 'box'" in decision.notes[0]


def test_predictions_have_the_box_as_json_as_example_and_drawn(tmp_path: Path, judged: Path) -> None:
    asked = ExportedModelSpec(str(judged / "good" / "Format-Serving"))
    picture = tmp_path / "dark.png"
    picture.write_bytes(example_data.image_bytes(np.zeros([40, 80, 3], np.uint8)))
    records = example_data.write_tfrecord(
        tmp_path / "records", example_data.read_tfrecord(judged / "rows" / "Split-test" / "data-0")[:3]
    )
    fail = lambda bad: pytest.fail(str(bad))  # noqa: E731
    (one,) = predict_one_by_one(asked, Request([str(picture)]), fail)
    assert (one["label"], one["score"], one["box"]) == ("green", 0.75, [0.25, 0.5, 0.75, 1.0])
    said = list(predict_one_by_one(asked, Request([str(records)]), fail))
    np.testing.assert_allclose([one["box"] for one in said], SAID["good"][:3, 2:], rtol=1e-6)

    request = Request([str(picture)], output=tmp_path / "out", draw=tmp_path / "drawn")
    predict_to_folder(asked, request, Console(file=io.StringIO()))
    (line,) = [json.loads(line) for line in next((tmp_path / "out").glob("*.jsonl")).read_text().splitlines()]
    assert line["box"] == [0.25, 0.5, 0.75, 1.0]
    (drawn,) = (tmp_path / "drawn").iterdir()
    rows, across = np.nonzero(np.asarray(Image.open(drawn)).max(axis=2))
    assert (rows.min(), rows.max(), across.max()) == (10, 29, 79)
