"""Summarizes stored pixel predictions as one confusion matrix, with samples, in one pass and bounded memory."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, MASK, RECORD
from hubline.core.tfrecords import read_batches
from hubline.preprocessing.feature_columns import images
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.predictions import PixelPredictions, Sample
from hubline.report.scores import MOST_CLASSES, batch_size


def summarize(files: EvaluationFiles, samples: int) -> PixelPredictions:
    """Summarizes predictions, with up to `samples` of the worst ones."""
    classes, label = files.classes, cast(PixelsLabel, files.label)
    total = np.zeros([len(classes)] * 2, np.int64)
    worst: list[tuple[int, Sample]] = []  # with their positions in the files
    first = 0
    for records, matrices in _batches(files.predictions, len(classes)):
        total += matrices.sum(axis=0)
        of_each = mean_iou(matrices)
        lowest = np.argsort(np.where(matrices.any(axis=(1, 2)), of_each, np.inf), kind="stable")[:samples]
        found = [
            (first + row, Sample(record=int(records[row]), label="", predicted="", score=float(of_each[row])))
            for row in map(int, lowest)
            if matrices[row].any()
        ]
        worst = sorted([*worst, *found], key=lambda each: (each[1].score, each[1].record))[:samples]
        first += len(records)
    pngs = _masks(files.masks, {place for place, _ in worst})
    return PixelPredictions(
        classes=classes,
        confusion=total if len(classes) <= MOST_CLASSES else None,
        roc={},
        serving_auc={},
        right=[],
        wrong=[replace(sample, mask=pngs[place]) for place, sample in worst],
        iou=_iou(total),
        label=label,
        feature=images(files.features)[label.image],
    )


def mean_iou(matrices: np.ndarray) -> np.ndarray:
    """Mean IoU over the classes that occur in confusion matrices, [..., classes, classes]; 0 if none occurs."""
    of_each, there = _iou(matrices), _union(matrices) > 0
    return np.nansum(of_each, axis=-1) / np.maximum(there.sum(axis=-1), 1)


def _iou(matrices: np.ndarray) -> np.ndarray:
    """IoU of each class, float64 [..., classes]; NaN for a class that is neither true nor predicted."""
    hits, union = np.diagonal(matrices, axis1=-2, axis2=-1), _union(matrices)
    return np.where(union > 0, hits / np.maximum(union, 1), np.nan)


def _union(matrices: np.ndarray) -> np.ndarray:
    hits = np.diagonal(matrices, axis1=-2, axis2=-1)
    return matrices.sum(axis=-1) + matrices.sum(axis=-2) - hits


def _batches(files: Sequence[str], classes: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Indices of records, int64 [batch], and their confusion matrices, int64 [batch, classes, classes]."""
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
        CANDIDATE: tf.io.FixedLenFeature([classes, classes], tf.int64),
    }
    for path in files:
        for _, examples in read_batches(path, batch_size(classes * classes)):
            rows = {name: column.numpy() for name, column in tf.io.parse_example(examples, spec).items()}
            yield rows[RECORD], rows[CANDIDATE]


def _masks(files: Sequence[str], wanted: set[int]) -> dict[int, bytes]:
    """The masks at the given positions, as PNGs; the others stay within TensorFlow's C++."""
    found: dict[int, bytes] = {}
    spec = {MASK: tf.io.FixedLenFeature([], tf.string)}
    before = 0
    for path in files:
        last = before
        for first, batch in read_batches(path, 256):
            here = [place for place in wanted if before + first <= place < before + first + len(batch)]
            for place in here:
                found[place] = tf.io.parse_single_example(batch[place - before - first], spec)[MASK].numpy()
            last = before + first + len(batch)
        before = last
    return found
