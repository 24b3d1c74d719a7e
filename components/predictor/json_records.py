"""Records written as JSON, by the names of their columns, as what a served model takes."""

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
from hubline.preprocessing.config import input_name

STANDARD_INPUT = "-"

Record = dict[str, Any]

_INT64 = tf.int64.min, tf.int64.max
_SHOWN_MISTAKES = 10
_CHUNK = 1 << 16
_SPACE = re.compile(r"[ \t\r\n]*")
_DECODER = json.JSONDecoder()
_LONGEST_WORD = 16
"""Of a value that was cut short, an error is nearer to the end than this: at `-Infinity`, or `\\u12ab`."""


def is_json(path: str) -> bool:
    """Whether a path names JSON: standard input, or a file by its ending."""
    return path == STANDARD_INPUT or path.endswith((".json", ".jsonl"))


def read_json(path: str, name: str | None = None) -> Iterator[Record | UserError]:
    """The records in a file or on standard input: objects one after the other, as in JSON lines, or in lists.

    Text is read as it is needed, so a file of any size takes the memory of its largest record.

    Args:
        path: The file, or `-`.
        name: What messages call it; the path where this is absent.

    Yields:
        Records. Where one should be and is none, the mistake, with its line; reading goes on with the next line, or in
        a list ends.
    """
    name = name or path
    found = False
    with nullcontext(sys.stdin.buffer) if path == STANDARD_INPUT else storage.open_binary(path) as file:
        try:
            for value in _values(_Text(file), name):
                found = True
                yield value
        except UnicodeDecodeError as error:
            yield UserError(f"{name}: not a text in UTF-8 (byte {error.start})")
            return
    if not found:
        yield UserError(f'{name}: no record in it, such as {{"age": 30}}')


def _values(text: "_Text", name: str) -> Iterator[Record | UserError]:
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
            yield UserError(f"{name}:{text.line}: not JSON of records: a number too long, or nested too deep")
        if is_in_list:  # where its next record begins, nothing tells
            return
        text.skip_line()


def _record(text: "_Text", name: str) -> Record | UserError:
    text.next()
    line, value = text.line, text.value()
    is_record = isinstance(value, dict)
    return value if is_record else UserError(f'{name}:{line}: {_shown(value)} is no record, such as {{"age": 30}}')


class _Text:
    """The text of a stream from a place on, which moves towards the end."""

    def __init__(self, file: IO[bytes]) -> None:
        # Of a pipe this gives what is there, rather than wait for a chunk to be full.
        self._read: Callable[[int], bytes] = getattr(file, "read1", None) or file.read
        self._decode = codecs.getincrementaldecoder("utf-8-sig")().decode
        self._bytes = 0
        self._lines = 1
        self._ended = False
        self._broken: UnicodeDecodeError | None = None
        self._text = ""
        self.position = 0
        """Where it stands in what was read."""

    @property
    def line(self) -> int:
        """The line where it stands, from 1."""
        return self.line_of(self.position)

    def line_of(self, position: int) -> int:
        """The line of a position in what was read."""
        return self._lines + self._text.count("\n", 0, position)

    def next(self) -> str:
        """The next character that is no space, and stands there; empty at the end."""
        while True:
            self.position = _SPACE.match(self._text, self.position).end()  # type: ignore[union-attr]
            if self.position < len(self._text):
                return self._text[self.position]
            if not self._more():
                return ""

    def take(self, character: str) -> bool:
        """Moves on behind a character, if it is the next one."""
        is_next = self.next() == character
        self.position += is_next
        return is_next

    def expect(self, character: str) -> None:
        """Moves on behind a character. Raises a JSONDecodeError where it is not the next one."""
        if not self.take(character):
            raise json.JSONDecodeError(f"Expecting '{character}' delimiter", self._text, self.position)

    def value(self) -> Any:
        """The value that begins where it stands; moves on behind it.

        Raises:
            ValueError: where there is none.
        """
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self.position)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated string") or error.pos > len(self._text) - _LONGEST_WORD
                if is_cut and self._more():
                    continue
                raise
            # Of a number that ends where the text does, more may be to come.
            if end < len(self._text) or not isinstance(value, int | float) or not self._more():
                self.position = end
                return value

    def skip_line(self) -> None:
        """Moves to the end of the line."""
        while (end := self._text.find("\n", self.position)) < 0:
            self.position = len(self._text)
            if not self._more():
                return
        self.position = end

    def _more(self) -> bool:
        """Reads as much again as is held, and lets go of what it stands behind; False at the end."""
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
            # What it has is what an earlier chunk left, and this one.
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
    """The columns of some records, each of shape [records], or [records, n] where the model takes lists.

    A column that a record lacks, or has as null, is missing there: an empty text, NaN or the smallest integer says so,
    as `hubline.preprocessing.columns.as_parsed` has it, and also stands at the end of the shorter lists.

    Args:
        path: Where the records are from.
        records: By the names of their columns, or those of the model's inputs.
        takes: What the model takes, by the names of its inputs.
        numbers: The number of each record in the file, for messages; counted from 0 where this is absent.
        names: By column, the name of the model's input; the `input_name` of those that are not in it.

    Raises:
        UserError: names each record with a column that the model does not take, or of another type.
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


def text_of(value: bytes) -> Any:
    """Bytes as JSON has them, and `columns_of` takes them: a text, or {"b64": …}."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


_TYPES: dict[tf.DType, tuple[Any, Callable[[Any], Any]]] = {
    tf.float32: (math.nan, _float),
    tf.int64: (_INT64[0], _integer),
    tf.string: (b"", _bytes),
}
"""For each type of column, what says that a value is missing, and what reads one."""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else f"{text[:39]}…"
