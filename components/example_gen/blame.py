"""Finds the records behind what did not decode."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

from components.example_gen.contract import columns_of
from components.quarantine import SetAside
from components.salvage import salvage
from preprocessing.errors import DataError, tensorflow_reason
from preprocessing.labels.pixels import PixelsLabel
from preprocessing.masks import fault as mask_fault
from trainer.boxes import shape_of


@dataclass(frozen=True)
class Masks:
    """The masks of a label."""

    label: PixelsLabel
    image: str
    """The column of the pictures that they are of."""


def undecodable(path: str, images: Sequence[str], masks: Masks | None = None) -> Iterator[SetAside]:
    """The records of a data file with an image that does not decode or a mask that is wrong, and why.

    Reads the file record by record: for the way to a message only. Damaged records are passed over.

    Args:
        path: The file.
        images: Columns of encoded images.
        masks: The masks that are looked at, if there are any.
    """
    for number, record in enumerate(salvage(path)):
        fault = None if record.fault else _fault(record.data, images, masks)
        if fault:
            yield SetAside(file=path, record=number, reason=fault)


def _fault(record: bytes, images: Sequence[str], masks: Masks | None) -> str | None:
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
    return _mask_fault(columns, masks) if masks else None


def _mask_fault(columns: Mapping[str, tf.train.Feature], masks: Masks) -> str | None:
    (mask,), (image,) = (columns[name].bytes_list.value for name in (masks.label.column, masks.image))
    return mask_fault(masks.label, mask, shape_of(tf.constant(image)))
