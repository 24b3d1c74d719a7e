"""The door that TF Transform calls: what is computed over the whole data set, and what it does to a batch."""

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

import tensorflow as tf

from preprocessing.analysis import Analysis, Answers, InBeam, Known
from preprocessing.columns import present
from preprocessing.config import Features, Label, refers_to_feature
from preprocessing.kinds.kind import Read, Values
from preprocessing.section import Section

ANSWERS = "answers"
"""Under what `custom_config` has the `Answers` where they are known; where it has none, TF Transform computes them."""


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
    config = TransformConfig.model_validate({k: v for k, v in custom_config.items() if k != ANSWERS})
    answers = custom_config.get(ANSWERS)
    analysis = Known(Answers.model_validate(answers)) if answers is not None else InBeam()
    return everything(config.features, config.label, inputs, analysis)


def everything(features: Features, label: Label, inputs: Mapping[str, Any], analysis: Analysis) -> dict[str, Values]:
    """What `preprocessing_fn` gives, with what is asked of the whole training split answered by `analysis`."""
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
