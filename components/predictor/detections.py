"""Reads detections in TensorFlow Hub's format for object detectors.

https://www.tensorflow.org/hub/common_signatures/images#object_detection
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

BOXES, SCORES, COUNT = "detection_boxes", "detection_scores", "num_detections"
_CLASSES = ("detection_classes", "detection_class_labels")
_NAMES = ("detection_class_entities", "detection_class_names")
_GREATEST_SHARE = 2.0
"""Larger coordinates are in pixels. Boxes may extend beyond the image, but not this far."""


def is_detector(outputs: Mapping[str, Any]) -> bool:
    """Whether the outputs, by name, are those of an object detector."""
    return {BOXES, SCORES} <= outputs.keys()


def detections(
    outputs: Mapping[str, np.ndarray], size: tuple[int, int], labels: Sequence[str], min_score: float
) -> list[dict[str, Any]]:
    """Detections in one image, by descending score.

    Args:
        outputs: By name; boxes [n, 4], with or without a batch dimension.
        size: Height and width of the module's input image.
        labels: Class names for modules that return class numbers only. Detectors count classes from 1, so the first
            label names class 1.
        min_score: Minimum score of a detection.

    Returns:
        Dicts with `box`: [top, left, bottom, right] as fractions of height and width; `score`; `class`, a number; and
        `name`. The latter two are None if unknown.
    """
    boxes, scores = outputs[BOXES].reshape(-1, 4).astype(np.float64), outputs[SCORES].reshape(-1)
    count = min(len(boxes), int(outputs[COUNT].reshape(-1)[0])) if COUNT in outputs else len(boxes)
    boxes, scores = boxes[:count], scores[:count]
    if count and boxes.max() > _GREATEST_SHARE:
        boxes = boxes / np.array([*size, *size])
    classes = _first(outputs, _CLASSES)
    names = _first(outputs, _NAMES)
    found = []
    for place in np.argsort(-scores, kind="stable").tolist():
        if scores[place] < min_score:
            break
        number = None if classes is None else int(classes[place])
        name = names[place].decode(errors="replace") if names is not None else _named(number, labels)
        box = boxes[place].astype(np.float32).tolist()
        found.append({"box": box, "score": float(scores[place]), "class": number, "name": name})
    return found


def moved(found: Sequence[Mapping[str, Any]], covers: np.ndarray) -> list[dict[str, Any]]:
    """Maps detections from the module's input image to the original image.

    Args:
        found: As `detections` returns them.
        covers: The part of the original image that the module sees, [4]: top, left, bottom and right as fractions; may
            extend beyond the image.
    """
    begin, size = np.tile(covers[:2], 2), np.tile(covers[2:] - covers[:2], 2)
    return [
        one | {"box": (begin + np.array(one["box"]) * size).astype(np.float32).tolist()} for one in map(dict, found)
    ]


def columns(found: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Detections as tf.Example columns: the values of all detections, concatenated."""
    given = {
        BOXES: np.array([one["box"] for one in found], np.float32).reshape(-1),
        SCORES: np.array([one["score"] for one in found], np.float32),
    }
    if all(one["class"] is not None for one in found):
        given["detection_classes"] = np.array([one["class"] for one in found], np.int64)
    names = ["" if one["name"] is None else one["name"] for one in found]
    return given | {"detection_names": np.array([name.encode() for name in names], object)}


def _first(outputs: Mapping[str, np.ndarray], names: Sequence[str]) -> np.ndarray | None:
    return next((outputs[name].reshape(-1) for name in names if name in outputs), None)


def _named(number: int | None, labels: Sequence[str]) -> str | None:
    return labels[number - 1] if number is not None and 1 <= number <= len(labels) else None
