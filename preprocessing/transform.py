"""The `preprocessing_fn` for TF Transform: statistics over the training split, and the transformation of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import tensorflow as tf

from hubline.preprocessing.analysis import Analyzer
from hubline.preprocessing.columns import present
from hubline.preprocessing.feature_columns import encoded_columns, input_columns, refers_to_feature
from hubline.preprocessing.kinds.kind import TransformContext, Values

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features, Label


def raw_columns(features: Features, label: Label) -> list[str]:
    """The distinct columns that `preprocessing_fn` reads: all columns of features and label except encoded files."""
    columns = dict.fromkeys([*input_columns(features), *label.columns])
    return [column for column in columns if column not in encoded_columns(features)]


def preprocessing_fn(
    inputs: Mapping[str, Any], features: Features, label: Label, analysis: Analyzer
) -> dict[str, Values]:
    """Transforms raw columns to features and label. TF Transform calls it with all arguments bound except `inputs`.

    Args:
        inputs: By column, a dense tensor, [batch] or [batch, n], or a sparse one, [batch, values].
        features: The features to make.
        label: The label to make.
        analysis: Statistics of the training split.

    Returns:
        The results of each feature's `transform` and of the label's, by name.
    """
    read = TransformContext(lambda column: present(inputs[column]), analysis)
    return transformed(features, inputs, analysis) | label.transform(read)


def transformed(features: Features, inputs: Mapping[str, Any], analysis: Analyzer) -> dict[str, Values]:
    """The results of each feature's `transform` by name; inputs as in `preprocessing_fn`."""
    outputs: dict[str, Values] = {}

    @cache  # a feature that several others are made from is made once
    def make(name: str) -> dict[str, Values]:
        return features[name].transform(name, TransformContext(lambda what: read(name, what), analysis))

    def read(name: str, what: str) -> tf.SparseTensor:
        return make(what)[what] if what != name and refers_to_feature(what, features) else present(inputs[what])

    for name in features:
        outputs |= make(name)
    return outputs
