"""Computes the statistics of an analysis in partial results that can be stored and merged."""

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
    DocumentFrequencyRequest,
    MomentsRequest,
    QuantilesRequest,
    Question,
    UnparsedColumn,
    UnparsedRequest,
    VocabularyLimits,
)
from hubline.preprocessing.exact_arithmetic import minus

Positions: TypeAlias = tuple[int | float, ...]


class Accumulator(Protocol):
    """A partial result, completely described by its fields."""

    def add(self, values: Any) -> None:
        """Adds the values of a batch: a tensor, sparse or dense."""

    def merge(self, other: Any) -> None:
        """Merges another partial result of the same class."""


def accumulators(questions: Mapping[str, Question]) -> dict[str, Accumulator]:
    """An empty accumulator for each question."""
    return {name: _accumulator(question) for name, question in questions.items()}


def _accumulator(question: Question) -> Accumulator:
    if isinstance(question, MomentsRequest):
        return NumberStatistics(question.length)
    if isinstance(question, DocumentFrequencyRequest):
        return DocumentFrequency()
    if isinstance(question, UnparsedRequest):
        return UnparsedTexts()
    return QuantileSketches() if isinstance(question, QuantilesRequest) else WordCounts()


class NumberStatistics:
    """Count, mean, sum of squared deviations, minimum and maximum at each position.

    Mean, minimum and maximum are relative to an origin, the first number: a large common offset costs no precision.
    """

    def __init__(self, length: int) -> None:
        self.count: np.ndarray = np.zeros(length)
        self.origin: np.ndarray = np.zeros(length)
        self.mean: np.ndarray = np.zeros(length)
        self.squares: np.ndarray = np.zeros(length)
        self.least, self.greatest = np.full(length, np.inf), np.full(length, -np.inf)

    def add(self, values: tf.SparseTensor) -> None:
        """Adds int64 or float64 [batch, length]."""
        places, whole = values.indices[:, 1].numpy(), values.values.numpy()
        batch = NumberStatistics(len(self.count))
        batch.origin = np.zeros(len(self.count), whole.dtype)
        batch.origin[places[::-1]] = whole[::-1]
        numbers = minus(whole, batch.origin[places])
        batch.count = np.bincount(places, minlength=len(self.count)).astype(float)
        batch.mean = np.bincount(places, numbers, len(self.count)) / np.maximum(batch.count, 1)
        batch.squares = np.bincount(places, (numbers - batch.mean[places]) ** 2, len(self.count))
        np.minimum.at(batch.least, places, numbers)
        np.maximum.at(batch.greatest, places, numbers)
        self.merge(batch)

    def merge(self, other: NumberStatistics) -> None:
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
        """Origin, mean, standard deviation, minimum and maximum at each position; 0 without numbers."""
        there = self.count > 0
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        mean, deviation, least, greatest = (
            tuple(np.where(there, values, 0.0).tolist()) for values in (self.mean, deviation, self.least, self.greatest)
        )
        return tuple(self.origin.tolist()), mean, deviation, least, greatest


_SUCH_AS, _SHOWN_LENGTH = 5, 60
"""Unparsable texts that are kept as examples, and the number of characters shown of each."""
_CELL = 1 << 53
"""Number of consecutive integers that float64 can distinguish."""


class QuantileSketches:
    """Quantile sketches, of the kind that TF Transform computes quantiles from.

    Sketches work in float64. Integers are therefore divided into cells of 2^53 numbers and measured from the centre of
    their cell, and each cell has its own sketch. Nearly always there is one cell.
    """

    def __init__(self) -> None:
        self._sketches: dict[int, QuantilesSketch] = {}
        self._counts: Counter[int] = Counter()
        self._are_whole = False

    def add(self, values: tf.Tensor) -> None:
        """Adds int64 or float64 [n]."""
        numbers = values.numpy()
        self._are_whole = bool(np.issubdtype(numbers.dtype, np.integer))
        if not self._are_whole:
            self._add(0, numbers)
            return
        # Adding half a cell may overflow int64; it wraps around, and the remainder within a cell is correct
        # nevertheless.
        from_middle = ((numbers + _CELL // 2) & (_CELL - 1)) - _CELL // 2
        cells = ((numbers >> 52) + 1) >> 1
        for cell in np.unique(cells).tolist():
            self._add(cell, from_middle[cells == cell].astype(float))

    def _add(self, cell: int, numbers: np.ndarray) -> None:
        if len(numbers):
            self._sketches.setdefault(cell, _sketch()).AddValues(pa.array(numbers))
            self._counts[cell] += len(numbers)

    def merge(self, other: QuantileSketches) -> None:
        """Merges the sketches of each cell."""
        for cell, sketch in other._sketches.items():
            self._sketches.setdefault(cell, _sketch()).Merge(sketch)
        self._counts.update(other._counts)
        self._are_whole |= other._are_whole

    def answer(self, buckets: int) -> Positions:
        """Boundaries between `buckets` buckets; zeros without numbers."""
        if not self._sketches:
            return (0.0,) * (buckets - 1)
        first, *others = sorted(self._sketches)
        # The sketch returns quantiles from the minimum to the maximum, inclusive.
        boundaries = _quantiles(self._together() if others else self._sketches[first], buckets)[1:-1]
        return tuple(first * _CELL + round(each) for each in boundaries) if self._are_whole else tuple(boundaries)

    def _together(self) -> QuantilesSketch:
        """One sketch of all cells, relative to the centre of the first."""
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


class WordCounts:
    """Occurrences of each word."""

    def __init__(self) -> None:
        self.counts: Counter[bytes] = Counter()

    def add(self, values: tf.Tensor) -> None:
        """Adds strings, [n]."""
        words, _, counts = tf.unique_with_counts(values)
        self.counts.update(dict(zip(words.numpy().tolist(), counts.numpy().tolist(), strict=True)))

    def merge(self, other: WordCounts) -> None:
        self.counts.update(other.counts)

    def answer(self, limits: VocabularyLimits) -> list[bytes]:
        """Words, most frequent first; equally frequent words in reverse alphabetical order.

        Empty words and words with line breaks are left out because a vocabulary file cannot contain them.
        """
        fit = (
            (count, word)
            for word, count in self.counts.items()
            if word and not {*b"\r\n"} & {*word} and count >= (limits.min_count or 0)
        )
        return [word for _, word in sorted(fit, reverse=True)][: limits.top_k]


class UnparsedTexts:
    """Number of texts that cannot be parsed, with examples."""

    def __init__(self) -> None:
        self.values = self.unread = 0
        self.such_as: list[bytes] = []

    def add(self, texts: tf.Tensor) -> None:
        """Adds strings, [n], with an empty string for each text that can be parsed."""
        unread = [text for text in texts.numpy().tolist() if text]
        self._add(len(texts), len(unread), unread)

    def merge(self, other: UnparsedTexts) -> None:
        self._add(other.values, other.unread, other.such_as)

    def _add(self, values: int, unread: int, such_as: Sequence[bytes]) -> None:
        self.values += values
        self.unread += unread
        self.such_as = list(dict.fromkeys([*self.such_as, *such_as]))[:_SUCH_AS]

    def answer(self) -> UnparsedColumn:
        """The counts, and examples of the texts, shortened."""
        shown = (text.decode(errors="replace")[:_SHOWN_LENGTH] for text in self.such_as)
        return UnparsedColumn(values=self.values, unread=self.unread, such_as=tuple(shown))


class DocumentFrequency:
    """Number of records that contain each word (document frequency)."""

    def __init__(self) -> None:
        self.count = 0
        self.counts: Counter[bytes] = Counter()

    def add(self, values: tf.SparseTensor) -> None:
        """Adds strings, [batch, values]."""
        words, numbers = np.unique(values.values.numpy(), return_inverse=True)
        pairs = np.unique(np.stack([values.indices[:, 0].numpy(), numbers]), axis=1)  # each word once per record
        having = np.bincount(pairs[1], minlength=len(words))
        self.counts.update(dict(zip(words.tolist(), having.tolist(), strict=True)))
        self.count += int(values.dense_shape[0])

    def merge(self, other: DocumentFrequency) -> None:
        self.count += other.count
        self.counts.update(other.counts)

    def answer(self, vocabulary: Sequence[bytes]) -> tuple[int, tuple[int, ...]]:
        """Number of all records, and of those with each word."""
        return self.count, tuple(self.counts[word] for word in vocabulary)


ACCUMULATORS: tuple[type[Accumulator], ...] = (
    NumberStatistics,
    QuantileSketches,
    WordCounts,
    DocumentFrequency,
    UnparsedTexts,
)
