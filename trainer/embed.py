"""Runs frozen hub modules over examples once and stores their outputs."""

import math
from collections.abc import Callable, Mapping
from functools import cached_property, partial

import numpy as np
import tensorflow as tf
import tensorflow_transform as tft

from hubline.core.config_base import Section
from hubline.core.counts import hold
from hubline.core.errors import DamageError, RunError, tensorflow_reason
from hubline.core.shard_dataset import read_file
from hubline.preprocessing import masks
from hubline.preprocessing.analysis import BeamAnalyzer
from hubline.preprocessing.columns import ParsingSpec, one_each
from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.examples import drop, encode
from hubline.preprocessing.feature_columns import encoded_columns, encoded_features, input_columns
from hubline.preprocessing.kinds.numeric import NumericFeature
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.module_features import ModuleFeatures, needs_statistics
from hubline.preprocessing.transform import transformed
from hubline.trainer.augment import augmented
from hubline.trainer.augment_hub import modules_by_feature
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hubs, fed_hubs
from hubline.trainer.embeddings import column
from hubline.trainer.hub_callable import HubCallable
from hubline.trainer.inputs import PARSED_AT_ONCE, Tensors, encoded_images, pixels_of_one
from hubline.trainer.module import output_name
from hubline.trainer.module_fit import fitting_function
from hubline.trainer.non_finite import are_finite, not_finite
from hubline.trainer.saved_model_loader import open_module
from hubline.trainer.tfrecord_writer import writing

_BATCH_BYTES, _BATCH_BYTES_ON_GPU = 8 << 20, 64 << 20
"""Bytes of float32 pixels per batch. A module's activations take some tens of times as much. Larger batches gain
nothing on a CPU; a GPU has its own memory and needs much parallel work."""

_MOST = 1024  # examples per batch


class EmbedResult(Section):
    """Result of embedding one file of records."""

    count: int
    """Rows written."""
    undecodable: tuple[int, ...]
    """Indices in the file, from 0, of records that cannot be decoded. They have no row."""
    sizes: dict[str, int]
    """Size of each module's vectors, by name in `hubs`."""


def _one_each(hub: str, vectors: tf.Tensor, examples: tf.Tensor) -> tf.Tensor:
    """Asserts that a module returned one vector per example."""
    said = f"hubs.{hub}: the module gives {{}} vectors for {{}} examples; it must give one for each"
    given = tf.shape(vectors)[0]
    is_right = tf.debugging.Assert(tf.equal(given, examples), [tf.strings.format(said, [given, examples])])
    with tf.control_dependencies([is_right]):
        return tf.identity(vectors)


class Embedder:
    """The hub modules of a pipeline, loaded once."""

    def __init__(
        self,
        hubs: Hubs,
        module_paths: Mapping[str, str],
        features: ModuleFeatures,
        spec: ParsingSpec,
        mask: PixelsLabel | None = None,
        transform: tft.TFTransformOutput | None = None,
    ) -> None:
        """Loads the modules.

        Args:
            hubs: The modules and their inputs. Without any, images are only decoded, to find those that cannot be, and
                rows are written without images. Modules with `role: augment` change the images where `embed` says so.
            module_paths: The folder of each module.
            features: The features that feed the modules.
            spec: Parsing spec of the columns of the features and the mask.
            mask: The `pixels` label, if any. Rows contain no masks, and records with invalid masks are treated like
                those that cannot be decoded.
            transform: The transform graph, if features need statistics of the training split.
        """
        self._mask = mask
        self._features = features
        self._of_statistics = needs_statistics(features)
        self._transform = transform.transform_features_layer() if transform and self._of_statistics else None
        opened = {name: open_module(module_paths[name]) for name in fed_hubs(hubs)}
        self._backbones = {
            name: HubCallable(hubs[name], module, features, tuned=None) for name, module in opened.items()
        }
        self._outputs = {
            name: ", ".join(hubs[name].outputs)
            or output_name(fitting_function(module.offer, hubs[name], features), hubs[name])
            for name, module in opened.items()
        }
        self._modules = modules_by_feature(hubs, module_paths, features)
        # Traced once; reads the file that the variable names.
        self._file = tf.Variable("", dtype=tf.string, trainable=False)
        self._spec = spec
        self._batches = self._read()
        self._functions: dict[tuple[int, tuple[Augmentation, ...]], Callable] = {}

    def embed(
        self,
        path: str,
        count: int,
        output: str,
        views: int,
        augment: tuple[Augmentation, ...],
        seed: int,
        report: Callable[[int], None] = lambda more: None,
    ) -> EmbedResult:
        """Writes one row per record of a file, in order: the record without its images, plus the vectors.

        Args:
            path: A TFRecord file of serialized tf.Examples.
            count: Number of records in the file.
            output: The TFRecord file to write.
            views: Augmented views of each image to run the modules on.
            augment: Augmentations; empty for unchanged images.
            seed: Seed of the augmentations.
            report: Called with the number of further records that are done.

        Raises:
            DamageError: if the file has more or fewer records, or is damaged.
            DataError: if a module's output is not finite; names the module, output and record.
            RunError: if a decodable record has no row, or a module doesn't return one vector per example.
        """
        rows = self._function(views, augment)
        missing = np.ones([count], bool)
        self._file.assign(path)
        with writing(output) as write:
            for batch in self._batches:
                numbers = batch["number"].numpy()
                if numbers[-1] >= count:
                    raise DamageError(f"{path}: it contains more than the {count:,} records that were written")
                made, vectors = self._called(rows, path, batch, seed)
                self._refuse_not_finite(path, batch["number"], vectors)
                write(made)
                missing[numbers] = False
                report(len(numbers))
        self._refuse_lost(path, missing)
        undecodable = tuple(np.flatnonzero(missing).tolist())
        return EmbedResult(count=count - len(undecodable), undecodable=undecodable, sizes=self._sizes)

    @staticmethod
    def _called(rows: Callable, path: str, batch: Tensors, seed: int) -> tuple[tf.Tensor, Tensors]:
        try:
            return rows(batch, tf.constant(seed, tf.int64))
        except tf.errors.InvalidArgumentError as error:
            first, *_, last = batch["number"].numpy().tolist() * 2
            reason = tensorflow_reason(error).removeprefix("assertion failed: ").strip("[]")
            raise RunError(f"{path}: records {first} to {last}: {reason}") from error

    def _refuse_not_finite(self, path: str, numbers: tf.Tensor, vectors: Tensors) -> None:
        """Raises a DataError if a module's output for a batch is not finite.

        Args:
            path: The file that was read.
            numbers: Indices of the records in the file, int64 [batch].
            vectors: Output of each module, float32 [batch, n].
        """
        for name, given in vectors.items():
            wrong = np.flatnonzero(~are_finite(given).numpy())
            if wrong.size:
                where = f"{path}: record {numbers.numpy()[wrong[0]]} (counted from 0)"
                raise not_finite(name, self._outputs[name], given[wrong[0]].numpy(), where)

    def _refuse_lost(self, path: str, missing: np.ndarray) -> None:
        """Checks that each record without a row exists and cannot be decoded.

        The input pipeline skips whatever fails in it, which may also be a disk or object store that is briefly
        unavailable, or a lack of memory. No record may be lost to that.

        Args:
            path: The file that was read.
            missing: Whether each of its records has no row.
        """
        if not missing.any():
            return
        try:
            left = read_file(tf.constant(path)).reduce(0, lambda count, _: count + 1).numpy()
        except tf.errors.DataLossError as error:
            raise DamageError(f"{path}: it is damaged: {tensorflow_reason(error)}") from error
        hold(path, int(left), len(missing))
        chosen = tf.constant(missing)
        records = read_file(tf.constant(path)).enumerate().filter(lambda number, _: chosen[number])
        prepare = tf.function(self._prepare)
        for number, record in records.batch(1).map(lambda number, record: (number[0], self._parse(record))):
            try:
                prepare(number, tf.nest.map_structure(lambda values: values[0], record))
            except tf.errors.InvalidArgumentError:  # cannot be decoded
                continue
            raise RunError(
                f"{path}: record {number.numpy()} (counted from 0) decodes, and gave no row: reading failed for a "
                "moment, or there was too little memory; run again"
            )

    def _parse(self, serialized: tf.Tensor) -> Tensors:
        """Parses serialized records, [batch], into `row`, `inputs` by feature and, if there is one, `mask`."""
        payload = [*encoded_columns(self._features), *(self._mask.masks if self._mask else ())]
        known = {**encoded_features(self._features), **self._of_statistics}
        others = {name: feature for name, feature in self._features.items() if name not in known}
        parsed = tf.io.parse_example(serialized, self._spec)
        inputs = encoded_images(self._features, parsed) | transformed(others, parsed, BeamAnalyzer())
        inputs |= self._normalized(parsed)
        masks_of = {"mask": one_each(parsed[self._mask.column])} if self._mask else {}
        return {"row": drop(serialized, payload), "inputs": inputs, **masks_of}

    def _normalized(self, parsed: Tensors) -> Tensors:
        """The features that need statistics, from parsed columns; float32 [batch, length]."""
        if not self._of_statistics:
            return {}
        assert self._transform is not None
        columns = input_columns(self._features, self._of_statistics)
        made = self._transform({column: parsed[column] for column in columns})
        return {name: made[name] for name in self._of_statistics}

    def _prepare(self, number: tf.Tensor, record: Tensors) -> Tensors:
        """Decodes the images and sounds of a record.

        Raises:
            tf.errors.InvalidArgumentError: if one cannot be decoded, or the mask is invalid.
        """
        pixels = pixels_of_one(self._features, record["inputs"])
        if self._mask is not None:
            shape = shape_of(record["inputs"][self._mask.image])
            tf.debugging.Assert(masks.is_right(self._mask, record["mask"], shape), ["a wrong mask"])
        return {"number": number, "row": record["row"], "inputs": record["inputs"] | pixels}

    def _read(self) -> tf.data.Dataset:
        """Batches of `number` (int64), `row` (string) and `inputs` by feature, of the decodable records."""
        numbers = sum(each.length for each in self._features.values() if isinstance(each, NumericFeature))
        decoded = sum(math.prod(each.shape) for each in encoded_features(self._features).values())
        floats = max(decoded + numbers, 1)
        most_bytes = _BATCH_BYTES_ON_GPU if tf.config.list_logical_devices("GPU") else _BATCH_BYTES
        return (
            tf.data.Dataset.from_tensors(0)
            .flat_map(lambda _: read_file(self._file))
            .batch(PARSED_AT_ONCE)
            .map(self._parse, num_parallel_calls=tf.data.AUTOTUNE)
            .unbatch()
            .enumerate()
            .map(self._prepare, num_parallel_calls=tf.data.AUTOTUNE)
            .ignore_errors()  # `_refuse_lost` checks the records that are missing
            .batch(max(1, min(_MOST, most_bytes // (4 * floats))))
            .prefetch(1)
        )

    def _function(self, views: int, augment: tuple[Augmentation, ...]) -> Callable:
        """The graph from a batch and a seed to serialized rows and the vectors in them by module."""
        if (views, augment) not in self._functions:
            signature = [self._batches.element_spec, tf.TensorSpec([], tf.int64)]
            call = partial(self._rows, views=views, augment=augment)
            self._functions[views, augment] = tf.function(call, input_signature=signature)
        return self._functions[views, augment]

    def _rows(
        self, batch: Tensors, seed: tf.Tensor, views: int, augment: tuple[Augmentation, ...]
    ) -> tuple[tf.Tensor, Tensors]:
        by_view = [self._vectors(self._changed(batch, augment, seed + (view << 32))) for view in range(views)]
        examples = tf.size(batch["number"])
        vectors = {
            name: tf.concat([_one_each(name, given[name], examples) for given in by_view], axis=1)
            for name in self._backbones
        }
        columns = {column(name): values for name, values in vectors.items()}
        return tf.strings.join([batch["row"], encode(columns)]) if columns else batch["row"], vectors

    def _vectors(self, inputs: Tensors) -> Tensors:
        return {name: backbone(inputs) for name, backbone in self._backbones.items()}

    @cached_property
    def _sizes(self) -> dict[str, int]:
        given = tf.function(self._vectors).get_concrete_function(self._batches.element_spec["inputs"])
        return {name: vectors.shape[1] for name, vectors in given.structured_outputs.items()}

    def _changed(self, batch: Tensors, augment: tuple[Augmentation, ...], seed: tf.Tensor) -> Tensors:
        """The inputs of a batch, with each image augmented separately."""
        inputs = batch["inputs"]
        pixels = {name: values for name, values in inputs.items() if values.dtype == tf.uint8}
        if not augment or not pixels:
            return inputs

        def change(example: tuple[tf.Tensor, Tensors]) -> Tensors:
            number, one = example
            own = tf.stack([seed, number])
            return {name: augmented(augment, image, own, self._modules.get(name)) for name, image in one.items()}

        signature = {name: tf.TensorSpec(image.shape[1:], image.dtype) for name, image in pixels.items()}
        return inputs | tf.map_fn(change, (batch["number"], pixels), fn_output_signature=signature)
