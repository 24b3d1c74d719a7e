"""Evaluator, report and `hubline predict` for label `pixels`, compared with NumPy."""

import base64
import io
import json
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from typer.testing import CliRunner

from hubline.artifacts.decision import OVERALL, Decision
from hubline.artifacts.embedded_rows import EmbeddedRows, RowFile
from hubline.artifacts.examples import Manifest, Origin, ShardFile
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.pipeline.cli import app
from hubline.preprocessing.examples import drop
from hubline.preprocessing.palette import PALETTE
from hubline.report.contents import Findings, RunReport
from hubline.report.labels.predictions import PixelPredictions
from hubline.report.page import render_findings
from hubline.report.predictions import summarize, with_pictures
from tests.support import example_data
from tests.support import pixels as make_pixels
from tests.support.evaluation import judge

SIZE = 16
COUNT = 40
RNG = np.random.default_rng(0)
TRUE = RNG.integers(0, 3, [COUNT, SIZE, SIZE]).astype(np.uint8)
TRUE[:, :3] = 9  # of no class
TRUE[5] = 9
SAID = {
    name: np.where((RNG.random(TRUE.shape) < wrong) | (TRUE == 9), RNG.integers(0, 3, TRUE.shape), TRUE).astype(
        np.uint8
    )
    for name, wrong in (("good", 0.1), ("poor", 0.5))
}
LABEL = make_pixels.label(ignore=9)
FEATURES = make_pixels.features(size=(SIZE, SIZE))


class Teller(tf.Module):
    """An exported model that returns a mask from a column of the record."""

    def __init__(self, column: str, classes: tuple[str, ...] = make_pixels.CLASSES, half: bool = False,
                 covers: tuple[float, ...] = (0.0, 0.0, 1.0, 1.0)) -> None:  # fmt: skip
        super().__init__()
        self._column, self._classes, self._half, self._covers = column, tf.constant(classes), half, covers

    def answer(self, told: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = tf.TensorSpec([SIZE, SIZE, 1], tf.uint8)
        mask = tf.map_fn(lambda one: tf.ensure_shape(tf.io.decode_png(one), spec.shape), told, fn_output_signature=spec)
        if self._half:
            mask = tf.cast(tf.image.resize(mask, [SIZE // 2, SIZE // 2], "nearest"), tf.uint8)
        numbers = [self._classes.numpy().tolist().index(name.encode()) for name in make_pixels.CLASSES]
        batch = tf.shape(told)[0]
        return {
            "mask": tf.gather(tf.constant(numbers, tf.uint8), tf.cast(mask[..., 0], tf.int32)),
            "classes": tf.tile(self._classes[tf.newaxis], [batch, 1]),
            "covers": tf.tile([self._covers], [batch, 1]),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(
            tf.io.parse_example(examples, {self._column: tf.io.FixedLenFeature([], tf.string)})[self._column]
        )

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def predict(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(image)


def save(teller: Teller, path: Path) -> None:
    tf.saved_model.save(teller, str(path), signatures={"serving_default": teller.serve, "predict": teller.predict})


@pytest.fixture(scope="module")
def judged(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("pixels")
    records = [
        example_data.record(
            image=example_data.random_image(row, SIZE, SIZE), mask=example_data.image_bytes(TRUE[row]), town=row % 3,
            **{name: example_data.image_bytes(said[row]) for name, said in SAID.items()},
        )
        for row in range(COUNT)
    ]  # fmt: skip
    for split in ("train", "test"):
        example_data.write_tfrecord(folder / "examples" / f"Split-{split}" / "data-0.gz", records, "GZIP")
    kept = tf.constant([item for row, item in enumerate(records) if row != 2])  # which did not decode
    example_data.write_tfrecord(folder / "rows" / "Split-test" / "data-0", drop(kept, ["image", "mask"]).numpy())
    origins = (Origin(file="data", count=COUNT),)
    shards = tuple(
        ShardFile(split=split, name="data-0.gz", origins=origins, largest=9999, digest="")
        for split in ("train", "test")
    )
    Manifest(shards=shards, images=("image",), masks=("mask",)).write(str(folder / "examples"))
    files = tuple(
        RowFile(split=split, name="data-0", records=COUNT, count=COUNT - 1, undecodable=(2,))
        for split in ("train", "test")
    )
    EmbeddedRows(files=files, sizes={}, recipe="", embedded=(), views=0).write(str(folder / "rows"))
    (folder / "schema").mkdir()
    (folder / "schema" / "schema.pbtxt").write_text('feature {name: "mask" type: BYTES}')
    save(Teller("good"), folder / "good" / "Format-Serving")
    save(Teller("poor", classes=("disc", "background", "box")), folder / "poor" / "Format-Serving")
    save(Teller("poor", half=True), folder / "small" / "Format-Serving")
    return folder


def evaluate(folder: Path, judged: Path, candidate: str, serving: str | None, **config: Any) -> Decision:
    metrics = ("mean_iou", "pixel_accuracy", "iou(box)")
    evaluation = Evaluation(**{"baseline": "ignore", "metrics": metrics} | config).of_label("pixels")
    return judge(folder, judged, candidate, serving, evaluation, LABEL, FEATURES)


ROWS = np.arange(COUNT) != 2


def reference(rows: np.ndarray, said: np.ndarray, step: int = 1) -> dict[str, float]:
    true, said = (each[rows][:, step // 2 :: step, step // 2 :: step] for each in (TRUE, said))
    counts = true < 9
    true, said = true[counts], said[counts]
    of_box = make_pixels.CLASSES.index("box")
    return {
        "mean_iou": make_pixels.mean_iou(true, said, 3),
        "pixel_accuracy": float((true == said).mean()),
        "iou(box)": ((true == of_box) & (said == of_box)).sum() / ((true == of_box) | (said == of_box)).sum(),
    }


@pytest.fixture(scope="module")
def decided(tmp_path_factory, judged: Path) -> tuple[Path, Decision]:
    folder = tmp_path_factory.mktemp("decided")
    bounds = {"mean_iou": Threshold(at_least=0.7, no_worse_than_serving_by=0.0)}
    return folder, evaluate(folder, judged, "good", "poor", slices=[("town",)], thresholds=bounds)


@pytest.mark.both_stacks
def test_metrics_are_of_all_pixels_that_count_by_slice_and_beside_what_serves(decided) -> None:
    _, decision = decided
    assert decision.blessed
    assert [part.slice for part in decision.slices] == [OVERALL, "town=0", "town=1", "town=2"]
    for number, part in enumerate(decision.slices):
        rows = ROWS if part.slice == OVERALL else ROWS & (np.arange(COUNT) % 3 == number - 1)
        assert part.examples == rows.sum()
        assert part.metrics == pytest.approx(reference(rows, SAID["good"]), abs=1e-6)
        assert part.serving_metrics == pytest.approx(reference(rows, SAID["poor"]), abs=1e-6)


def test_what_serves_may_answer_in_another_size_and_be_better(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "small", "good")
    assert not decision.blessed
    assert decision.metrics == pytest.approx(reference(ROWS, SAID["poor"], step=2), abs=1e-6)
    assert decision.serving_metrics == pytest.approx(reference(ROWS, SAID["good"]), abs=1e-6)


def test_each_model_is_judged_on_the_part_of_the_picture_that_it_says_it_covers(tmp_path: Path, judged: Path) -> None:
    # It is right about each pixel in the middle of the images, which it sees enlarged by two.
    middle = slice(SIZE // 4, SIZE - SIZE // 4)
    for name in ("schema", "good", "poor"):
        (tmp_path / name).symlink_to(judged / name)
    pictures = example_data.read_tfrecord(judged / "examples" / "Split-test" / "data-0.gz", "GZIP")
    enlarged = np.where(TRUE == 9, 0, TRUE)[:, middle, middle].repeat(2, axis=1).repeat(2, axis=2)
    records = [
        record + example_data.record(middle=example_data.image_bytes(enlarged[row]))
        for row, record in enumerate(pictures)
    ]
    for split in ("train", "test"):
        example_data.write_tfrecord(tmp_path / "examples" / f"Split-{split}" / "data-0.gz", records, "GZIP")
    (tmp_path / "examples" / "manifest.json").write_bytes((judged / "examples" / "manifest.json").read_bytes())
    (tmp_path / "rows").symlink_to(judged / "rows")
    save(Teller("middle", covers=(0.25, 0.25, 0.75, 0.75)), tmp_path / "middle" / "Format-Serving")
    decision = evaluate(tmp_path / "out", tmp_path, "poor", "middle")
    assert decision.serving_metrics == {"mean_iou": 1.0, "pixel_accuracy": 1.0, "iou(box)": 1.0}
    assert decision.metrics == pytest.approx(reference(ROWS, SAID["poor"]), abs=1e-6)
    assert not decision.blessed
    assert "the version that serves sees 25% of a picture on average, and this model 100%" in decision.notes[0]


def test_the_most_frequent_class_of_a_pixel_stands_beside(tmp_path: Path, judged: Path) -> None:
    decision = evaluate(tmp_path, judged, "good", None, baseline="beat")
    counts = np.bincount(TRUE[ROWS][TRUE[ROWS] < 9], minlength=3)
    most = counts.max() / counts.sum()
    of_box = most if counts.argmax() == make_pixels.CLASSES.index("box") else 0.0
    expected = {"pixel_accuracy": most, "mean_iou": most / 3, "iou(box)": of_box}
    assert decision.baseline.metrics == pytest.approx(expected)
    assert decision.baseline.answers["pixel_accuracy"] == f"always '{make_pixels.CLASSES[counts.argmax()]}'"
    assert decision.blessed and decision.checks[-1].metric == "pixel_accuracy"


def test_what_serves_must_answer_masks(tmp_path: Path, judged: Path) -> None:
    class Other(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
        def serve(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
            return {"value": tf.zeros(tf.shape(examples))}

    other = Other()
    tf.saved_model.save(other, str(judged / "other" / "Format-Serving"), signatures={"serving_default": other.serve})
    decision = evaluate(tmp_path, judged, "good", "other")
    assert decision.compared_with is None and "has no output 'classes' and 'mask'" in decision.notes[0]


def test_the_report_shows_each_class_and_the_worst_pictures(decided, judged: Path) -> None:
    folder, _ = decided
    found = summarize(str(folder / "evaluation"))
    assert isinstance(found, PixelPredictions)
    true, said = TRUE[ROWS], SAID["good"][ROWS]
    for number in range(3):
        union = (((true == number) | (said == number)) & (true < 9)).sum()
        assert found.iou[number] == pytest.approx(((true == number) & (said == number)).sum() / union)
        for other in range(3):
            assert found.confusion[number, other] == ((true == number) & (said == other)).sum()
    of_each = {
        row: reference(np.arange(COUNT) == row, SAID["good"])["mean_iou"] for row in range(COUNT) if row not in (2, 5)
    }
    worst = sorted(of_each, key=of_each.get)[:24]
    assert [sample.record for sample in found.wrong] == worst
    assert [sample.score for sample in found.wrong] == pytest.approx([of_each[row] for row in worst])
    for sample in found.wrong:
        mask = np.array(Image.open(io.BytesIO(sample.mask)))
        np.testing.assert_array_equal(mask, SAID["good"][sample.record])

    shown = with_pictures(found, str(judged / "examples"))
    page = render_findings(RunReport("masks", "p.yaml", datetime.now(), 4.0, "succeeded"), Findings(predictions=shown))
    assert page.count("mean IoU") >= 24
    assert "Confusion matrix of pixels" in page
    assert all(f"{found.iou[number]:.4f}" in page for number in range(3))
    picture = np.array(Image.open(io.BytesIO(_data(shown.wrong[0].picture))))
    side = picture.shape[0]
    true_part, said_part = picture[:, side + 4 : 2 * side + 4], picture[:, 2 * side + 8 :]
    colours = np.frombuffer(PALETTE, np.uint8).reshape(-1, 3)
    row, step = worst[0], side // SIZE
    np.testing.assert_array_equal(said_part[step // 2 :: step, step // 2 :: step], colours[SAID["good"][row]])
    left_out = np.where(TRUE[row] == 9, 255, TRUE[row])
    np.testing.assert_array_equal(true_part[step // 2 :: step, step // 2 :: step], colours[left_out])


def _data(uri: str) -> bytes:
    return base64.b64decode(uri.partition("base64,")[2])


def test_predict_writes_masks_and_draws_them(tmp_path: Path, judged: Path) -> None:
    pictures = tmp_path / "in"
    pictures.mkdir()
    for row in range(3):  # the model returns its input
        (pictures / f"{row}.png").write_bytes(example_data.image_bytes(SAID["good"][row]))
    model = str(judged / "good" / "Format-Serving")
    arguments = ["predict", model, str(pictures), "--output", str(tmp_path / "out"), "--draw", str(tmp_path / "drawn")]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    (file,) = (tmp_path / "out").glob("*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for number, row in enumerate(rows):
        mask = Image.open(tmp_path / "out" / row["mask"])
        assert mask.mode == "P"
        np.testing.assert_array_equal(np.array(mask), SAID["good"][number])
        shares = [(SAID["good"][number] == each).mean() for each in range(3)]
        assert row["shares"] == pytest.approx(dict(zip(make_pixels.CLASSES, shares, strict=True)))
        assert row["covers"] == [0, 0, 1, 1]
    assert len(list((tmp_path / "drawn").glob("*.png"))) == 3
    printed = CliRunner().invoke(app, ["predict", model, str(pictures / "0.png"), "--json"])
    assert json.loads(printed.output)["predictions"][0]["shares"] == rows[0]["shares"]
