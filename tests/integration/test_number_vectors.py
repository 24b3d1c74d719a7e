"""Number vectors as inputs of hub modules and builders: TFX's mnist example, in whole runs."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.pipeline.predict.predict import predict_inputs
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.embeddings import column
from hubline.trainer.export import HEAD
from tests.support import example_data

pytestmark = pytest.mark.slow

FILE = """\
name: mnist
data:
  examples: data
  split: {train: train.tfrecord, validation: validation.tfrecord, test: test.tfrecord}
features:
  flat: {kind: numeric, from: image_floats, length: 784, missing: 0, normalize: {mean: -0.5, scale: 0.5}}
  square: {kind: numeric, from: image_floats, length: 784, shape: [28, 28, 1], normalize: z_score}
label: {from: image_class, kind: class, classes: [dark, light, split]}
hubs:
  lines: {handle: lines, inputs: {images: flat}}
  blocks: {handle: blocks, inputs: {x: square}}
training: {epochs: 8, batch_size: 64, sample_weight: trust, optimizer: {learning_rate: 0.05}}
evaluation: {thresholds: {accuracy: {at_least: 0.9}}}
serving: {destination: serving, check: {enabled: false}}
"""
BUILDER = """\
import tensorflow as tf


def build():
    return tf.keras.Sequential([tf.keras.layers.Conv2D(4, 5, strides=4), tf.keras.layers.GlobalMaxPooling2D()])
"""


def images(count: int, seed: int) -> tuple[np.ndarray, list[int]]:
    """Floats in [-0.5, 0.5], [count, 784], as TFX's mnist example has them: dark, light, or with a light lower half."""
    rng = np.random.default_rng(seed)
    classes = [number % 3 for number in range(count)]
    floats = rng.uniform(-0.5, -0.3, [count, 28, 28]).astype(np.float32)
    for image, kind in zip(floats, classes, strict=True):
        image[{0: 28, 1: 0, 2: 14}[kind] :] += np.float32(0.7)
    floats[:, 0, 0] = 0.125  # constant, as most corners of real digits are
    return floats.reshape(count, 784), classes


def record(floats: np.ndarray, kind: int, trust: int = 1) -> bytes:
    numbers = example_data.feature(*map(float, floats))
    return example_data.record(image_floats=numbers, image_class=kind, trust=trust)


class Blocks(tf.Module):
    """Maps [batch, 28, 28, 1] to weighted means of 16 blocks."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = tf.Variable(tf.random.stateless_uniform([16, 4], [1, 2]), name="weights")

    @tf.function(input_signature=[tf.TensorSpec([None, 28, 28, 1], tf.float32)])
    def __call__(self, images):
        return tf.reshape(tf.nn.avg_pool2d(images, 7, 7, "VALID"), [-1, 16]) @ self.weights


class Lines(tf.Module):
    """Maps [batch, 784] to the means of rows 0 to 13 and 14 to 27."""

    @tf.function(input_signature=[tf.TensorSpec([None, 784], tf.float32)])
    def __call__(self, images):
        return tf.reduce_mean(tf.reshape(images, [-1, 2, 392]), axis=2)


SPLITS = {"train": images(120, 0), "validation": images(30, 1), "test": images(60, 2)}


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run with both modules frozen."""
    folder = tmp_path_factory.mktemp("mnist")
    for split, (floats, classes) in SPLITS.items():
        records = [*map(record, floats, classes)]
        if split == "train":  # each image also has a wrong class, which the sample weight discounts
            records += [record(image, (kind + 1) % 3, trust=0) for image, kind in zip(floats, classes, strict=True)]
        example_data.write_tfrecord(folder / "data" / f"{split}.tfrecord", records)
    tf.saved_model.save(Blocks(), str(folder / "blocks"))
    tf.saved_model.save(Lines(), str(folder / "lines"))
    (folder / "small.py").write_text(BUILDER)
    path = folder / "pipeline.yaml"
    path.write_text(FILE)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return path, result


def by_hand(floats: np.ndarray) -> dict[str, np.ndarray]:
    """The vectors of both modules, in NumPy."""
    train = SPLITS["train"][0].astype(np.float64)
    deviation = train.std(axis=0)
    standard = (floats - train.mean(axis=0)) / np.where(deviation > 0, deviation, 1)
    blocks = standard.reshape(-1, 4, 7, 4, 7).mean(axis=(2, 4)).reshape(-1, 16)
    weights = tf.random.stateless_uniform([16, 4], [1, 2]).numpy()
    return {"lines": ((floats + 0.5) / 0.5).reshape(-1, 2, 392).mean(axis=2), "blocks": blocks @ weights}


@pytest.mark.both_stacks
def test_kept_vectors_are_what_numpy_says(frozen) -> None:
    _, result = frozen
    assert result.metrics["accuracy"] >= 0.9
    for split, (floats, _) in SPLITS.items():
        (file,) = Path(result.artifacts.rows, f"Split-{split}").iterdir()
        rows = [tf.train.Example.FromString(row).features.feature for row in example_data.read_tfrecord(file)]
        stored = np.array([row["image_floats"].float_list.value for row in rows], np.float32)
        assert sorted(map(bytes, stored)) == sorted([*map(bytes, floats)] * (2 if split == "train" else 1))
        for hub, expected in by_hand(stored).items():
            got = np.array([row[column(hub)].float_list.value for row in rows])
            np.testing.assert_allclose(got, expected, atol=1e-4)


def test_the_exported_model_answers_examples_json_and_vectors_alike(frozen, tmp_path: Path) -> None:
    _, result = frozen
    floats, classes = SPLITS["test"]
    records = [*map(record, floats, classes)]
    model = tf.saved_model.load(result.pushed_model)
    by_example = model.signatures["serving_default"](tf.constant(records))
    by_name = model.signatures["predict"](image_floats=tf.constant(floats))
    head = tf.saved_model.load(f"{result.pushed_model}/{HEAD}")
    vectors = by_hand(floats)
    rows = [
        example_data.record(
            **{column(hub): example_data.feature(*map(float, some[n])) for hub, some in vectors.items()}
        )
        for n in range(len(floats))
    ]
    on_vectors = head.signatures["serving_default"](tf.constant(rows))
    for other in (by_name, on_vectors):
        np.testing.assert_allclose(other["scores"], by_example["scores"], atol=1e-4)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"image_floats": one.tolist()}) + "\n" for one in floats))
    told = list(predict_inputs(result.pushed_model, [str(tmp_path / "a.jsonl")]))
    right = [one["label"] == ("dark", "light", "split")[kind] for one, kind in zip(told, classes, strict=True)]
    assert np.mean(right) == pytest.approx(result.metrics["accuracy"])


def test_modules_are_fine_tuned_and_builders_trained_on_numbers(frozen) -> None:
    path, _ = frozen
    builder = 'backbones:\n  small: {kind: builder, call: "small:build", inputs: {x: square}}\n'
    path.write_text(FILE.replace("training:", f"{builder}model: {{fine_tune: {{blocks: {{}}}}}}\ntraining:"))
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.metrics["accuracy"] >= 0.9
    model = tf.saved_model.load(result.pushed_model)
    floats, classes = SPLITS["test"]
    by_example = model.signatures["serving_default"](tf.constant([*map(record, floats, classes)]))
    by_name = model.signatures["predict"](image_floats=tf.constant(floats))
    np.testing.assert_allclose(by_name["scores"], by_example["scores"], atol=1e-5)
    weights = tf.train.load_checkpoint(f"{result.pushed_model}/variables/variables")
    shapes = weights.get_variable_to_shape_map()
    (tuned,) = [weights.get_tensor(name) for name, shape in shapes.items() if shape == [16, 4]]
    moved = np.abs(tuned - tf.random.stateless_uniform([16, 4], [1, 2]).numpy()).max()
    assert 1e-4 < moved < 1


def test_a_module_of_another_shape_says_what_is_missing(frozen) -> None:
    path, _ = frozen
    path.write_text(FILE.replace(", shape: [28, 28, 1]", ""))
    with pytest.raises(UserError) as error:
        run(path, None, quiet=True)
    assert "takes float32[?, 28, 28, 1], but the feature 'square' gives float32[?, 784]" in str(error.value)
    assert "give the feature shape: [28, 28, 1]" in str(error.value)
