"""Label kind `regression`: a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field

from hubline.core.lazy_import import tf
from hubline.preprocessing.kinds.kind import Columns, TransformContext
from hubline.preprocessing.labels.label import LABEL, LabelKind, values_of

_MEAN, _SCALE = f"{LABEL}.mean", f"{LABEL}.scale"
_LOG_OF_MOST = 88.0
"""Logarithm of about the largest float32: an extreme prediction is a large number rather than infinite."""


class RegressionLabel(LabelKind):
    """A number. Predictions and metrics are in the units of the column."""

    kind: Literal["regression"]
    column: str = Field(alias="from", min_length=1, examples=["median_house_value"])
    """The column of the number, integer or float."""
    normalize: Literal["z_score", "log", "none"] = "z_score"
    """Transformation of the target for training; the exported model inverts it. `z_score` divides by the standard
    deviation of the training split; `log` takes the natural logarithm and requires positive numbers; `none` does
    neither. The mean of the training split is subtracted in every case."""

    @property
    def columns(self) -> tuple[str, ...]:
        return (self.column,)

    @property
    def is_positive(self) -> bool:
        """Whether every number must be positive."""
        return self.normalize == "log"

    def values(self, read: Columns) -> tf.Tensor:
        """The numbers unchanged, int64 or float64 [batch]."""
        from hubline.preprocessing import exact_arithmetic as exact

        return exact.wide(values_of(read, self.column))

    @property
    def can_be_mixed(self) -> bool:
        return True

    def transform(self, read: TransformContext) -> dict[str, tf.Tensor]:
        """The normalized numbers, and with each the statistics of the training split.

        The mean is always subtracted, whatever `normalize` says, before the numbers become float32.
        """
        from hubline.preprocessing import exact_arithmetic as exact
        from hubline.preprocessing.columns import present

        values = self.values(read)
        learned = tf.math.log(tf.cast(values, tf.float64)) if self.normalize == "log" else values
        moments = read.analysis.moments(LABEL, present(learned), 1)
        origin, mean, deviation = moments.origin[0], moments.mean[0], moments.deviation[0]
        # A constant is not scaled.
        scale = tf.where((deviation > 0) & (self.normalize == "z_score"), deviation, tf.ones_like(deviation))
        statistics = {_MEAN: tf.cast(origin, tf.float64) + mean, _SCALE: scale}
        # TF Transform cannot output float64, so its bits are output as int64.
        each = {name: tf.fill(tf.shape(values), tf.bitcast(value, tf.int64)) for name, value in statistics.items()}
        return {LABEL: tf.cast((exact.minus(learned, origin) - mean) / scale, tf.float32)} | each

    def undone(self, transformed: Mapping[str, tf.Tensor]) -> Callable[[tf.Tensor, tf.DType], tf.Tensor]:
        """Returns a function that maps normalized numbers, of any shape, back to the units of the column, in a dtype.

        Args:
            transformed: Outputs of `transform` for any record.
        """
        mean, scale = (float(tf.bitcast(transformed[name][0], tf.float64)) for name in (_MEAN, _SCALE))

        def undo(normalized: tf.Tensor, dtype: tf.DType) -> tf.Tensor:
            learned = tf.cast(normalized, dtype) * scale + mean
            return tf.exp(tf.minimum(learned, _LOG_OF_MOST)) if self.normalize == "log" else learned

        return undo
