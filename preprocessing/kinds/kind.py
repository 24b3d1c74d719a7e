"""What every kind of feature has, and every kind that gives categories."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, TypeAlias

from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.embedding import Embedding, Encode

if TYPE_CHECKING:
    from hubline.preprocessing.analysis import Analysis

Values: TypeAlias = "tf.Tensor | tf.SparseTensor"
Layer: TypeAlias = "Callable[[Mapping[str, Values]], tf.Tensor]"
Columns: TypeAlias = "Callable[[str], tf.SparseTensor]"
"""By name, the values of a raw column or the categories of a feature, [batch, values]; what is missing is not there."""


ColumnType: TypeAlias = Literal["int", "float", "bytes"]
"""What the values of a raw column are: int64, float32, or bytes, as texts and images are."""


@dataclass(frozen=True)
class Read:
    """What a feature can know: of the batch at hand, and of the whole training split."""

    columns: Columns
    analysis: Analysis

    def __call__(self, name: str) -> tf.SparseTensor:
        """The values of a column, or the categories of a feature."""
        return self.columns(name)


class Kind(Section):
    """A kind of feature. What it does not say otherwise holds for every kind."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float", "bytes")
    """What the values of the columns that it is made from may be."""

    kind: str
    column: str | None = Field(default=None, alias="from", min_length=1)
    """The column that it is made from; the feature's own name where this is absent."""

    def reads(self, name: str) -> tuple[str, ...]:
        """What the feature `name` is made from: columns, or other features."""
        return (self.column or name,)

    def accepts(self, name: str) -> dict[str, tuple[ColumnType, ...]]:
        """By what `reads` names, what the values may be where it is a raw column."""
        return dict.fromkeys(self.reads(name), self.takes)

    @property
    def is_derived(self) -> bool:
        """Whether another feature that names this one means its categories, even where a column has that name too."""
        return False

    @property
    def is_taken_in(self) -> bool:
        """Whether the model itself takes it in, by its `layer`, rather than a hub module or only other features."""
        return True

    @property
    def takes_lists(self) -> bool:
        """Whether it uses more than the first value that a record has of a column."""
        return False

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """What is computed over the whole data set, and what is done to a batch with it: a part of `preprocessing_fn`.

        Args:
            name: The feature's.
            read: Gives what `reads` names.

        Returns:
            Tensors by name: `inputs` says which.
        """
        raise NotImplementedError

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """What the model is given of the feature, by name: what `transform` gives, and for images their pixels."""
        raise NotImplementedError

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """How the model takes it in, where it does: from `inputs` to float32 [batch, n]."""
        raise NotImplementedError


class Categories(Kind):
    """A kind that gives categories: whole numbers from 0, any number of them in a record."""

    encode: Encode = "one_hot"
    """How the model takes it in: `one_hot` counts each category, `multi_hot` tells whether it is there, {embedding: 16}
    learns a vector for each; `none` where only other features are made from it."""

    def ids(self, name: str, read: Read) -> tf.SparseTensor:
        """The categories, int64 [batch, values], each from 0 to below `size`."""
        raise NotImplementedError

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """How many categories there are."""
        raise NotImplementedError

    def known_size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """How many of them stand for something of their own: the first ones, before those that share what is rare."""
        return self.size(name, transform)

    @property
    def is_weighted(self) -> bool:
        """Whether there are weights."""
        return False

    def weighted(self, name: str, read: Read) -> tuple[tf.SparseTensor, tf.SparseTensor]:
        """Of a kind that `is_weighted`, `ids` and the weight of each, float32 of the same shape."""
        raise NotImplementedError

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """`ids`, and their weights, those of each record next to each other: TF Transform writes no others."""
        outputs = self.weighted(name, read) if self.is_weighted else [self.ids(name, read)]
        return dict(zip(self.inputs(name), map(_without_gaps, outputs), strict=True))

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """The same."""
        ids = {name: tf.SparseTensorSpec([None, None], tf.int64)}
        return ids | ({_weights(name): tf.SparseTensorSpec([None, None], tf.float32)} if self.is_weighted else {})

    @property
    def is_taken_in(self) -> bool:
        """Unless it is for other features alone."""
        return self.encode != "none"

    @property
    def takes_lists(self) -> bool:
        """All values."""
        return True

    @property
    def has_words(self) -> bool:
        """Whether the categories are the words of a vocabulary."""
        return False

    def words(self, name: str, transform: tft.TFTransformOutput) -> list[bytes]:
        """Of a kind that `has_words`, these by category, without the buckets behind them."""
        raise NotImplementedError

    @property
    def pretrained(self) -> str | None:
        """The hub module, by its name in `hubs`, that the embedding begins with."""
        return self.encode.pretrained if isinstance(self.encode, Embedding) else None

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """As `encode` says."""
        encoder = self._encoder(self.size(name, transform), name)
        return lambda inputs: encoder(self.given(name, inputs))

    def _encoder(self, size: int, name: str) -> tf.keras.layers.Layer:
        from hubline.preprocessing import encoding_layers as encode
        from hubline.preprocessing import sequence_layers as in_order

        if not isinstance(self.encode, Embedding):
            return encode.Counted(size, at_most_once=self.encode == "multi_hot", name=name)
        combiner = self.encode.combiner
        if isinstance(combiner, str):
            return encode.Embedded(size, self.encode, combiner, name)
        return in_order.EmbeddedInOrder(size, self.encode, combiner, name)

    def linear(self, name: str, transform: tft.TFTransformOutput, outputs: int) -> Layer:
        """A linear part over the categories: from `inputs` to float32 [batch, outputs]."""
        from hubline.preprocessing import encoding_layers as encode

        layer = encode.Linear(self.size(name, transform), outputs, name)
        return lambda inputs: layer(self.given(name, inputs))

    def given(self, name: str, inputs: Mapping[str, Values]) -> list[tf.SparseTensor]:
        """Of all inputs of the model, those of this feature."""
        return [inputs[own] for own in self.inputs(name)]


def _without_gaps(values: tf.SparseTensor) -> tf.SparseTensor:
    rows = values.indices[:, 0]
    # Of RaggedTensor, which can do it too, there would be ten times as many operations in the graph.
    (starts,) = tf.unstack(tf.raw_ops.LowerBound(sorted_inputs=[rows], values=[rows], out_type=tf.int64), num=1)
    places = tf.range(tf.size(rows, tf.int64)) - starts
    return tf.SparseTensor(tf.stack([rows, places], axis=1), values.values, values.dense_shape)


def _weights(name: str) -> str:
    return f"{name}.weights"
