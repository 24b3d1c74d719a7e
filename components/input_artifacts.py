"""Reads the input artifacts of a step."""

from typing import Any

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils

from hubline.core import storage


def read_schema(artifacts: list[Any]) -> schema_pb2.Schema:
    """Reads the schema from a single Schema artifact."""
    folder = artifact_utils.get_single_uri(artifacts)
    (name,) = storage.names(folder)
    with storage.open_binary(f"{folder}/{name}") as file:
        return text_format.Parse(file.read(), schema_pb2.Schema())


def split_files(examples: list[Any], split: str) -> list[str]:
    """TFRecord files of a split in a single Examples artifact, sorted."""
    folder = artifact_utils.get_split_uri(examples, split)
    return [f"{folder}/{name}" for name in storage.names(folder)]


def module_folder(artifacts: list[Any]) -> str:
    """Folder of the SavedModel in a single Model artifact from HubModule."""
    return f"{artifact_utils.get_single_uri(artifacts)}/module"
