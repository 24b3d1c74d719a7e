"""Feature kind `crossed`: combinations of categories."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from hubline.core.errors import DataError
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import CategoryKind, TransformContext


class CrossedFeature(CategoryKind):
    """Every combination of values of several columns or features, hashed into categories.

    The hash is that of `tf.feature_column.crossed_column`.
    """

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["crossed"]
    column: None = Field(default=None, alias="from", exclude=True)
    """Not used: `of` names the inputs of a cross."""
    of: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=2, examples=[["area", "hour_bucket"]])
    """Inputs of the cross: string or integer columns, or categorical features such as bucketized ones."""
    hash_buckets: Annotated[int, Field(ge=2, le=1_000_000_000)]
    """Number of categories that combinations are hashed into."""

    @field_validator("of")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"a cross needs distinct inputs; repeated: {', '.join(repeated)}")
        return value

    def reads(self, name: str) -> tuple[str, ...]:
        return self.of

    @property
    def is_derived(self) -> bool:
        """True: no column holds the combinations."""
        return True

    def ids(self, name: str, read: TransformContext) -> tf.SparseTensor:
        """The hash bucket of each combination; none if one of the inputs is missing.

        Raises:
            DataError: if a column contains floats.
        """
        crossed = {each: read(each) for each in self.of}
        floats = [each for each, values in crossed.items() if values.dtype.is_floating]
        if floats:
            raise DataError(
                f"features.{name} crosses '{floats[0]}', which holds floats; cross a bucketized feature made from it"
            )
        return tf.sparse.cross_hashed(list(crossed.values()), self.hash_buckets)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        return self.hash_buckets
