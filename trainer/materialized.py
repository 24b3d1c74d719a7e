"""Rows kept as the transform graph made them, so that later epochs read them instead of transforming them again."""

import time
from collections.abc import Callable

import tensorflow as tf

from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.examples import assemble, piece
from hubline.trainer.inputs import LABEL, Parse, Tensors

_TIMES = 3
_CLEARLY = 0.8
"""What share of the time reading back must take at most, for it to be worth the memory."""


class Materialized:
    """What is parsed of rows, as tf.Examples of their own: by the name of each input, and the label."""

    def __init__(self, parse: tf.types.experimental.PolymorphicFunction) -> None:
        """Takes what parses and transforms serialized rows, a `tf.function` of string [batch]."""
        inputs, label = parse.get_concrete_function().structured_outputs
        self._spec: ParsingSpec = {name: _feature(values) for name, values in (inputs | {LABEL: label}).items()}
        self._transform = parse
        self.parse: Parse = tf.function(self._read, [tf.TensorSpec([None], tf.string)])
        """The same of what `encode` gave."""
        self.encode = tf.function(self._written, [tf.TensorSpec([None], tf.string)])
        """Serialized rows to serialized transformed ones, string of shape [batch]."""

    def is_faster(self, rows: tf.Tensor) -> bool:
        """Whether reading some rows back takes clearly less time than transforming them, tried out."""
        return _seconds(self.parse, self.encode(rows)) < _CLEARLY * _seconds(self._transform, rows)

    def bytes_of_row(self, rows: tf.Tensor) -> int:
        """About the bytes that one of some rows takes."""
        return int(tf.reduce_mean(tf.strings.length(self.encode(rows))))

    def _written(self, rows: tf.Tensor) -> tf.Tensor:
        inputs, label = self._transform(rows)
        return assemble([piece(name, _lists(values)) for name, values in (inputs | {LABEL: label}).items()])

    def _read(self, rows: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        inputs = tf.io.parse_example(rows, self._spec)
        return inputs, inputs.pop(LABEL)


def _feature(values: tf.Tensor | tf.SparseTensor) -> tf.io.FixedLenFeature | tf.io.VarLenFeature:
    if isinstance(values, tf.SparseTensor):
        return tf.io.VarLenFeature(values.dtype)
    return tf.io.FixedLenFeature(values.shape[1:], values.dtype)


def _lists(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor | tf.RaggedTensor:
    if isinstance(values, tf.SparseTensor):
        return tf.RaggedTensor.from_sparse(values)
    return tf.reshape(values, [tf.shape(values)[0], values.shape[1:].num_elements()])


def _seconds(call: Callable[[tf.Tensor], object], rows: tf.Tensor) -> float:
    """The least of several calls, after one that makes all ready."""
    call(rows)
    taken = []
    for _ in range(_TIMES):
        begin = time.perf_counter()
        call(rows)
        taken.append(time.perf_counter() - begin)
    return min(taken)
