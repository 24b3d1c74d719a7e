"""Reads the input artifacts of a step."""

from typing import Any

from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.types import artifact_utils
from tfx.utils import io_utils

from hubline.core import storage


def read_schema(artifacts: list[Any]) -> schema_pb2.Schema:
    """Reads the schema from a single Schema artifact."""
    return io_utils.parse_pbtxt_file(
        io_utils.get_only_uri_in_dir(artifact_utils.get_single_uri(artifacts)), schema_pb2.Schema()
    )


def split_files(examples: list[Any], split: str) -> list[str]:
    """TFRecord files of a split in a single Examples artifact, sorted."""
    folder = artifact_utils.get_split_uri(examples, split)
    return [f"{folder}/{name}" for name in storage.names(folder)]


def module_folder(artifacts: list[Any]) -> str:
    """Folder of the SavedModel in a single Model artifact from HubModule."""
    return f"{artifact_utils.get_single_uri(artifacts)}/module"
