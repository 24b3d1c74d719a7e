"""Prints how many digits in the images the detector found: those that overlap by half (IoU 0.5) with a detected box of
the same class. Each box counts for one digit.

    python examples/detection/score.py
"""

import json
import os
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf

HERE = Path(__file__).parent
IOU = 0.5
COLUMNS = {
    "id": tf.io.FixedLenFeature([], tf.string),
    "boxes": tf.io.FixedLenSequenceFeature([4], tf.float32, allow_missing=True),
    "digits": tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True),
}


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """Intersection over union of two boxes, [top, left, bottom, right]."""
    sides = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)
    areas = [np.prod(box[2:] - box[:2]) for box in (one, other)]
    return float(sides.prod() / (sum(areas) - sides.prod()))


def found(boxes: np.ndarray, digits: np.ndarray, detections: list[dict]) -> tuple[int, int]:
    """Number of an image's digits that were found, and number whose box was found."""
    right = boxed = 0
    free = set(range(len(digits)))
    for one in detections:  # highest score first
        best = max(free, key=lambda number: overlap(boxes[number], np.array(one["box"])), default=None)
        if best is not None and overlap(boxes[best], np.array(one["box"])) >= IOU:
            free.remove(best)
            boxed += 1
            right += one["class"] - 1 == digits[best]  # classes count from 1
    return right, boxed


def main() -> None:
    """Compares the newest predictions with the labels."""
    newest = max((HERE / "predictions").iterdir(), key=lambda version: int(version.name))
    lines = [line for path in sorted(newest.glob("*.jsonl")) for line in path.read_text().splitlines()]
    found_by_id = {row["key"]: row["detections"] for row in map(json.loads, lines)}
    files = sorted(map(str, (HERE / "data").glob("*.tfrecord.gz")))
    records = [tf.io.parse_single_example(record, COLUMNS) for record in tf.data.TFRecordDataset(files, "GZIP")]
    counts = [
        found(record["boxes"].numpy(), record["digits"].numpy(), found_by_id[record["id"].numpy().decode()])
        for record in records
    ]
    right, boxed = map(sum, zip(*counts, strict=True))
    there, given = sum(len(record["digits"]) for record in records), sum(map(len, found_by_id.values()))
    print(f"{there} digits in {len(records)} pictures, {given} found: {boxed / there:.3f} of them at IoU {IOU}")
    print(f"{right / there:.3f} with the right class; {right / given:.3f} of what was found is right")


if __name__ == "__main__":
    main()
