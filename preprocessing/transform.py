"""The door that TF Transform calls: what is computed over the whole data set, and what it does to a batch."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import tensorflow as tf

from preprocessing.columns import present
from preprocessing.config import Features, Label, refers_to_feature
from preprocessing.kinds.kind import Categories, Read, Values
from preprocessing.section import Section


class TransformConfig(Section):
    """What the transform graph depends on."""

    features: Features
    label: Label
    code: str = ""
    """A digest of the code, so that a change of it is a change of the graph."""

    def to_custom_config(self) -> dict[str, Any]:
        """The form that TFX's Transform hands to `preprocessing_fn` as `custom_config`."""
        return json.loads(self.to_property())


def preprocessing_fn(inputs: Mapping[str, Any], custom_config: Mapping[str, Any]) -> dict[str, Values]:
    """Raw columns to transformed features, as TF Transform calls it.

    Args:
        inputs: By column, a dense tensor, [batch] or [batch, n], or a sparse one, [batch, values].
        custom_config: `TransformConfig.to_custom_config()`.

    Returns:
        By name, what each feature's `transform` gives, and the label's.
    """
    config = TransformConfig.model_validate(custom_config)
    return transformed(config.features, inputs) | config.label.transform(lambda column: present(inputs[column]))


def transformed(features: Features, inputs: Mapping[str, Any]) -> dict[str, Values]:
    """By name, what each feature's `transform` gives; inputs as for `preprocessing_fn`."""
    outputs: dict[str, Values] = {}

    @cache  # a feature that several others are made from is made once
    def make(name: str) -> dict[str, Values]:
        return features[name].transform(name, _reader(name, features, inputs, make))

    for name in features:
        outputs |= make(name)
    return outputs


def _reader(name: str, features: Features, inputs: Mapping[str, Any], make: Any) -> Read:
    def read(what: str) -> tf.SparseTensor:
        if what != name and refers_to_feature(what, features):
            assert isinstance(features[what], Categories)
            return make(what)[what]
        return present(inputs[what])

    return read
