"""Computes the answers to the questions of an analysis: part by part, in a form that can be kept and merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import tensorflow as tf

from hubline.core.adapters.tfx_bsl import QuantilesSketch, quantiles_sketch
from hubline.preprocessing.analysis import (
    QUANTILE_ERROR,
    DocumentsOf,
    MomentsOf,
    QuantilesOf,
    Question,
    Unread,
    UnreadOf,
    Words,
)
from hubline.preprocessing.exact_arithmetic import minus

Positions: TypeAlias = tuple[int | float, ...]


class Accumulator(Protocol):
    """What is known so far; its fields are all that it is."""

    def add(self, values: Any) -> None:
        """Takes in the values of a batch: a tensor, sparse or not."""

    def merge(self, other: Any) -> None:
        """Takes in what another one of the same class knows."""


def accumulators(questions: Mapping[str, Question]) -> dict[str, Accumulator]:
    """An empty one for each question."""
    return {name: _accumulator(question) for name, question in questions.items()}


def _accumulator(question: Question) -> Accumulator:
    if isinstance(question, MomentsOf):
        return Numbers(question.length)
    if isinstance(question, DocumentsOf):
        return Having()
    if isinstance(question, UnreadOf):
        return Unreadable()
    return Ranks() if isinstance(question, QuantilesOf) else Counts()


class Numbers:
    """Count, mean, sum of squared deviations, least and greatest, each by position.

    Mean, least and greatest are counted from an origin, the first number: what all have in common rounds nothing away.
    """

    def __init__(self, length: int) -> None:
        """Nothing is known yet."""
        self.count: np.ndarray = np.zeros(length)
        self.origin: np.ndarray = np.zeros(length)
        self.mean: np.ndarray = np.zeros(length)
        self.squares: np.ndarray = np.zeros(length)
        self.least, self.greatest = np.full(length, np.inf), np.full(length, -np.inf)

    def add(self, values: tf.SparseTensor) -> None:
        """Takes in int64 or float64 [batch, length]."""
        places, whole = values.indices[:, 1].numpy(), values.values.numpy()
        batch = Numbers(len(self.count))
        batch.origin = np.zeros(len(self.count), whole.dtype)
        batch.origin[places[::-1]] = whole[::-1]
        numbers = minus(whole, batch.origin[places])
        batch.count = np.bincount(places, minlength=len(self.count)).astype(float)
        batch.mean = np.bincount(places, numbers, len(self.count)) / np.maximum(batch.count, 1)
        batch.squares = np.bincount(places, (numbers - batch.mean[places]) ** 2, len(self.count))
        np.minimum.at(batch.least, places, numbers)
        np.maximum.at(batch.greatest, places, numbers)
        self.merge(batch)

    def merge(self, other: Numbers) -> None:
        """Combines the moments of two sets (Chan, Golub and LeVeque 1979, Updating Formulae, eq. 1.5)."""
        if not other.count.any():
            return
        self.origin = np.where(self.count > 0, self.origin.astype(other.origin.dtype), other.origin)
        moved = minus(other.origin, self.origin)
        count = np.maximum(self.count + other.count, 1)
        apart = other.mean + moved - self.mean
        self.squares += other.squares + apart**2 * self.count * other.count / count
        self.mean += apart * other.count / count
        self.count += other.count
        self.least = np.minimum(self.least, other.least + moved)
        self.greatest = np.maximum(self.greatest, other.greatest + moved)

    def answer(self) -> tuple[Positions, Positions, Positions, Positions, Positions]:
        """Origin, mean, standard deviation, least and greatest by position; 0 where there was no number."""
        there = self.count > 0
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        mean, deviation, least, greatest = (
            tuple(np.where(there, values, 0.0).tolist()) for values in (self.mean, deviation, self.least, self.greatest)
        )
        return tuple(self.origin.tolist()), mean, deviation, least, greatest


_SUCH_AS, _SHOWN_LENGTH = 5, 60
"""How many texts that cannot be read are kept, and how many of their characters are shown."""
_CELL = 1 << 53
"""How many whole numbers in a row float64 tells apart."""


class Ranks:
    """Sketches of the order of numbers, such as TF Transform takes its quantiles from.

    They take float64. Whole numbers are therefore counted from the middle of their cell of 2^53 numbers, and each cell
    has a sketch of its own; nearly always there is one cell.
    """

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._sketches: dict[int, QuantilesSketch] = {}
        self._counts: Counter[int] = Counter()
        self._are_whole = False

    def add(self, values: tf.Tensor) -> None:
        """Takes in int64 or float64 [n]."""
        numbers = values.numpy()
        self._are_whole = bool(np.issubdtype(numbers.dtype, np.integer))
        if not self._are_whole:
            self._add(0, numbers)
            return
        # Half a cell more may be beyond int64: it wraps around, and what remains below a cell is right all the same.
        from_middle = ((numbers + _CELL // 2) & (_CELL - 1)) - _CELL // 2
        cells = ((numbers >> 52) + 1) >> 1
        for cell in np.unique(cells).tolist():
            self._add(cell, from_middle[cells == cell].astype(float))

    def _add(self, cell: int, numbers: np.ndarray) -> None:
        if len(numbers):
            self._sketches.setdefault(cell, _sketch()).AddValues(pa.array(numbers))
            self._counts[cell] += len(numbers)

    def merge(self, other: Ranks) -> None:
        """Combines the sketches of each cell."""
        for cell, sketch in other._sketches.items():
            self._sketches.setdefault(cell, _sketch()).Merge(sketch)
        self._counts.update(other._counts)
        self._are_whole |= other._are_whole

    def answer(self, buckets: int) -> Positions:
        """The boundaries between so many buckets; all 0 where there was no number."""
        if not self._sketches:
            return (0.0,) * (buckets - 1)
        first, *others = sorted(self._sketches)
        # From the least number to the greatest one, both included.
        boundaries = _quantiles(self._together() if others else self._sketches[first], buckets)[1:-1]
        return tuple(first * _CELL + round(each) for each in boundaries) if self._are_whole else tuple(boundaries)

    def _together(self) -> QuantilesSketch:
        """One sketch of all cells, counted from the middle of the first."""
        together, points = _sketch(), round(1 / QUANTILE_ERROR)
        for cell, sketch in self._sketches.items():
            numbers = np.array(_quantiles(sketch, points)[1:]) + float((cell - min(self._sketches)) * _CELL)
            weights = np.full(points, self._counts[cell] / points)
            together.AddValues(pa.array(numbers), pa.array(weights))
        return together


def _sketch() -> QuantilesSketch:
    return quantiles_sketch(QUANTILE_ERROR, 1 << 32)


def _quantiles(sketch: QuantilesSketch, buckets: int) -> list[float]:
    return sketch.GetQuantiles(buckets).to_pylist()[0]


class Counts:
    """How often each word occurs."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.counts: Counter[bytes] = Counter()

    def add(self, values: tf.Tensor) -> None:
        """Takes in strings, [n]."""
        words, _, counts = tf.unique_with_counts(values)
        self.counts.update(dict(zip(words.numpy().tolist(), counts.numpy().tolist(), strict=True)))

    def merge(self, other: Counts) -> None:
        """Adds the counts up."""
        self.counts.update(other.counts)

    def answer(self, limits: Words) -> list[bytes]:
        """The words, most frequent first; of equally frequent ones the last in order first.

        Words that are empty or have a line break are left out, as they cannot stand in a file of words.
        """
        fit = (
            (count, word)
            for word, count in self.counts.items()
            if word and not {*b"\r\n"} & {*word} and count >= (limits.min_count or 0)
        )
        return [word for _, word in sorted(fit, reverse=True)][: limits.top_k]


class Unreadable:
    """How many texts cannot be read, and some of them."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.values = self.unread = 0
        self.such_as: list[bytes] = []

    def add(self, texts: tf.Tensor) -> None:
        """Takes in strings, [n]: those that can be read are empty."""
        unread = [text for text in texts.numpy().tolist() if text]
        self._add(len(texts), len(unread), unread)

    def merge(self, other: Unreadable) -> None:
        """Adds the counts up."""
        self._add(other.values, other.unread, other.such_as)

    def _add(self, values: int, unread: int, such_as: Sequence[bytes]) -> None:
        self.values += values
        self.unread += unread
        self.such_as = list(dict.fromkeys([*self.such_as, *such_as]))[:_SUCH_AS]

    def answer(self) -> Unread:
        """The counts, and some of the texts, shortened."""
        shown = (text.decode(errors="replace")[:_SHOWN_LENGTH] for text in self.such_as)
        return Unread(values=self.values, unread=self.unread, such_as=tuple(shown))


class Having:
    """In how many records each word is."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self.count = 0
        self.counts: Counter[bytes] = Counter()

    def add(self, values: tf.SparseTensor) -> None:
        """Takes in strings, [batch, values]."""
        words, numbers = np.unique(values.values.numpy(), return_inverse=True)
        pairs = np.unique(np.stack([values.indices[:, 0].numpy(), numbers]), axis=1)  # each word once a record
        having = np.bincount(pairs[1], minlength=len(words))
        self.counts.update(dict(zip(words.tolist(), having.tolist(), strict=True)))
        self.count += int(values.dense_shape[0])

    def merge(self, other: Having) -> None:
        """Adds the counts up."""
        self.count += other.count
        self.counts.update(other.counts)

    def answer(self, vocabulary: Sequence[bytes]) -> tuple[int, tuple[int, ...]]:
        """All records, and those that have each word."""
        return self.count, tuple(self.counts[word] for word in vocabulary)


ACCUMULATORS: tuple[type[Accumulator], ...] = (Numbers, Ranks, Counts, Having, Unreadable)
