"""The rule of a column that has a part in the assignment to splits."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, value_type, values_of
from hubline.components.example_gen.rules.rule import Rule, single


@dataclass(frozen=True)
class KeyRule(Rule):
    """A column has one text, which is not empty, or one integer."""

    column: str
    what: str
    """What the column holds, such as `group`."""

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtype of this file's values."""
        return {self.column: tf.as_dtype(known[self.column])}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count, the type and the text."""
        keys = parsed[self.column]
        is_text, is_float = keys.dtype == tf.string, keys.dtype.is_floating
        fit = keys.values != "" if is_text else tf.fill(tf.shape(keys.values), not is_float)
        return single(keys, fit)

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the text."""
        name = self.column
        if fault := count_fault(columns, name, self.what):
            return fault
        (value,) = values_of(columns, name)
        if isinstance(value, float):
            return f"its {self.what} '{name}' is {value:g}; it must be a text or an integer"
        if value == b"":
            return f"its {self.what} '{name}' is an empty text"
        if value_type(columns[name]) != known.get(name, value_type(columns[name])):
            return f"its {self.what} '{name}' is {value!r}, of another type than those before it"
        return None
