"""Base of feature kinds whose column holds encoded files, such as images and sounds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, ClassVar

from hubline.core.lazy_import import tf
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import FeatureKind, TransformContext, Values


class EncodedKind(FeatureKind):
    """Base of kinds with encoded files in a bytes column, decoded record by record where the model needs them."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("bytes",)

    what: ClassVar[str] = "image"
    """What the column holds, for messages."""

    @property
    def is_model_input(self) -> bool:
        """False: only hub modules and backbones take decoded files."""
        return False

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """Returns nothing; encoded files bypass the transform graph so that they are not copied."""
        return {}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        return {name: tf.TensorSpec([None, *self.shape], self.dtype)}

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of what `decoded` returns."""
        raise NotImplementedError

    @property
    def dtype(self) -> tf.DType:
        """Dtype of what `decoded` returns."""
        return tf.uint8

    @property
    def bytes_of_one(self) -> int:
        """Bytes of what `decoded` returns."""
        return math.prod(self.shape) * self.dtype.size

    def encoded_one(self, values: Sequence[Any]) -> tf.Tensor:
        """What `encoded` gives for a single record, from the column's values in Python: a scalar string, or string
        [n]."""
        return self.encoded(tf.sparse.from_dense([list(values)]))[0]

    def encoded(self, column: Values) -> tf.Tensor:
        """Encoded files to decode, string [batch] or [batch, n], from the parsed column."""
        raise NotImplementedError

    def decoded(self, encoded: tf.Tensor) -> tf.Tensor:
        """Decodes one example's row of `encoded`: a tensor of `shape` and `dtype`.

        Raises:
            tf.errors.InvalidArgumentError: if a file cannot be decoded.
        """
        raise NotImplementedError
