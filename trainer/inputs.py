"""The input path: sharded TFRecords to batches of prepared tensors, in TensorFlow's C++ from end to end."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from preprocessing import image
from preprocessing.columns import ParsingSpec
from preprocessing.config import Features
from preprocessing.transform import LABEL

Tensors = dict[str, tf.Tensor]


def read_records(files: Sequence[str]) -> tf.data.Dataset:
    """The serialized records of some TFRecord files, several read at once, in the same order every time.

    A file is GZIP where its name ends in `.gz`, else plain.
    """

    def read(file: tf.Tensor) -> tf.data.Dataset:
        compression = tf.where(tf.strings.regex_full_match(file, r"(?s).*\.gz"), "GZIP", "")
        return tf.data.TFRecordDataset(file, compression_type=compression)

    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        read,
        cycle_length=min(len(files), 16),
        num_parallel_calls=tf.data.AUTOTUNE,
    )


def batches(
    records: tf.data.Dataset,
    parsing_spec: ParsingSpec,
    transform: Callable[[dict], Tensors],
    features: Features,
    batch_size: int,
) -> tf.data.Dataset:
    """Serialized records to batches that the model trains on.

    Args:
        records: Scalar strings, each a tf.Example.
        parsing_spec: The raw columns to parse.
        transform: The transform graph: raw columns to transformed features, in batches.
        features: What to prepare, by name.
        batch_size: Examples in a batch; the last one may be smaller.

    Returns:
        Pairs of prepared features by name, shape [batch, ...], and class indices, int64 of shape [batch].
    """

    def parse(serialized: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        transformed = transform(tf.io.parse_example(serialized, parsing_spec))
        return {name: transformed[name] for name in features}, transformed[LABEL]

    # Parsing and transforming are cheapest by the batch; decoding goes image by image, on all cores.
    return (
        records.batch(batch_size)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        # A class that only the validation split has was never learned: its index is -1, and no loss can be taken.
        .filter(lambda inputs, label: label >= 0)
        .map(lambda inputs, label: (prepare_one(features, inputs), label), num_parallel_calls=tf.data.AUTOTUNE)
        .batch(batch_size)
        .prefetch(tf.data.AUTOTUNE)
    )


def prepare_one(features: Features, inputs: Tensors) -> Tensors:
    """The transformed features of one example as the tensors that the model takes, without a batch dimension."""
    return {name: image.decode(feature, inputs[name]) for name, feature in features.items()}


def prepare(features: Features, inputs: Tensors) -> Tensors:
    """The transformed features of a batch as the tensors that the model takes, shape [batch, ...]."""
    return {
        name: tf.map_fn(
            lambda encoded, feature=feature: image.decode(feature, encoded),
            inputs[name],
            fn_output_signature=tf.TensorSpec([*feature.size, feature.channels], tf.float32),
        )
        for name, feature in features.items()
    }
