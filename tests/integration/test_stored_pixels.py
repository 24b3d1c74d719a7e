"""Pixels as they lie in records, and crops, in whole runs: CIFAR-10 as PNGs and as planes, mnist as floats."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.quarantine import FILE as QUARANTINE_LIST
from hubline.artifacts.quarantine import read_quarantine
from hubline.core.errors import UserError
from hubline.pipeline.predict.predict import predict_inputs
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.embeddings import column
from tests.support import boxes as make_boxes
from tests.support import example_data, hub_modules

pytestmark = pytest.mark.slow

SPLIT = "{train: train.tfrecord, validation: validation.tfrecord, test: test.tfrecord}"
FILE = f"""\
name: stored
data:
  examples: data
  split: {SPLIT}
  bad_records: {{policy: quarantine, max_fraction: 0.1}}
features:
  image: {{kind: image, size: [32, 32]}}
  planes:
    kind: image
    decode: {{kind: raw, shape: [32, 32, 3], order: [channels, height, width]}}
    size: [32, 32]
    central_crop: 0.875
  digit:
    kind: image
    from: image_floats
    decode: {{kind: numbers, shape: [28, 28, 1], range: [-0.5, 0.5]}}
    crop_box: {{top: 8, left: 0, bottom: 28, right: 28, units: pixels}}
    size: [20, 28]
    channels: 1
label: {{from: label, kind: class}}
hubs:
  whole: {{handle: places, inputs: {{images: image}}}}
  middle: {{handle: places, inputs: {{images: planes}}}}
  lower: {{handle: lower, inputs: {{images: digit}}}}
training: {{epochs: 5, batch_size: 32, optimizer: {{learning_rate: 0.05}}}}
evaluation: {{thresholds: {{accuracy: {{at_least: 0.9}}}}}}
serving: {{destination: serving}}
"""


def record(number: int) -> bytes:
    """CIFAR-10 as TFX has it, `image` and `label`, with the same pixels as planes, and a digit's floats."""
    rng, label = np.random.default_rng(number), number % 2
    pixels = rng.integers(0, 100, [32, 32, 3], np.uint8) + np.uint8(120 * label)
    floats = rng.uniform(-0.5, 0.5, 784)
    return example_data.record(
        image=example_data.image_bytes(pixels),
        planes=pixels.transpose(2, 0, 1).tobytes(),
        image_floats=example_data.feature(*floats.tolist()),
        label=label,
    )


def without(example: bytes, name: str, *values: object) -> bytes:
    """A record with other values in one column."""
    message = tf.train.Example.FromString(example)
    message.features.feature[name].CopyFrom(example_data.feature(*values))
    return message.SerializeToString(deterministic=True)


BAD = [without(record(1), "planes", b"\0" * 3071), without(record(2), "image_floats", *[0.1] * 783, 0.7)]


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("stored")
    for split, numbers in (("train", range(90)), ("validation", range(90, 110)), ("test", range(110, 150))):
        records = [*map(record, numbers), *(BAD if split == "train" else [])]
        example_data.write_tfrecord(folder / "data" / f"{split}.tfrecord", records)
    make_boxes.module(folder / "places")
    spec = tf.TensorSpec([None, 20, 28, 1], tf.float32)
    hub_modules.module(folder / "lower", spec, lambda images: tf.reduce_mean(images, axis=[1, 3]))
    path = folder / "pipeline.yaml"
    path.write_text(FILE)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return path, result


def places(pixels: np.ndarray) -> np.ndarray:
    """What the module `places` makes of 32 x 32 pixels from 0 to 255."""
    return (pixels / 255).reshape(8, 4, 8, 4, 3).mean(axis=(1, 3)).reshape(-1)


@pytest.mark.both_stacks
def test_kept_vectors_are_those_of_the_pixels_by_hand(stored) -> None:
    _, result = stored
    assert result.metrics["accuracy"] >= 0.9
    (file,) = Path(result.artifacts.rows, "Split-test").iterdir()
    rows = [tf.train.Example.FromString(row).features.feature for row in example_data.read_tfrecord(file)]
    assert len(rows) == 40 and not {"image", "planes", "image_floats"} & set(rows[0])
    made = {row[column("whole")].float_list.value[0]: row for row in rows}
    for number in range(110, 150):
        columns = tf.train.Example.FromString(record(number)).features.feature
        planes = np.frombuffer(columns["planes"].bytes_list.value[0], np.uint8).reshape(3, 32, 32).transpose(1, 2, 0)
        floats = np.array(columns["image_floats"].float_list.value, np.float32).reshape(28, 28)
        row = min(made.items(), key=lambda item: abs(item[0] - places(planes)[0]))[1]
        np.testing.assert_allclose(row[column("whole")].float_list.value, places(planes), atol=1e-5)
        middle = tf.image.resize(tf.image.central_crop(planes, 0.875), [32, 32]).numpy()
        np.testing.assert_allclose(row[column("middle")].float_list.value, places(np.round(middle)), atol=1e-3)
        grey = np.round((floats + 0.5) * 255)
        np.testing.assert_allclose(row[column("lower")].float_list.value, grey[8:].mean(axis=0) / 255, atol=1e-4)


def test_records_without_their_pixels_are_set_aside_with_their_reason(stored) -> None:
    _, result = stored
    reasons = [each.reason for each in read_quarantine(f"{result.artifacts.examples}/{QUARANTINE_LIST}")]
    assert len(reasons) == 2
    assert "its image 'planes' has 3071 bytes; uint8 [32, 32, 3] needs 3072" in reasons
    assert any("its image 'image_floats' has the value 0.7, outside its range, -0.5 to 0.5" in each for each in reasons)


def test_the_report_shows_a_thumbnail(stored) -> None:
    _, result = stored
    assert "data:image/png;base64" in Path(result.report, "index.html").read_text()


def test_the_exported_model_takes_pixels_as_examples_and_in_json(stored, tmp_path: Path) -> None:
    _, result = stored
    records = [record(number) for number in range(110, 130)]
    model = tf.saved_model.load(result.pushed_model)
    by_example = model.signatures["serving_default"](tf.constant(records))["scores"].numpy()
    lines = []
    for each in records:
        columns = tf.train.Example.FromString(each).features.feature
        values = {name: base64.b64encode(columns[name].bytes_list.value[0]).decode() for name in ("image", "planes")}
        lines.append(
            {name: {"b64": value} for name, value in values.items()}
            | {"image_floats": list(columns["image_floats"].float_list.value)}
        )
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = list(predict_inputs(result.pushed_model, [str(tmp_path / "a.jsonl")]))
    scores = [list(one["scores"].values()) for one in told]
    np.testing.assert_allclose(scores, by_example, atol=1e-5)
    lines[0]["planes"] = {"b64": base64.b64encode(b"123").decode()}
    (tmp_path / "a.jsonl").write_text(json.dumps(lines[0]))
    with pytest.raises(UserError, match="must have 3072 bytes"):
        list(predict_inputs(result.pushed_model, [str(tmp_path / "a.jsonl")]))


BOXES = f"""\
name: boxed
data:
  examples: data
  split: {SPLIT}
features:
  photo:
    kind: image
    from: image
    decode: {{kind: raw, shape: [40, 40, 3]}}
    size: [32, 32]
    crop_box: {{top: 0.05, left: 0.1, bottom: 1, right: 0.95}}
label: {{from: box_labels, kind: class_and_box, box: boxes, image: photo, classes: [red, green]}}
hubs:
  places: {{handle: places, inputs: {{images: photo}}}}
model: {{head: {{hidden: [128]}}}}
training:
  epochs: 16
  batch_size: 32
  optimizer: {{learning_rate: 0.002}}
  augment: [transpose, flip_left_right, {{crop: {{area: [0.6, 1.0], min_object_covered: 0.9}}}}]
evaluation: {{thresholds: {{mean_iou: {{at_least: 0.3}}}}}}
serving: {{destination: serving}}
"""


def test_boxes_follow_the_crop_in_training_and_in_answers(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    for split, count in (("train", 240), ("validation", 40), ("test", 80)):
        drawn = [make_boxes.rectangle(rng, 40, 40) for _ in range(count)]
        records = [
            example_data.record(image=pixels.tobytes(), boxes=example_data.feature(*box), box_labels=name)
            for pixels, box, name in drawn
        ]
        example_data.write_tfrecord(tmp_path / "data" / f"{split}.tfrecord", records)
    make_boxes.module(tmp_path / "places")
    (tmp_path / "pipeline.yaml").write_text(BOXES)
    result, code = run(tmp_path / "pipeline.yaml", None, quiet=True)
    assert code == 0, result.error
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"image": {"b64": base64.b64encode(one.tobytes()).decode()}}) + "\n" for one, _, _ in drawn)
    )
    told = list(predict_inputs(result.pushed_model, [str(tmp_path / "a.jsonl")]))
    overlap = make_boxes.iou(np.array([one["box"] for one in told]), np.array([box for _, box, _ in drawn]))
    assert overlap.mean() == pytest.approx(result.metrics["mean_iou"], abs=1e-4)
    assert overlap.mean() > 1.5 * make_boxes.best_constant_iou(np.array([box for _, box, _ in drawn]))
