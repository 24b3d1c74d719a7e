"""Kind `crossed`: combinations of categories."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, field_validator

from hubline.core.errors import DataError
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.kind import Categories, ColumnType, Read


class CrossedFeature(Categories):
    """Every combination of the values of some columns or features, spread over categories by its hash.

    The hash is the one of `tf.feature_column.crossed_column`.
    """

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "bytes")

    kind: Literal["crossed"]
    column: None = Field(default=None, alias="from", exclude=True)
    """A cross is made `of` several."""
    of: tuple[Annotated[str, Field(min_length=1)], ...] = Field(min_length=2, examples=[["area", "hour_bucket"]])
    """Columns of words or whole numbers, or features that give categories, such as bucketized ones."""
    hash_buckets: Annotated[int, Field(ge=2, le=1_000_000_000)]
    """Among how many categories the combinations are spread."""

    @field_validator("of")
    @classmethod
    def _distinct(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        repeated = sorted({name for name in value if value.count(name) > 1})
        if repeated:
            raise ValueError(f"nothing is crossed with itself; repeated: {', '.join(repeated)}")
        return value

    def reads(self, name: str) -> tuple[str, ...]:
        """What is crossed."""
        return self.of

    @property
    def is_derived(self) -> bool:
        """No column holds it."""
        return True

    def ids(self, name: str, read: Read) -> tf.SparseTensor:
        """The hash of each combination; none where one of them is missing.

        Raises:
            DataError: where a column holds floats.
        """
        crossed = {each: read(each) for each in self.of}
        floats = [each for each, values in crossed.items() if values.dtype.is_floating]
        if floats:
            raise DataError(
                f"features.{name} crosses '{floats[0]}', which holds floats; cross a bucketized feature made from it"
            )
        return tf.sparse.cross_hashed(list(crossed.values()), self.hash_buckets)

    def size(self, name: str, transform: tft.TFTransformOutput) -> int:
        """`hash_buckets`."""
        return self.hash_buckets
