from __future__ import annotations

from collections.abc import Container, Iterator
from typing import TYPE_CHECKING

import tensorflow as tf

from hubline.artifacts.quarantine import QuarantinedRecord
from hubline.components.example_gen.records import columns_of, values_of
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.tfrecord_recovery import salvage
from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.feature_columns import encoded_features
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.masks import fault as mask_fault

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features


def undecodable(
    path: str, features: Features, mask: PixelsLabel | None = None, passed_over: Container[int] = ()
) -> Iterator[QuarantinedRecord]:
    """Finds records with undecodable images, frames or sounds, or invalid masks, and the reasons.

    Reads the file record by record, as it is used for error messages only. Skips damaged records.

    Args:
        path: The file.
        features: Determine the image columns.
        mask: The label whose masks to check, if any.
        passed_over: Numbers of records already quarantined, which may lack any column.
    """
    pictures = encoded_features(features)
    # As a graph function, because errors in eager loops contain more than the cause.
    decode = {name: tf.function(feature.decoded) for name, feature in pictures.items()}

    def fault(record: bytes) -> str | None:
        try:
            columns = columns_of(record)
        except DataError:
            return None
        for name, feature in pictures.items():
            column = feature.column or name
            values = values_of(columns, column)
            try:
                if values:
                    decode[name](feature.encoded_one(values))
            except tf.errors.InvalidArgumentError as error:
                return f"its {feature.what} '{column}' does not decode: {tensorflow_reason(error)}"
        if mask is None:
            return None
        (encoded,), feature = columns[mask.column].bytes_list.value, pictures[mask.image]
        picture = feature.encoded_one(values_of(columns, feature.column or mask.image))
        return mask_fault(mask, encoded, shape_of(picture))

    for number, record in enumerate(salvage(path)):
        reason = None if record.fault or number in passed_over else fault(record.data)
        if reason:
            yield QuarantinedRecord(file=path, record=number, reason=reason)
