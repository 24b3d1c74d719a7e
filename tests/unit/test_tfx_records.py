"""TFX's own example TFRecords are read as they are, without conversion: mnist, CIFAR-10 and flowers."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.record_checks import are_sound, kind_of
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.trainer.inputs import encoded_images, pixels_of_batch
from tests.support import example_data

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")


def image(column: str, **more: object) -> Features:
    return {"image": ImageFeature.model_validate({"kind": "image", "from": column, **more})}


def label(column: str, classes: tuple[str, ...] | None = None) -> ClassLabel:
    return ClassLabel(kind="class", **{"from": column}, classes=classes)


MNIST = {"kind": "numbers", "shape": [28, 28, 1], "range": [-0.5, 0.5]}
CASES = {
    "mnist": (image("image_floats", size=[28, 28], channels=1, decode=MNIST), label("image_class")),
    "cifar10_train": (image("image", size=[32, 32]), label("label", CIFAR10)),
    "cifar10_test": (image("image", size=[32, 32]), label("label", CIFAR10)),
    "flowers": (image("image_raw", size=[48, 64]), label("label")),
}
COUNTS = {"mnist": 1000, "cifar10_train": 128, "cifar10_test": 128, "flowers": 25}


def by_hand(name: str, column: tf.train.Feature) -> np.ndarray:
    """The pixels of a record, as numpy or TensorFlow alone reads them."""
    if name == "mnist":
        return np.round((np.array(column.float_list.value) + 0.5) * 255).reshape(28, 28, 1)
    pixels = tf.io.decode_image(column.bytes_list.value[0], expand_animations=False)
    return np.round(tf.image.resize(pixels, [48, 64])) if name == "flowers" else pixels.numpy()


@pytest.mark.parametrize("name", CASES)
def test_records_are_sound_and_have_the_pixels_that_are_in_them(name: str, shared_data: Path) -> None:
    path = shared_data / "tfx_examples" / f"{name}.tfrecord"
    if not path.exists():
        pytest.skip(f"no {path}")
    records = list(example_data.read_tfrecord(path))
    assert len(records) == COUNTS[name]
    features, of_label = CASES[name]
    contract: Contract = contract_of(features, of_label)
    assert are_sound(tf.constant(records), contract, kind_of(records[0], contract)).numpy().all()
    ((_, feature),) = features.items()
    columns = [tf.train.Example.FromString(record).features.feature[feature.column] for record in records[:40]]
    if name == "mnist":
        parsed = tf.constant([list(column.float_list.value) for column in columns])
    else:
        parsed = tf.constant([column.bytes_list.value[0] for column in columns])
    found = pixels_of_batch(features, encoded_images(features, {feature.column: parsed}))["image"]
    assert np.ptp(found, axis=(1, 2, 3)).min() > 0  # pictures, each of them
    np.testing.assert_allclose(found, [by_hand(name, column) for column in columns], atol=1)
