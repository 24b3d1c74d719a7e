"""Training on several devices: each has a replica of the model, and each batch is split among the replicas.

A step has the gradient of the whole batch's loss, as on one device. TensorFlow gives every replica the same weight,
also in a last batch that doesn't divide evenly; here each replica counts by its number of examples.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from hubline.trainer.inputs import rows_of


class _EvenSplit:
    """A strategy that splits each batch of a dataset evenly among this process's replicas.

    Keras hands its datasets to the strategy. TensorFlow's own method divides batches by a size that it guesses from the
    dataset, and workers read until all are at their end. Here the pieces of a batch may be empty, but every replica has
    one in each step.
    """

    def experimental_distribute_dataset(self, dataset: tf.data.Dataset, options: Any = None) -> Any:
        """Distributes a dataset whose batches are the shares of this process."""

        def split(context: tf.distribute.InputContext) -> tf.data.Dataset:
            replicas = context.num_replicas_in_sync // context.num_input_pipelines
            if replicas == 1:
                return dataset
            return dataset.flat_map(partial(_pieces, replicas)).prefetch(replicas)

        return self.distribute_datasets_from_function(split, options)  # type: ignore[attr-defined]


class MirroredStrategy(_EvenSplit, tf.distribute.MirroredStrategy):
    """Several devices of one process."""


class MultiWorkerMirroredStrategy(_EvenSplit, tf.distribute.MultiWorkerMirroredStrategy):
    """The devices of several processes, found by `TF_CONFIG`."""


def _pieces(count: int, *batch: Any) -> tf.data.Dataset:
    """Splits a batch into pieces, of which some may be empty."""
    size = tf.shape(tf.nest.flatten(batch[1:])[0], tf.int64)[0]

    def piece(number: tf.Tensor) -> Any:
        start = number * size // count
        return tf.nest.map_structure(lambda values: rows_of(values, start, (number + 1) * size // count - start), batch)

    return tf.data.Dataset.range(count).map(piece)


def all_sum(value: tf.Tensor) -> tf.Tensor:
    """Sum of a value over all replicas, within a step; the value itself elsewhere."""
    context = tf.distribute.get_replica_context()
    if context is None or context.num_replicas_in_sync == 1:
        return value
    return context.all_reduce(tf.distribute.ReduceOp.SUM, value)


def mean_of_batch(values: tf.Tensor) -> tf.Tensor:
    """Mean of values over the batches of all replicas."""
    return all_sum(tf.reduce_sum(values)) / all_sum(tf.cast(tf.size(values), values.dtype))


def share_of_loss(loss: tf.Tensor, regularization: Sequence[tf.Tensor], examples: tf.Tensor) -> tf.Tensor:
    """A replica's share of the loss of a batch; the shares add up to the mean over all examples and the regularization.

    Args:
        loss: From Keras: (mean over the replica's examples + regularization) / replicas.
        regularization: The part of the loss that doesn't depend on the examples.
        examples: Number of the replica's examples.
    """
    context = tf.distribute.get_replica_context()
    replicas = 1 if context is None else context.num_replicas_in_sync
    if replicas == 1:
        return loss
    count = tf.cast(examples, loss.dtype)
    extra = tf.add_n([tf.zeros([], loss.dtype), *(tf.cast(one, loss.dtype) for one in regularization)])
    return (replicas * loss - extra) * count / all_sum(count) + extra / replicas
