"""What every record must hold, and which record does not."""

import tensorflow as tf

from preprocessing.config import Features, Label, column_of
from preprocessing.errors import DataError
from preprocessing.section import Section

IMAGE_MAGIC = {"JPEG": b"\xff\xd8\xff", "PNG": b"\x89PNG\r\n\x1a\n", "GIF": b"GIF8", "BMP": b"BM"}
"""What an encoded image begins with, by its format."""


class Contract(Section):
    """The columns that each record must have, once each, and what may stand in them."""

    images: tuple[str, ...]
    """Columns of encoded images."""
    label: str
    """The column of the label."""
    classes: tuple[str, ...] | None = None
    """The classes: a string label is one of them, an integer one is the position of one. Any value where absent."""

    @classmethod
    def of(cls, features: Features, label: Label) -> "Contract":
        """The contract that features and label make."""
        images = sorted({column_of(name, feature) for name, feature in features.items()})
        return cls(images=tuple(images), label=label.column, classes=label.classes)


class Checker:
    """Holds the records of a file to a contract, in TensorFlow's C++ as long as all is well."""

    def __init__(self, contract: Contract, path: str) -> None:
        self._contract = contract
        self._path = path
        self._spec: dict[str, tf.io.VarLenFeature] | None = None

    @property
    def label_type(self) -> str | None:
        """`string` or `int64`, as the labels of the file are; None where it has no record."""
        return self._spec[self._contract.label].dtype.name if self._spec else None

    def check(self, first: int, batch: tf.Tensor) -> None:
        """Checks a batch of serialized records whose first one has the number `first`.

        Raises:
            DataError: names the file and the first record that breaks the contract, and how.
        """
        if self._spec is None:
            self._spec = self._spec_like(batch[0].numpy())
        try:
            sound = self._spec is not None and bool(self._is_sound(tf.io.parse_example(batch, self._spec)))
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError):  # the latter where the message quotes the record
            sound = False
        if not sound:
            self._blame(first, batch)

    def _spec_like(self, record: bytes) -> dict[str, tf.io.VarLenFeature] | None:
        """How to parse the columns of the contract, with the label's dtype as in this record."""
        try:
            kind = tf.train.Example.FromString(record).features.feature[self._contract.label].WhichOneof("kind")
        except Exception:  # the protobuf versions of the two stacks raise different types
            return None
        dtype = {"bytes_list": tf.string, "int64_list": tf.int64}.get(kind or "")
        if dtype is None:
            return None
        return {
            **{column: tf.io.VarLenFeature(tf.string) for column in self._contract.images},
            self._contract.label: tf.io.VarLenFeature(dtype),
        }

    def _is_sound(self, parsed: dict[str, tf.SparseTensor]) -> tf.Tensor:
        sound = tf.constant(True)
        for column in parsed.values():
            # One value in each row: the rows that have values are all rows, in order, once.
            rows = tf.range(column.dense_shape[0])
            sound &= tf.shape(column.values, tf.int64)[0] == column.dense_shape[0] and tf.reduce_all(
                column.indices[:, 0] == rows
            )
        for name in self._contract.images:
            starts = [tf.strings.substr(parsed[name].values, 0, len(magic)) == magic for magic in IMAGE_MAGIC.values()]
            sound &= tf.reduce_all(tf.reduce_any(tf.stack(starts), axis=0))
        labels = parsed[self._contract.label].values
        if labels.dtype == tf.string:
            # Not empty, no line breaks, and valid UTF-8: transcoding it changes nothing.
            same = tf.strings.unicode_transcode(labels, "UTF-8", "UTF-8") == labels
            sound &= tf.reduce_all(same & tf.strings.regex_full_match(labels, r"[^\r\n]+"))
        if self._contract.classes is not None:
            if labels.dtype == tf.string:
                known = tf.constant(list(self._contract.classes))
                sound &= tf.reduce_all(tf.reduce_any(labels[:, tf.newaxis] == known, axis=1))
            else:
                sound &= tf.reduce_all((labels >= 0) & (labels < len(self._contract.classes)))
        return sound

    def _blame(self, first: int, batch: tf.Tensor) -> None:
        dtype = self._spec[self._contract.label].dtype if self._spec else None
        for number, record in enumerate(batch.numpy(), start=first):
            fault = find_fault(record, self._contract, dtype)
            if fault:
                raise DataError(f"{self._path}: record {number} (counted from 0): {fault}")
        raise DataError(
            f"{self._path}: records {first} to {first + len(batch) - 1}: these cannot be parsed as tf.Examples"
        )


def find_fault(record: bytes, contract: Contract, label_dtype: tf.DType | None = None) -> str | None:
    """What is wrong with one serialized record, in words; None where nothing is.

    Args:
        record: The record's bytes.
        contract: What it must hold.
        label_dtype: The dtype of the labels before it in the file, if any.
    """
    try:
        columns = tf.train.Example.FromString(record).features.feature
    except Exception as error:  # the protobuf versions of the two stacks raise different types
        return f"not a tf.Example ({error})"
    for column in contract.images:
        fault = _image_fault(columns, column)
        if fault:
            return fault
    return _label_fault(columns, contract, label_dtype)


def _values(columns: dict, name: str) -> list:
    feature = columns[name] if name in columns else tf.train.Feature()
    kind = feature.WhichOneof("kind")
    return list(getattr(feature, kind).value) if kind else []


def _count_fault(columns: dict, name: str, what: str) -> str | None:
    values = _values(columns, name)
    if len(values) == 1:
        return None
    if values:
        return f"its {what} '{name}' has {len(values)} values; it must have one"
    return f"it has no {what} '{name}'; its columns are: {', '.join(sorted(columns)) or 'none'}"


def _image_fault(columns: dict, name: str) -> str | None:
    fault = _count_fault(columns, name, "image")
    if fault:
        return fault
    (value,) = _values(columns, name)
    if not isinstance(value, bytes):
        return f"its image '{name}' is a number; it must be the bytes of an encoded image"
    if not value.startswith(tuple(IMAGE_MAGIC.values())):
        return f"its image '{name}' is none of {', '.join(IMAGE_MAGIC)}: it begins with {value[:8]!r}"
    return None


def _label_fault(columns: dict, contract: Contract, dtype: tf.DType | None) -> str | None:
    name = contract.label
    fault = _count_fault(columns, name, "label")
    if fault:
        return fault
    (value,) = _values(columns, name)
    if isinstance(value, float):
        return f"its label '{name}' is the float {value:g}; a class is an integer or a string"
    if dtype is not None and isinstance(value, bytes) != (dtype == tf.string):
        return f"its label '{name}' is {value!r}, of another type than the labels before it"
    if isinstance(value, bytes) and not _is_name(value):
        return f"its label '{name}' is {value!r}; a class name is a line of UTF-8 text, and not empty"
    classes = contract.classes
    if classes is None:
        return None
    if isinstance(value, bytes):
        shown = value.decode(errors="replace")
        return None if shown in classes else f"its label '{name}' is '{shown}', none of the classes {_listed(classes)}"
    return None if 0 <= value < len(classes) else f"its label '{name}' is {value}, outside 0 to {len(classes) - 1}"


def _is_name(value: bytes) -> bool:
    try:
        return bool(value.decode()) and not {b"\r"[0], b"\n"[0]} & set(value)
    except UnicodeDecodeError:
        return False


def _listed(classes: tuple[str, ...], most: int = 12) -> str:
    return ", ".join(classes[:most]) + (f" and {len(classes) - most} more" if len(classes) > most else "")
