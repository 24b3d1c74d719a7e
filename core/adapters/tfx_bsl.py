"""Private parts of tfx_bsl, whose public API is `tfx_bsl.public`. It is installed with TFDV and TF Transform."""

from collections.abc import Sequence

import pyarrow as pa
from tfx_bsl import sketches
from tfx_bsl.sketches import QuantilesSketch

SKETCHES: tuple[type, ...] = (sketches.QuantilesSketch, sketches.KmvSketch, sketches.MisraGriesSketch)
"""Private: the sketches' module. TFDV's accumulators hold them; each is written down as the bytes of its
`__getstate__`, which only its `__setstate__` reads."""


def quantiles_sketch(error: float, most_values: int) -> QuantilesSketch:
    """A sketch of the quantiles of one stream of numbers, empty.

    Private: the sketch. TF Transform and TFDV compute quantiles by it, and export analyzers that need Beam.

    Args:
        error: How far, in ranks, a quantile may be off, as a share of all values.
        most_values: At most so many numbers are added.
    """
    return sketches.QuantilesSketch(error, most_values, 1)


class ExampleDecoder:
    """Decodes serialized tf.Examples as Arrow record batches, a list of values for each record and column.

    Private: the coder. The public `tfxio.TFExampleRecord` takes its files' path for a pattern.
    """

    def __init__(self) -> None:
        # Imported here: it takes TensorFlow with it.
        from tfx_bsl.coders import example_coder

        self._decoder = example_coder.ExamplesToRecordBatchDecoder()

    def decode(self, records: Sequence[bytes]) -> pa.RecordBatch:
        """One batch of records; raises RuntimeError where one is no tf.Example or a column's type differs."""
        return self._decoder.DecodeBatch(list(records))
