"""Records written as JSON, by the names of their columns, as what a served model takes."""

import base64
import difflib
import json
import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import tensorflow as tf

from components import storage
from preprocessing.config import input_name
from preprocessing.errors import UserError

STANDARD_INPUT = "-"

Record = dict[str, Any]

_INT64 = tf.int64.min, tf.int64.max
_SHOWN_MISTAKES = 10


def is_json(path: str) -> bool:
    """Whether a path names JSON: standard input, or a file by its ending."""
    return path == STANDARD_INPUT or path.endswith((".json", ".jsonl"))


def read_json(path: str) -> list[Record]:
    """The records in a file or on standard input: objects one after the other, as in JSON lines, or in lists.

    Raises:
        UserError: where it is not JSON, or holds anything else.
    """
    text = _text(path)
    decoder, position, found = json.JSONDecoder(), 0, []
    while (position := _next(text, position)) < len(text):
        line = text.count("\n", 0, position) + 1
        try:
            value, position = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise UserError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
        except (ValueError, RecursionError):
            raise UserError(f"{path}:{line}: not JSON of records: a number too long, or nested too deep") from None
        for record in value if isinstance(value, list) else [value]:
            if not isinstance(record, dict):
                raise UserError(f'{path}:{line}: {_shown(record)} is no record, such as {{"age": 30}}')
            found.append(record)
    if not found:
        raise UserError(f'{path}: no record in it, such as {{"age": 30}}')
    return found


def _text(path: str) -> str:
    try:
        if path == STANDARD_INPUT:
            return sys.stdin.buffer.read().decode()
        with storage.open_binary(path) as file:
            return file.read().decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path}: not a text in UTF-8 (byte {error.start})") from None


def _next(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def columns_of(path: str, records: Sequence[Record], takes: Mapping[str, tf.TensorSpec]) -> dict[str, tf.Tensor]:
    """The columns of some records, each of shape [records], or [records, n] where the model takes lists.

    A column that a record lacks, or has as null, is missing there: an empty text, NaN or the smallest integer says so,
    as `preprocessing.columns.as_parsed` has it, and also stands at the end of the shorter lists.

    Args:
        path: Where the records are from.
        records: By the names of their columns, or the `input_name` of these.
        takes: What the model takes, by `input_name`.

    Raises:
        UserError: names each record with a column that the model does not take, or of another type.
    """
    columns: dict[str, list[Any]] = {name: [] for name in takes}
    mistakes: list[str] = []
    for number, record in enumerate(records):
        given = {input_name(column): (column, value) for column, value in record.items()}
        mistakes += [
            f"{path}: record {number}: {_unknown(given[name][0], takes)}" for name in given.keys() - takes.keys()
        ]
        for name, values in columns.items():
            column, value = given.get(name, (name, None))
            try:
                values.append(_value_or_list(takes[name], value))
            except ValueError as error:
                mistakes.append(f"{path}: record {number}: '{column}' is {_shown(value)}; the model takes {error}")
    if mistakes:
        more = len(mistakes) - _SHOWN_MISTAKES
        raise UserError("\n".join([*mistakes[:_SHOWN_MISTAKES], *([f"and {more} more mistakes"] if more > 0 else [])]))
    return {name: _column(takes[name], values) for name, values in columns.items()}


def _unknown(column: str, takes: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(column, takes, n=1, cutoff=0.6)
    meant = f"; did you mean '{close[0]}'?" if close else "."
    return f"'{column}' is no column that this model takes{meant} It takes {', '.join(sorted(takes))}"


def _column(spec: tf.TensorSpec, values: list[Any]) -> tf.Tensor:
    if spec.shape.rank == 1:
        return tf.constant(values, spec.dtype)
    missing, _ = _TYPES[spec.dtype]
    return tf.ragged.constant(values, spec.dtype, ragged_rank=1).to_tensor(missing)


def _value_or_list(spec: tf.TensorSpec, value: Any) -> Any:
    """A value in the type of a column, or where it takes lists a list of them."""
    if spec.shape.rank == 1:
        return _value(spec.dtype, value)
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_value(spec.dtype, each) for each in values]


def _value(dtype: tf.DType, value: Any) -> Any:
    """A value in the type of a column. Raises a ValueError that says what it must be."""
    missing, read = _TYPES[dtype]
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    return missing if is_missing else read(value)


def _float(value: Any) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # an integer beyond all floats
        pass
    raise ValueError("a number")


def _integer(value: Any) -> int:
    is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )
    if not is_whole or not _INT64[0] <= value <= _INT64[1]:
        raise ValueError("a whole number of 64 bits")
    return int(value)


def _bytes(value: Any) -> bytes:
    """A text, or what TensorFlow Serving takes for other bytes: {"b64": …}."""
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
            return base64.b64decode(value["b64"], validate=True)
    except ValueError:  # letters that are no UTF-8, or no base64
        pass
    raise ValueError('a text, or bytes such as {"b64": "…"}')


_TYPES: dict[tf.DType, tuple[Any, Callable[[Any], Any]]] = {
    tf.float32: (math.nan, _float),
    tf.int64: (_INT64[0], _integer),
    tf.string: (b"", _bytes),
}
"""For each type of column, what says that a value is missing, and what reads one."""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
