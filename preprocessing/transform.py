"""The door that TF Transform calls: what is computed over the whole data set, and what it does to a batch."""

from collections.abc import Mapping
from functools import cache
from typing import Any

import tensorflow as tf

from hubline.core.config_base import Section
from hubline.preprocessing.analysis import Analysis
from hubline.preprocessing.columns import present
from hubline.preprocessing.config import Features, Label, image_columns, input_columns, refers_to_feature
from hubline.preprocessing.kinds.kind import Read, Values


class TransformConfig(Section):
    """What the transform graph depends on."""

    features: Features
    label: Label


def raw_columns(features: Features, label: Label) -> list[str]:
    """The columns that `preprocessing_fn` takes, each once: all that features and label read, but for images."""
    columns = dict.fromkeys([*input_columns(features), *label.columns])
    return [column for column in columns if column not in image_columns(features)]


def preprocessing_fn(
    inputs: Mapping[str, Any], features: Features, label: Label, analysis: Analysis
) -> dict[str, Values]:
    """Raw columns to transformed features; bound to all but `inputs`, it is what TF Transform calls.

    Args:
        inputs: By column, a dense tensor, [batch] or [batch, n], or a sparse one, [batch, values].
        features: What is made of them.
        label: What the model learns.
        analysis: Answers what is asked of the whole training split.

    Returns:
        By name, what each feature's `transform` gives, and the label's.
    """
    read = Read(lambda column: present(inputs[column]), analysis)
    return transformed(features, inputs, analysis) | label.transform(read)


def transformed(features: Features, inputs: Mapping[str, Any], analysis: Analysis) -> dict[str, Values]:
    """By name, what each feature's `transform` gives; inputs as for `preprocessing_fn`."""
    outputs: dict[str, Values] = {}

    @cache  # a feature that several others are made from is made once
    def make(name: str) -> dict[str, Values]:
        return features[name].transform(name, Read(lambda what: read(name, what), analysis))

    def read(name: str, what: str) -> tf.SparseTensor:
        return make(what)[what] if what != name and refers_to_feature(what, features) else present(inputs[what])

    for name in features:
        outputs |= make(name)
    return outputs
