"""Encodes cells as serialized tf.Examples, in TensorFlow's C++."""

from collections.abc import Callable, Mapping
from functools import cache

import numpy as np
import pyarrow as pa
import tensorflow as tf

from hubline.pipeline.convert.cells import Cells, Multiple
from hubline.preprocessing.examples import assemble, piece

# Lists that are encoded together are padded to the longest; this limits the padded size.
PADDED = 1 << 22


def encode(columns: Mapping[str, Cells]) -> tf.Tensor:
    """Serializes rows to tf.Examples; a missing value means that the example lacks the column.

    Args:
        columns: Cells of the same rows, by name.

    Returns:
        String of shape [rows].
    """
    return assemble([_pieces(name, cells) for name, cells in columns.items()])


def _pieces(name: str, cells: Cells) -> tf.Tensor:
    values = _tensor(cells.values)
    if isinstance(cells, Multiple):
        return _of_lists(name, values, cells.lengths)
    return tf.gather(_distinct(values.dtype)(name, values), cells.codes)


@cache
def _distinct(dtype: tf.DType) -> Callable[[str, tf.Tensor], tf.Tensor]:
    """Pieces for a column's distinct values, with an empty piece at the end, as a graph: for so few values, TensorFlow
    would take longer to dispatch the operations than to run them."""

    def pieces(name: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
        return tf.concat([piece(name, values[:, tf.newaxis]), [""]], axis=0)

    return tf.function(pieces, input_signature=[tf.TensorSpec([], tf.string), tf.TensorSpec([None], dtype)])


def _of_lists(name: str, values: tf.Tensor, lengths: np.ndarray) -> tf.Tensor:
    rows = tf.RaggedTensor.from_row_lengths(values, lengths, validate=False)
    step = max(1, PADDED // max(1, lengths.max(initial=0)))
    return tf.concat([piece(name, rows[start : start + step]) for start in range(0, len(lengths), step)], axis=0)


def _tensor(values: pa.Array) -> tf.Tensor:
    if pa.types.is_binary(values.type):
        return tf.constant(values.to_pylist(), tf.string)
    numbers = values.to_numpy()
    # Numbers beyond float32 become infinite.
    with np.errstate(over="ignore"):
        return tf.constant(numbers.astype(np.float32) if pa.types.is_floating(values.type) else numbers)
