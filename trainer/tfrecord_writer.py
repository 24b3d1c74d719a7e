"""Writes records that a Python loop makes batch by batch, none of which becomes a Python object."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import tensorflow as tf


class Write(Protocol):
    """Takes serialized records, string of shape [batch]."""

    def __call__(self, records: tf.Tensor) -> None:
        """Appends them to the file."""


@contextmanager
def writing(path: str) -> Iterator[Write]:
    """Opens a TFRecord file to write batches to; TensorFlow's own writer takes them from a queue.

    What a model gives outside of a `tf.data` graph, as it must on a GPU, has no other way into a file but one record
    after the other through Python.

    Raises:
        tf.errors.OpError: where the file cannot be written; when the block ends, or when it writes the next batch.
    """
    with tf.device("CPU"):
        queue = tf.queue.FIFOQueue(2, [tf.string])
        batches = tf.data.Dataset.counter().map(lambda _: tf.ensure_shape(queue.dequeue(), [None]))
    # An empty batch says that there are no more.
    records = batches.take_while(lambda batch: tf.size(batch) > 0).unbatch()
    with ThreadPoolExecutor(1) as executor:
        writer = executor.submit(_write, path, records, queue)

        def write(records: tf.Tensor) -> None:
            if tf.size(records) > 0:
                _enqueue(queue, records, writer)

        try:
            yield write
        finally:
            _enqueue(queue, tf.constant([], tf.string), writer)
            writer.result()


def _enqueue(queue: tf.queue.QueueBase, records: tf.Tensor, writer: Future) -> None:
    try:
        queue.enqueue(records)
    except tf.errors.CancelledError:
        writer.result()  # raises what made the writer give up
        raise


def _write(path: str, records: tf.data.Dataset, queue: tf.queue.QueueBase) -> None:
    try:
        variant = tf.data.experimental.to_variant(records)
        tf.raw_ops.DatasetToTFRecord(input_dataset=variant, filename=path, compression_type="")
    except BaseException:
        queue.close(cancel_pending_enqueues=True)
        raise
