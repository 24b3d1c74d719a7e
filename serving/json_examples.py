"""tf.Examples in the JSON of TensorFlow Serving's REST API for classify and regress requests."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.json_arrays import dumps
from hubline.serving.errors import invalid
from hubline.serving.json_tensors import bytes_of
from hubline.serving.protos import with_context
from hubline.serving.signature import Arrays


def examples_of(request: Mapping[str, Any]) -> list[bytes]:
    """The serialized examples of a request; the features of `context` are added to each.

    Raises:
        RequestError: if an example is malformed.
    """
    given = request.get("examples")
    if not isinstance(given, list) or not given:
        raise invalid("'examples' must be a list with at least one example")
    context = _example(request.get("context", {}), "context")
    return [
        with_context(_example(each, f"example {number} (counted from 0)"), context).SerializeToString()
        for number, each in enumerate(given)
    ]


def _example(given: Any, where: str) -> tf.train.Example:
    if not isinstance(given, dict):
        raise invalid(f"{where}: must be an object of values by feature")
    features = {name: _feature(f"{where}: {name}", value) for name, value in given.items()}
    return tf.train.Example(features=tf.train.Features(feature=features))


def _feature(name: str, value: Any) -> tf.train.Feature:
    """Whole numbers become int64, numbers with a point float32, strings and Base64 bytes."""
    values = value if isinstance(value, list) else [value]
    if all(isinstance(each, int) and not isinstance(each, bool) for each in values):
        if not all(-(1 << 63) <= each < 1 << 63 for each in values):
            raise invalid(f"{name}: a value is no int64")
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    if all(isinstance(each, float) for each in values):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    if any(isinstance(each, int | float) for each in values):
        raise invalid(f"{name}: its values must be all whole numbers, all numbers with a point, or all strings")
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=[bytes_of(name, each) for each in values]))


def classifications(outputs: Arrays) -> bytes:
    """The body of an answer: pairs of class and score for each example."""
    classes, scores = class_scores(outputs)
    return dumps({"results": [list(map(list, zip(*row, strict=True))) for row in zip(classes, scores, strict=True)]})


def class_scores(outputs: Arrays) -> tuple[list[list[str]], np.ndarray]:
    """Classes and scores of each example. A model that gives only one of the two is completed as TensorFlow Serving
    does: with empty names, or scores of 0.

    Raises:
        RequestError: if the shapes differ, the classes are no strings, or the model gives neither.
    """
    classes = outputs.get(tf.saved_model.CLASSIFY_OUTPUT_CLASSES)
    scores = outputs.get(tf.saved_model.CLASSIFY_OUTPUT_SCORES)
    known = classes if classes is not None else scores
    if known is None or known.ndim != 2 or (scores is not None and scores.shape != known.shape):
        raise invalid("the signature gives no classes and scores of the same shape [batch, classes]")
    names = [[""] * known.shape[1]] * known.shape[0] if classes is None else _decoded(classes)
    return names, np.zeros(known.shape, np.float32) if scores is None else scores


def _decoded(classes: np.ndarray) -> list[list[str]]:
    if classes.dtype != object:
        raise invalid(f"the signature's classes must be strings, not {classes.dtype.name}")
    return [[name.decode(errors="replace") for name in row] for row in classes.tolist()]


def numbers(outputs: Arrays) -> np.ndarray:
    """The number for each example, float32 [batch].

    Raises:
        RequestError: if the model doesn't give one for each.
    """
    found = outputs.get(tf.saved_model.REGRESS_OUTPUTS)
    if found is None or found.ndim not in (1, 2) or (found.ndim == 2 and found.shape[1] != 1):
        raise invalid("the signature gives no number for each example")
    return found.reshape(-1)


def regressions(outputs: Arrays) -> bytes:
    """The body of an answer: a number for each example."""
    return dumps({"results": numbers(outputs)})
