"""TFLite models."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError, library_reason
from hubline.trainer.config.export import TFLite
from hubline.trainer.export_format import SERVING
from hubline.trainer.variables import variables_of

_OPERATIONS = tf.lite.OpsSet


def inputs_of(model: Any, records: Sequence[bytes]) -> dict[str, np.ndarray]:
    """Inputs of the TFLite model for serialized tf.Examples, by name, [records, ...].

    Args:
        model: The loaded SavedModel.
        records: The records.
    """
    return {name: values.numpy() for name, values in model.prepare(tf.constant(list(records))).items()}


def convert(model: Any, config: TFLite, records: Sequence[bytes]) -> bytes:
    """Converts a loaded SavedModel.

    Args:
        model: The loaded SavedModel.
        config: How to convert it.
        records: Serialized tf.Examples that `int8` measures activations on; the first one gives the shapes.

    Raises:
        UserError: if TFLite lacks an operation of the model.
    """
    one = inputs_of(model, records[:1])
    specs = {name: tf.TensorSpec(values.shape, values.dtype, name=name) for name, values in one.items()}

    @tf.function(input_signature=[specs])
    def serving_default(inputs: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return model.on_device(inputs)

    def representative() -> Iterator[dict[str, np.ndarray]]:
        for record in records:
            yield inputs_of(model, [record])

    holder = tf.Module()
    holder.state = variables_of(model)
    with tempfile.TemporaryDirectory() as folder:
        tf.saved_model.save(holder, folder, signatures={SERVING: serving_default})
        converter = tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=[SERVING])
        if config.quantize != "none":
            converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if config.quantize == "float16":
            converter.target_spec.supported_types = [tf.float16]
        if config.quantize == "int8":
            converter.representative_dataset = representative
        if config.select_tf_ops:
            converter.target_spec.supported_ops = [_OPERATIONS.TFLITE_BUILTINS, _OPERATIONS.SELECT_TF_OPS]
        try:
            return converter.convert()
        except Exception as error:  # the converter has several kinds of its own
            mend = "" if config.select_tf_ops else "; set select_tf_ops if the device has TensorFlow's operations, or"
            raise UserError(
                f"export.tflite: the model can't be converted: {library_reason(error)}{mend} remove tflite"
            ) from error


def answers(content: bytes, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs of a TFLite model, computed one record at a time by its interpreter, [records, ...].

    Raises:
        UserError: if the model needs the Flex delegate, which newer versions of TensorFlow lack.
    """
    run = tf.lite.Interpreter(model_content=content).get_signature_runner(SERVING)
    (count,) = {len(values) for values in inputs.values()}
    rows = ({name: values[number : number + 1] for name, values in inputs.items()} for number in range(count))
    try:
        found = [run(**row) for row in rows]
    except RuntimeError as error:
        if "Flex delegate" not in str(error):
            raise
        raise UserError(
            f"export.tflite: TensorFlow {tf.__version__} has no Flex delegate for its interpreter, so a model with "
            "select_tf_ops can't be compared with the SavedModel; remove tflite, or use operations that TFLite has"
        ) from error
    return {name: np.concatenate([each[name] for each in found]) for name in found[0]}
