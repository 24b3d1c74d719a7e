"""Clients of a server: what they send, and the arrays in what they get back."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import httpx
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_service_pb2_grpc

from hubline.serving import protos
from hubline.serving.check.process import AnswerFault, Server, ServerFault
from hubline.trainer.module import Tensor
from hubline.trainer.task import VALUE

Arrays = dict[str, np.ndarray]
_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
_UNBOUNDED = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
]


@dataclass(frozen=True)
class Clients:
    """Open connections to a server."""

    server: Server
    http: httpx.Client
    stub: Any
    deadline: float
    """When the last answer has to be there, on the monotonic clock."""

    def post(self, method: str, body: bytes) -> bytes:
        """The body of the answer to a REST request.

        Raises:
            ServerFault: if there is none.
            AnswerFault: if it is an error.
        """
        try:
            answer = self.http.post(f"{self.server.rest}:{method}", content=body, timeout=self._left)
        except httpx.HTTPError as error:
            raise self._fault(repr(error)) from error
        if answer.is_error:
            raise AnswerFault(f"the server answers {answer.status_code}: {answer.text[:1000]}")
        return answer.content

    def call(self, method: str, message: Any) -> Any:
        """The message of the answer to a gRPC request.

        Raises:
            ServerFault: if there is none.
            AnswerFault: if it is an error.
        """
        try:
            return getattr(self.stub, method.capitalize())(message, timeout=self._left)
        except grpc.RpcError as error:
            if error.code() in _GONE:
                raise self._fault(error.details()) from error
            raise AnswerFault(f"the server answers {error.code().name}: {error.details()[:1000]}") from error

    @property
    def _left(self) -> float:
        return max(self.deadline - time.monotonic(), 0.001)

    def _fault(self, error: str) -> ServerFault:
        return ServerFault(self.server.end() or f"the server doesn't answer: {error}")


@contextmanager
def clients(server: Server, deadline: float) -> Iterator[Clients]:
    """Connects to a server, without the proxies of the environment."""
    with httpx.Client(trust_env=False) as http, grpc.insecure_channel(server.grpc, options=_UNBOUNDED) as channel:
        yield Clients(server, http, prediction_service_pb2_grpc.PredictionServiceStub(channel), deadline)


def of_rest_predict(outputs: Mapping[str, Tensor], body: bytes) -> Arrays:
    """The arrays in the answer to rows or columns.

    Args:
        outputs: The outputs of the signature.
        body: The answer.

    Raises:
        AnswerFault: if a value has another type.
    """
    answer = json.loads(body)
    if "predictions" in answer:
        rows = answer["predictions"]
        is_bare = len(outputs) == 1
        columns = {name: rows if is_bare else [row[name] for row in rows] for name in (outputs if is_bare else rows[0])}
    else:
        columns = answer["outputs"] if len(outputs) != 1 else dict.fromkeys(outputs, answer["outputs"])
    return {name: _array(name, values, outputs.get(name)) for name, values in columns.items()}


def of_rest_classify(body: bytes) -> Arrays:
    """Classes and scores, by the names of a classification signature."""
    results = json.loads(body)["results"]
    names = [[name.encode() for name, _ in each] for each in results]
    scores = np.array([[score for _, score in each] for each in results], np.float32)
    return {
        tf.saved_model.CLASSIFY_OUTPUT_CLASSES: _strings(names, scores.shape),
        tf.saved_model.CLASSIFY_OUTPUT_SCORES: scores,
    }


def of_rest_regress(body: bytes) -> Arrays:
    """The numbers, by the name of the model's output."""
    return {VALUE: np.array(json.loads(body)["results"], np.float32)}


def of_grpc_predict(response: Any) -> Arrays:
    """The arrays in a PredictResponse."""
    return protos.arrays(response.outputs)


def of_grpc_classify(response: Any) -> Arrays:
    """As `of_rest_classify`."""
    results = response.result.classifications
    scores = np.array([[each.score for each in one.classes] for one in results], np.float32)
    return {
        tf.saved_model.CLASSIFY_OUTPUT_CLASSES: _strings(
            [[each.label.encode() for each in one.classes] for one in results], scores.shape
        ),
        tf.saved_model.CLASSIFY_OUTPUT_SCORES: scores,
    }


def of_grpc_regress(response: Any) -> Arrays:
    """As `of_rest_regress`."""
    return {VALUE: np.array([each.value for each in response.result.regressions], np.float32)}


def _array(name: str, values: Any, spec: Tensor | None) -> np.ndarray:
    """JSON values as an array of the output's dtype."""
    if spec is None:
        return np.array(values)
    if spec.dtype == "string":
        found = np.array(values, object)
        return _strings(found.ravel().tolist(), found.shape)
    wanted = np.dtype(spec.dtype)
    found = np.array(values)
    kinds = {"b": "b", "i": "iu", "u": "iu"}.get(wanted.kind, "iuf")
    if found.size and found.dtype.kind not in kinds:
        raise AnswerFault(f"output '{name}': its values in JSON are no {spec.dtype}")
    return found.astype(wanted)


def _strings(values: Sequence[Any], shape: tuple[int, ...]) -> np.ndarray:
    flat = np.empty(int(np.prod(shape)), object)
    flat[:] = [_bytes(each) for each in _flat(values)]
    return flat.reshape(shape)


def _flat(values: Sequence[Any]) -> Iterator[Any]:
    for each in values:
        if isinstance(each, list):
            yield from _flat(each)
        else:
            yield each


def _bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else str(value).encode()
