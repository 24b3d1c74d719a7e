"""A worker's share of each batch: every n-th example, where n is the number of workers.

The size of a batch is a multiple of the number of workers, so that all shares have one size; only a last batch that is
smaller may have none for some workers.
"""

import tensorflow as tf

from hubline.trainer.workers import Worker


def examples_of(worker: Worker, data: tf.data.Dataset) -> tf.data.Dataset:
    """A worker's share of examples that come one by one, the first of which begins a batch."""
    return data if worker.count == 1 else data.shard(worker.count, worker.index)


def place_among_all(worker: Worker, number: tf.Tensor) -> tf.Tensor:
    """The place among all examples of an example of a worker's share."""
    return number * worker.count + worker.index


def batches_of(worker: Worker, data: tf.data.Dataset) -> tf.data.Dataset:
    """A worker's share of each of the batches, which are dense."""
    if worker.count == 1:
        return data
    return data.map(lambda *batch: tf.nest.map_structure(lambda values: values[worker.index :: worker.count], batch))


def completed(worker: Worker, data: tf.data.Dataset, examples: int, batch_size: int) -> tf.data.Dataset:
    """Adds an empty batch if the last batch has no example for the worker: every worker has a part in every step.

    Args:
        worker: The worker.
        data: The worker's share of each batch.
        examples: Number of examples of all workers.
        batch_size: Size of the batches of all workers.
    """
    if not 0 < examples % batch_size <= worker.index:
        return data
    return data.concatenate(tf.data.Dataset.from_tensors(tf.nest.map_structure(_none, data.element_spec)))


def _none(spec: tf.TypeSpec) -> tf.Tensor | tf.SparseTensor:
    zeros = tf.zeros([0, *(size or 0 for size in spec.shape[1:])], spec.dtype)
    return tf.sparse.from_dense(zeros) if isinstance(spec, tf.SparseTensorSpec) else zeros
