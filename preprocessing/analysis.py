"""What the kinds of feature ask of the whole training split, and three that answer.

A kind asks while its graph is made, and goes on with the answer. It is asked twice: once by `Asking`, which takes down
what is to be computed of which values, so that all of it is computed in one pass; and then with `Known` answers, which
become constants and tables of the transform graph. `InBeam` leaves the computing to TF Transform's own analyzers.
"""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.config_base import Section

QUANTILE_ERROR = 1e-4
"""How far, in ranks, a computed quantile may be off, as a share of all values."""


class Words(Section):
    """What makes a vocabulary."""

    top_k: int | None = None
    """The most frequent ones alone, so many."""
    min_count: int | None = None
    """None that is rarer."""
    file: str | None = None
    """Instead of all that, the words in a file, one to a line."""
    oov_buckets: int = 0
    """Categories behind the vocabulary that share the other words, by their hash."""


@dataclass(frozen=True)
class Moments:
    """Statistics of numbers by position, each [length].

    All but the origin are distances from it, so that none is lost to rounding where numbers lie close together and far
    from 0, as points in time do.
    """

    origin: tf.Tensor
    """A number near the others: int64 of whole numbers, and else float64."""
    mean: tf.Tensor
    """This and the following are float64."""
    deviation: tf.Tensor
    least: tf.Tensor
    greatest: tf.Tensor


@dataclass(frozen=True)
class Documents:
    """In how many records words are."""

    count: tf.Tensor
    """All records, float32 []."""
    having: tf.Tensor
    """Those that have a word, float32 [words], by its position in the vocabulary."""


class Analysis(Protocol):
    """Answers about the training split. Each question has a name of its own."""

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """Of int64 or float64 [batch, length]; of what is not there nothing counts, and all is 0 where nothing is."""

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """The boundaries, [buckets - 1], between buckets of equally many of some numbers, [n]: int64 or float64."""

    def look_up(self, name: str, words: tf.SparseTensor, limits: Words) -> tf.SparseTensor:
        """The position of words, string [batch, values], among the most frequent ones, int64; -1 where unknown.

        Of equally frequent words the last in order comes first, as in `tft.vocabulary`. Where they are those of a file,
        the position is the number of the line, from 0.
        """

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> Documents:
        """In how many records the words are of a vocabulary of at most so many, asked for before by its name."""

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Counts the texts, string [n], that cannot be read; those that can be are empty here. Nothing is answered."""


class InBeam:
    """Has TF Transform compute the answers."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self._ids: dict[str, tf.SparseTensor] = {}

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """As asked."""
        numbers = tf.SparseTensor(values.indices, tf.cast(values.values, tf.float64), values.dense_shape)
        analyzers = tft.mean, tft.var, tft.min, tft.max
        mean, variance, least, greatest = (_finite(each(numbers, reduce_instance_dims=False)) for each in analyzers)
        return Moments(tf.zeros([length], values.dtype), mean, tf.sqrt(variance), least, greatest)

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """As asked."""
        found = tft.quantiles(tf.cast(values, tf.float64), buckets, epsilon=QUANTILE_ERROR)[0]
        return tf.cast(found, values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: Words) -> tf.SparseTensor:
        """As asked."""
        if limits.file is not None:
            return _look_up_in(limits.file, name, words, limits.oov_buckets)
        vocabulary = tft.vocabulary(
            words, top_k=limits.top_k, frequency_threshold=limits.min_count, vocab_filename=name
        )
        ids = tft.apply_vocabulary(words, vocabulary, default_value=-1, num_oov_buckets=limits.oov_buckets)
        self._ids[name] = ids
        return ids

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> Documents:
        """As asked, by a table of records and words."""
        ids, count = tf.sparse.retain(self._ids[name], self._ids[name].values >= 0), words.dense_shape[0]
        cells = tf.stack([ids.indices[:, 0], ids.values], axis=1)
        times = tf.scatter_nd(cells, tf.ones_like(ids.values, tf.float32), [count, most])
        having = tft.sum(tf.minimum(times, 1.0), reduce_instance_dims=False)
        return Documents(tft.sum(tf.ones([count])), having)

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Not counted."""


def _look_up_in(file: str, name: str, words: tf.SparseTensor, oov_buckets: int) -> tf.SparseTensor:
    """By a table that comes with the graph, and is known by the name of the question there."""
    tft.annotate_asset(name, file.rpartition("/")[2])
    with tf.init_scope():
        path = tf.constant(file)  # beside vocabularies that it computes, TF Transform takes no path but a tensor
    return tft.apply_vocabulary(words, path, default_value=-1, num_oov_buckets=oov_buckets)


def _finite(statistic: tf.Tensor) -> tf.Tensor:
    # TF Transform may say of one position that it is none.
    return tf.reshape(tf.where(tf.math.is_finite(statistic), statistic, tf.zeros_like(statistic)), [-1])


@dataclass(frozen=True)
class MomentsOf:
    """A question for moments."""

    length: int


@dataclass(frozen=True)
class QuantilesOf:
    """A question for quantiles."""

    buckets: int


@dataclass(frozen=True)
class WordsOf:
    """A question for a vocabulary."""

    limits: Words


@dataclass(frozen=True)
class DocumentsOf:
    """A question for documents."""

    vocabulary: str
    """The question for words whose answer it is about."""


@dataclass(frozen=True)
class UnreadOf:
    """A question for what cannot be read."""

    feature: str


Question = MomentsOf | QuantilesOf | WordsOf | DocumentsOf | UnreadOf


class Asking:
    """Takes down the questions, and gives answers that are of use for nothing but their shapes."""

    def __init__(self) -> None:
        """Nothing is asked yet."""
        self.questions: dict[str, Question] = {}
        self.values: dict[str, tf.Tensor | tf.SparseTensor] = {}
        """What each question is about, of the batch at hand."""

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """Zeros."""
        self._ask(name, MomentsOf(length), values)
        zeros = tf.zeros([length], tf.float64)
        return Moments(tf.zeros([length], values.dtype), zeros, zeros, zeros, zeros)

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """Zeros."""
        self._ask(name, QuantilesOf(buckets), values)
        return tf.zeros([buckets - 1], values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: Words) -> tf.SparseTensor:
        """Zeros. What is in a file is not asked for."""
        if limits.file is None:
            self._ask(name, WordsOf(limits), words.values)
        return tf.sparse.map_values(lambda texts: tf.zeros_like(texts, tf.int64), words)

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> Documents:
        """Of nothing."""
        self._ask(f"{name}.documents", DocumentsOf(name), words)
        return Documents(tf.constant(0.0), tf.zeros([most]))

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Asked."""
        self._ask(f"{name}.unread", UnreadOf(name), texts)

    def _ask(self, name: str, question: Question, values: tf.Tensor | tf.SparseTensor) -> None:
        self.questions[name] = question
        self.values[name] = values


Numbers: TypeAlias = tuple[int | float, ...]


class Unread(Section):
    """How much of a column cannot be read."""

    values: int
    """Those that are there, read or not."""
    unread: int
    such_as: tuple[str, ...] = ()
    """Some of them."""


class Answers(Section):
    """What was computed, by the names of the questions."""

    moments: dict[str, tuple[Numbers, Numbers, Numbers, Numbers, Numbers]]
    """By position, what `Moments` has."""
    quantiles: dict[str, Numbers]
    vocabularies: dict[str, str]
    """The file that holds each, a word to a line, computed or given."""
    documents: dict[str, tuple[int, tuple[int, ...]]] = {}
    """By vocabulary, the records, and those that have each word."""
    unread: dict[str, Unread] = {}
    """By feature, what of its column cannot be read."""


class Known:
    """Gives answers that are known."""

    def __init__(self, answers: Answers) -> None:
        """Takes the answers."""
        self._answers = answers

    def moments(self, name: str, values: tf.SparseTensor, length: int) -> Moments:
        """As constants."""
        origin, *distances = self._answers.moments[name]
        return Moments(_constant(origin, values.dtype), *(tf.constant(each, tf.float64) for each in distances))

    def quantiles(self, name: str, values: tf.Tensor, buckets: int) -> tf.Tensor:
        """As a constant."""
        return _constant(self._answers.quantiles[name], values.dtype)

    def look_up(self, name: str, words: tf.SparseTensor, limits: Words) -> tf.SparseTensor:
        """By a table that comes with the graph."""
        return _look_up_in(self._answers.vocabularies[name], name, words, limits.oov_buckets)

    def documents(self, name: str, words: tf.SparseTensor, most: int) -> Documents:
        """As constants."""
        count, having = self._answers.documents[name]
        return Documents(tf.constant(count, tf.float32), tf.constant(having, tf.float32))

    def unread(self, name: str, texts: tf.Tensor) -> None:
        """Counted before."""


def _constant(numbers: Numbers, dtype: tf.DType) -> tf.Tensor:
    """Numbers of a type; where there were none to compute them from, they are zeros of any."""
    return tf.constant([int(each) if dtype.is_integer else float(each) for each in numbers], dtype)
