"""The rule of a label that is a class, or any number of classes."""

from collections.abc import Mapping
from dataclasses import dataclass

import tensorflow as tf

from hubline.components.example_gen.records import count_fault, label_type, values_of
from hubline.components.example_gen.rules.rule import Condition, Rule, all_hold, broken, every, single

_MOST_LISTED = 12


@dataclass(frozen=True)
class ClassRule(Rule):
    """A column has class names, or class indices."""

    column: str
    classes: tuple[str, ...] | None = None
    """The class names; None if any name or index is valid."""
    several: bool = False
    """Whether a record may have any number of classes, including none; otherwise it has exactly one."""
    other_names: bool = False
    """Whether a record may also have names that are not among the classes."""

    def dtypes(self, known: Mapping[str, str]) -> dict[str, tf.DType]:
        """The dtype of this file's labels; any dtype will do while all are empty."""
        return {self.column: tf.as_dtype(known.get(self.column) or "string")}

    def mask(self, parsed: Mapping[str, tf.RaggedTensor]) -> tf.Tensor:
        """By the count and the values."""
        labels = parsed[self.column]
        fit = all_hold(self._conditions(labels.dtype == tf.string), labels.values)
        return every(labels, fit) if self.several else single(labels, fit)

    def fault(self, columns: Mapping[str, tf.train.Feature], known: Mapping[str, str]) -> str | None:
        """By the count, the type and the values."""
        name = self.column
        if not self.several and (fault := count_fault(columns, name, "label")):
            return fault
        dtype, values = label_type(columns, name), values_of(columns, name)
        if name in columns and columns[name].HasField("float_list"):
            shown = f"the float {values[0]:g}" if values else "an empty list of floats"
            return f"its label '{name}' is {shown}; a class is an integer or a string, and kind: regression a number"
        if known.get(name) and dtype not in (known[name], ""):
            shown = repr(values[0]) if values else f"an empty list of type {dtype}"
            return f"its label '{name}' is {shown}, of another type than the labels before it"
        conditions = self._conditions(dtype == "string")
        fault = next(filter(None, (broken(conditions, value) for value in values)), None)
        return f"its label '{name}' is {fault}" if fault else None

    def _conditions(self, are_names: bool) -> list[Condition]:
        if not are_names:
            return [index_in(self.classes)] if self.classes is not None else []
        return [IS_NAME] if self.classes is None or self.other_names else [IS_NAME, name_in(self.classes)]


def _are_names(labels: tf.Tensor) -> tf.Tensor:
    # Transcoding doesn't change valid UTF-8.
    same = tf.strings.unicode_transcode(labels, "UTF-8", "UTF-8") == labels
    return same & tf.strings.regex_full_match(labels, r"[^\r\n]+")


IS_NAME = Condition(_are_names, lambda value: f"{value!r}; a class name is a line of UTF-8 text, and not empty")
"""Whether bytes can be a class name: non-empty UTF-8 without line breaks."""


def name_in(classes: tuple[str, ...]) -> Condition:
    """Whether a name is one of the classes."""
    return Condition(
        lambda labels: tf.reduce_any(labels[:, tf.newaxis] == tf.constant(list(classes)), axis=1),
        lambda value: f"'{value.decode(errors='replace')}', none of the classes {listed(classes)}",
    )


def index_in(classes: tuple[str, ...]) -> Condition:
    """Whether a number is the index of a class."""
    return Condition(
        lambda labels: (labels >= 0) & (labels < len(classes)),
        lambda value: f"{value}, outside 0 to {len(classes) - 1}",
    )


def listed(classes: tuple[str, ...]) -> str:
    """The first classes, for a message."""
    more = f" and {len(classes) - _MOST_LISTED} more" if len(classes) > _MOST_LISTED else ""
    return ", ".join(classes[:_MOST_LISTED]) + more
