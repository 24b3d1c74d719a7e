"""Runs frozen hub modules over examples once, and keeps what they give."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from preprocessing.columns import ParsingSpec, input_columns, one_each
from preprocessing.config import Features, column_of
from preprocessing.examples import drop, encode
from preprocessing.section import Section
from trainer.augment import augmented
from trainer.config import Augmentation, Hubs
from trainer.inputs import PARSED_AT_ONCE, Tensors, bytes_of, pixels_of_one, read_records
from trainer.model import Backbone
from trainer.sink import writing
from trainer.vectors import column

_BATCH_BYTES = 32 << 20
"""Of pixels as the modules take them, float32. What a module holds between its layers is some tens of times that."""


class Embedded(Section):
    """What came of one file of records."""

    count: int
    """Rows written."""
    undecodable: tuple[int, ...]
    """The records that do not decode, by their number in the file, from 0; they have no row."""
    sizes: dict[str, int]
    """How many numbers each module gave for an example, by its name in `hubs`."""


class Embedder:
    """The hub modules of a pipeline, loaded once."""

    def __init__(
        self,
        hubs: Hubs,
        module_paths: Mapping[str, str],
        features: Features,
        spec: ParsingSpec,
        report: Callable[[int], None],
    ) -> None:
        """Loads the modules.

        Args:
            hubs: What each is fed. Without any, images are decoded and nothing else: for the rows without payload, and
                to learn which do not decode.
            module_paths: The folder of each.
            features: What feeds them.
            spec: How the columns of the features are parsed.
            report: Hears how many records more are done.
        """
        self._features = features
        self._spec = spec
        self._report = report
        self._backbones = {name: Backbone(hub, module_paths[name], features, name) for name, hub in hubs.items()}
        self._vectors = tf.function(self._run, reduce_retracing=True)

    def embed(
        self, path: str, count: int, output: str, views: int, augment: tuple[Augmentation, ...], seed: int
    ) -> Embedded:
        """Writes a row for each record of a file, in their order: the record, less its images, plus the vectors.

        Args:
            path: A TFRecord file of serialized tf.Examples, or SequenceExamples whose context has the columns.
            count: Its records.
            output: The TFRecord file to write.
            views: How many changed views of each image to run the modules on.
            augment: How they are changed; not at all where this is empty.
            seed: Draws the changes.
        """
        missing = np.ones([count], bool)
        with writing(output) as write:
            for batch in self._batches(read_records([path], in_order=True)):
                write(tf.strings.join([batch["row"], self._columns(batch, views, augment, seed)]))
                missing[batch["number"]] = False
                self._report(len(batch["number"]))
        undecodable = tuple(np.flatnonzero(missing).tolist())
        return Embedded(count=count - len(undecodable), undecodable=undecodable, sizes=self._sizes())

    def _sizes(self) -> dict[str, int]:
        pixels = {
            name: tf.TensorSpec([None, *feature.size, feature.channels], tf.uint8)
            for name, feature in self._features.items()
        }
        given = self._vectors.get_concrete_function(pixels).structured_outputs
        return {name: vectors.shape[1] for name, vectors in given.items()}

    def _batches(self, records: tf.data.Dataset) -> Iterator[Tensors]:
        """Batches of `number` (int64), `row` (string), and the pixels by feature, of the records that decode."""
        images = input_columns(self._features)
        spec = {name: self._spec[name] for name in images}

        def parse(serialized: tf.Tensor) -> tuple[tf.Tensor, Tensors]:
            parsed = tf.io.parse_example(serialized, spec)
            dense = {name: one_each(values) for name, values in parsed.items()}
            encoded = {name: dense[column_of(name, feature)] for name, feature in self._features.items()}
            return drop(serialized, images), encoded

        def prepare(number: tf.Tensor, record: tuple[tf.Tensor, Tensors]) -> Tensors:
            row, encoded = record
            return {"number": number, "row": row, "pixels": pixels_of_one(self._features, encoded)}

        prepared = (
            records.batch(PARSED_AT_ONCE)
            .map(parse, num_parallel_calls=tf.data.AUTOTUNE)
            .unbatch()
            .enumerate()
            .map(prepare, num_parallel_calls=tf.data.AUTOTUNE)
        )
        pixels = prepared.map(lambda example: example["pixels"])
        size = max(1, min(1024, _BATCH_BYTES // (4 * bytes_of(pixels))))
        return iter(prepared.ignore_errors().batch(size).prefetch(1))

    def _columns(self, batch: Tensors, views: int, augment: tuple[Augmentation, ...], seed: int) -> tf.Tensor:
        """The vectors of a batch as serialized tf.Examples."""
        if not self._backbones:
            return tf.fill(tf.shape(batch["row"]), "")
        changed = [self._changed(batch, augment, tf.constant([seed, view], tf.int64)) for view in range(views)]
        by_view = [self._vectors(pixels) for pixels in changed]
        return encode({column(name): tf.concat([given[name] for given in by_view], axis=1) for name in by_view[0]})

    @tf.function(reduce_retracing=True)
    def _changed(self, batch: Tensors, augment: tuple[Augmentation, ...], seed_and_view: tf.Tensor) -> Tensors:
        if not augment:
            return batch["pixels"]
        drawn_by = tf.reduce_sum(seed_and_view * tf.constant([1, 1 << 32], tf.int64))

        def change(example: tuple[tf.Tensor, Tensors]) -> Tensors:
            number, pixels = example
            return {name: augmented(augment, image, tf.stack([drawn_by, number])) for name, image in pixels.items()}

        signature = {name: tf.TensorSpec(image.shape[1:], image.dtype) for name, image in batch["pixels"].items()}
        return tf.map_fn(change, (batch["number"], batch["pixels"]), fn_output_signature=signature)

    def _run(self, pixels: Tensors) -> Tensors:
        return {name: backbone(pixels) for name, backbone in self._backbones.items()}
