"""Label `regression`: a number."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

from pydantic import Field

from preprocessing.kinds.kind import Columns, Read
from preprocessing.labels.label import LABEL, LabelKind, values_of
from preprocessing.lazy import tf

_MEAN, _DEVIATION = f"{LABEL}.mean", f"{LABEL}.deviation"
_LOG_OF_MOST = 88.0
"""The logarithm of about the greatest float32: a wild answer is a large number, and not infinite."""


class RegressionLabel(LabelKind):
    """A number. What the model answers, and all that it is judged by, is in the units of the column."""

    kind: Literal["regression"]
    column: str = Field(alias="from", min_length=1, examples=["median_house_value"])
    """The column that holds the number, whole or not."""
    normalize: Literal["z_score", "log", "none"] = "z_score"
    """What is learned in the number's place, and undone in the exported model: `z_score` takes the mean of the training
    split away and divides by its standard deviation, `log` is the natural logarithm of numbers that are all above 0."""

    @property
    def columns(self) -> tuple[str, ...]:
        """The one column."""
        return (self.column,)

    @property
    def is_positive(self) -> bool:
        """Whether every number must be above 0."""
        return self.normalize == "log"

    def values(self, read: Columns) -> tf.Tensor:
        """The numbers as they are, float32 [batch]."""
        return tf.cast(values_of(read, self.column), tf.float32)

    @property
    def can_be_mixed(self) -> bool:
        """As the number that lies between, as it is learned."""
        return True

    def transform(self, read: Read) -> dict[str, tf.Tensor]:
        """The numbers normalised, and with each the statistics of the training split."""
        values = self.values(read)
        from preprocessing.columns import present

        learned = tf.math.log(values) if self.normalize == "log" else values
        moments = read.analysis.moments(LABEL, present(learned), 1)
        mean, deviation = moments.mean[0], moments.deviation[0]
        deviation = tf.where(deviation > 0, deviation, 1.0)  # what is the same everywhere is not scaled
        statistics = {_MEAN: mean, _DEVIATION: deviation}
        each = {name: tf.fill(tf.shape(values), value) for name, value in statistics.items()}
        return {LABEL: (learned - mean) / deviation if self.normalize == "z_score" else learned} | each

    def start(self, transformed: Mapping[str, tf.Tensor]) -> float:
        """The mean of the normalised numbers; `transformed` is what `transform` gave of any record."""
        return 0.0 if self.normalize == "z_score" else float(transformed[_MEAN][0])

    def undone(self, transformed: Mapping[str, tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
        """What takes normalised numbers, float32 of any shape, back into the units of the column.

        Args:
            transformed: What `transform` gave of any record.
        """
        if self.normalize == "log":
            return lambda normalized: tf.exp(tf.minimum(normalized, _LOG_OF_MOST))
        if self.normalize == "none":
            return lambda normalized: normalized
        mean, deviation = (float(transformed[name][0]) for name in (_MEAN, _DEVIATION))
        return lambda normalized: normalized * deviation + mean
