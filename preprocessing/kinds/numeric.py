"""Kind `numeric`: one number, or a list of a fixed length."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.kinds.kind import ColumnType, Kind, Layer, Read, Values

if TYPE_CHECKING:
    from hubline.preprocessing.analysis import Analysis, Moments


class Scale(Section):
    """A given normalisation: the value less `mean`, by `scale`."""

    mean: int | float = 0.0
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
    missing: Literal["mean", "median"] | int | float = "mean"
    """What stands for a number that is missing or not finite, before it is normalised: that of the training split, or a
    given number."""

    def normalized(self, name: str, values: tf.SparseTensor, length: int, analysis: Analysis) -> tf.Tensor:
        """Filled and normalised, float32 [n, length].

        Args:
            name: The feature's.
            values: Numbers by position, int64 or float32 [n, length], those that are there.
            length: How many positions there are.
            analysis: Answers about the training split.
        """
        from hubline.preprocessing import exact_arithmetic as exact

        values = tf.sparse.map_values(exact.wide, values)
        places = values.indices[:, 1]
        moments = self._moments(name, values, length, analysis)
        # All that follows counts from the origin, so that numbers that lie close together stay apart.
        there = exact.minus(values.values, tf.gather(moments.origin, places))
        distances = tf.sparse.to_dense(tf.SparseTensor(values.indices, there, values.dense_shape))
        filled = distances + tf.cast(_missing(values), tf.float64) * self._filling(name, values, moments, analysis)
        return tf.cast(self._scaled(filled, moments), tf.float32)

    def _scaled(self, filled: tf.Tensor, moments: Moments) -> tf.Tensor:
        """Numbers that count from the origin, normalised, float64."""
        from hubline.preprocessing import exact_arithmetic as exact

        if isinstance(self.normalize, Scale):
            return (filled - exact.minus(exact.constant(self.normalize.mean), moments.origin)) / self.normalize.scale
        if self.normalize == "z_score":
            return (filled - moments.mean) / _not_zero(moments.deviation)
        if self.normalize == "min_max":
            return (filled - moments.least) / _not_zero(moments.greatest - moments.least)
        whole = filled + tf.cast(moments.origin, tf.float64)
        return tf.math.log1p(tf.maximum(whole, -1.0 + 1e-6)) if self.normalize == "log1p" else whole

    def _moments(self, name: str, values: tf.SparseTensor, length: int, analysis: Analysis) -> Moments:
        """Those of the training split where they are needed; else what counts from a given mean, or from 0."""
        from hubline.preprocessing import exact_arithmetic as exact
        from hubline.preprocessing.analysis import Moments

        if self.missing == "mean" or self.normalize in ("z_score", "min_max"):
            return analysis.moments(name, values, length)
        mean = self.normalize.mean if isinstance(self.normalize, Scale) else 0
        given = exact.least_whole(mean) if values.dtype.is_integer else mean
        zeros = tf.zeros([length], tf.float64)
        return Moments(tf.fill([length], tf.constant(given, values.dtype)), zeros, zeros, zeros, zeros)

    def _filling(self, name: str, values: tf.SparseTensor, moments: Moments, analysis: Analysis) -> tf.Tensor:
        """What stands for a missing number at each position, counted from the origin, float64 [length]."""
        from hubline.preprocessing import exact_arithmetic as exact

        if self.missing == "mean":
            return moments.mean
        if self.missing == "median":
            origins = enumerate(tf.unstack(moments.origin))
            return tf.concat(
                [_median(f"{name}.median.{n}", _of_place(values, n), at, analysis) for n, at in origins], 0
            )
        return exact.minus(exact.constant(self.missing), moments.origin)


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
        values = _cut(read(column), self.length)
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
    """1 where there is no value, and 0 where there is one; dense, float32."""
    return 1.0 - tf.sparse.to_dense(tf.sparse.map_values(lambda numbers: tf.ones_like(numbers, tf.float32), values))


def _not_zero(scale: tf.Tensor) -> tf.Tensor:
    """What is the same everywhere is not scaled."""
    return tf.where(scale > 0, scale, tf.ones_like(scale))


def _of_place(values: tf.SparseTensor, place: int) -> tf.Tensor:
    return tf.boolean_mask(values.values, values.indices[:, 1] == place)


def _median(name: str, numbers: tf.Tensor, origin: tf.Tensor, analysis: Analysis) -> tf.Tensor:
    """The median of numbers, [n], counted from an origin, float64 [1].

    Of an even count it is the mean of the two in the middle: a quantile is one of them, and of the negatives the other.
    """
    from hubline.preprocessing import exact_arithmetic as exact

    negatives = -tf.maximum(numbers, -numbers.dtype.max)  # the least integer has no negative
    one, other = analysis.quantiles(name, numbers, 2), -analysis.quantiles(f"{name}.negative", negatives, 2)
    return (exact.minus(one, origin) + exact.minus(other, origin)) / 2.0
