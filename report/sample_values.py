"""The column values of a record, as short texts."""

from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

_COLUMNS = 12
_LISTED = 4
_CHARACTERS = 60


def column_values(example: tf.train.Example, hidden: Collection[str]) -> dict[str, str]:
    """The values of up to 12 columns by name, in alphabetical order.

    Args:
        example: The record.
        hidden: Columns to leave out, such as encoded images. Those with bytes that are no text are left out, too.
    """
    columns = sorted(example.features.feature.items())
    texts = {name: _text(_values(column)) for name, column in columns if name not in hidden}
    shown = [(name, text) for name, text in texts.items() if text is not None]
    return dict(shown[:_COLUMNS])


def _values(column: tf.train.Feature) -> Sequence[float | int | bytes]:
    kind = column.WhichOneof("kind")
    return getattr(column, kind).value if kind else ()


def _text(values: Sequence[float | int | bytes]) -> str | None:
    """For example `3, 4, 5, 6, … (28 values)`; None for bytes that are no text."""
    try:
        listed = ", ".join(_one(value) for value in values[:_LISTED])
    except UnicodeDecodeError:
        return None
    return listed if len(values) <= _LISTED else f"{listed}, … ({len(values):,} values)"


def _one(value: float | int | bytes) -> str:
    if not isinstance(value, bytes):
        return _number(value) if isinstance(value, float) else str(value)
    text = value.decode()
    return text if len(text) <= _CHARACTERS else text[: _CHARACTERS - 1] + "…"


def _number(value: float) -> str:
    """The shortest decimal that is this float32, as records hold no other; extreme ones with an exponent."""
    number = np.float32(value)
    is_plain = number == 0 or 1e-4 <= abs(number) < 1e9
    return np.format_float_positional(number, trim="-") if is_plain else str(number)
