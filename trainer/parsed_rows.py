"""Rows that are parsed and transformed once, for many trainings on the same data."""

import tensorflow as tf

from hubline.trainer.inputs import Parse, Tensors


class ParsedRows:
    """Parsed rows as tensors in memory. A dataset draws their places, and batches are gathered from the tensors.

    An iterator optimizes each function of its dataset, which takes some 10 ms of CPU time per function and epoch. This
    dataset has few functions, and none of them is a transform graph.
    """

    def __init__(self, rows: tf.data.Dataset, parse: Parse, at_once: int) -> None:
        """Args:
        rows: Serialized rows, at least one.
        parse: Parses and transforms rows; its results are dense.
        at_once: Number of rows to parse together.
        """
        with tf.device("CPU"):  # where datasets run
            parts = list(rows.batch(at_once).map(parse, num_parallel_calls=tf.data.AUTOTUNE))
            self._parsed = tf.nest.map_structure(lambda *values: tf.concat(values, axis=0), *parts)

    @property
    def places(self) -> tf.data.Dataset:
        """The places of all rows in order, int64."""
        _, label = self._parsed
        return tf.data.Dataset.range(len(label))

    def batches(self, places: tf.data.Dataset, batch_size: int) -> tf.data.Dataset:
        """Batches of the rows at some places; the last batch may be smaller.

        Args:
            places: One by one.
            batch_size: Rows per batch.
        """
        # With autotuning, an iterator waits up to a tenth of a second for its measurements to end.
        options = tf.data.Options()
        options.autotune.enabled = False
        return places.batch(batch_size).map(self._gathered).with_options(options)

    def _gathered(self, places: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        return tf.nest.map_structure(lambda values: tf.gather(values, places), self._parsed)


def is_dense(parse: tf.types.experimental.PolymorphicFunction) -> bool:
    """Whether parsed rows have no sparse tensors, from which rows can't be gathered."""
    given = parse.get_concrete_function().structured_outputs
    return all(isinstance(values, tf.TensorSpec | tf.Tensor) for values in tf.nest.flatten(given))
