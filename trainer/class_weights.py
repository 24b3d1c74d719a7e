"""Weights of classes in the training loss, for labels of one class and of many classes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

import numpy as np

from hubline.core.lazy_import import tf


class ClassWeighting(ABC):
    """How the loss follows the weights of classes.

    A table of weights, or of counts, has one number for each outcome: float [classes] for one class per record, and
    float [classes, 2] (without the class, with the class) for any number of classes.
    """

    def __init__(self, names: Sequence[str]) -> None:
        """Args:
        names: Class names, by index.
        """
        self.names = list(names)

    @abstractmethod
    def table(self, given: Mapping[str, float]) -> np.ndarray:
        """The table of weights by class name; classes without a weight have weight 1."""

    @abstractmethod
    def counts(self, target: tf.Tensor) -> tf.Tensor:
        """The table of how many records of a batch have each outcome."""

    @abstractmethod
    def weights(self, target: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        """The weights of a batch, float32 [batch] or, for any number of classes, [batch, classes]."""

    @abstractmethod
    def described(self, table: np.ndarray, counts: np.ndarray) -> str:
        """Lists the weights with the number of training records, for a note."""

    def loss(self, loss: tf.keras.losses.Loss) -> tf.keras.losses.Loss:
        """The loss that accepts these weights."""
        return loss


class OneClass(ClassWeighting):
    """A record counts as much as its class weighs, as with Keras' `fit(class_weight=...)`."""

    def table(self, given: Mapping[str, float]) -> np.ndarray:
        return np.array([given.get(name, 1.0) for name in self.names], np.float32)

    def counts(self, target: tf.Tensor) -> tf.Tensor:
        return tf.math.bincount(tf.cast(target, tf.int32), minlength=len(self.names), maxlength=len(self.names))

    def weights(self, target: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        return tf.gather(table, target)

    def described(self, table: np.ndarray, counts: np.ndarray) -> str:
        return ", ".join(
            f"{name} {weight:.4g} ({count:,} records)"
            for name, weight, count in zip(self.names, table, counts, strict=True)
        )


class ManyClasses(ClassWeighting):
    """For each class, a record with the class counts as much as the class weighs; a record without it counts 1, or its
    balanced weight."""

    def table(self, given: Mapping[str, float]) -> np.ndarray:
        return np.array([[1.0, given.get(name, 1.0)] for name in self.names], np.float32)

    def counts(self, target: tf.Tensor) -> tf.Tensor:
        having = tf.reduce_sum(tf.cast(target > 0.5, tf.int64), axis=0)
        return tf.stack([tf.shape(target, tf.int64)[0] - having, having], axis=1)

    def weights(self, target: tf.Tensor, table: tf.Tensor) -> tf.Tensor:
        return tf.where(target > 0.5, table[:, 1], table[:, 0])

    def described(self, table: np.ndarray, counts: np.ndarray) -> str:
        return ", ".join(
            f"{name} {with_it:.4g} ({having:,} records) against {without:.4g} ({lacking:,})"
            for name, (without, with_it), (lacking, having) in zip(self.names, table, counts, strict=True)
        )

    def loss(self, loss: tf.keras.losses.Loss) -> tf.keras.losses.Loss:
        """The loss of each class of each record by itself; without weights, their mean is the loss itself."""
        from hubline.trainer.losses import of_each_output

        return of_each_output(loss)


def balanced(counts: np.ndarray) -> np.ndarray:
    """The table of weights with which all outcomes of a choice weigh the same in total, and the mean weight is 1: n /
    (outcomes * count), as scikit-learn's `compute_class_weight`. Outcomes without records don't count, and weigh 1.

    Args:
        counts: Number of records by outcome, [..., outcomes].
    """
    there = counts > 0
    total, outcomes = counts.sum(-1, keepdims=True), there.sum(-1, keepdims=True)
    return np.where(there, total / (np.maximum(outcomes, 1) * np.maximum(counts, 1)), 1.0).astype(np.float32)
