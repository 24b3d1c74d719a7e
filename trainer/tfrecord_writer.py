"""Writes records that a Python loop produces in batches, without turning each record into a Python object."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Protocol

import tensorflow as tf


class Write(Protocol):
    """Takes serialized records, string of shape [batch]."""

    def __call__(self, records: tf.Tensor) -> None:
        """Appends the records to the file."""


@contextmanager
def writing(path: str) -> Iterator[Write]:
    """Opens a TFRecord file for writing batches; TensorFlow's own writer takes them from a queue.

    Model outputs computed outside a `tf.data` graph, as they must be on a GPU, could otherwise be written only record
    by record through Python.

    Raises:
        tf.errors.OpError: if the file cannot be written; raised at the end of the block or when the next batch is
            written.
    """
    with tf.device("CPU"):
        queue = tf.queue.FIFOQueue(2, [tf.string])
        batches = tf.data.Dataset.counter().map(lambda _: tf.ensure_shape(queue.dequeue(), [None]))
    # An empty batch marks the end.
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
        writer.result()  # raises the writer's own error
        raise


def _write(path: str, records: tf.data.Dataset, queue: tf.queue.QueueBase) -> None:
    try:
        variant = tf.data.experimental.to_variant(records)
        tf.raw_ops.DatasetToTFRecord(input_dataset=variant, filename=path, compression_type="")
    except BaseException:
        queue.close(cancel_pending_enqueues=True)
        raise
