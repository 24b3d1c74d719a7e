"""The input path: what is parsed of records."""

import tensorflow as tf

from preprocessing.columns import one_each
from preprocessing.transform import LABEL
from tests import make
from trainer import inputs


def transform(columns: dict) -> dict:
    """A transform graph, which refuses columns that it does not know, as TF Transform's do."""
    assert columns.keys() <= {"image", "label"}
    features = {"image": one_each(columns["image"])} if "image" in columns else {}
    return features | {LABEL: one_each(columns["label"])}


SPEC = {"image": tf.io.FixedLenFeature([1], tf.string), "label": tf.io.FixedLenFeature([1], tf.int64)}
IMAGES = [make.random_image(number) for number in range(3)]
RECORDS = tf.constant([make.record(image=image, label=number) for number, image in enumerate(IMAGES)])


def test_a_feature_named_as_its_column_is_the_transformed_one() -> None:
    found, label = inputs.parsing(SPEC, transform, ["image"])(RECORDS)
    assert found["image"].numpy().tolist() == IMAGES
    assert label.numpy().tolist() == [0, 1, 2]


def test_kept_columns_are_handed_on_as_they_are_and_the_graph_never_sees_them() -> None:
    vectors = [tf.train.Feature(float_list=tf.train.FloatList(value=[number, 0.5])) for number in range(2)]
    kept = tf.constant([make.record(vector=vector, label=number) for number, vector in enumerate(vectors)])
    spec = {"vector": tf.io.FixedLenFeature([1, 2], tf.float32), "label": SPEC["label"]}
    found, label = inputs.parsing(spec, transform, features=[], kept=["vector"])(kept)
    assert found["vector"].numpy().tolist() == [[[0.0, 0.5]], [[1.0, 0.5]]]
    assert label.numpy().tolist() == [0, 1]
