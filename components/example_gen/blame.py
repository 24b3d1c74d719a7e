"""Finds the record behind a failure that TensorFlow reported without naming one."""

import tensorflow as tf

from components.example_gen.contract import records
from components.example_gen.ingest import compression_of
from components.example_gen.manifest import Manifest
from preprocessing.config import Features, column_of
from preprocessing.errors import DataError
from preprocessing.image import decode


def undecodable(manifest: Manifest, features: Features) -> DataError | None:
    """An error that names the first record whose image does not decode; None where all do.

    Reads the sources again, record by record: for the way to a message only.
    """
    for path in manifest.sources:
        for first, batch in records(path, compression_of(path)):
            for number, record in enumerate(batch.numpy(), start=first):
                columns = tf.train.Example.FromString(record).features.feature
                for name, feature in features.items():
                    column = column_of(name, feature)
                    try:
                        decode(feature, columns[column].bytes_list.value[0])
                    except tf.errors.InvalidArgumentError as error:
                        reason = error.message.partition("[Op:")[0].strip().rpartition("}}")[2].strip()
                        return DataError(
                            f"{path}: record {number} (counted from 0): its image '{column}' does not decode: {reason}"
                        )
    return None
