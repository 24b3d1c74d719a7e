"""Finds the records behind what did not decode."""

from collections.abc import Iterator, Sequence

import tensorflow as tf

from components.example_gen.contract import columns_of
from components.quarantine import SetAside
from components.salvage import salvage
from preprocessing.errors import DataError, tensorflow_reason


def undecodable(path: str, images: Sequence[str]) -> Iterator[SetAside]:
    """The records of a data file with an image that does not decode, and why.

    Reads the file record by record: for the way to a message only. Damaged records are passed over.

    Args:
        path: The file.
        images: Columns of encoded images.
    """
    for number, record in enumerate(salvage(path)):
        fault = None if record.fault else _fault(record.data, images)
        if fault:
            yield SetAside(file=path, record=number, reason=fault)


def _fault(record: bytes, images: Sequence[str]) -> str | None:
    try:
        columns = columns_of(record)
    except DataError:
        return None
    for column in images:
        for image in columns[column].bytes_list.value:
            try:
                tf.io.decode_image(image, channels=3, expand_animations=False)
            except tf.errors.InvalidArgumentError as error:
                return f"its image '{column}' does not decode: {tensorflow_reason(error)}"
    return None
