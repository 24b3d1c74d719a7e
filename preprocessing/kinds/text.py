"""Feature kind `text`: a text for a hub module, or a bag of n-grams."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.categorical import ComputedVocabulary, computed_ids, vocabulary_name
from hubline.preprocessing.kinds.embedding import Embedding, Encode
from hubline.preprocessing.kinds.kind import CategoryKind, TransformContext, Values


class Bag(Section):
    """Texts as bags of n-grams."""

    ngrams: tuple[Annotated[int, Field(ge=1, le=10)], Annotated[int, Field(ge=1, le=10)]] = (1, 1)
    """Minimum and maximum number of words in an n-gram."""
    lower: bool = True
    """Whether to lower-case texts."""
    vocabulary: ComputedVocabulary = ComputedVocabulary(top_k=10_000)
    """Limits of the vocabulary of n-grams."""
    tf_idf: bool = False
    """Whether to weight n-grams by tf-idf: the n-gram's share of the text times the logarithm of its inverse document
    frequency."""

    @field_validator("ngrams")
    @classmethod
    def _ascending(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError(f"the first must not be greater, such as [1, 2]; got [{value[0]}, {value[1]}]")
        return value

    @model_validator(mode="after")
    def _bounded(self) -> Bag:
        if self.tf_idf and self.vocabulary.top_k is None:
            raise ValueError("tf_idf needs a limit on the number of n-grams: set vocabulary.top_k")
        return self


class TextFeature(CategoryKind):
    """A text in UTF-8."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    kind: Literal["text"]
    bag: Bag | None = None
    """Splits texts into n-grams. Default: texts go to a hub module unchanged."""
    encode: Encode = "multi_hot"
    """How the model encodes the bag, as for any categorical feature."""

    @model_validator(mode="after")
    def _keeps_order(self) -> TextFeature:
        in_order = isinstance(self.encode, Embedding) and not isinstance(self.encode.combiner, str)
        if in_order and self.is_weighted:
            raise ValueError("tf_idf has no order, but the combiner needs one; remove one")
        return self

    @property
    def takes_lists(self) -> bool:
        """False: only the first text is used."""
        return False

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """The text, string [batch], empty if missing; or the n-grams of the bag and their weights."""
        return super().transform(name, read) if self.bag else {name: self._text(name, read)}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        return super().inputs(name) if self.bag else {name: tf.TensorSpec([None], tf.string)}

    @property
    def is_model_input(self) -> bool:
        return self.bag is not None and super().is_model_input

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        """Positions of the n-grams in the vocabulary. Unknown n-grams are dropped."""
        ids = computed_ids(self._ngrams(name, read), name, (self.bag or Bag()).vocabulary, read)
        return tf.sparse.retain(ids, ids.values >= 0)

    @property
    def is_weighted(self) -> bool:
        return self.bag is not None and self.bag.tf_idf

    def weighted(self, name: str, read: TransformContext) -> tuple[tf.SparseTensor, tf.SparseTensor]:
        """Distinct n-grams, each with its share of the text times 1 + ln((1 + texts) / (1 + texts with the n-gram)).

        The formula is that of `tft.tfidf`, which would need further passes over the data for its counts.
        """
        ids, most = self.ids(name, read), (self.bag or Bag()).vocabulary.top_k
        assert most is not None  # `_bounded` requires it with tf_idf
        documents = read.analysis.documents(vocabulary_name(name), self._ngrams(name, read), most)
        rarity = 1.0 + tf.math.log((1.0 + documents.count) / (1.0 + documents.having))
        batch, size = ids.dense_shape[0], tf.size(rarity, tf.int64)
        cells, _, counts = tf.unique_with_counts(tf.sort(ids.indices[:, 0] * size + ids.values))
        rows, known = cells // size, cells % size
        of_row = tf.math.unsorted_segment_sum(counts, rows, batch)
        weights = tf.cast(counts / tf.gather(of_row, rows), tf.float32) * tf.gather(rarity, known)
        indices, shape = tf.stack([rows, known], axis=1), tf.stack([batch, size])
        return tf.SparseTensor(indices, known, shape), tf.SparseTensor(indices, weights, shape)

    @property
    def has_words(self) -> bool:
        return True

    def words(self, name: str, transform: tft.TFTransformOutput) -> list[bytes]:
        return transform.vocabulary_by_name(vocabulary_name(name))

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        return transform.vocabulary_size_by_name(vocabulary_name(name))

    def _ngrams(self, name: str, read: TransformContext) -> tf.SparseTensor:
        bag, text = self.bag or Bag(), self._text(name, read)
        words = tf.strings.split(tf.strings.lower(text, encoding="utf-8") if bag.lower else text).to_sparse()
        return tft.ngrams(words, bag.ngrams, " ")

    def _text(self, name: str, read: TransformContext) -> tf.Tensor:
        (column,) = self.reads(name)
        texts = read(column)
        count = texts.dense_shape[0]
        first = tf.sparse.slice(texts, [0, 0], tf.stack([count, 1]))
        return tf.sparse.to_dense(tf.SparseTensor(first.indices, first.values, tf.stack([count, 1])), "")[:, 0]
