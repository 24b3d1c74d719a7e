"""Request bodies, sent to a `hubline serve` in a process of its own."""

import http.client
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    inference_pb2,
    predict_pb2,
    regression_pb2,
)

from tests.fuzz.fuzzing import Attempt, Target
from tests.fuzz.targets import JSON_TOKENS
from tests.support.served import serving, write_version

LEAK = re.compile(r"/(tmp|work|home|root|usr|var|opt|proc)/|\.py\b|Traceback")
"""What an answer must not contain."""
_EXPECTED = (200, 400, 404, 405, 411, 412, 413, 429, 501, 503, 504)

_BODIES = (
    ("predict", {"instances": [{"x": [1, 2.5], "name": {"b64": "YWI="}}, {"x": [0, -1], "name": "a"}]}),
    ("predict", {"signature_name": "one", "inputs": [3, 4]}),
    ("classify", {"signature_name": "classify", "context": {"share": 0.25}, "examples": [{"share": 0.75}, {}]}),
    ("regress", {"signature_name": "regress", "examples": [{"count": 4}, {"count": [5]}]}),
)


def _over_rest(port: int) -> Iterator[Attempt]:
    connections = [http.client.HTTPConnection("127.0.0.1", port, timeout=20)]

    def attempt(number: int, data: bytes) -> bool:
        connection = connections[0]
        connection.request("POST", f"/v1/models/model:{_BODIES[number][0]}", data)
        response = connection.getresponse()
        text = response.read().decode()
        assert response.status in _EXPECTED, f"status {response.status}: {text}"
        assert response.status == 200 or not LEAK.search(text), text
        json.loads(text)
        return response.status == 200

    yield attempt
    connections[0].close()


@contextmanager
def _rest(folder: Path) -> Iterator[Attempt]:
    write_version(folder / "serving", 1)
    with serving(folder / "serving", folder / "server.log", "--max-body-mb", "1") as server:
        yield from _over_rest(int(server.base.rpartition(":")[2]))
        assert server.process.poll() is None, "the server died"


def _spec(request: object, signature: str) -> object:
    request.model_spec.name = "model"
    request.model_spec.signature_name = signature
    return request


def _example(**values: float) -> tf.train.Example:
    example = tf.train.Example()
    for name, value in values.items():
        kind = example.features.feature[name]
        (kind.int64_list if isinstance(value, int) else kind.float_list).value.append(value)
    return example


def _grpc_requests() -> list[tuple[str, object]]:
    predict = _spec(predict_pb2.PredictRequest(), "serving_default")
    predict.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.5]]))
    predict.inputs["name"].CopyFrom(tf.make_tensor_proto([b"ab"]))
    one = _spec(predict_pb2.PredictRequest(), "one")
    one.inputs["number"].CopyFrom(tf.make_tensor_proto([1, 2]))
    classify = _spec(classification_pb2.ClassificationRequest(), "classify")
    classify.input.example_list.examples.append(_example(share=0.75))
    regress = _spec(regression_pb2.RegressionRequest(), "regress")
    regress.input.example_list_with_context.examples.append(_example(count=4))
    both = inference_pb2.MultiInferenceRequest()
    task = _spec(both.tasks.add(), "classify")
    task.method_name = "tensorflow/serving/classify"
    both.input.example_list.examples.append(_example(share=0.5))
    metadata = _spec(get_model_metadata_pb2.GetModelMetadataRequest(), "")
    metadata.metadata_field.append("signature_def")
    return [
        ("Predict", predict), ("Predict", one), ("Classify", classify), ("Regress", regress),
        ("MultiInference", both), ("GetModelMetadata", metadata),
    ]  # fmt: skip


@contextmanager
def _grpc(folder: Path) -> Iterator[Attempt]:
    write_version(folder / "serving", 1)
    requests = _grpc_requests()
    with (
        serving(folder / "serving", folder / "server.log", "--max-body-mb", "1") as server,
        grpc.insecure_channel(server.grpc) as channel,
    ):
        calls = [channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}") for method, _ in requests]

        def attempt(number: int, data: bytes) -> bool:
            try:
                calls[number](data, timeout=20)
            except grpc.RpcError as error:
                details = error.details() or ""
                assert not LEAK.search(details), details
                if error.code() in (grpc.StatusCode.UNKNOWN, grpc.StatusCode.INTERNAL):
                    assert not _parses(type(requests[number][1]), data), f"{error.code()}: {details}"
                return False
            return True

        yield attempt
        assert server.process.poll() is None, "the server died"


def _parses(kind: type, data: bytes) -> bool:
    """Whether bytes are a message. gRPC's own library answers INTERNAL where they aren't."""
    try:
        kind.FromString(data)
    except DecodeError:
        return False
    return True


_TOKENS = (*JSON_TOKENS, b'{"b64": "!"}', b'"inputs"', b'"instances"', b'"signature_name"')

SERVED = (
    Target("REST bodies", lambda _: [json.dumps(body).encode() for _, body in _BODIES], _rest, _TOKENS),
    Target("gRPC messages", lambda _: [message.SerializeToString() for _, message in _grpc_requests()], _grpc),
)
