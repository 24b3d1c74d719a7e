"""Converts a model's outputs for one item to JSON values and columns of a tf.Example."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from hubline.components.predictor import classes
from hubline.components.predictor.json_records import text_of
from hubline.components.predictor.model import Answer


def plain(values: np.ndarray) -> Any:
    """An output as JSON: numbers and texts, nested by shape."""
    return _texts(values.tolist()) if values.dtype.kind in "OS" else values.tolist()


def answer_of(
    outputs: Mapping[str, np.ndarray],
    classifier: classes.Classifier | None,
    pictures: Mapping[str, np.ndarray] | None = None,
) -> Answer:
    """All outputs by name, with `label`, `score` and `top` in place of class scores.

    Args:
        outputs: The outputs for one item.
        classifier: Interprets the class scores; None if there are none.
        pictures: Outputs that are images, in addition.

    Raises:
        UserError: if it is unclear which output has the class scores, or the numbers of labels and scores differ.
    """
    rest = dict(outputs)
    json_values: dict[str, Any] = {}
    columns: dict[str, np.ndarray] = {}
    if classifier is not None:
        name = classifier.output({name: values.ndim for name, values in rest.items()})
        scores = rest.pop(name)
        classifier.check(name, len(scores))
        json_values = classifier.json_values(scores)
        columns = classes.columns(json_values)
    return Answer(
        json_values | {name: plain(values) for name, values in rest.items()}, columns | rest, dict(pictures or {})
    )


def _texts(values: Any) -> Any:
    if isinstance(values, list):
        return [_texts(value) for value in values]
    return text_of(values) if isinstance(values, bytes) else values  # numbers of different counts are objects, too
