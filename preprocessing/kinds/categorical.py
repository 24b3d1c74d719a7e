"""Feature kind `categorical`: strings or integers that stand for categories."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, ModelWrapValidatorHandler, field_validator, model_validator

from hubline.core.config_base import FilePath, Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import CategoryKind, TransformContext

Count = Annotated[int, Field(ge=1, le=100_000_000)]


class VocabularyFile(Section):
    """A vocabulary in a text file: one word per line, the first line being category 0."""

    file: FilePath = Field(min_length=1)
    """Path of the file, in UTF-8."""
    sha256: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    """Expected SHA-256 of the file, as `sha256sum` prints it."""


class ComputedVocabulary(Section):
    """The words of the training split, most frequent first; equally frequent words are in reverse alphabetical
    order."""

    top_k: Count | None = None
    """Maximum number of words."""
    min_count: Count | None = None
    """Minimum number of occurrences of a word."""


class CategoricalFeature(CategoryKind):
    """Strings or integers, any number of values per record. Set at most one of `vocabulary`, `hash_buckets` and
    `identity`. Default: a vocabulary computed from the training split."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["categorical"]
    vocabulary: Literal["computed"] | ComputedVocabulary | VocabularyFile | tuple[str, ...] | None = Field(
        default=None, examples=["computed", ["red", "green"], {"top_k": 1000}, {"file": "words.txt"}]
    )
    """The known words: computed from the training split, a list, or a file."""
    oov_buckets: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    """With a vocabulary: number of extra categories that unknown words are hashed into."""
    default: str | int | None = None
    """With a listed vocabulary: the word that replaces unknown words. With `identity`: the number that replaces numbers
    out of range. Without `default` and `oov_buckets`, unknown values count as missing."""
    hash_buckets: Annotated[int, Field(ge=2, le=1_000_000_000)] | None = None
    """In place of a vocabulary: number of categories that words are hashed into."""
    identity: Count | None = Field(default=None, examples=[24])
    """In place of a vocabulary: number of categories, for a column that contains category numbers from 0."""
    weights: str | None = Field(default=None, min_length=1)
    """Column with one weight per word."""

    @model_validator(mode="wrap")
    @classmethod
    def _computed_unless_set(
        cls, value: Any, read: ModelWrapValidatorHandler[CategoricalFeature]
    ) -> CategoricalFeature:
        is_set = isinstance(value, Mapping) and any(
            value.get(key) is not None for key in ("vocabulary", "hash_buckets", "identity")
        )
        if not isinstance(value, Mapping) or is_set:
            return read(value)
        feature = read({**value, "vocabulary": "computed"})
        feature.model_fields_set.discard("vocabulary")  # the file doesn't set it
        return feature

    @field_validator("vocabulary")
    @classmethod
    def _distinct(cls, value: Any) -> Any:
        repeated = sorted({word for word in value if value.count(word) > 1}) if isinstance(value, tuple) else ()
        if repeated:
            raise ValueError(f"words must be unique; repeated: {', '.join(repeated)}")
        return value

    @model_validator(mode="after")
    def _one_way(self) -> CategoricalFeature:
        given = [key for key in ("vocabulary", "hash_buckets", "identity") if getattr(self, key) is not None]
        if len(given) > 1:
            raise ValueError(
                f"set exactly one of vocabulary, hash_buckets and identity; this has {' and '.join(given)}"
            )
        if self.oov_buckets and (self.vocabulary is None or self.default is not None):
            raise ValueError("oov_buckets are for words outside a vocabulary, and replace a default")
        if self.default is not None:
            self._check_default()
        return self

    def _check_default(self) -> None:
        if self.identity is not None:
            if not isinstance(self.default, int) or not 0 <= self.default < self.identity:
                raise ValueError(f"default is {self.default!r}; it must be a number from 0 to {self.identity - 1}")
        elif not isinstance(self.vocabulary, tuple):
            raise ValueError("default requires identity or a listed vocabulary; use oov_buckets")
        elif str(self.default) not in self.vocabulary:
            raise ValueError(
                f"default is '{self.default}', which is not in the vocabulary: {', '.join(self.vocabulary)}"
            )

    def reads(self, name: str) -> tuple[str, ...]:
        return (self.column or name, *([self.weights] if self.weights else []))

    def accepts(self, name: str) -> dict[str, tuple[ColumnType, ...]]:
        weights: dict[str, tuple[ColumnType, ...]] = {self.weights: ("int", "float")} if self.weights else {}
        return super().accepts(name) | weights

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        """The position of each word in the vocabulary, or its hash bucket. Unknown words are dropped."""
        ids = self._all_ids(name, read)
        return tf.sparse.retain(ids, ids.values >= 0)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """Number of words and out-of-vocabulary buckets."""
        if isinstance(self.vocabulary, tuple):
            return len(self.vocabulary) + self.oov_buckets
        if self.vocabulary is not None:
            return transform.vocabulary_size_by_name(vocabulary_name(name)) + self.oov_buckets
        return self.hash_buckets or self.identity or 0

    def known_size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """Number of words, without out-of-vocabulary buckets."""
        return self.size(name, transform) - self.oov_buckets

    @property
    def is_chosen(self) -> bool:
        """Whether the pipeline file, rather than the data, determines the categories."""
        return self.identity is not None or isinstance(self.vocabulary, tuple | VocabularyFile)

    @property
    def has_words(self) -> bool:
        return self.vocabulary is not None

    def words(self, name: str, transform: tft.TFTransformOutput) -> list[bytes]:
        if isinstance(self.vocabulary, tuple):
            return [word.encode() for word in self.vocabulary]
        return transform.vocabulary_by_name(vocabulary_name(name))

    @property
    def is_weighted(self) -> bool:
        return self.weights is not None

    def weighted(self, name: str, read: TransformContext) -> tuple[tf.SparseTensor, tf.SparseTensor]:
        """Category ids and the weight of each; a missing weight is 1."""
        ids, weights = self._all_ids(name, read), tf.cast(read(self.weights or ""), tf.float32)
        width = tf.maximum(ids.dense_shape[1], weights.dense_shape[1])
        wide = tf.sparse.reset_shape(weights, tf.stack([ids.dense_shape[0], width]))
        found = tf.gather_nd(tf.sparse.to_dense(wide, 1.0), ids.indices)
        known = ids.values >= 0
        both = ids, tf.SparseTensor(ids.indices, found, ids.dense_shape)
        return tf.sparse.retain(both[0], known), tf.sparse.retain(both[1], known)

    def _all_ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        """Category ids of all values; -1 for unknown ones."""
        values = read(self.reads(name)[0])
        if self.identity is not None:
            return tf.sparse.map_values(self._identity, values)
        words = tf.sparse.map_values(as_words, values)
        if self.hash_buckets is not None:
            return tf.sparse.map_values(lambda texts: tf.strings.to_hash_bucket_fast(texts, self.hash_buckets), words)
        if self.vocabulary == "computed" or isinstance(self.vocabulary, ComputedVocabulary):
            limits = self.vocabulary if isinstance(self.vocabulary, ComputedVocabulary) else ComputedVocabulary()
            return computed_ids(words, name, limits, read, self.oov_buckets)
        if isinstance(self.vocabulary, VocabularyFile):
            return _ids_by_file(words, name, self.vocabulary.file, read, self.oov_buckets)
        return tf.sparse.map_values(self._look_up, words)

    def _identity(self, values: tf.Tensor) -> tf.Tensor:
        if values.dtype == tf.string:  # digits such as 07 are numbers; any other text is unknown
            digits = tf.strings.regex_full_match(values, r"[0-9]{1,18}")
            values = tf.strings.to_number(tf.where(digits, values, "-1"), tf.int64)
        known = (values >= 0) & (values < self.identity)
        return tf.where(known, values, -1 if self.default is None else int(self.default))

    def _look_up(self, words: tf.Tensor) -> tf.Tensor:
        if self.oov_buckets:
            return tf.lookup.StaticVocabularyTable(self._table(), self.oov_buckets).lookup(words)
        listed = self.vocabulary if isinstance(self.vocabulary, tuple) else ()
        default = -1 if self.default is None else listed.index(str(self.default))
        return tf.lookup.StaticHashTable(self._table(), default).lookup(words)

    def _table(self) -> tf.lookup.KeyValueTensorInitializer:
        words = list(self.vocabulary) if isinstance(self.vocabulary, tuple) else []
        return tf.lookup.KeyValueTensorInitializer(tf.constant(words, tf.string), tf.range(len(words), dtype=tf.int64))


def vocabulary_name(feature: str) -> str:
    """Name of a feature's vocabulary among the assets of the transform graph, whether computed or given."""
    return f"feature_{feature}"


def computed_ids(
    words: tf.SparseTensor, name: str, limits: ComputedVocabulary, read: TransformContext, oov_buckets: int = 0
) -> tf.SparseTensor:
    """Positions of words, string [batch, values], in the vocabulary computed from them; -1 if unknown."""
    from hubline.preprocessing.analysis import VocabularyLimits

    wanted = VocabularyLimits(top_k=limits.top_k, min_count=limits.min_count, oov_buckets=oov_buckets)
    return read.analysis.look_up(vocabulary_name(name), words, wanted)


def _ids_by_file(
    words: tf.SparseTensor, name: str, file: str, read: TransformContext, oov_buckets: int
) -> tf.SparseTensor:
    """The line number of each word in the file, from 0; -1 if it isn't there."""
    from hubline.preprocessing.analysis import VocabularyLimits

    return read.analysis.look_up(vocabulary_name(name), words, VocabularyLimits(file=file, oov_buckets=oov_buckets))


def as_words(values: tf.Tensor) -> tf.Tensor:
    """Integers as decimal strings; strings unchanged."""
    return values if values.dtype == tf.string else tf.strings.as_string(values)
