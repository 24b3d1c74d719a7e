"""The rule of encoded sounds, by their headers."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, values_of
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, single
from hubline.preprocessing.encoded_sounds import WAV, are_readable, format_fault

_READABLE = Condition(are_readable, lambda encoded: format_fault(encoded) or "")


@dataclass(frozen=True)
class SoundRule(Rule):
    """A column has one WAV file."""

    column: str

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """Bytes."""
        return {self.column: tf.string}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the header."""
        sounds = parsed[self.column]
        return single(sounds, all_hold([_READABLE], sounds.values))

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the header."""
        if fault := count_fault(columns, self.column, "sound"):
            return fault
        (value,) = values_of(columns, self.column)
        if not isinstance(value, bytes):
            return f"its sound '{self.column}' is a number; it must be the bytes of {WAV}"
        fault = broken([_READABLE], value)
        return f"its sound '{self.column}' {fault}" if fault else None
