"""The interface through which feature kinds request statistics of the training split, with three implementations.

A kind requests statistics while its graph is built, and continues with the result. This happens twice: first with
`RecordingAnalyzer`, which records what to compute of which values, so that everything is computed in one pass; then
with `FixedAnalyzer` and the results, which become constants and tables of the transform graph. `BeamAnalyzer` leaves
the computation to TF Transform's own analyzers.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.config_base import Section

QUANTILE_ERROR = 1e-4
"""Maximum rank error of a computed quantile, as a fraction of all values."""


class VocabularyLimits(Section):
    """Definition of a vocabulary."""

    top_k: int | None = None
    """Maximum number of words; the most frequent are kept."""
    min_count: int | None = None
    """Minimum number of occurrences of a word."""
    file: str | None = None
    """In place of the above, a file with one word per line."""
    oov_buckets: int = 0
    """Number of extra categories that unknown words are hashed into."""


@dataclass(frozen=True)
class Moments:
    """Statistics of numbers at each position, each of shape [length].

    All but the origin are relative to the origin, so that numbers close to each other and far from 0, such as
    timestamps, keep their precision.
    """

    origin: tf.Tensor
    """A number near the others: int64 for integers, otherwise float64."""
    mean: tf.Tensor
    """float64, like the following."""
    deviation: tf.Tensor
    least: tf.Tensor
    greatest: tf.Tensor


@dataclass(frozen=True)
class DocumentFrequencies:
    """Document frequencies of words."""

    count: tf.Tensor
    """Number of all records, float32 []."""
    having: tf.Tensor
    """Number of records with each word, float32 [words], in vocabulary order."""


class Analyzer(Protocol):
    """Statistics of the training split. Each question has a unique name."""

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """Moments of int64 or float64 [batch, length]. Missing values don't count; without any values, all moments are
        0."""

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """Boundaries, [buckets - 1], between buckets with equally many of the numbers, [n]: int64 or float64."""

    def look_up(self, name: str, words: tf.SparseTensor, limits: VocabularyLimits) -> tf.SparseTensor:
        """Positions of words, string [batch, values], in the vocabulary, int64; -1 if unknown.

        Equally frequent words are in reverse alphabetical order, as in `tft.vocabulary`. With a file, the position is
        the line number, from 0.
        """

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> DocumentFrequencies:
        """Document frequencies of the words in a vocabulary of at most `most` words, which was requested before under
        `name`."""

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Counts the texts, string [n], that cannot be parsed; parsed ones are empty here. Returns nothing."""


class BeamAnalyzer:
    """Computes statistics with TF Transform's analyzers."""

    def __init__(self) -> None:
        self._ids: dict[str, tf.SparseTensor] = {}

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        numbers = tf.SparseTensor(values.indices, tf.cast(values.values, tf.float64), values.dense_shape)
        analyzers = tft.mean, tft.var, tft.min, tft.max
        mean, variance, least, greatest = (_finite(each(numbers, reduce_instance_dims=False)) for each in analyzers)
        return Moments(tf.zeros([length], values.dtype), mean, tf.sqrt(variance), least, greatest)

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        found = tft.quantiles(tf.cast(values, tf.float64), buckets, epsilon=QUANTILE_ERROR)[0]
        return tf.cast(found, values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: VocabularyLimits) -> tf.SparseTensor:
        if limits.file is not None:
            return _look_up_in(limits.file, name, words, limits.oov_buckets)
        vocabulary = tft.vocabulary(
            words, top_k=limits.top_k, frequency_threshold=limits.min_count, vocab_filename=name
        )
        ids = tft.apply_vocabulary(words, vocabulary, default_value=-1, num_oov_buckets=limits.oov_buckets)
        self._ids[name] = ids
        return ids

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> DocumentFrequencies:
        """Computed from a table of records by words."""
        ids, count = tf.sparse.retain(self._ids[name], self._ids[name].values >= 0), words.dense_shape[0]
        cells = tf.stack([ids.indices[:, 0], ids.values], axis=1)
        times = tf.scatter_nd(cells, tf.ones_like(ids.values, tf.float32), [count, most])
        having = tft.sum(tf.minimum(times, 1.0), reduce_instance_dims=False)
        return DocumentFrequencies(tft.sum(tf.ones([count])), having)

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Not counted."""


def _look_up_in(file: str, name: str, words: tf.SparseTensor, oov_buckets: int) -> tf.SparseTensor:
    """Looks words up in a table that is part of the graph, where it has the name of the question."""
    tft.annotate_asset(name, file.rpartition("/")[2])
    with tf.init_scope():
        path = tf.constant(file)  # with computed vocabularies as well, TF Transform accepts a path only as a tensor
    return tft.apply_vocabulary(words, path, default_value=-1, num_oov_buckets=oov_buckets)


def _finite(statistic: tf.Tensor) -> tf.Tensor:
    # TF Transform may drop the dimension of a single position.
    return tf.reshape(tf.where(tf.math.is_finite(statistic), statistic, tf.zeros_like(statistic)), [-1])


@dataclass(frozen=True)
class MomentsRequest:
    """A request for moments."""

    length: int


@dataclass(frozen=True)
class QuantilesRequest:
    """A request for quantiles."""

    buckets: int


@dataclass(frozen=True)
class VocabularyRequest:
    """A request for a vocabulary."""

    limits: VocabularyLimits


@dataclass(frozen=True)
class DocumentFrequencyRequest:
    """A request for document frequencies."""

    vocabulary: str
    """Name of the request for the vocabulary."""


@dataclass(frozen=True)
class UnparsedRequest:
    """A request to count unparsable texts."""

    feature: str


Question = MomentsRequest | QuantilesRequest | VocabularyRequest | DocumentFrequencyRequest | UnparsedRequest


class RecordingAnalyzer:
    """Records requests; its results are placeholders of the right shape."""

    def __init__(self) -> None:
        self.questions: dict[str, Question] = {}
        self.values: dict[str, tf.Tensor | tf.SparseTensor] = {}
        """The values of each request in the current batch."""

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """Zeros."""
        self._ask(name, MomentsRequest(length), values)
        zeros = tf.zeros([length], tf.float64)
        return Moments(tf.zeros([length], values.dtype), zeros, zeros, zeros, zeros)

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """Zeros."""
        self._ask(name, QuantilesRequest(buckets), values)
        return tf.zeros([buckets - 1], values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: VocabularyLimits) -> tf.SparseTensor:
        """Zeros. Vocabulary files need no request."""
        if limits.file is None:
            self._ask(name, VocabularyRequest(limits), words.values)
        return tf.sparse.map_values(lambda texts: tf.zeros_like(texts, tf.int64), words)

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> DocumentFrequencies:
        """Zeros."""
        self._ask(f"{name}.documents", DocumentFrequencyRequest(name), words)
        return DocumentFrequencies(tf.constant(0.0), tf.zeros([most]))

    def unread(self, name: str, texts: tf.Tensor) -> None:
        self._ask(f"{name}.unread", UnparsedRequest(name), texts)

    def _ask(self, name: str, question: Question, values: tf.Tensor | tf.SparseTensor) -> None:
        self.questions[name] = question
        self.values[name] = values


Numbers: TypeAlias = tuple[int | float, ...]


class UnparsedColumn(Section):
    """Unparsable texts of a column."""

    values: int
    """Number of values, parsable or not."""
    unread: int
    such_as: tuple[str, ...] = ()
    """Examples."""


class AnalysisResults(Section):
    """Computed statistics by the names of the requests."""

    moments: dict[str, tuple[Numbers, Numbers, Numbers, Numbers, Numbers]]
    """The fields of `Moments`, at each position."""
    quantiles: dict[str, Numbers]
    vocabularies: dict[str, str]
    """File of each vocabulary, one word per line, computed or given."""
    documents: dict[str, tuple[int, tuple[int, ...]]] = {}
    """By vocabulary, the number of all records and of those with each word."""
    unread: dict[str, UnparsedColumn] = {}
    """Unparsable texts by feature."""


class FixedAnalyzer:
    """Returns statistics that are known already."""

    def __init__(self, answers: AnalysisResults) -> None:
        self._answers = answers

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        origin, *distances = self._answers.moments[name]
        return Moments(_constant(origin, values.dtype), *(tf.constant(each, tf.float64) for each in distances))

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        return _constant(self._answers.quantiles[name], values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: VocabularyLimits) -> tf.SparseTensor:
        return _look_up_in(self._answers.vocabularies[name], name, words, limits.oov_buckets)

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> DocumentFrequencies:
        count, having = self._answers.documents[name]
        return DocumentFrequencies(tf.constant(count, tf.float32), tf.constant(having, tf.float32))

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Nothing to do: counted before."""


def _constant(numbers: Numbers, dtype: tf.DType) -> tf.Tensor:
    """Numbers as a tensor of a dtype; zeros, if there were no numbers, fit any dtype."""
    return tf.constant([int(each) if dtype.is_integer else float(each) for each in numbers], dtype)
