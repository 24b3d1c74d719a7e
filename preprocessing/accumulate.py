"""Computes the answers to the questions of an analysis: part by part, in a form that can be kept and merged."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pyarrow as pa
import tensorflow as tf
from tfx_bsl import sketches

from preprocessing.analysis import QUANTILE_ERROR, DocumentsOf, MomentsOf, QuantilesOf, Question, Words

Positions: TypeAlias = tuple[float, ...]


class Accumulator(Protocol):
    """What is known so far; it can be pickled."""

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
    return Ranks() if isinstance(question, QuantilesOf) else Counts()


class Numbers:
    """Count, mean, sum of squared deviations, least and greatest, each by position."""

    def __init__(self, length: int) -> None:
        """Nothing is known yet."""
        self.count: np.ndarray = np.zeros(length)
        self.mean: np.ndarray = np.zeros(length)
        self.squares: np.ndarray = np.zeros(length)
        self.least, self.greatest = np.full(length, np.inf), np.full(length, -np.inf)

    def add(self, values: tf.SparseTensor) -> None:
        """Takes in float32 [batch, length]."""
        places, numbers = values.indices[:, 1].numpy(), values.values.numpy().astype(float)
        batch = Numbers(len(self.count))
        batch.count = np.bincount(places, minlength=len(self.count)).astype(float)
        batch.mean = np.bincount(places, numbers, len(self.count)) / np.maximum(batch.count, 1)
        batch.squares = np.bincount(places, (numbers - batch.mean[places]) ** 2, len(self.count))
        np.minimum.at(batch.least, places, numbers)
        np.maximum.at(batch.greatest, places, numbers)
        self.merge(batch)

    def merge(self, other: Numbers) -> None:
        """Combines the moments of two sets (Chan, Golub and LeVeque 1979, Updating Formulae, eq. 1.5)."""
        count = np.maximum(self.count + other.count, 1)
        apart = other.mean - self.mean
        self.squares += other.squares + apart**2 * self.count * other.count / count
        self.mean += apart * other.count / count
        self.count += other.count
        self.least, self.greatest = np.minimum(self.least, other.least), np.maximum(self.greatest, other.greatest)

    def answer(self) -> tuple[Positions, Positions, Positions, Positions]:
        """Mean, standard deviation, least and greatest by position; 0 where there was no number."""
        there = self.count > 0
        deviation = np.sqrt(self.squares / np.maximum(self.count, 1))
        mean, deviation, least, greatest = (
            tuple(np.where(there, values, 0.0).tolist()) for values in (self.mean, deviation, self.least, self.greatest)
        )
        return mean, deviation, least, greatest


class Ranks:
    """A sketch of the order of numbers, the one that TF Transform takes its quantiles from."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        self._sketch = sketches.QuantilesSketch(QUANTILE_ERROR, 1 << 32, 1)
        self._empty = True

    def add(self, values: tf.Tensor) -> None:
        """Takes in float32 [n]."""
        if len(values):
            self._sketch.AddValues(pa.array(values.numpy().astype(float)))
            self._empty = False

    def merge(self, other: Ranks) -> None:
        """Combines two sketches."""
        self._sketch.Merge(other._sketch)
        self._empty &= other._empty

    def answer(self, buckets: int) -> tuple[float, ...]:
        """The boundaries between so many buckets; all 0 where there was no number."""
        if self._empty:
            return (0.0,) * (buckets - 1)
        # From the least number to the greatest one, both included.
        return tuple(self._sketch.GetQuantiles(buckets).to_pylist()[0])[1:-1]


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
