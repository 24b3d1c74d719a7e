"""Base classes of all kinds of feature and of those that yield categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.embedding import Embedding, Encode

if TYPE_CHECKING:
    from hubline.preprocessing.analysis import Analyzer

Values: TypeAlias = "tf.Tensor | tf.SparseTensor"
Layer: TypeAlias = "Callable[[Mapping[str, Values]], tf.Tensor]"
Columns: TypeAlias = "Callable[[str], tf.SparseTensor]"
"""Returns the values of a raw column or the category ids of a feature, sparse [batch, values], by name. Missing values
have no entry."""


@dataclass(frozen=True)
class TransformContext:
    """What a feature's transformation has access to: the current batch, and statistics of the whole training split."""

    columns: Columns
    analysis: Analyzer

    def __call__(self, name: str) -> tf.SparseTensor:
        """Returns the values of a column or the category ids of a feature."""
        return self.columns(name)


class FeatureKind(Section):
    """Base of all kinds of feature, with the defaults that they share."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float", "bytes")
    """Types of raw column that the kind accepts."""

    kind: str
    column: str | None = Field(default=None, alias="from", min_length=1)
    """Column that the feature is made from. Default: the feature's own name."""

    def reads(self, name: str) -> tuple[str, ...]:
        """Names of the columns or features that the feature `name` is made from."""
        return (self.column or name,)

    def accepts(self, name: str) -> dict[str, tuple[ColumnType, ...]]:
        """Accepted column types for each name in `reads` that is a raw column."""
        return dict.fromkeys(self.reads(name), self.takes)

    @property
    def is_derived(self) -> bool:
        """Whether other features that name this one mean its categories, even if a column has the same name."""
        return False

    @property
    def is_model_input(self) -> bool:
        """Whether the model reads the feature through its `layer`, rather than through a hub module or other features
        only."""
        return True

    @property
    def takes_lists(self) -> bool:
        """Whether the feature uses more than the first value of a column."""
        return False

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """The feature's part of the TF Transform `preprocessing_fn`: statistics over the training split, and the
        transformation of a batch.

        Args:
            name: Name of the feature.
            read: Returns the values of each name in `reads`.

        Returns:
            Tensors by name, with the specs in `inputs`.
        """
        raise NotImplementedError

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """Specs of the model's inputs for the feature, by name: the outputs of `transform`, or pixels for images."""
        raise NotImplementedError

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """The input layer of the feature: from `inputs` to float32 [batch, n]."""
        raise NotImplementedError


class CategoryKind(FeatureKind):
    """Base of kinds that yield categories: any number of integers from 0 per record."""

    encode: Encode = "one_hot"
    """How the model encodes the categories: `one_hot` counts each category, `multi_hot` marks each category that is
    present, {embedding: 16} learns a vector per category, and `none` keeps them from the model, for features that only
    others are made from."""

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        """Category ids, int64 [batch, values], from 0 to below `size`."""
        raise NotImplementedError

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """Number of categories."""
        raise NotImplementedError

    def known_size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """Number of categories with a meaning of their own. They come first; the rest are shared buckets."""
        return self.size(name, transform)

    @property
    def is_weighted(self) -> bool:
        """Whether categories have weights."""
        return False

    def weighted(self, name: str, read: TransformContext) -> tuple[tf.SparseTensor, tf.SparseTensor]:
        """For a kind that `is_weighted`: `ids`, and float32 weights of the same shape."""
        raise NotImplementedError

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """`ids` and their weights, with the values of each record packed to the left, because TF Transform writes no
        others."""
        outputs = self.weighted(name, read) if self.is_weighted else [self.ids(name, read)]
        return dict(zip(self.inputs(name), map(_without_gaps, outputs), strict=True))

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        ids = {name: tf.SparseTensorSpec([None, None], tf.int64)}
        return ids | ({_weights(name): tf.SparseTensorSpec([None, None], tf.float32)} if self.is_weighted else {})

    @property
    def is_model_input(self) -> bool:
        return self.encode != "none"

    @property
    def takes_lists(self) -> bool:
        return True

    @property
    def has_words(self) -> bool:
        """Whether the categories are the words of a vocabulary."""
        return False

    def words(self, name: str, transform: tft.TFTransformOutput) -> list[bytes]:
        """For a kind that `has_words`: the words by category, without out-of-vocabulary buckets."""
        raise NotImplementedError

    @property
    def pretrained(self) -> str | None:
        """Name in `hubs` of the module that initializes the embedding, or None."""
        return self.encode.pretrained if isinstance(self.encode, Embedding) else None

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        encoder = self._encoder(self.size(name, transform), name)
        return lambda inputs: encoder(self.given(name, inputs))

    def _encoder(self, size: int, name: str) -> tf.keras.layers.Layer:
        from hubline.preprocessing import encoding_layers, sequence_layers

        if not isinstance(self.encode, Embedding):
            return encoding_layers.CategoryCounts(size, at_most_once=self.encode == "multi_hot", name=name)
        combiner = self.encode.combiner
        if isinstance(combiner, str):
            return encoding_layers.CategoryEmbedding(size, self.encode, combiner, name)
        return sequence_layers.SequenceEmbedding(size, self.encode, combiner, name)

    def linear(self, name: str, transform: tft.TFTransformOutput, outputs: int) -> Layer:
        """Linear layer over the categories: from `inputs` to float32 [batch, outputs]."""
        from hubline.preprocessing import encoding_layers

        layer = encoding_layers.Linear(self.size(name, transform), outputs, name)
        return lambda inputs: layer(self.given(name, inputs))

    def given(self, name: str, inputs: Mapping[str, Values]) -> list[tf.SparseTensor]:
        """This feature's tensors among all inputs of the model."""
        return [inputs[own] for own in self.inputs(name)]


def _without_gaps(values: tf.SparseTensor) -> tf.SparseTensor:
    rows = values.indices[:, 0]
    # A RaggedTensor would do the same with ten times as many operations in the graph.
    (starts,) = tf.unstack(tf.raw_ops.LowerBound(sorted_inputs=[rows], values=[rows], out_type=tf.int64), num=1)
    places = tf.range(tf.size(rows, tf.int64)) - starts
    return tf.SparseTensor(tf.stack([rows, places], axis=1), values.values, values.dense_shape)


def _weights(name: str) -> str:
    return f"{name}.weights"
