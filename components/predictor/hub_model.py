"""Predicts with a hub module: a classifier, a detector, a generator, or anything that takes images, texts or a
vector."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hubline.components.predictor import classes, detections, input_binding
from hubline.components.predictor.hub_call import HubCall
from hubline.components.predictor.inputs import InputType, Item
from hubline.components.predictor.json_records import columns_of
from hubline.components.predictor.model import Answer, Model, ModelSpec
from hubline.components.predictor.plain_values import answer_of
from hubline.core.config_base import dump_sections, read_sections
from hubline.core.errors import DataError, UserError
from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.examples import flattened
from hubline.preprocessing.feature_columns import input_names
from hubline.preprocessing.kinds.image import InferenceImageFeature, in_own_size
from hubline.preprocessing.module_features import ModuleFeaturesToInfer
from hubline.trainer.boxes import covered
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_trial import TrialResult
from hubline.trainer.saved_model_loader import open_module


@dataclass(frozen=True)
class Options:
    """How to interpret a module's outputs."""

    labels: tuple[str, ...] = ()
    """Class names by class number; may be empty."""
    top: int | None = None
    """Number of top classes to return. None: five if there are labels, otherwise raw outputs."""
    min_score: float = 0.5
    """Detections with a lower score are dropped."""
    outputs: tuple[str, ...] = ()
    """Outputs to return unchanged, also those of a detector; empty for all."""
    value_range: tuple[float, float] = (0.0, 1.0)
    """Values of black and white in float images: in image outputs and, if no feature states them, in the input."""
    seed: int = 0
    """Seed for latent vectors."""


@dataclass(frozen=True)
class HubModelSpec(ModelSpec):
    """A reference to a module, its inputs and the interpretation of its outputs."""

    path: str
    """Folder of the SavedModel."""
    hub: str
    """The entry in `hubs`, as JSON."""
    features: str = ""
    """The features, as JSON; empty if there is no pipeline file."""
    size: tuple[int, int] | None = None
    """Height and width of images, if there are no features and the module doesn't fix them."""
    column: str | None = None
    """Column of records to use as input, if there are no features."""
    options: Options = Options()
    tried: str = ""
    """Result of the trial call, as JSON; empty if not tried yet."""

    @classmethod
    def of(
        cls, path: str, hub: Hub, features: ModuleFeaturesToInfer, options: Options, tried: TrialResult | None = None
    ) -> "HubModelSpec":
        """A module whose inputs are features, as in a pipeline file."""
        known = tried.to_property() if tried else ""
        return cls(
            path, hub.to_property(), dump_sections(ModuleFeaturesToInfer, features), options=options, tried=known
        )

    @classmethod
    def alone(
        cls, path: str, signature: str | None, size: tuple[int, int] | None, column: str | None, options: Options
    ) -> "HubModelSpec":
        """A module without a pipeline file."""
        hub = Hub(handle=path, inputs={"any": "any"}, signature=signature)
        return cls(path, hub.to_property(), "", size, column, options)

    def open(self) -> Model:
        """Loads the module. Raises a UserError if it can't be called this way."""
        return HubModel(self)


class HubModel(Model):
    """A loaded module."""

    def __init__(self, model_spec: HubModelSpec) -> None:
        self._options = model_spec.options
        module, hub = open_module(model_spec.path), Hub.model_validate_json(model_spec.hub)
        self._call = (
            input_binding.call_with(module.offer, hub, read_sections(ModuleFeaturesToInfer, model_spec.features))
            if model_spec.features
            else input_binding.call_alone(
                module.offer, hub, model_spec.size, model_spec.column, model_spec.options.value_range
            )
        )
        self._ask = HubCall(module, hub, self._call)
        self._tried = TrialResult.model_validate_json(model_spec.tried) if model_spec.tried else self._ask.tried()
        self._specs = {feed.column: feed.column_spec for feed in self._call.feeds.values()}
        outputs = self._call.function.outputs
        for name in model_spec.options.outputs:
            if outputs and name not in outputs:
                raise UserError(f"the module has no output '{name}'; its outputs are: {', '.join(sorted(outputs))}")
        self.finds = detections.is_detector(outputs) and not model_spec.options.outputs
        asks_for_classes = bool(model_spec.options.labels or model_spec.options.top) and not self.finds
        self._classifier = (
            classes.Classifier(model_spec.options.labels, model_spec.options.top) if asks_for_classes else None
        )
        self._check_labels()
        takes_one = any(feed.takes_one for feed in self._call.feeds.values())
        self.one_at_a_time = takes_one or any(self._tried.kind(name) != "row" for name in filter(self._keeps, outputs))

    def _check_labels(self) -> None:
        """Detects a wrong number of labels as early as possible."""
        kept = {name: tensor for name, tensor in self._call.function.outputs.items() if self._keeps(name)}
        if self._classifier is None or not kept or any(tensor.shape is None for tensor in kept.values()):
            return
        name = self._classifier.output(
            {name: len(tensor.shape or ()) - (self._tried.kind(name) != "loose") for name, tensor in kept.items()}
        )
        if size := (kept[name].shape or (None,))[-1]:
            self._classifier.check(name, size)

    def _keeps(self, output: str) -> bool:
        return output in self._options.outputs or not self._options.outputs

    def check(self, input_type: InputType) -> None:
        """Latent vectors are for generators only, and bare images for modules with one image input."""
        call = self._call
        if input_type != "latent" and call.latent is not None:
            raise UserError(
                f"the module takes {call.takes}, a vector; pass --latent N and no files, or --column NAME and records"
            )
        if input_type == "latent" and call.latent is None:
            raise UserError(
                f"--latent requires a module that takes a vector of numbers; this module takes {call.takes}"
            )
        columns = input_binding.columns(call.feeds.values())
        if input_type == "image" and (
            len(columns) != 1
            or any(feed.is_text or feed.is_clip or feed.values is not None for feed in call.feeds.values())
        ):
            raise UserError(
                f"the module takes {call.takes}; pass TFRecords or JSON with the columns {', '.join(columns)}"
            )

    def ask(self, input_type: InputType, items: Sequence[Item]) -> list[Answer]:
        """Returns all outputs, but `detections` in place of a detector's outputs, and `label`, `score` and `top` in
        place of class scores."""
        if self._call.latent is not None:
            drawn = {self._call.latent.input: self._drawn(items)}
            return [self._answer(row, None) for row in self._rows(drawn, len(items))]
        given = self._given(input_type, items)
        # A detector's string input may be an encoded image, by name or declared as text.
        pictures = [feed.column for feed in self._call.feeds.values() if self.finds or feed.image]
        images = given[pictures[0]].numpy().tolist() if pictures else [None] * len(items)
        rows = self._rows(given, len(items))
        return [self._answer(row, image) for row, image in zip(rows, images, strict=True)]

    def _given(self, input_type: InputType, items: Sequence[Item]) -> Mapping[str, tf.Tensor]:
        """By column: encoded files and texts, string [batch]; frames, string [batch, n]; numbers [batch, n]."""
        columns, data = input_binding.columns(self._call.feeds.values()), [item.data for item in items]
        if input_type == "image":
            return {columns[0]: tf.constant(data)}
        if input_type == "example":
            return self._parsed(data)
        for item in items:
            missing = [
                column for column in columns if item.data.get(column) is None and self._specs[column].dtype == tf.string
            ]
            if missing:
                raise DataError(
                    f"{item.input}: record {item.record}: no column '{missing[0]}'; its columns are: "
                    f"{', '.join(sorted(item.data)) or 'none'}"
                )
        names = input_names(columns)
        takes = {names[column]: self._specs[column] for column in columns}
        records = [{column: record.get(column) for column in columns} for record in data]
        try:
            found = columns_of(items[0].input, records, takes, [item.record or 0 for item in items], names)
        except UserError as error:
            raise DataError(str(error)) from None
        return {column: found[names[column]] for column in columns}

    def _parsed(self, records: Sequence[bytes]) -> Mapping[str, tf.Tensor]:
        texts = {column: spec for column, spec in self._specs.items() if spec.dtype == tf.string}
        lists = {column for column, spec in texts.items() if spec.shape.rank == 2}
        serialized = flattened(tf.constant(records))
        spec = {
            column: tf.io.VarLenFeature(tf.string) if column in lists else tf.io.FixedLenFeature([], tf.string)
            for column in texts
        }
        parsed = tf.io.parse_example(serialized, spec) if spec else {}
        numbers = {column: _numbers(serialized, column) for column in self._specs.keys() - texts.keys()}
        return parsed | {column: tf.sparse.to_dense(parsed[column], "") for column in lists} | numbers

    def _drawn(self, items: Sequence[Item]) -> tf.Tensor:
        """A latent vector for each item, determined by the seed and the item's number alone."""
        latent = self._call.latent
        assert latent is not None
        rows = [tf.random.stateless_normal(latent.shape, [self._options.seed, item.data]) for item in items]
        return tf.stack(rows)

    def _rows(self, given: Mapping[str, tf.Tensor], count: int) -> list[dict[str, np.ndarray]]:
        """The module's outputs for each item, by output."""
        outputs = {name: values for name, values in self._ask(given).items() if self._keeps(name)}
        for name, values in outputs.items():
            self._check_rows(name, values, count)
        return [{name: self._of_one(name, values, row) for name, values in outputs.items()} for row in range(count)]

    def _check_rows(self, name: str, values: np.ndarray, count: int) -> None:
        if self._tried.kind(name) == "loose" and count == 1:
            return
        if self._tried.kind(name) == "loose" or values.shape[:1] != (count,):
            others = ", ".join(sorted(self._call.function.outputs))
            raise UserError(
                f"the module's output '{name}' is {list(values.shape)} for {count} "
                f"{'item' if count == 1 else 'items'}, "
                f"but had one row per item in its trial ({self._tried.output_shapes[name]}), so it is unknown "
                f"which item a row belongs to. Other outputs: {others}"
            )

    def _of_one(self, name: str, values: np.ndarray, row: int) -> np.ndarray:
        """An output's values for one item; all values if the output has no batch dimension."""
        if self._tried.kind(name) == "loose":
            return values
        return values[row : row + 1].reshape(
            values.shape[1:]
        )  # reshape, because indexing a single string would return no array

    def _answer(self, row: dict[str, np.ndarray], image: bytes | None) -> Answer:
        if self.finds:
            found = detections.detections(row, self._size(image), self._options.labels, self._options.min_score)
            pixels = next((feed.image for feed in self._call.feeds.values() if feed.image and not feed.is_text), None)
            if image is not None and isinstance(pixels, InferenceImageFeature) and not pixels.is_whole:
                found = detections.moved(found, covered(pixels, tf.constant([image]))[0].numpy())
            return Answer({"detections": found}, detections.columns(found), image=image)
        pictures = {
            name: _pixels(values, self._options.value_range) for name, values in row.items() if _is_picture(values)
        }
        rest = {name: values for name, values in row.items() if name not in pictures}
        return answer_of(rest, self._classifier, pictures)

    def _size(self, image: bytes | None) -> tuple[int, int]:
        """Height and width of an image as the module received it."""
        feature = next((feed.image for feed in self._call.feeds.values() if feed.image), None)
        if feature is not None and feature.size is not None:
            return feature.size
        encoded = tf.constant(image or b"")
        if feature is not None and feature.has_window:
            height, width, _ = in_own_size(feature, encoded).shape
        else:
            height, width, _ = shape_of(encoded).numpy().tolist()
        return height, width


def _is_picture(values: np.ndarray) -> bool:
    is_of_pixels = values.dtype.kind == "f" or values.dtype == np.uint8
    return is_of_pixels and values.ndim == 3 and values.shape[2] in (1, 3) and min(values.shape[:2]) > 1


def _pixels(values: np.ndarray, value_range: tuple[float, float]) -> np.ndarray:
    if values.dtype == np.uint8:
        return values
    low, high = value_range
    shares = np.nan_to_num((values.astype(np.float32) - low) / (high - low))
    return np.round(np.clip(shares, 0, 1) * 255).astype(np.uint8)


def _numbers(serialized: tf.Tensor, column: str) -> tf.Tensor:
    """A column of numbers, float32 [batch, n] or int64, as the records hold them; shorter lists are padded with what
    stands for a missing number."""
    try:
        parsed = tf.io.parse_example(serialized, {column: tf.io.VarLenFeature(tf.float32)})
        return tf.sparse.to_dense(parsed[column], math.nan)
    except tf.errors.InvalidArgumentError:  # they are integers
        parsed = tf.io.parse_example(serialized, {column: tf.io.VarLenFeature(tf.int64)})
        return tf.sparse.to_dense(parsed[column], tf.int64.min)
