"""A version of a model, loaded as TensorFlow Serving loads it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.serving import protos
from hubline.serving.errors import RequestError
from hubline.serving.signature import Signature, signature_of
from hubline.trainer.adapters.tensorflow import parse_saved_model
from hubline.trainer.saved_model_loader import load_exported

WARMUP = "assets.extra/tf_serving_warmup_requests"
"""TFRecord file of PredictionLogs, which TensorFlow Serving runs before a version answers."""

_SERVE = {tf.saved_model.SERVING}


@dataclass(frozen=True, eq=False)
class Model:
    """A loaded version."""

    version: int
    signatures: Mapping[str, Signature]
    definitions: Mapping[str, Any]
    """The SignatureDef of each signature."""
    loaded: Any
    """The object that TensorFlow loaded, which owns the variables."""

    @classmethod
    def load(cls, path: str, version: int) -> "Model":
        """Loads a SavedModel, and runs its warm-up requests.

        Raises:
            UserError: if TensorFlow can't load it, or a warm-up request fails.
        """
        definitions = _definitions(path)
        try:
            loaded = load_exported(path)
        except (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError) as error:
            raise UserError(f"{path}: TensorFlow can't load this version: {error}") from error
        signatures = {
            name: Signature(
                name=name,
                method=definitions[name].method_name,
                inputs=dict(function.structured_input_signature[1]),
                outputs=tuple(function.structured_outputs),
                call=function,
            )
            for name, function in loaded.signatures.items()
            if name in definitions
        }
        model = cls(version, signatures, {name: definitions[name] for name in signatures}, loaded)
        model._warm_up(path)
        return model

    def _warm_up(self, path: str) -> None:
        file = f"{path}/{WARMUP}"
        if not storage.exists(file):
            return
        with storage.on_disk(file) as copied:
            for number, record in enumerate(tf.data.TFRecordDataset(copied).as_numpy_iterator()):
                try:
                    self._replay(prediction_log_pb2.PredictionLog.FromString(record))
                except RequestError as error:
                    raise UserError(f"{file}: request {number} (counted from 0): {error}") from error

    def _replay(self, log: Any) -> None:
        kind = log.WhichOneof("log_type")
        if kind == "predict_log":
            request = log.predict_log.request
            signature = signature_of(self.signatures, request.model_spec.signature_name)
            inputs = protos.arrays(request.inputs)
        elif kind in ("classify_log", "regress_log"):
            request = getattr(log, kind).request
            signature = signature_of(self.signatures, request.model_spec.signature_name)
            inputs = protos.serialized(signature, protos.examples(request.input))
        else:
            return
        signature.check(inputs)
        signature.run(inputs)


def _definitions(path: str) -> dict[str, Any]:
    file = f"{path}/saved_model.pb"
    if not storage.exists(file):
        raise UserError(f"{path}: not a SavedModel: there is no saved_model.pb in it")
    with storage.open_binary(file) as content:
        graphs = parse_saved_model(content.read()).meta_graphs
    of_serving = [graph for graph in graphs if set(graph.meta_info_def.tags) >= _SERVE]
    if not of_serving:
        raise UserError(f"{path}: it has no graph with the tag '{tf.saved_model.SERVING}'")
    return {name: each for name, each in of_serving[0].signature_def.items() if not name.startswith("__")}
