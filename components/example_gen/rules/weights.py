"""The rule of the weight of a record in the loss."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, number_type, values_of
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, single

_CONDITIONS = [
    Condition(lambda weights: tf.math.is_finite(tf.cast(weights, tf.float32)), lambda value: f"is {value}"),
    Condition(lambda weights: weights >= 0, lambda value: f"is {value:g}; it must be 0 or more"),
]


@dataclass(frozen=True)
class WeightRule(Rule):
    """A column has one finite number that is not negative."""

    column: str

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtype of this file's numbers."""
        return {self.column: tf.as_dtype(known[self.column])}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the number."""
        weights = parsed[self.column]
        return single(weights, all_hold(_CONDITIONS, weights.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the number."""
        name = self.column
        if fault := count_fault(columns, name, "sample weight"):
            return fault
        (value,) = values_of(columns, name)
        if isinstance(value, bytes):
            return f"its sample weight '{name}' is {value!r}; it must be a number"
        if number_type(columns[name]) != known.get(name, number_type(columns[name])):
            return f"its sample weight '{name}' is {value!r}, of another type than those before it"
        fault = broken(_CONDITIONS, value)
        return f"its sample weight '{name}' {fault}" if fault else None
