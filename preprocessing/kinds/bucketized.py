"""Feature kind `bucketized`: the bucket of a number."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import CategoryKind, TransformContext


class BucketizedFeature(CategoryKind):
    """A number as a category. Bucket k holds values from boundary k - 1 (inclusive) to boundary k (exclusive)."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float")

    kind: Literal["bucketized"]
    boundaries: tuple[int | float, ...] | None = Field(default=None, min_length=1, examples=[[18, 35, 65]])
    """Bucket boundaries, ascending."""
    buckets: Annotated[int, Field(ge=2, le=100_000)] | None = Field(default=None, examples=[10])
    """In place of `boundaries`: number of buckets, bounded by quantiles of the training split."""

    @model_validator(mode="after")
    def _one_way(self) -> BucketizedFeature:
        if (self.boundaries is None) == (self.buckets is None):
            raise ValueError("set either boundaries or buckets, the number of quantile buckets")
        unordered = [f"{low:g}, {high:g}" for low, high in pairwise(self.boundaries or ()) if low >= high]
        if unordered:
            raise ValueError(f"boundaries must be strictly ascending; see {'; '.join(unordered)}")
        return self

    @property
    def is_derived(self) -> bool:
        """True, because a number itself cannot be crossed."""
        return True

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        (column,) = self.reads(name)
        from hubline.preprocessing import exact_arithmetic as exact

        values = tf.sparse.map_values(exact.wide, read(column))
        if self.boundaries is not None:
            boundaries = self._given(values.dtype)
        else:
            boundaries = read.analysis.quantiles(name, values.values, self.buckets or 0)
        return tf.sparse.map_values(
            lambda numbers: tf.searchsorted(boundaries, numbers, side="right", out_type=tf.int64), values
        )

    def _given(self, dtype: tf.DType) -> tf.Tensor:
        """The boundaries in the values' dtype: rounded up to integers, or to float32, which the column's floats are."""
        from hubline.preprocessing import exact_arithmetic as exact

        bounds = self.boundaries or ()
        if dtype.is_integer:
            return tf.constant([exact.least_whole(bound) for bound in bounds], dtype)
        return tf.cast(tf.constant(bounds, tf.float32), dtype)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        return self.buckets or len(self.boundaries or ()) + 1
