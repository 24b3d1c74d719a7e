"""Converts JSON records, keyed by column name, to the inputs of a pushed model."""

import base64
import codecs
import difflib
import json
import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import count
from typing import IO, Any

import tensorflow as tf

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.preprocessing.feature_columns import input_name

STANDARD_INPUT = "-"

Record = dict[str, Any]

_INT64 = tf.int64.min, tf.int64.max
_SHOWN_MISTAKES = 10
_CHUNK = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_LONGEST_WORD = 16
r"""An error in an incomplete value is at most this far from the end of the text, as in `-Infinity` or `\u12ab`."""


def is_json(path: str) -> bool:
    """Whether a path is JSON: standard input, or a file by its extension."""
    return path == STANDARD_INPUT or path.endswith((".json", ".jsonl"))


def read_json(path: str, name: str | None = None) -> Iterator[Record | UserError]:
    """Reads JSON objects from a file or standard input: JSON Lines, concatenated objects, or lists of objects.

    The text is streamed, so that memory is bounded by the largest record.

    Args:
        path: The file, or `-`.
        name: Name in messages. Default: the path.

    Yields:
        Records, or a UserError with the line number for a malformed record. Reading continues on the next line, except
        inside a list, where it stops.
    """
    name = name or path
    found = False
    with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else storage.open_binary(path) as file:
        try:
            for value in _values(_Cursor(file), name):
                found = True
                yield value
        except UnicodeDecodeError as error:
            yield UserError(f"{name}: not valid UTF-8 (byte {error.start})")
            return
    if not found:
        yield UserError(f'{name}: contains no records such as {{"age": 30}}')


def _values(text: "_Cursor", name: str) -> Iterator[Record | UserError]:
    while text.next():
        is_in_list = text.take("[")
        if is_in_list and text.take("]"):
            continue
        try:
            yield _record(text, name)
            while is_in_list and not text.take("]"):
                text.expect(",")
                yield _record(text, name)
            continue
        except UnicodeDecodeError:
            raise
        except json.JSONDecodeError as error:
            yield UserError(f"{name}:{text.line_of(error.pos)}: not JSON: {error.msg}")
        except (ValueError, RecursionError):
            yield UserError(f"{name}:{text.line}: not JSON: a number is too long, or values are nested too deep")
        if is_in_list:  # the start of the next record can't be located
            return
        text.skip_line()


def _record(text: "_Cursor", name: str) -> Record | UserError:
    text.next()
    line, value = text.line, text.value()
    is_record = isinstance(value, dict)
    return value if is_record else UserError(f'{name}:{line}: {_shown(value)} is not a record such as {{"age": 30}}')


class _Cursor:
    """A cursor over the text of a stream."""

    def __init__(self, file: IO[bytes]) -> None:
        # On a pipe, read1 returns what is available instead of waiting for a full chunk.
        self._read: Callable[[int], bytes] = getattr(file, "read1", None) or file.read
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._bytes = 0
        self._lines = 1
        self._ended = False
        self._broken: UnicodeDecodeError | None = None
        self._text = ""
        self.position = 0
        """Offset of the cursor in the text held."""

    @property
    def line(self) -> int:
        """Line of the cursor, from 1."""
        return self.line_of(self.position)

    def line_of(self, position: int) -> int:
        """Line of an offset in the text held."""
        return self._lines + self._text.count("\n", 0, position)

    def next(self) -> str:
        """Skips white space; returns the character at the cursor, or an empty string at the end."""
        while True:
            self.position = _SPACE.match(self._text, self.position).end()  # type: ignore[union-attr]
            if self.position < len(self._text):
                return self._text[self.position]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Skips a character if it is next; returns whether it was."""
        is_next = self.next() == character
        self.position += is_next
        return is_next

    def expect(self, character: str) -> None:
        """Skips a character. Raises a JSONDecodeError if another one is next."""
        if not self.take(character):
            raise json.JSONDecodeError(f"Expecting '{character}' delimiter", self._text, self.position)

    def value(self) -> Any:
        """Parses the value at the cursor and moves behind it.

        Raises:
            ValueError: if there is no valid value.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self.position)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _LONGEST_WORD
                if is_cut and self._more():
                    continue
                raise
            # A number at the end of the text may continue in the next chunk.
            if end < len(self._text) or not isinstance(value, int | float) or not self._more():
                self.position = end
                return value

    def skip_line(self) -> None:
        """Moves the cursor to the end of the line."""
        while (end := self._text.find("\n", self.position)) < 0:
            self.position = len(self._text)
            if not self._more():
                return
        self.position = end

    def _more(self) -> bool:
        """Reads as much text again as is held, and drops the text before the cursor; returns False at the end."""
        if self._broken:
            raise self._broken
        if self._ended:
            return False
        self._lines += self._text.count("\n", 0, self.position)
        held = self._text[self.position :]
        self._text, self.position = held, 0
        chunk = self._read(max(_CHUNK, len(held)))
        self._ended = not chunk
        try:
            self._text = held + self._decode(chunk, not chunk)
        except UnicodeDecodeError as error:
            self._text = held + error.object[: error.start].decode()
            # The decoder's buffer consists of the rest of an earlier chunk and this chunk.
            error.start += self._bytes + len(chunk) - len(error.object)
            self._broken = error
        self._bytes += len(chunk)
        return True


def columns_of(
    path: str,
    records: Sequence[Record],
    takes: Mapping[str, tf.TensorSpec],
    numbers: Iterable[int] | None = None,
    names: Mapping[str, str] | None = None,
) -> dict[str, tf.Tensor]:
    """Columns of a batch of records, of shape [records], or [records, n] for inputs that are lists.

    A column that a record lacks, or that is null, gets the value for a missing one: an empty string, NaN or the
    smallest integer, as in `hubline.preprocessing.columns.as_parsed`. The same value pads shorter lists.

    Args:
        path: Source of the records, for messages.
        records: Values by column name or by input name.
        takes: Specs of the model's inputs, by name.
        numbers: Record numbers for messages. Default: counted from 0.
        names: Input name by column. Columns not listed use `input_name`.

    Raises:
        UserError: lists the records with unknown columns or with values of the wrong type.
    """
    columns: dict[str, list[Any]] = {name: [] for name in takes}
    mistakes: list[str] = []
    for number, record in zip(numbers or count(), records, strict=False):
        given = {(names or {}).get(column) or input_name(column): (column, value) for column, value in record.items()}
        mistakes += [
            f"{path}: record {number}: {_unknown(given[name][0], takes)}" for name in given.keys() - takes.keys()
        ]
        for name, values in columns.items():
            column, value = given.get(name, (name, None))
            try:
                values.append(_value_or_list(takes[name], value))
            except ValueError as error:
                mistakes.append(f"{path}: record {number}: '{column}' is {_shown(value)}; the model expects {error}")
    if mistakes:
        more = len(mistakes) - _SHOWN_MISTAKES
        raise UserError("\n".join([*mistakes[:_SHOWN_MISTAKES], *([f"and {more} more errors"] if more > 0 else [])]))
    return {name: _column(takes[name], values) for name, values in columns.items()}


def _unknown(column: str, takes: Mapping[str, Any]) -> str:
    close = difflib.get_close_matches(column, takes, n=1, cutoff=0.6)
    meant = f"; did you mean '{close[0]}'?" if close else "."
    return f"'{column}' is not an input of the model{meant} Its inputs are {', '.join(sorted(takes))}"


def _column(spec: tf.TensorSpec, values: list[Any]) -> tf.Tensor:
    if spec.shape.rank == 1:
        return tf.constant(values, spec.dtype)
    missing, _ = _TYPES[spec.dtype]
    return tf.ragged.constant(values, spec.dtype, ragged_rank=1).to_tensor(missing)


def _value_or_list(spec: tf.TensorSpec, value: Any) -> Any:
    """Converts a value to an input's type; for list inputs, to a list."""
    if spec.shape.rank == 1:
        return _value(spec.dtype, value)
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [_value(spec.dtype, each) for each in values]


def _value(dtype: tf.DType, value: Any) -> Any:
    """Converts a value to a dtype. Raises a ValueError that names the expected type."""
    missing, read = _TYPES[dtype]
    is_missing = value is None or (isinstance(value, float) and math.isnan(value))
    return missing if is_missing else read(value)


def _float(value: Any) -> float:
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    except OverflowError:  # an integer outside the float range
        pass
    raise ValueError("a number")


def _integer(value: Any) -> int:
    is_whole = (isinstance(value, int) and not isinstance(value, bool)) or (
        isinstance(value, float) and value.is_integer()
    )
    if not is_whole or not _INT64[0] <= value <= _INT64[1]:
        raise ValueError("a 64-bit integer")
    return int(value)


def _bytes(value: Any) -> bytes:
    """A string, or bytes in TensorFlow Serving's notation {"b64": …}."""
    try:
        if isinstance(value, str):
            return value.encode()
        if isinstance(value, dict) and value.keys() == {"b64"} and isinstance(value["b64"], str):
            return base64.b64decode(value["b64"], validate=True)
    except ValueError:  # not valid Unicode, or not valid Base64
        pass
    raise ValueError('a string, or bytes such as {"b64": "…"}')


def text_of(value: bytes) -> Any:
    """Bytes as JSON, in the form that `columns_of` accepts: a string, or {"b64": …}."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


_TYPES: dict[tf.DType, tuple[Any, Callable[[Any], Any]]] = {
    tf.float32: (math.nan, _float),
    tf.int64: (_INT64[0], _integer),
    tf.string: (b"", _bytes),
}
"""For each dtype, the value for a missing one, and the conversion function."""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
