"""The door that TF Transform calls: what is computed over the whole data set, and what it does to a batch."""

import json
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import tensorflow_transform as tft

from preprocessing.columns import one_each
from preprocessing.config import Features, Label, column_of
from preprocessing.section import Section

LABEL = "label.index"
"""The name of the transformed label, which no feature can have: the index of its class, int64."""

VOCABULARY = "label"
"""The name of the vocabulary that the classes are kept in where they are computed."""


class TransformConfig(Section):
    """What the transform graph depends on."""

    features: Features
    label: Label
    code: str = ""
    """A digest of the code, so that a change of it is a change of the graph."""

    def to_custom_config(self) -> dict[str, Any]:
        """The form that TFX's Transform hands to `preprocessing_fn` as `custom_config`."""
        return json.loads(self.to_property())


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, tf.Tensor]:
    """Raw columns to transformed features, as TF Transform calls it.

    Args:
        inputs: By column, a tensor of shape [batch] or [batch, 1].
        custom_config: `TransformConfig.to_custom_config()`.

    Returns:
        By feature name, shape [batch]: images still encoded (string). Under `LABEL`, the class index (int64).
    """
    config = TransformConfig.model_validate(custom_config)
    outputs = {name: one_each(inputs[column_of(name, feature)]) for name, feature in config.features.items()}
    outputs[LABEL] = class_index(config.label, one_each(inputs[config.label.column]))
    return outputs


def class_index(label: Label, values: tf.Tensor) -> tf.Tensor:
    """The class index of each label, int64 of shape [batch].

    Args:
        label: With `classes`, integer values are indices already and strings are looked up (-1 where unknown);
            without, the index is the rank of the value by frequency over the training split.
        values: The raw labels, shape [batch], an integer or string tensor.
    """
    if label.classes is None:
        return tft.compute_and_apply_vocabulary(values, vocab_filename=VOCABULARY, num_oov_buckets=0)
    if values.dtype != tf.string:
        return tf.cast(values, tf.int64)
    table = tf.lookup.StaticHashTable(
        tf.lookup.KeyValueTensorInitializer(list(label.classes), tf.range(len(label.classes), dtype=tf.int64)), -1
    )
    return table.lookup(values)


def class_names(label: Label, transform: tft.TFTransformOutput) -> list[str]:
    """The names of the classes, by index."""
    if label.classes is not None:
        return list(label.classes)
    return [name.decode() for name in transform.vocabulary_by_name(VOCABULARY)]
