"""Reads the first records of a file without TensorFlow, which `hubline check` must not import."""

import gzip
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import DecodeError

_GZIP = b"\x1f\x8b\x08"
_MOST_BYTES = 256 << 20


def columns_of_first_record(path: str) -> dict[str, int] | None:
    """Number of values in each column of the first record of a local TFRecord file.

    Returns:
        Counts by column; for a tf.SequenceExample, of context and feature lists. None if the first record is
        unreadable, which ingestion reports in detail.
    """
    return next(_columns(path), None)


def columns_of_first_records(path: str, most: int) -> tuple[set[str], int]:
    """The columns that one of the first records of a local TFRecord file has, and the number of these records.

    Args:
        path: The file.
        most: Number of records to read, if there are as many, and they are not too large.
    """
    found: set[str] = set()
    count = 0
    for columns in islice(_columns(path), most):
        found |= {name for name, values in columns.items() if values}
        count += 1
    return found, count


def _columns(path: str) -> Iterator[dict[str, int]]:
    """Counts of values by column for each record, up to an unreadable one."""
    for record in _records(path):
        try:
            example = _message_type().FromString(record)
        except DecodeError:
            return
        columns = {name: _count(feature) for name, feature in example.features.feature.items()}
        yield columns | {
            name: sum(map(_count, each.feature)) for name, each in example.feature_lists.feature_list.items()
        }


def _records(path: str) -> Iterator[bytes]:
    """The records, up to one that is unreadable or too large, as far as they are not too large together."""
    left = _MOST_BYTES
    try:
        with Path(path).open("rb") as plain:
            opened: Any = gzip.open if plain.read(3) == _GZIP else open
        with opened(path, "rb") as file:
            # A record is its length, the length's checksum, its data and the data's checksum:
            # https://www.tensorflow.org/tutorials/load_data/tfrecord#tfrecords_format_details
            while len(header := file.read(12)) == 12:
                (length,) = struct.unpack("<Q", header[:8])
                left -= length
                record = file.read(length) if left >= 0 else b""
                if len(record) < length or not length:
                    return
                yield record
                file.read(4)
    except (OSError, EOFError, zlib.error):
        return


def _count(feature: Any) -> int:
    kind = feature.WhichOneof("kind")
    return len(getattr(feature, kind).value) if kind else 0


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
