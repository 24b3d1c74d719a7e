"""Requests about records, to every signature of a model and in every form that clients use."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, predict_pb2, regression_pb2

from hubline.artifacts.serving_check import Api
from hubline.core.json_arrays import BINARY_SUFFIX, dumps, plain
from hubline.serving.check import clients
from hubline.serving.check.clients import Arrays, Clients
from hubline.serving.check.process import NAME
from hubline.trainer.export_format import PREDICT
from hubline.trainer.serving_guide.columns import column_array, json_features, values_of
from hubline.trainer.serving_guide.interface import Interface, Signature

Method = Literal["predict", "classify", "regress"]
Form = Literal["rows", "columns", "examples", "tensors"]


@dataclass(frozen=True)
class Request:
    """A request that is ready to be sent."""

    api: Api
    method: Method
    signature: str
    form: Form
    records: int
    send: Callable[[Clients], Any]
    """Sends it, and returns the answer as it comes."""
    read: Callable[[Any], Arrays]
    """The arrays in the answer."""


def requests(interface: Interface, records: Sequence[bytes]) -> Iterator[Request]:
    """One request about all the records for each signature, API and form.

    Args:
        interface: The signatures and columns of the exported model.
        records: tf.Examples.
    """
    for name, signature in sorted(interface.signatures.items()):
        if signature.method == "predict":
            inputs = _raw_columns(interface, records) if name == PREDICT else _serialized(signature, records)
            yield from _predict_requests(name, signature, inputs)
        else:
            yield from _requests_of_examples(name, signature.method, records)


def predict_requests(interface: Interface, records: Sequence[bytes]) -> Iterator[Request]:
    """Those of `requests` to the signature `PREDICT`."""
    yield from _predict_requests(PREDICT, interface.signatures[PREDICT], _raw_columns(interface, records))


def _raw_columns(interface: Interface, records: Sequence[bytes]) -> Arrays:
    """Inputs of the signature `PREDICT`."""
    examples = [tf.train.Example.FromString(record) for record in records]
    return {
        each.input: column_array(
            tf.as_dtype(each.dtype), each.is_list, [values_of(example, column) for example in examples]
        )
        for column, each in interface.columns.items()
    }


def _predict_requests(name: str, signature: Signature, inputs: Arrays) -> Iterator[Request]:
    """Requests to a signature: JSON rows, JSON columns, and tensors over gRPC."""
    count = len(next(iter(inputs.values())))
    # A serialized tf.Example is binary, whatever it contains.
    texts = {each: plain(each if name == PREDICT else BINARY_SUFFIX, array) for each, array in inputs.items()}
    rows = [{each: values[row] for each, values in texts.items()} for row in range(count)]
    bodies: dict[Form, dict[str, Any]] = {"rows": {"instances": rows}, "columns": {"inputs": texts}}
    for form, body in bodies.items():
        text = dumps({"signature_name": name} | body)
        read = partial(clients.of_rest_predict, signature.outputs)
        yield Request("rest", "predict", name, form, count, partial(_post, "predict", text), read)
    message = predict_pb2.PredictRequest()
    message.model_spec.name, message.model_spec.signature_name = NAME, name
    for each, array in inputs.items():
        message.inputs[each].CopyFrom(tf.make_tensor_proto(array))
    send = partial(_call, "predict", message)
    yield Request("grpc", "predict", name, "tensors", count, send, clients.of_grpc_predict)


def _serialized(signature: Signature, records: Sequence[bytes]) -> Arrays:
    (name,) = signature.inputs
    return {name: np.array(records, object)}


_MESSAGES: Mapping[str, Any] = {
    "classify": classification_pb2.ClassificationRequest,
    "regress": regression_pb2.RegressionRequest,
}
_READ: Mapping[tuple[Api, str], Callable[[Any], Arrays]] = {
    ("rest", "classify"): clients.of_rest_classify,
    ("rest", "regress"): clients.of_rest_regress,
    ("grpc", "classify"): clients.of_grpc_classify,
    ("grpc", "regress"): clients.of_grpc_regress,
}


def _requests_of_examples(name: str, method: Method, records: Sequence[bytes]) -> Iterator[Request]:
    examples = [tf.train.Example.FromString(record) for record in records]
    text = dumps({"signature_name": name, "examples": [json_features(each) for each in examples]})
    message = _MESSAGES[method]()
    message.model_spec.name, message.model_spec.signature_name = NAME, name
    message.input.example_list.examples.extend(examples)
    sends: dict[Api, Callable[[Clients], Any]] = {
        "rest": partial(_post, method, text),
        "grpc": partial(_call, method, message),
    }
    for api, send in sends.items():
        yield Request(api, method, name, "examples", len(records), send, _READ[api, method])


def _post(method: str, body: bytes, given: Clients) -> bytes:
    return given.post(method, body)


def _call(method: str, message: Any, given: Clients) -> Any:
    return given.call(method, message)
