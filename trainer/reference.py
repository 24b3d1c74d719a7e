"""Answers of the trained model before its export: what a server has to answer for the same records."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from hubline.core import storage
from hubline.trainer.export_format import SERVING

Arrays = dict[str, np.ndarray]

FILE = "reference.pb"
"""Name in the artifact `model_run`: a PredictLog of TensorFlow Serving, with the records as a request to the signature
`SERVING`."""
_INPUT = "examples"


@dataclass(frozen=True)
class Reference:
    """Records, and the answers of the trained model."""

    records: Sequence[bytes]
    """tf.Examples with the columns that the model reads."""
    answers: Arrays
    """Outputs by name, [records, ...], as the exported model names them; strings are arrays of bytes objects."""

    @classmethod
    def read(cls, path: str) -> "Reference":
        """Reads what `write` wrote."""
        log = prediction_log_pb2.PredictLog.FromString(storage.read_bytes(path))
        answers = {name: tf.make_ndarray(tensor) for name, tensor in log.response.outputs.items()}
        return cls(tf.make_ndarray(log.request.inputs[_INPUT]).tolist(), answers)

    def write(self, path: str) -> None:
        """Writes a file."""
        log = prediction_log_pb2.PredictLog()
        log.request.model_spec.signature_name = SERVING
        log.request.inputs[_INPUT].CopyFrom(tf.make_tensor_proto(list(self.records)))
        for name, array in self.answers.items():
            log.response.outputs[name].CopyFrom(tf.make_tensor_proto(array))
        storage.write_bytes(path, log.SerializeToString(deterministic=True))
