"""Reads the first records of a file without TensorFlow, which `hubline check` must not import."""

import gzip
import math
import time
import zlib
from collections.abc import Iterator, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

from hubline.core.tfrecords import GZIP_MAGIC, HEADER, begins_record, is_zlib
from hubline.preprocessing.column_type import ColumnType

_MOST_BYTES = 256 << 20
_BLOCK = 1 << 20

_TYPES_OF_LISTS: dict[str, ColumnType] = {"int64_list": "int", "float_list": "float", "bytes_list": "bytes"}


class Column(NamedTuple):
    """Values of a column in one record."""

    type: ColumnType | None
    """None if there are no values."""
    values: Sequence[Any]
    """Of a feature list of a tf.SequenceExample, the values of all steps."""


def read_records(path: str, most: int, ends: float = math.inf) -> Iterator[dict[str, Column]]:
    """The columns of the first records of a local TFRecord file, up to an unreadable record.

    Args:
        path: The file.
        most: Number of records to read, if there are as many, and they are not too large.
        ends: When to stop, as `time.monotonic` counts.
    """
    for record in islice(_records(path), most):
        try:
            example = _message_type().FromString(record)
        except DecodeError:
            return
        columns = {name: _column([feature]) for name, feature in example.features.feature.items()}
        yield columns | {name: _column(each.feature) for name, each in example.feature_lists.feature_list.items()}
        if time.monotonic() > ends:
            return


def is_tfrecord(path: str) -> bool:
    """Whether a local file begins with a TFRecord, or is empty. ZLIB, which ingestion refuses, counts too."""
    try:
        with Path(path).open("rb") as plain:
            if is_zlib(plain.read(_BLOCK)):
                return True
        with _opened(path) as file:
            head = file.read(HEADER.size)
    except (OSError, EOFError, zlib.error):
        return False
    return not head or begins_record(head)


def has_column(path: str, column: str, ends: float) -> bool | None:
    """Whether a record of a local file has a column, by its name's bytes; None if the time doesn't suffice to know.

    A text in the data with the same bytes counts as the column.

    Args:
        path: The file.
        column: Name of the column.
        ends: When to stop, as `time.monotonic` counts.
    """
    name = column.encode()
    # In an entry of the map of features, field 1 is the key, and field 2 follows.
    key = b"\n" + _varint(len(name)) + name + b"\x12"
    before = b""
    try:
        with _opened(path) as file:
            while block := file.read(_BLOCK):
                if key in before + block:
                    return True
                if time.monotonic() > ends:
                    return None
                before = block[-len(key) :]
    except (OSError, EOFError, zlib.error):
        return None
    return False


def _varint(number: int) -> bytes:
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + _varint(number >> 7)


def _opened(path: str) -> IO[bytes]:
    with Path(path).open("rb") as plain:
        is_gzip = plain.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    return cast(IO[bytes], gzip.open(path, "rb")) if is_gzip else Path(path).open("rb")


def _records(path: str) -> Iterator[bytes]:
    """The records, up to one that is unreadable or too large, as far as they are not too large together."""
    left = _MOST_BYTES
    try:
        with _opened(path) as file:
            # A record is its length, the length's checksum, its data and the data's checksum:
            # https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
            while begins_record(header := file.read(HEADER.size)):
                length, _ = HEADER.unpack(header)
                left -= length
                record = file.read(length) if left >= 0 else b""
                if len(record) < length or not length:
                    return
                yield record
                file.read(4)
    except (OSError, EOFError, zlib.error):
        return


def _column(features: Sequence[Any]) -> Column:
    """A column of features, one for each step."""
    kinds = [feature.WhichOneof("kind") for feature in features]
    values = [getattr(feature, kind).value for feature, kind in zip(features, kinds, strict=True) if kind]
    types = [_TYPES_OF_LISTS[kind] for kind in kinds if kind]
    flat = values[0] if len(values) == 1 else [value for step in values for value in step]
    return Column(types[0] if types else None, flat)


@cache
def _message_type() -> Any:
    """A message type that parses both tf.Example and tf.SequenceExample; fields of the other type stay empty."""
    pool = descriptor_pool.DescriptorPool()
    pool.Add(text_format.Parse(_TYPES, descriptor_pb2.FileDescriptorProto()))
    found = pool.FindMessageTypeByName("hubline.Example")
    # protobuf 3 lacks GetMessageClass, and protobuf 5 lacks GetPrototype.
    if hasattr(message_factory, "GetMessageClass"):
        return message_factory.GetMessageClass(found)
    return message_factory.MessageFactory(pool).GetPrototype(found)


def _map_message(name: str, field: str, value: str) -> str:
    """Descriptor, in text format, of a message with one field of type `map<string, value>`."""
    return f"""message_type {{ name: "{name}" nested_type {{ name: "{value}Entry" options {{ map_entry: true }}
        field {{ name: "key" number: 1 label: LABEL_OPTIONAL type: TYPE_STRING }}
        field {{ name: "value" number: 2 label: LABEL_OPTIONAL type: TYPE_MESSAGE type_name: ".hubline.{value}" }} }}
    field {{ name: "{field}" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE
            type_name: ".hubline.{name}.{value}Entry" }} }}"""


_TYPES = f"""name: "hubline/peek.proto" package: "hubline" syntax: "proto3"
message_type {{ name: "Bytes" field {{ name: "value" number: 1 label: LABEL_REPEATED type: TYPE_BYTES }} }}
message_type {{ name: "Float" field {{ name: "value" number: 1 label: LABEL_REPEATED type: TYPE_FLOAT }} }}
message_type {{ name: "Int64" field {{ name: "value" number: 1 label: LABEL_REPEATED type: TYPE_INT64 }} }}
message_type {{ name: "Feature" oneof_decl {{ name: "kind" }}
    field {{ name: "bytes_list" number: 1 type: TYPE_MESSAGE type_name: ".hubline.Bytes" oneof_index: 0 }}
    field {{ name: "float_list" number: 2 type: TYPE_MESSAGE type_name: ".hubline.Float" oneof_index: 0 }}
    field {{ name: "int64_list" number: 3 type: TYPE_MESSAGE type_name: ".hubline.Int64" oneof_index: 0 }} }}
{_map_message("Features", "feature", "Feature")}
message_type {{ name: "FeatureList"
    field {{ name: "feature" number: 1 label: LABEL_REPEATED type: TYPE_MESSAGE type_name: ".hubline.Feature" }} }}
{_map_message("FeatureLists", "feature_list", "FeatureList")}
message_type {{ name: "Example"
    field {{ name: "features" number: 1 type: TYPE_MESSAGE type_name: ".hubline.Features" }}
    field {{ name: "feature_lists" number: 2 type: TYPE_MESSAGE type_name: ".hubline.FeatureLists" }} }}"""
"""tensorflow/core/example/{feature,example}.proto, whose Python classes come with TensorFlow."""
