"""The rule of a number, or one of two names, from which a label is computed."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, value_type, values_of
from hubline.components.example_gen.rules.classes import name_in
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, single

_RIGHT = "it must be a number; texts are for kind: class, or binary without `above`"


@dataclass(frozen=True)
class NumberRule(Rule):
    """A column has one finite number, or one of the given names."""

    column: str
    positive: bool = False
    """Whether the number must be above 0."""
    indicator: bool = False
    """Whether the number must be 0 or 1."""
    names: tuple[str, ...] | None = None
    """Names that the column may hold instead of numbers; None if it must hold numbers."""

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtype of this file's numbers."""
        return {self.column: tf.as_dtype(known[self.column])}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the value."""
        numbers = parsed[self.column]
        return single(numbers, all_hold(self._conditions(numbers.dtype == tf.string), numbers.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the value."""
        name = self.column
        if fault := count_fault(columns, name, "column"):
            return f"{fault}; the label is made from it"
        (value,) = values_of(columns, name)
        is_name = isinstance(value, bytes)
        if is_name and self.names is None:
            return f"its column '{name}', which the label is made from, is {value!r}; {_RIGHT}"
        if value_type(columns[name]) != known.get(name, value_type(columns[name])):
            return f"its column '{name}' is {value!r}, of another type than those before it"
        fault = broken(self._conditions(is_name), value)
        return f"its column '{name}', {fault}" if fault else None

    def _conditions(self, are_names: bool) -> list[Condition]:
        if are_names:
            assert self.names is not None  # otherwise a text is a fault, and no file has this dtype
            is_listed = name_in(self.names)
            return [Condition(is_listed.holds, lambda value: f"the label, is {is_listed.words(value)}")]
        conditions = [
            Condition(
                lambda numbers: tf.math.is_finite(tf.cast(numbers, tf.float32)),
                lambda value: f"which the label is made from, is {value}",
            )
        ]
        if self.positive:
            conditions.append(
                Condition(
                    lambda numbers: tf.cast(numbers, tf.float32) > 0,
                    lambda value: f"which the label is the logarithm of, is {value:g}; it must be above 0",
                )
            )
        if self.indicator:
            conditions.append(
                Condition(
                    lambda numbers: (numbers == 0) | (numbers == 1),
                    lambda value: f"which says whether it is of a class, is {value:g}; it must be 0 or 1",
                )
            )
        return conditions
