"""Answers that don't look at the record: the best constant for each metric, fitted on the training split."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf

from hubline.artifacts.predictions import Predicted
from hubline.components.evaluator.label_reader import Reader
from hubline.core.number_format import shown
from hubline.preprocessing import masks
from hubline.preprocessing.columns import one_each
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.counts import complete
from hubline.trainer.inputs import read_decodable, read_records
from hubline.trainer.metric_names import Metric

_ROWS_AT_ONCE = 1024
_MOST_PICTURES = 2000
_SHOWN = 5


@dataclass(frozen=True)
class TrainingSplit:
    """The training split, as records and as rows."""

    records: Sequence[str]
    rows: Sequence[str]
    count: int
    """Rows."""
    undecodable: Sequence[int]
    """The numbers of the records without a row."""


@dataclass(frozen=True)
class Constants:
    """The best constant answers."""

    usual: np.ndarray
    """For every metric that `special` does not name, as a model's answer is kept, [n]; of pixels the number of a class,
    []."""
    usual_is: str
    """What it is, in words."""
    special: dict[Metric, tuple[np.ndarray, str]] = field(default_factory=dict)
    """For a metric another, and what it is."""
    words: dict[Metric, str] = field(default_factory=dict)
    """Where the usual answer comes to something that has other words."""

    def answer(self, metric: Metric) -> str:
        """What is answered always, in words."""
        return self.special[metric][1] if metric in self.special else self.words.get(metric, self.usual_is)

    def told(self, metric: Metric, candidate: np.ndarray) -> np.ndarray:
        """The constant beside each answer of a model, as these are kept, [batch, n]."""
        constant = self.special[metric][0] if metric in self.special else self.usual
        if constant.ndim == 0:  # of each picture, all pixels are told to be of one class
            classes = round(candidate.shape[1] ** 0.5)
            matrices = candidate.reshape(-1, classes, classes)
            true = matrices.sum(axis=2, keepdims=True)
            return (true * (np.arange(classes) == constant)).reshape(candidate.shape)
        return np.broadcast_to(constant, (len(candidate), len(constant)))


def fit(reader: Reader, split: TrainingSplit) -> Constants:
    """The constants of a label's kind; one pass over the rows of the training split, of pixels over 2,000 records at
    most, spread evenly."""
    kind, predicted = reader.predicted.kind, reader.predicted
    if kind == "pixels":
        return _of_pixels(reader, split)
    rows = complete(read_records(split.rows), split.count).batch(_ROWS_AT_ONCE)
    batches = rows.map(reader.truth, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator()
    if kind == "regression":
        return _of_numbers(np.concatenate([batch[:, 0] for batch in batches]))
    if kind == "multilabel":
        counts: Counter[bytes] = Counter()
        for batch in batches:
            counts.update(row.tobytes() for row in (batch > 0))
        sets = np.array([np.frombuffer(one, bool) for one in counts])
        return _of_any_classes(sets, np.array(list(counts.values())), predicted)
    truth = np.concatenate(list(batches))
    index = truth[:, 0].astype(np.int64)
    shares = np.bincount(index[index >= 0], minlength=len(predicted.classes)) / max((index >= 0).sum(), 1)
    return _of_boxes(shares, truth[:, 1:], predicted) if kind == "class_and_box" else _of_classes(shares, predicted)


def _of_classes(shares: np.ndarray, predicted: Predicted) -> Constants:
    best = [predicted.classes[place] for place in np.argsort(-shares, kind="stable")[:3]]
    special: dict[Metric, tuple[np.ndarray, str]] = {}
    if predicted.kind == "binary":  # of the second class alone, no constant is better
        second = np.array([0.0, 1.0]), f"always '{predicted.classes[1]}'"
        special = {"precision": second, "recall": second, "f1": second}
    return Constants(
        usual=shares,
        usual_is="the shares of the classes",
        special=special,
        words={"accuracy": f"always '{best[0]}'", "top_3_accuracy": f"always {', '.join(map(repr, best))}"},
    )


def _of_boxes(shares: np.ndarray, boxes: np.ndarray, predicted: Predicted) -> Constants:
    box = np.median(boxes, axis=0)
    words = f"the median box [{', '.join(f'{side:.3g}' for side in box)}]"
    of_classes = _of_classes(shares, predicted)
    return Constants(
        usual=np.concatenate([shares, box]),
        usual_is=of_classes.usual_is,
        words=of_classes.words | {"mean_iou": words, "iou_50": words},
    )


def _of_any_classes(sets: np.ndarray, counts: np.ndarray, predicted: Predicted) -> Constants:
    """Of the sets of classes that records have, bool [sets, classes], and how many records have each."""
    shares = counts @ sets / counts.sum()
    # No set has a higher F1 over all classes together than one of the most frequent classes.
    order = np.argsort(-shares, kind="stable")
    sizes = np.arange(1, len(shares) + 1)
    f1 = 2 * np.cumsum(shares[order]) / (sizes + shares.sum())
    best = np.isin(np.arange(len(shares)), order[: int(f1.argmax()) + 1])
    all_classes, commonest = np.ones(len(shares), bool), sets[int(counts.argmax())]

    def answer(chosen: np.ndarray) -> tuple[np.ndarray, str]:
        names = [name for name, is_chosen in zip(predicted.classes, chosen, strict=True) if is_chosen]
        more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
        return np.concatenate([shares, chosen]), f"always {', '.join(map(repr, names[:_SHOWN])) or 'none'}{more}"

    return Constants(
        usual=np.concatenate([shares, best]),
        usual_is="the shares of the classes",
        special={
            "f1": answer(best),
            "precision": answer(best),
            "recall": answer(best),
            "macro_f1": answer(all_classes),
            "exact_match": answer(commonest),
        },
    )


def _of_numbers(values: np.ndarray) -> Constants:
    mean, median = values.mean(), np.median(values)
    return Constants(
        usual=np.array([mean]),
        usual_is=f"the mean {shown(mean)}",
        special={"mae": (np.array([median]), f"the median {shown(median)}")},
    )


def _of_pixels(reader: Reader, split: TrainingSplit) -> Constants:
    label = reader.label
    assert isinstance(label, PixelsLabel)

    def counted(record: tf.Tensor) -> tf.Tensor:
        encoded = one_each(tf.io.parse_example(record[tf.newaxis], reader.spec)[label.column])
        return masks.counts(label, encoded[0])

    every = -(-split.count // _MOST_PICTURES)
    pictures = read_decodable(split.records, split.undecodable, in_order=True).shard(every, 0)
    total = sum(pictures.map(counted, num_parallel_calls=tf.data.AUTOTUNE).as_numpy_iterator())
    most = label.classes[int(np.argmax(total))]
    return Constants(usual=np.array(reader.predicted.classes.index(most)), usual_is=f"always '{most}'")
