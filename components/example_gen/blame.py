"""Finds the record behind a failure that TensorFlow reported without naming one."""

import tensorflow as tf

from components.example_gen.manifest import Manifest
from components.salvage import salvage
from preprocessing.errors import DataError, tensorflow_reason


def undecodable(manifest: Manifest) -> DataError | None:
    """An error that names the first record with an image that does not decode; None where all do.

    Reads the sources again, record by record: for the way to a message only. Records that were set aside are among
    them, and what is wrong with those is not looked for.
    """
    for path in manifest.sources:
        for number, record in enumerate(salvage(path)):
            fault = None if record.fault else _fault(record.data, manifest.images)
            if fault:
                return DataError(f"{path}: record {number} (counted from 0): {fault}")
    return None


def _fault(record: bytes, images: tuple[str, ...]) -> str | None:
    try:
        columns = tf.train.Example.FromString(record).features.feature
    except Exception:  # the protobuf versions of the two stacks raise different types
        return None
    for column in images:
        for image in columns[column].bytes_list.value:
            try:
                tf.io.decode_image(image, channels=3, expand_animations=False)
            except tf.errors.InvalidArgumentError as error:
                return f"its image '{column}' does not decode: {tensorflow_reason(error)}"
    return None
