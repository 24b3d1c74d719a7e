"""The input path: TFRecords to batches of what the model takes, in TensorFlow's C++ from end to end."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeAlias

import tensorflow as tf

from hubline.core.memory import available_memory
from hubline.preprocessing import masks
from hubline.preprocessing.columns import ParsingSpec, one_each
from hubline.preprocessing.config import Features, images
from hubline.preprocessing.examples import drop
from hubline.preprocessing.kinds import image
from hubline.preprocessing.kinds.kind import Values
from hubline.preprocessing.labels.label import LABEL
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.trainer.boxes import fitted

Tensors: TypeAlias = dict[str, tf.Tensor]
Parse: TypeAlias = Callable[[tf.Tensor], tuple[Tensors, tf.Tensor]]
"""A batch of serialized rows to what the model takes of them, and what it is to learn."""

ROW = "hubline.row"
"""Under what an example has its serialized record, less its images, beside their pixels."""

BOX = "hubline.box"
"""Under what an example has the box of its label beside the pixels, float32 [1, 4]: top, left, bottom and right in
shares of the picture."""

MASK = "hubline.mask"
"""Under what an example has its label's mask beside the pixels, uint8 [height, width, 1], and before it is decoded a
string."""

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
    spec: ParsingSpec,
    transform: Callable[[dict], Tensors],
    features: Iterable[str] = (),
    columns: Iterable[str] = (),
    target: Callable[[Values], tf.Tensor] = tf.identity,
) -> Parse:
    """Parses raw columns and applies the transform graph.

    Args:
        spec: The columns to parse.
        transform: The transform graph: raw columns to transformed features, in batches.
        features: Transformed features to hand on.
        columns: Columns to hand on as they are, of which the graph knows nothing: kept vectors.
        target: What the model is to learn, of the transformed label: dense, [batch] or [batch, n].
    """
    features, columns = list(features), list(columns)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])  # traced once, however many datasets use it
    def parse(serialized: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        as_they_are = {name: parsed.pop(name) for name in columns}
        transformed = transform(parsed)
        return as_they_are | {name: transformed[name] for name in features}, target(transformed[LABEL])

    return parse


def with_known_class(rows: tf.data.Dataset, parse: Parse) -> tf.data.Dataset:
    """The serialized rows whose class was learned: of one that only the validation split has, no loss can be taken."""

    def known(serialized: tf.Tensor) -> tf.Tensor:
        _, label = parse(serialized)
        classes = tf.reshape(label, [tf.size(serialized), -1])[:, 0]  # behind which a box may stand
        return tf.boolean_mask(serialized, classes >= 0)

    return rows.batch(PARSED_AT_ONCE).map(known, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


@dataclass(frozen=True)
class Boxes:
    """The boxes of a label, one to a record: where the picture is moved, they go with it."""

    image: str
    """The feature whose picture they are in."""
    of: Callable[[tf.Tensor], tf.Tensor]
    """Serialized records, string [batch], to the boxes in their pictures as these are, float32 [batch, 4]."""


def pictures(
    records: tf.data.Dataset,
    features: Features,
    spec: ParsingSpec,
    boxes: Boxes | None = None,
    mask: PixelsLabel | None = None,
) -> tf.data.Dataset:
    """Serialized records as their encoded images by feature, and what is left of each as `ROW`; one by one.

    Args:
        records: Serialized tf.Examples.
        features: Those that are images are read, and no other.
        spec: How the columns of images and of the mask are parsed.
        boxes: What to give as `BOX`, if anything.
        mask: The label whose mask to give as `MASK`, if any.
    """

    def read(serialized: tf.Tensor) -> Tensors:
        parsed = tf.io.parse_example(serialized, spec) if spec else {}
        of_label = {BOX: boxes.of(serialized)[:, tf.newaxis]} if boxes else {}
        of_label |= {MASK: one_each(parsed[mask.column])} if mask else {}
        return {ROW: drop(serialized, spec), **encoded_images(features, parsed), **of_label}

    return records.batch(PARSED_AT_ONCE).map(read, num_parallel_calls=tf.data.AUTOTUNE).unbatch()


def encoded_images(features: Features, parsed: Mapping[str, tf.Tensor | tf.SparseTensor]) -> Tensors:
    """Of columns as parsed, the encoded images of each feature that is one, string [batch]; or of clips the frames that
    are taken, string [batch, frames]."""
    return {name: feature.encoded(parsed[feature.column or name]) for name, feature in images(features).items()}


def decoded(
    examples: tf.data.Dataset, features: Features, boxes: Boxes | None = None, mask: PixelsLabel | None = None
) -> tf.data.Dataset:
    """`pictures` with their pixels; decoding goes image by image, on all cores. A box is where these show it, cut off
    at the edges; one that they do not show is all zeros. A mask is made to fit as its image is."""

    def decode(inputs: Tensors) -> Tensors:
        pixels = pixels_of_one(features, inputs)
        if mask is not None:
            pixels |= {MASK: masks.fitted(mask, images(features)[mask.image], inputs[MASK])}
        if boxes is None:
            return inputs | pixels
        feature = features[boxes.image]
        assert isinstance(feature, image.ImageFeature)
        return inputs | pixels | {BOX: seen(image.clipped(fitted(feature, inputs[boxes.image], inputs[BOX])))}

    return examples.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def seen(clipped: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
    """Boxes, [n, 4], of which those that do not count are all zeros; whether they count is beside them, [n]."""
    inside, count = clipped
    return tf.where(count[:, tf.newaxis], inside, 0.0)


def kept_between_epochs(examples: tf.data.Dataset, size: int, scratch: str) -> tf.data.Dataset:
    """Examples that the first epoch keeps for those that follow: in memory where half of what is free holds them.

    Args:
        examples: One by one.
        size: How many bytes they take, all together.
        scratch: A folder on a local disk, for those that memory does not hold.
    """
    if size <= available_memory() / 2:
        return examples.cache()
    Path(scratch).mkdir(parents=True, exist_ok=True)
    return examples.cache(f"{scratch}/examples")


def batches(
    examples: tf.data.Dataset, batch_size: int, parse: Parse, count: int | None = None, parsed_at_once: int = 1
) -> tf.data.Dataset:
    """Batches of what the model takes, and what it is to learn, made ahead of their use; the last one may be smaller.

    Args:
        examples: One by one: `ROW`, and the pixels of images.
        batch_size: Examples in a batch.
        parse: What is made of the rows of a batch.
        count: How many examples there are, where it is known: Keras can then run several steps in one call.
        parsed_at_once: Where it is more than a batch, about how many rows are parsed and transformed together before
            batches are made of them: a transform graph has many operations, which take their time for one row as well.
    """

    def finish(together: Tensors) -> tuple[Tensors, tf.Tensor]:
        row = together.pop(ROW)
        if MASK in together:  # which is all there is to learn, of pictures alone
            label = together.pop(MASK)
            return together, label
        inputs, label = parse(row)
        if BOX in together:  # where it is now
            label = tf.concat([label[:, :1], together.pop(BOX)[:, 0]], axis=1)
        return together | inputs, label

    batches_at_once = max(1, parsed_at_once // batch_size)
    data = examples.batch(batches_at_once * batch_size).map(finish, num_parallel_calls=tf.data.AUTOTUNE)
    if batches_at_once > 1:
        data = data.flat_map(partial(_in_batches, batch_size))
    if count is not None:
        data = data.apply(tf.data.experimental.assert_cardinality(-(-count // batch_size)))
    return data.prefetch(tf.data.AUTOTUNE)


def _in_batches(size: int, inputs: Tensors, label: tf.Tensor) -> tf.data.Dataset:
    """Batches of several batches."""

    def rows_from(start: tf.Tensor) -> tuple[Tensors, tf.Tensor]:
        return tf.nest.map_structure(lambda values: _rows(values, start, size), (inputs, label))

    return tf.data.Dataset.range(0, tf.shape(label, tf.int64)[0], size).map(rows_from)


def _rows(values: tf.Tensor | tf.SparseTensor, start: tf.Tensor, count: int) -> tf.Tensor | tf.SparseTensor:
    if isinstance(values, tf.SparseTensor):
        return tf.sparse.slice(values, tf.stack([start, 0]), tf.stack([count, values.dense_shape[1]]))
    return values[start : start + count]


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


def pixels_of_one(features: Features, encoded: Mapping[str, tf.Tensor]) -> Tensors:
    """The encoded images of one example as the tensors that the model takes, without a batch dimension."""
    return {name: feature.decoded(encoded[name]) for name, feature in images(features).items()}


def pixels_of_batch(features: Features, encoded: Mapping[str, tf.Tensor]) -> Tensors:
    """The encoded images of a batch as the tensors that the model takes, shape [batch, ...]."""
    return {
        name: tf.map_fn(feature.decoded, encoded[name], fn_output_signature=tf.TensorSpec(feature.shape, tf.uint8))
        for name, feature in images(features).items()
    }


def bytes_of_pixels(features: Features, mask: PixelsLabel | None = None) -> int:
    """The bytes of the images of one example, as pixels, and of its mask."""
    of_mask = math.prod(images(features)[mask.image].size) if mask else 0
    return of_mask + sum(math.prod(feature.shape) for feature in images(features).values())
