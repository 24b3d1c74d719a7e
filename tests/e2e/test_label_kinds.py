"""Full runs of labels `pixels` and `multilabel`, and of classes; baselines are compared with NumPy and scikit-learn."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score, log_loss
from sklearn.utils.class_weight import compute_class_weight
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hubline.artifacts.decision import Decision
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from tests.support import example_data, hub_modules
from tests.support import pixels as make_pixels
from tests.support.project import HUBLINE, PROJECT
from tests.support.serving_check import assert_answered_as_trained, assert_saved_model_agrees

pytestmark = pytest.mark.slow


def finished(path: Path) -> tuple[Result, Decision]:
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.decision is not None and result.decision.baseline is not None
    page = Path(result.report, "index.html").read_text()
    for name, value in result.decision.baseline.metrics.items():
        assert value is None or f"{value:.4f}" in page, name
    return result, result.decision


PIXELS = """\
name: shapes
data:
  examples: data
  split: {train: train-*, validation: validation-*, test: test-*}
features:
  photo: {kind: image, from: image, size: [32, 32], fit: pad}
label: {kind: pixels, from: mask, image: photo, classes: [background, disc, box], ignore: 9}
hubs:
  maps: {handle: module, inputs: {images: photo}, outputs: [block1, block2, block3]}
  colours: {role: augment, handle: colours, inputs: {images: photo}, moves_pixels: false}
model: {head: {channels: [16, 8, 8]}}
training:
  epochs: 6
  batch_size: 16
  optimizer: {learning_rate: 0.01}
  augment:
    - flip_left_right
    - flip_up_down
    - rotate: 10
    - brightness: 0.1
    - contrast: 0.1
    - crop: {area: [0.8, 1], aspect_ratio: [0.9, 1.1]}
    - hub: colours
  tensorboard: {images: 3}
evaluation: {slices: [[turn]], thresholds: {mean_iou: {at_least: 0.3, every_slice: true}}}
serving: {destination: serving}
"""


def test_the_baseline_of_pixels_is_that_of_numpy(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    masks: dict[str, list[np.ndarray]] = {"train": [], "validation": [], "test": []}
    for split, count in (("train", 160), ("validation", 32), ("test", 48)):
        records = []
        for number in range(count):
            pixels, mask = make_pixels.shapes(rng, 24, 32)
            mask = np.where(np.arange(24)[:, None] < 3, 9, mask).astype(np.uint8)
            masks[split].append(mask)
            records.append(make_pixels.record(pixels, mask, turn=number % 2))
        example_data.write_tfrecord(tmp_path / "data" / f"{split}-0.tfrecord", records)
    make_pixels.module(tmp_path / "module")
    pictures = tf.TensorSpec([None, 32, 32, 3], tf.float32)
    hub_modules.module(tmp_path / "colours", pictures, lambda images: 0.9 * images)
    path = tmp_path / "pipeline.yaml"
    path.write_text(PIXELS)
    result, decision = finished(path)
    assert_saved_model_agrees(result, assert_answered_as_trained(result, None))
    train, true = np.stack(masks["train"]), np.stack(masks["test"])
    most = int(np.bincount(train[train < 9], minlength=3).argmax())
    counted = true < 9
    assert decision.baseline.metrics == pytest.approx(
        {
            "pixel_accuracy": (true[counted] == most).mean(),
            "mean_iou": make_pixels.mean_iou(true[counted], np.full(counted.sum(), most), 3),
        }
    )
    assert decision.baseline.answers["pixel_accuracy"] == f"always '{make_pixels.CLASSES[most]}'"
    assert {found.slice for found in decision.slices} == {"overall", "turn=0", "turn=1"}
    (logged,) = EventAccumulator(f"{result.artifacts.model_run}/tensorboard").Reload().Tensors("photo")
    width, height, *pictures = tf.make_ndarray(logged.tensor_proto)
    assert (int(width), int(height), len(pictures)) == (32, 32, 3)


TAGS = """\
name: tags
data: {examples: data, split: {train: train-*, validation: validation-*, test: test-*}}
features:
  xy: {kind: numeric, length: 2, missing_indicator: true}
  size: {kind: bucketized, from: x, boundaries: [-1, 0, 1]}
  place: {kind: categorical, vocabulary: {min_count: 3}, oov_buckets: 1, encode: {embedding: 4, combiner: sqrtn}}
  said: {kind: text, from: words, bag: {ngrams: [1, 2], lower: true, tf_idf: true, vocabulary: {top_k: 50}}}
  at: {kind: timestamp, unit: milliseconds, part: hour}
  path: {kind: sequence, width: 2, combiner: {gru: 4, max_length: 5}}
  walk: {kind: sequence, from: path, width: 2, combiner: {attention: 1, units: 4, max_length: 5}}
  photo: {kind: image, from: image, size: [8, 8]}
label: {kind: multilabel, from: tags, threshold: 0.4}
hubs:
  mean: {handle: module, inputs: {images: photo}}
  grid: {handle: grid, inputs: {images: photo}, pool: max}
training:
  epochs: 4
  batch_size: 16
  shuffle_buffer: 100
  materialize: false
  class_weights: balanced
  optimizer: {learning_rate: 0.1}
  loss: {kind: focal, gamma: 1.5, alpha: 0.5, label_smoothing: 0.02}
  best: val_f1(up)
  augment: [{saturation: 0.1}, {hue: 0.02}, {cutout: 0.2}]
evaluation: {metrics: [f1, macro_f1, precision, recall, auc, pr_auc(up), f1(up), cross_entropy, exact_match]}
serving: {destination: serving}
"""
NAMES = ("right", "up", "light")


def tagged(count: int, seed: int) -> tuple[list[bytes], np.ndarray]:
    """Records, and which of `NAMES` each has, bool [count, 3]."""
    rng = np.random.default_rng(seed)
    x, y = rng.normal(size=[2, count])
    grey = rng.integers(0, 2, count) * 120 + 60
    true = np.stack([x > 0.3, y > 0.6, grey > 100], axis=1)
    records = []
    for row in range(count):
        tags = [name for name, holds in zip(NAMES, true[row], strict=True) if holds]
        records.append(
            example_data.record(
                xy=example_data.feature(float(x[row]), float(y[row])),
                x=float(x[row]),
                place=f"place {row % 5}",
                words=f"Number {row % 7} of Seven",
                at=1_700_000_000_000 + 3_600_000 * row,
                path=example_data.feature(*(float(value) for value in rng.normal(size=2 * (1 + row % 4)))),
                image=example_data.image_bytes(np.full([8, 8, 3], grey[row], np.uint8)),
                **({"tags": example_data.feature(*tags)} if tags else {}),
            )
        )
    return records, true


def test_the_baseline_of_any_number_of_classes_is_that_of_scikit_learn(tmp_path: Path) -> None:
    truth = {}
    for seed, (split, count) in enumerate((("train", 240), ("validation", 60), ("test", 90))):
        records, truth[split] = tagged(count, seed)
        example_data.write_tfrecord(tmp_path / "data" / f"{split}-0.tfrecord", records)
    hub_modules.mean_colour(tmp_path / "module")
    hub_modules.module(tmp_path / "grid", hub_modules.IMAGES, lambda images: tf.nn.avg_pool2d(images, 4, 4, "VALID"))
    path = tmp_path / "pipeline.yaml"
    path.write_text(TAGS)
    result, decision = finished(path)
    assert_saved_model_agrees(result, assert_answered_as_trained(result, "classify"))
    train, test = truth["train"], truth["test"]
    page = Path(result.report, "index.html").read_text()
    for name, having in zip(NAMES, train.T, strict=True):
        without, of_class = compute_class_weight("balanced", classes=np.array([False, True]), y=having)
        assert f"{name} {of_class:.4g} ({having.sum()} records) against {without:.4g}" in page
    shares = train.mean(axis=0)
    subsets = [np.array([number >> bit & 1 for bit in range(3)], bool) for number in range(1, 8)]
    best = max(subsets, key=lambda one: f1_score(train, np.tile(one, [len(train), 1]), average="micro"))
    sets, counts = np.unique(train, axis=0, return_counts=True)
    commonest = sets[counts.argmax()]
    always = np.tile(best, [len(test), 1])
    baseline = decision.baseline.metrics
    assert baseline["f1"] == pytest.approx(f1_score(test, always, average="micro"), rel=1e-5)
    assert baseline["precision"] == pytest.approx((test & always).sum() / always.sum(), rel=1e-5)
    assert baseline["recall"] == pytest.approx((test & always).sum() / test.sum(), rel=1e-5)
    assert baseline["macro_f1"] == pytest.approx(
        f1_score(test, np.ones_like(test), average="macro", zero_division=np.nan), rel=1e-5
    )
    assert baseline["exact_match"] == pytest.approx(accuracy_score(test, np.tile(commonest, [len(test), 1])), rel=1e-5)
    losses = [log_loss(test[:, k], np.full(len(test), shares[k]), labels=[0, 1]) for k in range(3)]
    assert baseline["cross_entropy"] == pytest.approx(np.mean(losses), rel=1e-5)
    assert baseline["auc"] == 0.5 and "pr_auc(up)" in decision.metrics
    assert baseline["f1(up)"] == pytest.approx(2 * test[:, 1].sum() / (len(test) + test[:, 1].sum()))
    assert decision.blessed and decision.metrics["f1"] > baseline["f1"]


def test_photographs_with_named_labels_and_a_module_of_signatures_only(tmp_path: Path, shared_data: Path) -> None:
    photographs = sorted((shared_data / "clothing" / "train").glob("*/*.jpg"))[::4]
    for number, split in enumerate(("train", "validation", "test")):
        records = [
            example_data.record(jpg=photo.read_bytes(), what=photo.parent.name, name=photo.name)
            for photo in photographs[number::3]
        ]
        example_data.write_tfrecord(tmp_path / "data" / f"{split}-0.tfrecord", records)
    hub_modules.two_inputs(tmp_path / "module")
    path = tmp_path / "pipeline.yaml"
    path.write_text("""\
name: clothing
data:
  examples: data
  split: {train: train-*, validation: validation-*, test: test-*}
features:
  photo: {kind: image, from: jpg, size: [8, 8], resize: area, value_range: [-1, 1]}
  grey: {kind: image, from: jpg, size: [8, 8], channels: 1, standardize: per_image}
label: {from: what, kind: class}
hubs:
  both: {handle: module, inputs: {left: photo, right: grey}, signature: both, output: vector}
training: {epochs: 1}
evaluation: {metrics: [accuracy, top_3_accuracy], thresholds: {}, baseline: ignore}
serving: {destination: serving}
""")
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    # A single image column feeds two features, so the model has one input; classes come from the data.
    predicted = subprocess.run(
        [*HUBLINE, "predict", str(tmp_path / "serving"), str(photographs[0]), "--json"],
        capture_output=True, text=True, check=True, cwd=PROJECT,
    )  # fmt: skip
    assert result.blessed and result.decision.checks == () and result.decision.baseline is not None
    (prediction,) = json.loads(predicted.stdout.splitlines()[-1])["predictions"]
    assert set(prediction["scores"]) == {photo.parent.name for photo in photographs}
