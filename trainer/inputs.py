"""The input path: TFRecords to batches of what the model takes, in TensorFlow's C++ from end to end."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import tensorflow as tf

from preprocessing import image
from preprocessing.columns import ParsingSpec
from preprocessing.config import Features
from preprocessing.transform import LABEL
from trainer.augment import augmented
from trainer.config import Augmentation
from trainer.machine import available_memory

Tensors: TypeAlias = dict[str, tf.Tensor]
Parse: TypeAlias = Callable[[tf.Tensor], tuple[Tensors, tf.Tensor]]
"""A batch of serialized records to what is read of them, and class indices."""

PARSED_AT_ONCE = 64
"""Records to a batch where they are parsed: parsing one by one is ten times slower, and images must fit."""


def read_records(files: Sequence[str], in_order: bool = False) -> tf.data.Dataset:
    """The serialized records of some TFRecord files, those named `.gz` as GZIP.

    Args:
        files: Paths.
        in_order: One file after the other. Otherwise several are read at once, which is faster, in an order that is the
            same every time.
    """
    return tf.data.Dataset.from_tensor_slices(list(files)).interleave(
        read_file, cycle_length=1 if in_order else min(len(files), 16), num_parallel_calls=tf.data.AUTOTUNE
    )


def read_file(file: tf.Tensor) -> tf.data.Dataset:
    """The serialized records of one TFRecord file, in order; GZIP where its name, a scalar string, ends in `.gz`."""
    compression = tf.where(tf.strings.regex_full_match(file, r"(?s).*\.gz"), "GZIP", "")
    return tf.data.TFRecordDataset(file, compression_type=compression)


def read_decodable(files: Sequence[str], undecodable: Sequence[int], in_order: bool = False) -> tf.data.Dataset:
    """The records of some files, but for those with numbers that are named, counted over all files from 0."""
    if not undecodable:
        return read_records(files, in_order)
    missing = tf.constant(list(undecodable), tf.int64)
    return (
        read_records(files, in_order=True)
        .enumerate()
        .filter(lambda number, record: tf.reduce_all(number != missing))
        .map(lambda number, record: record)
    )


def parsing(
    spec: ParsingSpec, transform: Callable[[dict], Tensors], features: Iterable[str] = (), columns: Iterable[str] = ()
) -> Parse:
    """Parses raw columns and applies the transform graph.

    Args:
        spec: The columns to parse.
        transform: The transform graph: raw columns to transformed features, in batches.
        features: Transformed features to hand on.
        columns: Columns to hand on as they are, of which the graph knows nothing: kept vectors.
    """
    features, columns = list(features), list(columns)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # traced once, however many datasets use it
    def parse(serialized: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        as_they_are = {name: parsed.pop(name) for name in columns}
        transformed = transform(parsed)
        return as_they_are | {name: transformed[name] for name in features}, transformed[LABEL]

    return parse


def parsed(records: tf.data.Dataset, parse: Parse) -> tf.data.Dataset:
    """Records one by one, parsed: pairs of what `parse` gives, without a batch dimension.

    A class that only the validation split has was never learned: its index is -1, no loss can be taken, and the record
    is passed over.
    """
    return (
        records.batch(PARSED_AT_ONCE)
        .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
        .unbatch()
        .filter(lambda inputs, label: label >= 0)
    )


def decoded(examples: tf.data.Dataset, features: Features) -> tf.data.Dataset:
    """Encoded images, one example after the other, as pixels; decoding goes image by image, on all cores."""
    return examples.map(
        lambda inputs, label: (pixels_of_one(features, inputs), label), num_parallel_calls=tf.data.AUTOTUNE
    )


def kept_between_epochs(examples: tf.data.Dataset, count: int, scratch: str) -> tf.data.Dataset:
    """Examples that the first epoch keeps for those that follow: in memory where half of what is free holds them.

    Args:
        examples: One by one, of fixed shapes.
        count: How many there are.
        scratch: A folder on a local disk, for those that memory does not hold.
    """
    if count * bytes_of(examples) <= available_memory() / 2:
        return examples.cache()
    Path(scratch).mkdir(parents=True, exist_ok=True)
    return examples.cache(f"{scratch}/examples")


def shuffled(examples: tf.data.Dataset, buffer: int, seed: int) -> tf.data.Dataset:
    """Examples in another order in every epoch, the same ones every time.

    Args:
        examples: One by one, of fixed shapes.
        buffer: How many to hold in memory to draw from; fewer where a quarter of what is free does not hold as many.
        seed: Draws the orders.
    """
    held = max(1, min(buffer, available_memory() // 4 // bytes_of(examples)))
    return examples.shuffle(held, seed=seed, reshuffle_each_iteration=True)


def bytes_of(examples: tf.data.Dataset) -> int:
    """The bytes of one example, all of whose shapes are fixed."""
    specs = tf.nest.flatten(examples.element_spec)
    return sum(spec.shape.num_elements() * spec.dtype.size for spec in specs)


def views_drawn(examples: tf.data.Dataset, names: Sequence[str], views: int, seed: int) -> tf.data.Dataset:
    """Of the kept views of each example, [views, n], one at random, [n], another in every epoch."""
    numbers = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)

    def draw(number: tf.Tensor, example: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, label = example
        return inputs | {name: inputs[name][number % views] for name in names}, label

    return tf.data.Dataset.zip((numbers, examples)).map(draw, num_parallel_calls=tf.data.AUTOTUNE)


def changed(examples: tf.data.Dataset, augment: Sequence[Augmentation], seed: int) -> tf.data.Dataset:
    """Examples of pixels with their images changed at random, otherwise in every epoch."""
    if not augment:
        return examples
    seeds = tf.data.Dataset.random(seed=seed, rerandomize_each_iteration=True)

    def change(numbers: tf.Tensor, example: tuple[Tensors, tf.Tensor]) -> tuple[Tensors, tf.Tensor]:
        inputs, label = example
        return {name: augmented(augment, pixels, numbers) for name, pixels in inputs.items()}, label

    return tf.data.Dataset.zip((seeds.batch(2), examples)).map(change, num_parallel_calls=tf.data.AUTOTUNE)


def batches(examples: tf.data.Dataset, batch_size: int, count: int | None = None) -> tf.data.Dataset:
    """Batches made ahead of their use; the last one may be smaller.

    Args:
        examples: One by one.
        batch_size: Examples in a batch.
        count: How many examples there are, where it is known: Keras can then run several steps in one call.
    """
    batched = examples.batch(batch_size, num_parallel_calls=tf.data.AUTOTUNE)
    if count is not None:
        batched = batched.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    return batched.prefetch(tf.data.AUTOTUNE)


def timed(dataset: tf.data.Dataset, waited: tf.Variable) -> tf.data.Dataset:
    """The same dataset, which adds up the seconds that its reader has waited for it.

    Args:
        dataset: What is read.
        waited: A float64 scalar that the seconds are added to.
    """
    # Zip asks its datasets in turn: for the time first, then for the element.
    asked = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

    def account(since: tf.Tensor, element: tuple) -> tuple:
        with tf.control_dependencies([waited.assign_add(tf.timestamp() - since)]):
            return tf.nest.map_structure(tf.identity, element)

    return (
        tf.data.Dataset.zip((asked, dataset))
        .map(account)
        .apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
    )


def pixels_of_one(features: Features, inputs: Mapping[str, tf.Tensor]) -> Tensors:
    """The transformed features of one example as the tensors that the model takes, without a batch dimension."""
    return {name: image.pixels(feature, inputs[name]) for name, feature in features.items()}


def pixels_of_batch(features: Features, inputs: Mapping[str, tf.Tensor]) -> Tensors:
    """The transformed features of a batch as the tensors that the model takes, shape [batch, ...]."""
    return {
        name: tf.map_fn(
            lambda encoded, feature=feature: image.pixels(feature, encoded),
            inputs[name],
            fn_output_signature=tf.TensorSpec([*feature.size, feature.channels], tf.uint8),
        )
        for name, feature in features.items()
    }
