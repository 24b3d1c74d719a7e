"""Finds the record behind a failure that TensorFlow reported without naming one."""

import tensorflow as tf

from components.example_gen.manifest import Manifest
from components.records import read_batches
from preprocessing.errors import DataError, tensorflow_reason


def undecodable(manifest: Manifest) -> DataError | None:
    """An error that names the first record with an image that does not decode; None where all do.

    Reads the sources again, record by record: for the way to a message only.
    """
    for path in manifest.sources:
        for first, batch in read_batches(path):
            for number, record in enumerate(batch.numpy(), start=first):
                columns = tf.train.Example.FromString(record).features.feature
                for column in manifest.images:
                    try:
                        tf.io.decode_image(columns[column].bytes_list.value[0], channels=3, expand_animations=False)
                    except tf.errors.InvalidArgumentError as error:
                        fault = f"its image '{column}' does not decode: {tensorflow_reason(error)}"
                        return DataError(f"{path}: record {number} (counted from 0): {fault}")
    return None
