"""Writes the other forms of a model into its SavedModel's folder, and compares them with it."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core import storage
from hubline.trainer.config.export import Export, TFLite
from hubline.trainer.export_format import SERVING
from hubline.trainer.exports import frozen_graph, tflite
from hubline.trainer.exports.differences import differences
from hubline.trainer.exports.results import FOLDER, FROZEN_GRAPH, LABELS, TFLITE, Form, Forms, TensorInfo
from hubline.trainer.saved_model_loader import load_exported
from hubline.trainer.task import BOX, CHOSEN, CLASSES, COVERS

_OF_FROZEN_GRAPH = 1e-4
"""Greatest difference of a frozen graph, which runs the same operations."""


def write_forms(path: str, export: Export, representative: Sequence[bytes], compared: Sequence[bytes]) -> Forms:
    """Converts a SavedModel to the forms that are asked for.

    Args:
        path: The SavedModel's folder, which the forms are written into.
        export: The forms.
        representative: Training records for `int8`.
        compared: Records of the test split, which every form answers.

    Raises:
        UserError: if a conversion isn't possible.
    """
    model, forms = load_exported(path), {}
    if export.frozen_graph:
        content = frozen_graph.frozen_graph(model)
        storage.write_bytes(f"{path}/{FOLDER}/{FROZEN_GRAPH}", content)
        forms["frozen_graph"] = _frozen_graph(model, content, compared)
    if export.tflite is not None:
        content = tflite.convert(model, export.tflite, representative)
        storage.write_bytes(f"{path}/{FOLDER}/{TFLITE}", content)
        forms["tflite"] = _tflite(model, content, export.tflite, compared)
        _write_labels(path, model, compared[:1])
    found = Forms(forms=forms)
    found.write(path)
    return found


def _frozen_graph(model: Any, content: bytes, records: Sequence[bytes]) -> Form:
    function = model.signatures[SERVING]
    expected = {name: values.numpy() for name, values in function(examples=tf.constant(list(records))).items()}
    return Form(
        file=FROZEN_GRAPH,
        inputs={frozen_graph.INPUT: TensorInfo(dtype="string", shape=(None,))},
        outputs={name: _info(np.asarray(values), None) for name, values in expected.items()},
        records=len(records),
        differences=differences(expected, frozen_graph.answers(content, records, list(expected))),
        bound=_OF_FROZEN_GRAPH,
    )


def _tflite(model: Any, content: bytes, config: TFLite, records: Sequence[bytes]) -> Form:
    inputs = tflite.inputs_of(model, records)
    batch = tf.constant(list(records))
    served, on_device = model.signatures[SERVING](examples=batch), model.on_device(model.prepare(batch))
    # TFLite doesn't see the original image, which these refer to in the SavedModel's answers.
    expected = {name: (values if name in (BOX, COVERS) else served[name]).numpy() for name, values in on_device.items()}
    found = tflite.answers(content, inputs)
    measured = differences(expected, found)
    return Form(
        file=TFLITE,
        inputs={name: _info(values, 1) for name, values in inputs.items()},
        outputs={name: _info(values, 1) for name, values in found.items()},
        records=len(records),
        # Whether a class is chosen follows from its score; near the threshold, the smallest difference changes that.
        differences={name: difference for name, difference in measured.items() if name != CHOSEN},
        bound=config.bound,
    )


def _write_labels(path: str, model: Any, records: Sequence[bytes]) -> None:
    """Writes the class names, if the model has classes. TFLite models have no strings among their outputs."""
    answer: Mapping[str, tf.Tensor] = model.signatures[SERVING](examples=tf.constant(list(records)))
    if CLASSES in answer:
        names = [name.decode() for name in answer[CLASSES].numpy()[0]]
        storage.write_text(f"{path}/{FOLDER}/{LABELS}", "".join(f"{name}\n" for name in names))


def _info(values: np.ndarray, batch: int | None) -> TensorInfo:
    dtype = "string" if values.dtype == object else values.dtype.name
    return TensorInfo(dtype=dtype, shape=(batch, *values.shape[1:]))
