"""Kind `numeric`: one number, or a list of a fixed length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from preprocessing.kinds.kind import ColumnType, Kind, Layer, Read, Values
from preprocessing.lazy import tf, tft
from preprocessing.section import Section

if TYPE_CHECKING:
    from preprocessing.analysis import Analysis


class Scale(Section):
    """A given normalisation: the value less `mean`, by `scale`."""

    mean: float = 0.0
    """What is taken away."""
    scale: float = Field(default=1.0, gt=0.0)
    """What the rest is divided by."""


class Numbers(Kind):
    """A kind of numbers that are normalised, each position by itself."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float")

    normalize: Literal["z_score", "min_max", "log1p", "none"] | Scale = "none"
    """`z_score` takes the mean away and divides by the standard deviation, `min_max` brings the least value to 0 and
    the greatest to 1, `log1p` is the natural logarithm of 1 more, {mean: 3, scale: 2} uses what is given. Mean,
    deviation, least and greatest are those of the training split."""
    missing: Literal["mean", "median"] | float = "mean"
    """What stands for a number that is missing or not finite, before it is normalised: that of the training split, or a
    given number."""

    def normalized(self, name: str, values: tf.SparseTensor, length: int, analysis: Analysis) -> tf.Tensor:
        """Numbers by position, float32 [n, length], those that are there; the same filled and normalised."""
        filled = tf.sparse.to_dense(values) + _missing(values) * self._filling(name, values, length, analysis)
        if isinstance(self.normalize, Scale):
            return (filled - self.normalize.mean) / self.normalize.scale
        if self.normalize == "log1p":
            return tf.math.log1p(tf.maximum(filled, -1.0 + 1e-6))
        if self.normalize == "none":
            return filled
        moments = analysis.moments(name, values, length)
        if self.normalize == "z_score":
            return (filled - moments.mean) / _not_zero(moments.deviation)
        return (filled - moments.least) / _not_zero(moments.greatest - moments.least)

    def _filling(self, name: str, values: tf.SparseTensor, length: int, analysis: Analysis) -> tf.Tensor | float:
        if self.missing == "mean":
            return analysis.moments(name, values, length).mean
        if self.missing == "median":
            return tf.concat([_median(f"{name}.median.{n}", _of_place(values, n), analysis) for n in range(length)], 0)
        return self.missing


class NumericFeature(Numbers):
    """Numbers, whole or not."""

    kind: Literal["numeric"]
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """How many numbers a record has; each position is normalised by itself."""
    missing_indicator: bool = False
    """Whether the model is also told, by a 1 for each missing number and a 0 for the others, what was missing."""

    def transform(self, name: str, read: Read) -> dict[str, Values]:
        """Filled and normalised, and then the indicators: float32 [batch, length] or [batch, 2 * length]."""
        (column,) = self.reads(name)
        values = _cut(tf.cast(read(column), tf.float32), self.length)
        normalized = self.normalized(name, values, self.length, read.analysis)
        return {name: tf.concat([normalized, _missing(values)], axis=1) if self.missing_indicator else normalized}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        """The same."""
        return {name: tf.TensorSpec([None, self.length * (1 + self.missing_indicator)], tf.float32)}

    @property
    def takes_lists(self) -> bool:
        """Those of its length."""
        return self.length > 1

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        """As it is."""
        return lambda inputs: inputs[name]


def _cut(values: tf.SparseTensor, length: int) -> tf.SparseTensor:
    """The same with just so many values a record."""
    shape = tf.stack([values.dense_shape[0], length])
    cut = tf.sparse.slice(values, [0, 0], shape)
    return tf.SparseTensor(cut.indices, cut.values, shape)


def _missing(values: tf.SparseTensor) -> tf.Tensor:
    """1 where there is no value, and 0 where there is one; dense."""
    return 1.0 - tf.sparse.to_dense(tf.sparse.map_values(tf.ones_like, values))


def _not_zero(scale: tf.Tensor) -> tf.Tensor:
    """What is the same everywhere is not scaled."""
    return tf.where(scale > 0, scale, 1.0)


def _of_place(values: tf.SparseTensor, place: int) -> tf.Tensor:
    return tf.boolean_mask(values.values, values.indices[:, 1] == place)


def _median(name: str, numbers: tf.Tensor, analysis: Analysis) -> tf.Tensor:
    """Of an even count the mean of the two in the middle: a quantile is one of them, and of the negatives the other."""
    one, other = analysis.quantiles(name, numbers, 2), analysis.quantiles(f"{name}.negative", -numbers, 2)
    return (one - other) / 2.0
