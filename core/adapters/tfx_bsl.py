"""Private APIs of tfx_bsl, whose public API is `tfx_bsl.public`. TFDV and TF Transform depend on it."""

from collections.abc import Sequence

import pyarrow as pa
from tfx_bsl import sketches
from tfx_bsl.sketches import QuantilesSketch

SKETCHES: tuple[type, ...] = (sketches.QuantilesSketch, sketches.KmvSketch)
"""Private: the sketches' module. TFDV's accumulators contain sketches; each is serialized as the bytes of its
`__getstate__`, which only its `__setstate__` can read."""


def quantiles_sketch(error: float, most_values: int) -> QuantilesSketch:
    """An empty sketch for the quantiles of a stream of numbers.

    Private: the sketch. TF Transform and TFDV compute quantiles with it, but export only analyzers that need Beam.

    Args:
        error: Maximum rank error of a quantile, as a fraction of all values.
        most_values: Maximum number of values to be added.
    """
    return sketches.QuantilesSketch(error, most_values, 1)


class ExampleDecoder:
    """Decodes serialized tf.Examples to Arrow record batches, with a list of values per record and column.

    Private: the coder. The public `tfxio.TFExampleRecord` treats the path as a pattern.
    """

    def __init__(self) -> None:
        # Imported here because it imports TensorFlow.
        from tfx_bsl.coders import example_coder

        self._decoder = example_coder.ExamplesToRecordBatchDecoder()

    def decode(self, records: Sequence[bytes]) -> pa.RecordBatch:
        """Decodes a batch; raises a RuntimeError if an item is not a tf.Example or a column's type differs."""
        return self._decoder.DecodeBatch(list(records))
