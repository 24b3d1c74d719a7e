"""`hubline serve`: a server in a process of its own, asked over HTTP and with TensorFlow Serving's own gRPC clients."""

import asyncio
import base64
import io
import json
import re
import signal
import socket
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    regression_pb2,
)

from hubline.core.errors import UserError
from hubline.serving.policy import VersionPolicy
from hubline.serving.server import Settings, serve
from tests.support.served import Server, serving, write_version

pytestmark = pytest.mark.slow

LIMITS = ("--max-body-mb", "1", "--max-examples", "100", "--queue", "6", "--threads", "2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("serving")
    write_version(folder, 3, factor=2.0)
    return folder


@pytest.fixture(scope="module")
def server(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    with serving(folder, log, *LIMITS, "--label", "stable=3") as server:
        yield server


def post(server: Server, verb: str, body: object, where: str = "") -> httpx.Response:
    return httpx.post(f"{server.rest}{where}:{verb}", content=json.dumps(body), timeout=30)


def example(**features: float | int) -> tf.train.Example:
    made = tf.train.Example()
    for name, value in features.items():
        feature = made.features.feature[name]
        (feature.int64_list if isinstance(value, int) else feature.float_list).value.append(value)
    return made


@pytest.mark.both_stacks
def test_rest_answers_rows_and_columns(server: Server) -> None:
    rows = [{"x": [1, 2.5], "name": "a"}, {"x": [0, -1], "name": {"b64": base64.b64encode(b"\xff").decode()}}]
    assert post(server, "predict", {"instances": rows}).json() == {
        "predictions": [{"y": [2.0, 5.0], "text": "a"}, {"y": [0.0, -2.0], "text": {"b64": "/w=="}}]
    }
    columns = {"x": [[1, 2.5]], "name": ["a"]}
    assert post(server, "predict", {"inputs": columns}).json() == {"outputs": {"y": [[2.0, 5.0]], "text": ["a"]}}
    single = {"signature_name": "one", "instances": [1, 2]}
    assert post(server, "predict", single).json() == {"predictions": [2, 4]}
    assert post(server, "predict", {"signature_name": "one", "inputs": [3]}).json() == {"outputs": [6]}


def test_float32_is_written_with_its_own_digits_and_nan_as_a_word(server: Server) -> None:
    response = post(server, "predict", {"inputs": {"x": [[0.05, 0.15]], "name": ["a"]}})
    assert b"[[0.1,0.3]]" in response.content
    body = '{"inputs": {"x": [[NaN, Infinity]], "name": ["a"]}}'
    response = httpx.post(f"{server.rest}:predict", content=body)
    assert b"[[NaN, Infinity]]" in response.content


def test_rest_classifies_and_regresses(server: Server) -> None:
    request = {"signature_name": "classify", "context": {"share": 0.25}, "examples": [{"share": 0.75}, {}]}
    assert post(server, "classify", request).json() == {
        "results": [[["no", 0.25], ["yes", 0.75]], [["no", 0.75], ["yes", 0.25]]]
    }
    request = {"signature_name": "regress", "examples": [{"count": 4}, {"count": [5]}]}
    assert post(server, "regress", request).json() == {"results": [8.0, 10.0]}


def test_versions_and_labels_are_addressed(server: Server) -> None:
    body = {"signature_name": "one", "instances": [1]}
    for where in ("/versions/3", "/labels/stable"):
        assert post(server, "predict", body, where).json() == {"predictions": [2]}
    response = post(server, "predict", body, "/versions/4")
    assert response.status_code == 404 and response.json() == {"error": "version 4 of model model isn't served"}
    assert "no version with the label 'other'" in post(server, "predict", body, "/labels/other").json()["error"]


def test_state_and_metadata(server: Server, folder: Path) -> None:
    (status,) = httpx.get(server.rest).json()["model_version_status"]
    assert status == {"version": "3", "state": "AVAILABLE", "status": {"error_code": "OK", "error_message": ""}}
    assert httpx.get(f"{server.rest}/versions/3").json()["model_version_status"] == [status]
    assert httpx.get(f"{server.rest}/versions/9").status_code == 404
    metadata = httpx.get(f"{server.rest}/metadata").json()
    assert metadata["model_spec"]["version"] == "3"
    signatures = metadata["metadata"]["signature_def"]["signature_def"]
    saved = tf.saved_model.load(str(folder / "3")).signatures
    assert signatures.keys() == saved.keys()
    assert signatures["classify"]["method_name"] == "tensorflow/serving/classify"
    number = signatures["one"]["inputs"]["number"]
    assert number["dtype"] == "DT_INT32"
    assert number["tensor_shape"] == {"dim": [{"size": "-1", "name": ""}], "unknown_rank": False}


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("[1]", "the request must be a JSON object"),
        ("{", "JSON Parse error"),
        ({"instances": [1], "inputs": [1]}, "either 'instances' (rows) or 'inputs' (columns)"),
        ({"instances": [1]}, "has several inputs, so values need names: 'name', 'x'"),
        ({"instances": [{"x": [1, 2]}]}, "takes the inputs 'name', 'x'; the request has 'x'"),
        ({"instances": [{"x": [1, 2], "name": "a"}, {"x": [1, 2]}]}, "row 1 (counted from 0) has other names"),
        ({"inputs": {"x": [[1], [1, 2]], "name": ["a", "b"]}}, "input 'x': its lists have different lengths"),
        ({"inputs": {"x": [[1, 2, 3]], "name": ["a"]}}, "input 'x': its shape is (None, 2), not [1, 3]"),
        ({"inputs": {"x": [["a", "b"]], "name": ["a"]}}, "input 'x': its values must be of type float32"),
        ({"inputs": {"x": [[1, 2]], "name": [5]}}, "input 'name': its values must be strings"),
        ({"inputs": {"x": [[1, 2]], "name": [{"b64": "?"}]}}, "input 'name': its value is not Base64"),
        ({"signature_name": "one", "instances": [1.5]}, "input 'number': its values must be of type int32"),
        ({"signature_name": "one", "instances": [2**40]}, "input 'number': a value is no int32"),
        ({"signature_name": "one", "instances": [-1]}, "numbers must not be negative"),
        ({"signature_name": "one", "instances": [1] * 101}, "101 examples; a request may have 100"),
        ({"signature_name": "two", "instances": [1]}, "the model has no signature 'two'"),
        ({"signature_name": "total", "instances": [1, 2]}, None),
    ],
)
def test_bad_requests_are_explained(server: Server, body: object, error: str | None) -> None:
    content = body if isinstance(body, str) else json.dumps(body)
    response = httpx.post(f"{server.rest}:predict", content=content)
    if error is None:
        assert response.json() == {"predictions": [3]}
    else:
        assert response.status_code == 400 and error in response.json()["error"]
        assert "/tmp" not in response.text and "{{node" not in response.text


def test_other_mistakes_of_clients(server: Server) -> None:
    assert httpx.get(f"{server.base}/v1/models/other").status_code == 404
    response = httpx.post(f"{server.base}/v1/other", content=b"{}")
    assert response.status_code == 404 and "Malformed request" in response.json()["error"]
    for version, error in (("9" * 19, "isn't served"), ("9" * 4301, "Malformed request"), ("\u0663", "Malformed")):
        response = httpx.get(f"{server.rest}/versions/{version}/metadata")
        assert response.status_code == 404 and error in response.json()["error"]
    response = post(server, "classify", {"examples": [{"share": 1}]})
    assert "answers tensorflow/serving/predict requests, not tensorflow/serving/classify" in response.json()["error"]
    response = httpx.post(f"{server.rest}:predict", content=b" " * 1_000_001)
    assert response.status_code == 413 and "the limit is 1,000,000 bytes" in response.json()["error"]


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded(server: Server) -> None:
    png = io.BytesIO()
    Image.new("1", (15_000, 15_000)).save(png, "PNG")
    assert png.tell() < 100_000
    image = {"b64": base64.b64encode(png.getvalue()).decode()}
    response = post(server, "predict", {"instances": [{"x": [1, 2], "name": image}]})
    assert response.status_code == 400 and "an image has more than 100,000,000 pixels" in response.json()["error"]
    serialized = tf.train.Example()
    serialized.features.feature["image"].bytes_list.value.append(png.getvalue())
    request = {
        "signature_name": "classify",
        "inputs": [{"b64": base64.b64encode(serialized.SerializeToString()).decode()}],
    }
    assert "an image has more than 100,000,000 pixels" in post(server, "predict", request).json()["error"]


@pytest.mark.both_stacks
def test_tensorflow_servings_own_clients(server: Server) -> None:
    with server.stubs() as (prediction, models):
        request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="model", version_label="stable"))
        request.inputs["x"].CopyFrom(tf.make_tensor_proto([[1.0, 2.5]]))
        request.inputs["name"].CopyFrom(tf.make_tensor_proto(["a"]))
        answer = prediction.Predict(request, timeout=30)
        np.testing.assert_array_equal(tf.make_ndarray(answer.outputs["y"]), [[2.0, 5.0]])
        assert list(answer.outputs["y"].float_val) == [2.0, 5.0]
        assert tf.make_ndarray(answer.outputs["text"]).tolist() == [b"a"]
        assert (answer.model_spec.version.value, answer.model_spec.signature_name) == (3, "serving_default")
        request.output_filter.append("y")
        assert list(prediction.Predict(request, timeout=30).outputs) == ["y"]
        request.output_filter.append("z")
        with pytest.raises(grpc.RpcError, match="the model has no output 'z'"):
            prediction.Predict(request, timeout=30)

        spec = model_pb2.ModelSpec(name="model", signature_name="classify")
        asked = classification_pb2.ClassificationRequest(model_spec=spec)
        asked.input.example_list.examples.append(example(share=0.75))
        (found,) = prediction.Classify(asked, timeout=30).result.classifications
        assert [(each.label, each.score) for each in found.classes] == [("no", 0.25), ("yes", 0.75)]

        spec = model_pb2.ModelSpec(name="model", signature_name="regress")
        wanted = regression_pb2.RegressionRequest(model_spec=spec)
        wanted.input.example_list_with_context.context.CopyFrom(example(count=7))
        wanted.input.example_list_with_context.examples.extend([example(count=1), example()])
        assert [each.value for each in prediction.Regress(wanted, timeout=30).result.regressions] == [2.0, 14.0]

        both = inference_pb2.MultiInferenceRequest()
        both.input.example_list.examples.append(example(share=0.5, count=3))
        for method in ("classify", "regress"):
            spec = model_pb2.ModelSpec(name="model", signature_name=method)
            both.tasks.add(model_spec=spec, method_name=f"tensorflow/serving/{method}")
        first, second = prediction.MultiInference(both, timeout=30).results
        assert first.classification_result.classifications[0].classes[1].score == 0.5
        assert second.regression_result.regressions[0].value == 6.0

        metadata = prediction.GetModelMetadata(
            get_model_metadata_pb2.GetModelMetadataRequest(
                model_spec=model_pb2.ModelSpec(name="model"), metadata_field=["signature_def"]
            ),
            timeout=30,
        )
        signatures = get_model_metadata_pb2.SignatureDefMap()
        metadata.metadata["signature_def"].Unpack(signatures)
        assert signatures.signature_def["one"].inputs["number"].dtype == tf.int32.as_datatype_enum

        status = models.GetModelStatus(
            get_model_status_pb2.GetModelStatusRequest(model_spec=model_pb2.ModelSpec(name="model")), timeout=30
        )
        assert [(each.version, each.state) for each in status.model_version_status] == [(3, 30)]
        request = predict_pb2.PredictRequest(model_spec=model_pb2.ModelSpec(name="other"))
        with pytest.raises(grpc.RpcError) as error:
            prediction.Predict(request, timeout=30)
        assert error.value.code() == grpc.StatusCode.NOT_FOUND


def test_prometheus_counts_requests(server: Server) -> None:
    def counts() -> Counter[str]:
        text = httpx.get(f"{server.base}/monitoring/prometheus/metrics").text
        assert 'hubline_model_version_available{model="model",version="3"} 1.0' in text
        found = re.findall(r'hubline_requests_total\{api="rest",code="(\w+)",method="(?!metrics)\w+"\} (\S+)', text)
        return sum((Counter({code: int(float(value))}) for code, value in found), Counter())

    before = counts()
    post(server, "predict", {})
    httpx.post(f"{server.base}/v1/other")
    httpx.post(f"{server.rest}:predict", content=b" " * 1_000_001)
    assert counts() - before == {"INVALID_ARGUMENT": 1, "NOT_FOUND": 1, "RESOURCE_EXHAUSTED": 1}


def test_bodies_that_are_on_their_way_are_bounded(server: Server) -> None:
    def status() -> int:
        return post(server, "predict", {"signature_name": "one", "instances": [1]}).status_code

    address = httpx.URL(server.base)
    with ExitStack() as stack:
        for _ in range(6 + 2):
            half = stack.enter_context(socket.create_connection((address.host, address.port or 0)))
            half.sendall(b"POST /v1/models/model:predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9\r\n\r\n{")
        becomes(lambda: status() == 429)
    becomes(lambda: status() == 200)
    assert "Traceback" not in server.log.read_text()


def test_a_new_version_replaces_the_old_one_without_a_failed_request(tmp_path: Path) -> None:
    folder = tmp_path / "serving"
    folder.mkdir()
    write_version(folder, 1, factor=1.0)
    body = json.dumps({"instances": [{"x": [1, 1], "name": "a"}]})
    options = ("--poll-seconds", "0.1", "--batch-size", "8", "--batch-delay-ms", "2")
    with serving(folder, tmp_path / "log", *options) as server:
        seen: Counter[float | int] = Counter()
        done = threading.Event()

        def ask() -> None:
            with httpx.Client(timeout=60) as client:
                is_last = False
                while not is_last:
                    is_last = done.is_set()  # so that each asks once more after the versions were exchanged
                    response = client.post(f"{server.rest}:predict", content=body)
                    assert response.status_code == 200, response.text
                    seen[response.json()["predictions"][0]["y"][0]] += 1

        with ThreadPoolExecutor(4) as pool:
            asking = [pool.submit(ask) for _ in range(4)]
            try:
                write_version(folder, 2, factor=5.0)
                (folder / "3").mkdir()
                (folder / "3" / "saved_model.pb").write_bytes(b"broken")
                states = wait_for(server, lambda found: found.get("3") == "END" and found.get("1") == "END")
            finally:
                done.set()
            for each in asking:
                each.result()
        assert states == {"1": "END", "2": "AVAILABLE", "3": "END"}
        assert seen.keys() == {1.0, 5.0}
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(30) == 0
    assert "version 3 of model model can't be loaded" in (tmp_path / "log").read_text()


def wait_for(server: Server, holds: Callable[[dict[str, str]], bool]) -> dict[str, str]:
    def states() -> dict[str, str]:
        return {each["version"]: each["state"] for each in httpx.get(server.rest).json()["model_version_status"]}

    becomes(lambda: holds(states()))
    return states()


def becomes(holds: Callable[[], bool]) -> None:
    for _ in range(600):
        if holds():
            return
        threading.Event().wait(0.1)
    raise AssertionError


def test_warm_up_requests_run_before_a_version_answers(tmp_path: Path) -> None:
    version = write_version(tmp_path, 1)
    log = prediction_log_pb2.PredictionLog()
    log.predict_log.request.model_spec.signature_name = "one"
    log.predict_log.request.inputs["number"].CopyFrom(tf.make_tensor_proto([-1]))
    file = version / "assets.extra" / "tf_serving_warmup_requests"
    file.parent.mkdir()
    with tf.io.TFRecordWriter(str(file)) as records:
        records.write(log.SerializeToString())
    with pytest.raises(UserError, match=r"request 0 \(counted from 0\): .*numbers must not be negative"):
        end_at_once(Settings(str(tmp_path), "model", rest_port=0, grpc_port=0))
    log.predict_log.request.inputs["number"].CopyFrom(tf.make_tensor_proto([1]))
    with tf.io.TFRecordWriter(str(file)) as records:
        records.write(log.SerializeToString())
    end_at_once(Settings(str(tmp_path), "model", rest_port=0, grpc_port=0))


def end_at_once(settings: Settings) -> None:
    """Serves in this process until the server answers."""
    asyncio.run(serve(settings, started=lambda rest, grpc: signal.raise_signal(signal.SIGTERM)))


def test_a_second_signal_ends_the_server_at_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr("os._exit", codes.append)

    def started(rest: int, grpc: int) -> None:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.raise_signal(number)

    asyncio.run(serve(Settings(str(folder), "model", rest_port=0, grpc_port=0), started))
    assert codes == [143]


def test_there_must_be_something_to_serve_and_a_free_port(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(UserError, match="neither a SavedModel nor a serving folder with a version in it"):
        end_at_once(Settings(str(tmp_path), "model"))
    with pytest.raises(UserError, match=r"there is no version 7, 9, only 3$"):
        end_at_once(Settings(str(folder), "model", policy=VersionPolicy(fixed=(9, 7))))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1"):
            end_at_once(Settings(str(folder / "3"), "model", rest_port=port, grpc_port=0))
        with pytest.raises(UserError, match=f"port {port} of 127.0.0.1"):
            end_at_once(Settings(str(folder / "3"), "model", rest_port=0, grpc_port=port))
