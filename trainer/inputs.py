"""The input pipeline: from TFRecords to batches for the model, entirely in TensorFlow's C++."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

import tensorflow as tf

from hubline.preprocessing import masks
from hubline.preprocessing.columns import ParsingSpec, one_each
from hubline.preprocessing.examples import drop
from hubline.preprocessing.feature_columns import encoded_features, images
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.kind import Values
from hubline.preprocessing.labels.label import LABEL
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.boxes import fitted

if TYPE_CHECKING:
    from hubline.preprocessing.config import Features

Tensors: TypeAlias = dict[str, tf.Tensor]
Parse: TypeAlias = Callable[[tf.Tensor], tuple[Tensors, tf.Tensor]]
"""Parses a batch of serialized rows into the model's inputs and targets."""

ROW = "hubline.row"
"""Key of an example's serialized record, without its images."""

BOX = "hubline.box"
"""Key of the box of an example's label, float32 [1, 4]: top, left, bottom and right as fractions of the image."""

MASK = "hubline.mask"
"""Key of the mask of an example's label: uint8 [height, width, 1], before decoding a string."""

WEIGHT = "hubline.weight"
"""Key of an example's weight in the loss, float32 [batch], which is no input of the model."""

PARSED_AT_ONCE = 64
"""Records that are parsed together: parsing one by one is ten times slower, and images must fit in memory."""


def parsing(
    spec: ParsingSpec,
    transform: Callable[[dict], Tensors],
    features: Iterable[str] = (),
    columns: Iterable[str] = (),
    target: Callable[[Values], tf.Tensor] = tf.identity,
    weight: ParsingSpec | None = None,
) -> Parse:
    """Builds the function that parses raw columns and applies the transform graph.

    Args:
        spec: Parsing spec of the columns.
        transform: The transform graph: raw columns to transformed features, in batches.
        features: Transformed features to return.
        columns: Columns to return unchanged, which the transform graph doesn't know: cached vectors.
        target: Computes the training target from the transformed label: dense, [batch] or [batch, n].
        weight: Parsing spec of the one column to return as `WEIGHT`, if any. Features may read the same column.
    """
    features, columns, weight = list(features), list(columns), weight or {}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # traced once, however many datasets use it
    def parse(serialized: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec | weight)
        as_they_are = {name: parsed[name] for name in columns}
        if weight:
            as_they_are[WEIGHT] = tf.cast(one_each(parsed[next(iter(weight))]), tf.float32)
        transformed = transform({name: parsed[name] for name in spec if name not in columns})
        return as_they_are | {name: transformed[name] for name in features}, target(transformed[LABEL])

    return parse


def with_known_class(rows: tf.data.Dataset, parse: Parse) -> tf.data.Dataset:
    """Drops serialized rows whose class is not in the training split, because they have no loss."""

    def known(serialized: tf.Tensor) -> tf.Tensor:
        _, label = parse(serialized)
        classes = tf.reshape(label, [tf.size(serialized), -1])[:, 0]  # a box may follow the class
        return tf.boolean_mask(serialized, classes >= 0)

    return rows.batch(PARSED_AT_ONCE).map(known, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


@dataclass(frozen=True)
class Boxes:
    """The boxes of a label, one per record, which move with their image."""

    image: str
    """The image feature that the boxes belong to."""
    of: Callable[[tf.Tensor], tf.Tensor]
    """Maps serialized records, string [batch], to boxes in their original images, float32 [batch, 4]."""


def pictures(
    records: tf.data.Dataset,
    features: Features,
    spec: ParsingSpec,
    boxes: Boxes | None = None,
    mask: PixelsLabel | None = None,
) -> tf.data.Dataset:
    """Splits serialized records into encoded images by feature and the rest of each record as `ROW`; one by one.

    Args:
        records: Serialized tf.Examples.
        features: Only features of images and sounds are read.
        spec: Parsing spec of the columns of images and mask.
        boxes: Boxes to return as `BOX`, if any.
        mask: Label whose mask to return as `MASK`, if any.
    """

    def read(serialized: tf.Tensor) -> Tensors:
        parsed = tf.io.parse_example(serialized, spec) if spec else {}
        of_label = {BOX: boxes.of(serialized)[:, tf.newaxis]} if boxes else {}
        of_label |= {MASK: one_each(parsed[mask.column])} if mask else {}
        return {ROW: drop(serialized, spec), **encoded_images(features, parsed), **of_label}

    return records.batch(PARSED_AT_ONCE).map(read, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


def encoded_images(features: Features, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
    """The encoded images and sounds of each feature, string [batch], from parsed columns; for clips the sampled frames,
    string [batch, frames]."""
    encoded = encoded_features(features)
    return {name: feature.encoded(parsed[feature.column or name]) for name, feature in encoded.items()}


def decoded(
    examples: tf.data.Dataset, features: Features, boxes: Boxes | None = None, mask: PixelsLabel | None = None
) -> tf.data.Dataset:
    """Adds pixels to `pictures`; images are decoded one by one on all cores. Boxes are mapped to the fitted image and
    clipped; boxes outside the image become zeros. Masks are fitted like their image."""

    def decode(inputs: Tensors) -> Tensors:
        pixels = pixels_of_one(features, inputs)
        if mask is not None:
            pixels |= {MASK: masks.fitted(mask, images(features)[mask.image], inputs[MASK])}
        if boxes is None:
            return inputs | pixels
        feature = features[boxes.image]
        assert isinstance(feature, image.ImageFeature)
        return inputs | pixels | {BOX: seen(fitted(feature, inputs[boxes.image], inputs[BOX]))}

    return examples.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def seen(clipped: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Replaces boxes, [n, 4], that don't count by zeros; the second item says which do, [n]."""
    inside, count = clipped
    return tf.where(count[:, tf.newaxis], inside, 0.0)


def cached(examples: tf.data.Dataset, place: Literal["memory", "disk"], scratch: str) -> tf.data.Dataset:
    """Caches examples in the first epoch for later ones.

    Args:
        examples: Single examples, not batches.
        place: Where to cache them.
        scratch: A folder on a local disk.
    """
    if place == "memory":
        return examples.cache()
    Path(scratch).mkdir(parents=True, exist_ok=True)
    return examples.cache(f"{scratch}/examples")


def batches(examples: tf.data.Dataset, batch_size: int, parse: Parse, parsed_at_once: int = 1) -> tf.data.Dataset:
    """Batches of inputs and targets; the last batch may be smaller.

    Args:
        examples: One by one: `ROW`, and the pixels of images.
        batch_size: Examples per batch.
        parse: Parses the rows of a batch.
        parsed_at_once: If larger than a batch, the approximate number of rows to parse and transform together before
            they are split into batches: a transform graph has many operations, whose overhead is the same for one row.
    """

    def finish(together: Tensors) -> tuple[Tensors, tf.Tensor]:
        row = together.pop(ROW)
        if MASK in together:  # the mask is the whole target, and images are the only inputs
            label = together.pop(MASK)
            return together, label
        inputs, label = parse(row)
        if BOX in together:  # the box in the fitted image
            label = tf.concat([label[:, :1], together.pop(BOX)[:, 0]], axis=1)
        return together | inputs, label

    at_once = batches_at_once(batch_size, parsed_at_once)
    data = examples.batch(at_once * batch_size).map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    if at_once > 1:
        data = data.flat_map(partial(_in_batches, batch_size))
    return data


def prefetched(batches: tf.data.Dataset, count: int | None) -> tf.data.Dataset:
    """Batches that are prefetched, and whose number Keras must know to run several steps per call."""
    data = batches if count is None else batches.apply(tf.data.experimental.assert_cardinality(count))
    return data.prefetch(tf.data.AUTOTUNE)


def batches_at_once(batch_size: int, parsed_at_once: int) -> int:
    """Number of batches that `batches` parses together."""
    return max(1, parsed_at_once // batch_size)


def _in_batches(size: int, inputs: Tensors, label: tf.Tensor) -> tf.data.Dataset:
    """Splits a large batch into batches."""

    def rows_from(start: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        return tf.nest.map_structure(lambda values: rows_of(values, start, size), (inputs, label))

    return tf.data.Dataset.range(0, tf.shape(label, tf.int64)[0], size).map(rows_from)


def rows_of(
    values: tf.Tensor | tf.SparseTensor, start: tf.Tensor | int, count: tf.Tensor | int
) -> tf.Tensor | tf.SparseTensor:
    """Consecutive examples of a batch."""
    if isinstance(values, tf.SparseTensor):
        return tf.sparse.slice(values, tf.stack([start, 0]), tf.stack([count, values.dense_shape[1]]))
    return values[start : start + count]


def timed(dataset: tf.data.Dataset, waited: tf.Variable) -> tf.data.Dataset:
    """The same dataset, which adds up the seconds that its reader waits for it.

    Args:
        dataset: The dataset.
        waited: A float64 scalar variable to add the seconds to.
    """
    # Zip pulls from its datasets in order: first the time, then the element.
    asked = tf.data.Dataset.counter().map(lambda _: tf.timestamp())

    def account(since: tf.Tensor, element: tuple) -> tuple:
        with tf.control_dependencies([waited.assign_add(tf.timestamp() - since)]):
            return tf.nest.map_structure(tf.identity, element)

    return (
        tf.data.Dataset.zip((asked, dataset))
        .map(account)
        .apply(tf.data.experimental.assert_cardinality(dataset.cardinality()))
    )


def pixels_of_one(features: Features, encoded: Mapping[str, tf.Tensor]) -> Tensors:
    """Decodes the images and sounds of one example into model inputs without a batch dimension."""
    return {name: feature.decoded(encoded[name]) for name, feature in encoded_features(features).items()}


def pixels_of_batch(features: Features, encoded: Mapping[str, tf.Tensor]) -> Tensors:
    """Decodes the images and sounds of a batch into model inputs of shape [batch, ...]."""
    return {
        name: tf.map_fn(feature.decoded, encoded[name], fn_output_signature=tf.TensorSpec(feature.shape, feature.dtype))
        for name, feature in encoded_features(features).items()
    }


def bytes_of_pixels(features: Features, mask: PixelsLabel | None = None) -> int:
    """Bytes of one example's decoded images, sounds and mask."""
    of_mask = math.prod(images(features)[mask.image].size) if mask else 0
    return of_mask + sum(feature.bytes_of_one for feature in encoded_features(features).values())
