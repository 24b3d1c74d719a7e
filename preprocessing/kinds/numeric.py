"""Feature kind `numeric`: one number, or a list of fixed length."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import Section
from hubline.core.lazy_import import tf, tft
from hubline.preprocessing.column_type import ColumnType
from hubline.preprocessing.kinds.kind import FeatureKind, Layer, TransformContext, Values

if TYPE_CHECKING:
    from hubline.preprocessing.analysis import Analyzer, Moments


_EXACT = (1 << 24) - 1
"""Float32 numbers up to this are one integer each; 2^24 is also what 2^24 + 1 becomes."""


class Scale(Section):
    """Normalization with given constants: (value - `mean`) / `scale`."""

    mean: int | float = 0.0
    """Subtracted from each value."""
    scale: float = Field(default=1.0, gt=0.0)
    """Divisor of the difference."""


class NumberKind(FeatureKind):
    """Base of numeric kinds. Each position is normalized separately."""

    takes: ClassVar[tuple[ColumnType, ...]] = ("int", "float")

    normalize: Literal["z_score", "min_max", "log1p", "none"] | Scale = "none"
    """`z_score` subtracts the mean and divides by the standard deviation; `min_max` maps the minimum to 0 and the
    maximum to 1; `log1p` is the z-score of log(1 + x), for skewed numbers; {mean: 3, scale: 2} uses given constants.
    All statistics are those of the training split."""
    missing: Literal["mean", "median"] | int | float = "mean"
    """Replacement for missing and non-finite numbers, before normalization: the mean or median of the training split,
    or a constant."""

    @property
    def needs_statistics(self) -> bool:
        """Whether normalization or filling depends on the training split."""
        return self.missing in ("mean", "median") or self.normalize in ("z_score", "min_max", "log1p")

    def normalized(self, name: str, values: tf.SparseTensor, length: int, analysis: Analyzer) -> tf.Tensor:
        """Fills in missing numbers and normalizes: float32 [n, length].

        Args:
            name: Name of the feature.
            values: Sparse int64 or float32 [n, length].
            length: Number of positions.
            analysis: Statistics of the training split.
        """
        from hubline.preprocessing import exact_arithmetic as exact

        values = tf.sparse.map_values(exact.wide, values)
        places = values.indices[:, 1]
        moments = self._moments(name, values, length, analysis)
        # All that follows is relative to the origin, so that large numbers close to each other keep their precision.
        there = exact.minus(values.values, tf.gather(moments.origin, places))
        distances = tf.sparse.to_dense(tf.SparseTensor(values.indices, there, values.dense_shape))
        filled = distances + tf.cast(_missing(values), tf.float64) * self._filling(name, values, moments, analysis)
        if self.normalize == "log1p":
            logarithms = analysis.moments(f"{name}.log1p", tf.sparse.map_values(_log1p, values), length)
            off = _log1p(filled + tf.cast(moments.origin, tf.float64)) - logarithms.origin
            return tf.cast(_z_score(off, logarithms), tf.float32)
        return tf.cast(self._scaled(filled, moments), tf.float32)

    def _scaled(self, filled: tf.Tensor, moments: Moments) -> tf.Tensor:
        """Normalizes numbers that are relative to the origin; float64."""
        from hubline.preprocessing import exact_arithmetic as exact

        if isinstance(self.normalize, Scale):
            return (filled - exact.minus(exact.constant(self.normalize.mean), moments.origin)) / self.normalize.scale
        if self.normalize == "z_score":
            return _z_score(filled, moments)
        if self.normalize == "min_max":
            return (filled - moments.least) / _not_zero(moments.greatest - moments.least)
        return filled + tf.cast(moments.origin, tf.float64)

    def _moments(self, name: str, values: tf.SparseTensor, length: int, analysis: Analyzer) -> Moments:
        """Moments of the training split if they are needed; otherwise only an origin, the given mean or 0."""
        from hubline.preprocessing import exact_arithmetic as exact
        from hubline.preprocessing.analysis import Moments

        if self.missing == "mean" or self.normalize in ("z_score", "min_max"):
            return analysis.moments(name, values, length)
        mean = self.normalize.mean if isinstance(self.normalize, Scale) else 0
        given = exact.least_whole(mean) if values.dtype.is_integer else mean
        zeros = tf.zeros([length], tf.float64)
        return Moments(tf.fill([length], tf.constant(given, values.dtype)), zeros, zeros, zeros, zeros)

    def _filling(self, name: str, values: tf.SparseTensor, moments: Moments, analysis: Analyzer) -> tf.Tensor:
        """The replacement for missing numbers at each position, relative to the origin, float64 [length]."""
        from hubline.preprocessing import exact_arithmetic as exact

        if self.missing == "mean":
            return moments.mean
        if self.missing == "median":
            origins = enumerate(tf.unstack(moments.origin))
            return tf.concat(
                [_median(f"{name}.median.{n}", _of_place(values, n), at, analysis) for n, at in origins], 0
            )
        return exact.minus(exact.constant(self.missing), moments.origin)


class NumericFeature(NumberKind):
    """Numbers, integer or float."""

    kind: Literal["numeric"]
    length: Annotated[int, Field(ge=1, le=1_000_000)] = 1
    """Numbers per record. Each position is normalized separately."""
    shape: tuple[Annotated[int, Field(ge=1)], ...] | None = Field(
        default=None, min_length=1, max_length=8, examples=[[28, 28, 1]]
    )
    """For the input of a hub module or a `builder` backbone: the shape of one record's `length` numbers, row by row.
    Default: [length]."""
    missing_indicator: bool = False
    """Whether to add an input per number that is 1 if the number was missing and 0 otherwise."""

    @model_validator(mode="after")
    def _shape_has_the_length(self) -> NumericFeature:
        if self.shape is not None and math.prod(self.shape) != self.length:
            raise ValueError(
                f"shape {[*self.shape]} has room for {math.prod(self.shape)} numbers, but length is {self.length}"
            )
        return self

    @property
    def module_shape(self) -> tuple[int, ...]:
        """Shape of one record's numbers as the input of a hub module or backbone."""
        return self.shape or (self.length,)

    @property
    def may_be_whole(self) -> bool:
        """Whether whole numbers of the column stay whole, so that they can feed an input of integers."""
        return self.normalize == "none" and isinstance(self.missing, int)

    def as_module_input(self, values: tf.Tensor, dtype: str = "float32") -> tf.Tensor:
        """Numbers, float32 [batch, length], as [batch, *module_shape] of a module's dtype.

        Raises:
            tf.errors.InvalidArgumentError: if the dtype is one of integers, and a number is not whole, or is outside
                the dtype or the integers that float32 tells apart, below 2^24.
        """
        shaped, wanted = tf.reshape(values, [-1, *self.module_shape]), tf.as_dtype(dtype)
        if not wanted.is_integer:
            return tf.cast(shaped, wanted)
        least, greatest = max(wanted.min, -_EXACT), min(wanted.max, _EXACT)
        is_whole = tf.equal(shaped, tf.round(shaped)) & (shaped >= least) & (shaped <= greatest)
        fault = f"the module takes {dtype}; these numbers are not whole, or not in {least} to {greatest}:"
        wrong = tf.boolean_mask(shaped, ~is_whole)
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_whole), [fault, wrong])]):
            return tf.cast(shaped, wanted)

    def transform(self, name: str, read: TransformContext) -> dict[str, Values]:
        """Normalized numbers, followed by the missing indicators: float32 [batch, length] or [batch, 2 * length]."""
        (column,) = self.reads(name)
        values = _cut(read(column), self.length)
        normalized = self.normalized(name, values, self.length, read.analysis)
        return {name: tf.concat([normalized, _missing(values)], axis=1) if self.missing_indicator else normalized}

    def inputs(self, name: str) -> dict[str, tf.TypeSpec]:
        return {name: tf.TensorSpec([None, self.length * (1 + self.missing_indicator)], tf.float32)}

    @property
    def takes_lists(self) -> bool:
        return self.length > 1

    def layer(self, name: str, transform: tft.TFTransformOutput) -> Layer:
        return lambda inputs: inputs[name]


def _cut(values: tf.SparseTensor, length: int) -> tf.SparseTensor:
    """Truncates or extends the dense shape to `length` values per record."""
    shape = tf.stack([values.dense_shape[0], length])
    cut = tf.sparse.slice(values, [0, 0], shape)
    return tf.SparseTensor(cut.indices, cut.values, shape)


def _missing(values: tf.SparseTensor) -> tf.Tensor:
    """Dense float32 indicators: 1 for a missing value, 0 for a present one."""
    return 1.0 - tf.sparse.to_dense(tf.sparse.map_values(lambda numbers: tf.ones_like(numbers, tf.float32), values))


def _log1p(numbers: tf.Tensor) -> tf.Tensor:
    """log(1 + x), float64. It is finite: numbers of -1 and below count as slightly more than -1."""
    return tf.math.log1p(tf.maximum(tf.cast(numbers, tf.float64), -1.0 + 1e-6))


def _z_score(numbers: tf.Tensor, moments: Moments) -> tf.Tensor:
    """z-scores of numbers that are relative to the origin."""
    return (numbers - moments.mean) / _not_zero(moments.deviation)


def _not_zero(scale: tf.Tensor) -> tf.Tensor:
    """Replaces a zero scale with 1, so that constant values are left unscaled."""
    return tf.where(scale > 0, scale, tf.ones_like(scale))


def _of_place(values: tf.SparseTensor, place: int) -> tf.Tensor:
    return tf.boolean_mask(values.values, values.indices[:, 1] == place)


def _median(name: str, numbers: tf.Tensor, origin: tf.Tensor, analysis: Analyzer) -> tf.Tensor:
    """Median of numbers, [n], relative to the origin; float64 [1].

    With an even count, the median is the mean of the two middle values. A quantile yields one of them, and the quantile
    of the negated numbers the other.
    """
    from hubline.preprocessing import exact_arithmetic as exact

    negatives = -tf.maximum(numbers, -numbers.dtype.max)  # the smallest integer has no negative
    one, other = analysis.quantiles(name, numbers, 2), -analysis.quantiles(f"{name}.negative", negatives, 2)
    return (exact.minus(one, origin) + exact.minus(other, origin)) / 2.0
