"""Predicts with a pushed model."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.components.predictor.inputs import InputType, Item
from hubline.components.predictor.json_records import columns_of
from hubline.components.predictor.label_answers import SHARES, reading
from hubline.components.predictor.model import Answer, Model, ModelSpec
from hubline.core.errors import DataError, UserError
from hubline.core.float64 import to_parts
from hubline.preprocessing.encoded_images import IMAGE_MAGIC
from hubline.preprocessing.examples import flattened
from hubline.preprocessing.feature_columns import input_name
from hubline.serving.integrity import find_faults
from hubline.serving.versions import version_in
from hubline.trainer.export_format import PREDICT, SERVING, names_of
from hubline.trainer.saved_model_loader import load_exported
from hubline.trainer.task import BOX, COVERS, MASK, VALUE


@dataclass(frozen=True)
class ExportedModelSpec(ModelSpec):
    """A reference to a pushed model."""

    path: str
    """Folder of the version."""
    key: str | None = None
    """A column that JSON records may contain as their key only, without being an input."""

    @classmethod
    def of(cls, model: str, key: str | None = None) -> "ExportedModelSpec":
        """Refers to the version in a folder, or to the newest version in a serving folder.

        Raises:
            UserError: if there is none.
        """
        return cls(version_in(model), key)

    def open(self) -> Model:
        """Loads the model. Raises a UserError if Hubline did not export it."""
        return ExportedModel(self)


def _load(path: str) -> Any:
    try:
        return load_exported(path)
    except Exception as error:  # TensorFlow raises many error types for truncated files
        if faults := find_faults(path):
            raise UserError("\n".join(faults)) from error
        raise


class ExportedModel(Model):
    """A loaded pushed model."""

    def __init__(self, model_spec: ExportedModelSpec) -> None:
        self._path, self._key = model_spec.path, model_spec.key
        self._loaded = _load(model_spec.path)  # kept referenced: its signatures don't keep its variables alive
        signatures = self._loaded.signatures
        if not {PREDICT, SERVING} <= signatures.keys():
            offered = ", ".join(sorted(signatures)) or "none"
            raise UserError(f"{model_spec.path}: not exported by Hubline: its signatures are: {offered}")
        self._names = names_of(model_spec.path)
        self._predict, self._serve = signatures[PREDICT], signatures[SERVING]
        self._takes: Mapping[str, tf.TensorSpec] = self._predict.structured_input_signature[1]
        self.finds = bool({BOX, MASK} & self._predict.structured_outputs.keys())

    def check(self, input_type: InputType) -> None:
        """Rejects bare images if the model has other or more inputs."""
        if input_type == "image" and len(self._takes) != 1:
            raise UserError(
                f"this model takes {', '.join(sorted(self._takes))}; pass TFRecords or JSON with these columns"
            )
        if input_type == "image" and any(spec.dtype != tf.string for spec in self._takes.values()):
            raise UserError(
                f"this model takes numbers as {', '.join(self._takes)}, and no image files; pass TFRecords or JSON "
                "with that column"
            )
        if input_type == "image" and any(spec.shape.rank != 1 for spec in self._takes.values()):
            raise UserError(
                f"this model takes clips, lists of frames, as {', '.join(self._takes)}; pass TFRecords or JSON with "
                "that column"
            )

    def ask(self, input_type: InputType, items: Sequence[Item]) -> list[Answer]:
        """Predicts on items.

        Regression: `value`. Single-label classification: `label`, `score`, `scores` by class and, for objects, `box`.
        Multi-label: `chosen` classes by descending score, and `scores`. Segmentation: the `shares` of the classes in
        the image, the part of the image that the mask `covers`, and the mask as an image.
        """
        data = [item.data for item in items]
        texts: list[list[bytes]] = [[] for _ in items]  # for each item, columns that may contain an image
        if input_type == "image":
            answer = self._predict(**{next(iter(self._takes)): tf.constant(data)})
            texts = [[encoded] for encoded in data]
        elif input_type == "json":
            columns = self._columns(items)
            answer = self._predict(**columns)
            given = [values.numpy() for values in columns.values() if values.dtype == tf.string and values.ndim == 1]
            texts = [list(row) for row in zip(*given, strict=True)] if given else texts
        else:
            answer = self._serve(examples=flattened(tf.constant(data)))
            texts = [self._texts(record) for record in data] if self.finds else texts
        arrays = {name: values.numpy() for name, values in answer.items()}
        columns = arrays | {VALUE: to_parts(arrays[VALUE])} if VALUE in arrays else arrays
        read = reading(arrays)
        return [
            Answer(
                json_values,
                {name: values[row : row + 1] for name, values in columns.items()} | _share_column(json_values),
                pictures={MASK: arrays[MASK][row]} if MASK in arrays else {},
                image=next(filter(_is_image, texts[row]), None) if self.finds else None,
                covers=arrays[COVERS][row].tolist() if COVERS in arrays else None,
            )
            for row, json_values in enumerate(read(arrays))
        ]

    def _texts(self, record: bytes) -> list[bytes]:
        """First value of each bytes column that is an input of the model."""
        columns = tf.train.Example.FromString(record).features.feature
        return [
            feature.bytes_list.value[0]
            for name, feature in columns.items()
            if self._input(name) in self._takes and feature.bytes_list.value
        ]

    def _columns(self, items: Sequence[Item]) -> dict[str, tf.Tensor]:
        is_extra = self._key is not None and self._input(self._key) not in self._takes
        records = [
            {name: value for name, value in item.data.items() if not (is_extra and name == self._key)} for item in items
        ]
        try:
            numbers = [item.record or 0 for item in items]
            return columns_of(items[0].input, records, self._takes, numbers, self._names)
        except UserError as error:
            raise DataError(str(error)) from None

    def _input(self, column: str) -> str:
        """Name of the input for a column."""
        return self._names.get(column) or input_name(column)


def _is_image(text: bytes) -> bool:
    return text.startswith(tuple(IMAGE_MAGIC.values()))


def _share_column(json_values: Mapping[str, Any]) -> dict[str, np.ndarray]:
    return {SHARES: np.array([list(json_values[SHARES].values())], np.float32)} if SHARES in json_values else {}
