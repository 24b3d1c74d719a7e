"""Rows stored after the transform graph, so that later epochs need not transform them again."""

import tensorflow as tf

from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.examples import assemble, piece
from hubline.trainer.inputs import LABEL, Parse, Tensors


class MaterializedRows:
    """Stores parsed and transformed rows as tf.Examples, with a column for each input and for the label."""

    def __init__(self, parse: tf.types.experimental.PolymorphicFunction) -> None:
        """Args:
        parse: Parses and transforms serialized rows; a `tf.function` of string [batch].
        """
        inputs, label = parse.get_concrete_function().structured_outputs
        self._spec: ParsingSpec = {name: _feature(values) for name, values in (inputs | {LABEL: label}).items()}
        self._transform = parse
        self.parse: Parse = tf.function(self._read, [tf.TensorSpec([None], tf.string)])
        """Same result as `parse`, from the output of `encode`."""
        self.encode = tf.function(self._written, [tf.TensorSpec([None], tf.string)])
        """Converts serialized rows to serialized transformed ones, string [batch]."""

    def bytes_of_row(self, rows: tf.Tensor) -> int:
        """Average size of the transformed rows in bytes."""
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
