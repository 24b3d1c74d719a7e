"""A full run on JPEGs of every EXIF orientation: training, evaluation, and all ways to predict see upright pixels."""

import base64
import json
import subprocess
from pathlib import Path

import httpx
import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.decision import Decision
from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from tests.support import boxes as make_boxes
from tests.support import example_data, exif, hub_modules
from tests.support.evaluation import columns
from tests.support.project import HUBLINE, PROJECT
from tests.support.served import serving

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 24, 32
"""Size of the upright images. Orientations 5 to 8 store them with height and width exchanged."""
VALUES = 6 * 8 * 3
"""Size of the module's output."""

TRAIN = """\
name: boxes
data:
  examples: data
  split: {train: train-*, validation: validation-*, test: test-*}
features:
  photo: {kind: image, from: image, size: [24, 32]}
label:
  kind: class_and_box
  from: object
  box: {top: ymin, left: xmin, bottom: ymax, right: xmax}
  units: pixels
  height: height
  width: width
  image: photo
  classes: [red, green]
  loss_weights: {class: 0.5, box: 2}
hubs:
  places: {handle: module, inputs: {images: photo}, output: areas}
model: {head: {hidden: [64]}}
training: {epochs: 20, batch_size: 32, optimizer: {learning_rate: 0.005}}
evaluation: {metrics: [mean_iou, accuracy, iou_50, cross_entropy, auc]}
serving: {destination: serving}
"""

INFER = """\
task: infer
name: vectors
data: {examples: data/test-*}
features: {photo: {kind: image, from: image, size: [24, 32]}}
hubs: {places: {handle: module, inputs: {images: photo}}}
predictions: {destination: predictions}
"""


def module(path: Path) -> Path:
    """Maps images to the mean colours of areas of 4 by 4 pixels."""
    spec = tf.TensorSpec([None, HEIGHT, WIDTH, 3], tf.float32, name="images")
    return hub_modules.module(
        path, spec, lambda images: {"areas": tf.reshape(tf.nn.avg_pool2d(images, 4, 4, "VALID"), [-1, VALUES])}
    )


def means(images: np.ndarray) -> np.ndarray:
    """The module's outputs for uint8 images, in NumPy."""
    areas = images.reshape(-1, HEIGHT // 4, 4, WIDTH // 4, 4, 3) / 255
    return areas.mean((2, 4)).reshape(-1, VALUES)


def records_of(folder: Path, split: str) -> list[dict[str, list]]:
    return [columns(record) for record in example_data.read_tfrecord(folder / "data" / f"{split}-0.tfrecord")]


def upright_images(folder: Path, split: str) -> np.ndarray:
    return np.stack([exif.upright_pixels(each["image"][0]) for each in records_of(folder, split)])


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Result, Decision]:
    """A run on such JPEGs with boxes in the upright images."""
    folder, rng = tmp_path_factory.mktemp("exif"), np.random.default_rng(4)
    for split, count in (("train", 400), ("validation", 64), ("test", 160)):
        records = []
        for number in range(count):
            pixels, box, name = make_boxes.rectangle(rng, HEIGHT, WIDTH)
            ends = np.array(box) * [HEIGHT, WIDTH, HEIGHT, WIDTH]
            sides = {side: float(end) for side, end in zip(("ymin", "xmin", "ymax", "xmax"), ends, strict=True)}
            image = exif.jpeg(pixels, number % 8 + 1)
            records.append(example_data.record(image=image, object=name, height=HEIGHT, width=WIDTH, **sides))
        example_data.write_tfrecord(folder / "data" / f"{split}-0.tfrecord", records)
    module(folder / "module")
    path = folder / "pipeline.yaml"
    path.write_text(TRAIN)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.decision is not None and result.decision.baseline is not None
    return folder, result, result.decision


def test_the_stored_pixels_are_not_upright(trained) -> None:
    folder, _, _ = trained
    encoded = [each["image"][0] for each in records_of(folder, "test")[:8]]
    shapes = [exif.stored_pixels(each).shape[:2] for each in encoded]
    assert shapes == [(HEIGHT, WIDTH)] * 4 + [(WIDTH, HEIGHT)] * 4
    upright = [exif.upright_pixels(each) for each in encoded]
    same = [np.array_equal(exif.stored_pixels(each), pixels) for each, pixels in zip(encoded, upright, strict=True)]
    assert same == [True] + [False] * 7


@pytest.mark.parametrize("split", ["train", "test"])
def test_training_and_evaluation_see_upright_pixels(trained, split: str) -> None:
    folder, result, _ = trained
    rows = EmbeddedRows.read(str(result.artifacts.rows))
    kept = [
        columns(row)
        for file in rows.of(split)
        for row in example_data.read_tfrecord(f"{result.artifacts.rows}/Split-{split}/{file.name}")
    ]
    vectors = [next(values for values in row.values() if len(values) == VALUES) for row in kept]
    np.testing.assert_allclose(vectors, means(upright_images(folder, split)), atol=1e-6)


def test_the_baseline_is_the_median_box_and_the_shares_of_the_classes(trained) -> None:
    folder, result, decision = trained

    def truth(split: str) -> tuple[np.ndarray, np.ndarray]:
        records = records_of(folder, split)
        ends = np.array([[each[side][0] for side in ("ymin", "xmin", "ymax", "xmax")] for each in records])
        classes = np.array([make_boxes.CLASSES.index(each["object"][0].decode()) for each in records])
        return ends / [HEIGHT, WIDTH, HEIGHT, WIDTH], classes

    boxes, classes = truth("train")
    true_boxes, true_classes = truth("test")
    overlap = make_boxes.iou(np.tile(np.median(boxes, axis=0), [len(true_boxes), 1]), true_boxes)
    shares = np.bincount(classes) / len(classes)
    metrics = decision.baseline.metrics
    # Boxes are in whole pixels, so that some overlaps are 0.5 up to rounding.
    assert (overlap > 0.5 + 1e-6).mean() - 1e-9 <= metrics["iou_50"] <= (overlap > 0.5 - 1e-6).mean() + 1e-9
    assert metrics == {
        "mean_iou": pytest.approx(overlap.mean(), rel=1e-5),
        "iou_50": metrics["iou_50"],
        "accuracy": pytest.approx((true_classes == shares.argmax()).mean()),
        "cross_entropy": pytest.approx(-np.log(shares[true_classes]).mean(), rel=1e-6),
        "auc": 0.5,
    }
    assert decision.blessed and decision.metrics["mean_iou"] > metrics["mean_iou"]
    page = Path(result.report, "index.html").read_text()
    assert all(f"{value:.4f}" in page for value in metrics.values())


def test_the_signature_for_raw_images_and_predict_see_upright_pixels(trained, tmp_path: Path) -> None:
    folder, result, _ = trained
    encoded = [each["image"][0] for each in records_of(folder, "test")[:16]]
    pngs = [example_data.image_bytes(pixels) for pixels in upright_images(folder, "test")[:16]]
    signature = tf.saved_model.load(result.pushed_model).signatures["predict"]
    jpegs_answer, pngs_answer = (signature(image=tf.constant(each)) for each in (encoded, pngs))
    for name, values in pngs_answer.items():
        np.testing.assert_array_equal(jpegs_answer[name], values)

    files = []
    for number, (jpeg, png) in enumerate(zip(encoded, pngs, strict=True)):
        for form, content in (("jpg", jpeg), ("png", png)):
            files.append(tmp_path / f"{number:02d}.{form}")
            files[-1].write_bytes(content)
    said = subprocess.run(
        [*HUBLINE, "predict", str(folder / "serving"), *map(str, files), "--json"],
        capture_output=True, text=True, check=True, cwd=PROJECT,
    )  # fmt: skip
    predictions = json.loads(said.stdout.splitlines()[-1])["predictions"]
    assert [each.pop("input") for each in predictions] == list(map(str, files))
    assert predictions[0::2] == predictions[1::2]
    np.testing.assert_allclose([each["box"] for each in predictions[0::2]], jpegs_answer["box"], atol=1e-5)

    with serving(folder / "serving", tmp_path / "serve.log") as server:
        rows = [{"image": {"b64": base64.b64encode(each).decode()}} for each in encoded]
        body = {"signature_name": "predict", "instances": rows}
        answer = httpx.post(f"{server.rest}:predict", json=body, timeout=60).json()["predictions"]
    np.testing.assert_allclose([row["box"] for row in answer], jpegs_answer["box"], atol=1e-5)
    assert [row["label"].encode() for row in answer] == jpegs_answer["label"].numpy().tolist()


def test_batch_inference_sees_upright_pixels(trained) -> None:
    folder, _, _ = trained
    path = folder / "infer.yaml"
    path.write_text(INFER)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    (file,) = Path(str(result.predictions)).glob("predictions-*.jsonl")
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    vectors = [row["areas"] for row in rows]
    np.testing.assert_allclose(vectors, means(upright_images(folder, "test")), atol=1e-6)
