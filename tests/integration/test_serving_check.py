"""The serving check with servers that fail: none of their models passes, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import tensorflow as tf

from hubline.serving.check.check import check
from hubline.serving.check.clients import clients
from hubline.serving.check.config import ServingCheck
from hubline.serving.check.process import MODULE, ServerFault, serving
from hubline.serving.check.requests import predict_requests
from hubline.trainer.adapters.tensorflow import set_method_names
from hubline.trainer.module import Tensor
from hubline.trainer.reference import Reference
from hubline.trainer.serving_guide.interface import Column, Interface, Signature

pytestmark = pytest.mark.slow

SPEC = {"x": tf.io.FixedLenFeature([], tf.float32), "tags": tf.io.VarLenFeature(tf.string)}
PATHS = [[0.5, 1.0], [], [2.0]]
XS = [1.0, 2.5, -3.0]
TAGS = [["a"], [], ["b", "c"]]


class Adding(tf.Module):
    """`value` = x + the number of tags and of numbers in a path. The signature `predict` adds something to it,
    `serving_default` gives NaN for negative x, and `regress` fails for it."""

    def __init__(self, wrong: float) -> None:
        super().__init__()
        self.wrong = tf.Variable(wrong)

    @tf.function(
        input_signature=[
            {
                "x": tf.TensorSpec([None], name="x"),
                "tags": tf.TensorSpec([None, None], tf.string, "tags"),
                "path": tf.TensorSpec([None, None], name="path"),
            }
        ]
    )
    def predict(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        count = tf.reduce_sum(tf.cast(inputs["tags"] != "", tf.float32), axis=1)
        there = tf.reduce_sum(tf.cast(tf.math.is_finite(inputs["path"]), tf.float32), axis=1)
        return {"value": tf.cast(inputs["x"] + count + there + self.wrong, tf.float64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(examples, SPEC)["x"]
        return {"value": tf.cast(tf.where(x < 0, np.nan, x), tf.float64)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "inputs")])
    def regress(self, inputs: tf.Tensor) -> dict[str, tf.Tensor]:
        x = tf.io.parse_example(inputs, SPEC)["x"]
        with tf.control_dependencies([tf.debugging.assert_non_negative(x, "no negative x")]):
            return {"outputs": x[:, tf.newaxis]}


@pytest.fixture(scope="module")
def reference() -> Reference:
    records = []
    for x, tags, path in zip(XS, TAGS, PATHS, strict=True):
        feature = {"x": tf.train.Feature(float_list=tf.train.FloatList(value=[x]))}
        if tags:
            values = tf.train.BytesList(value=[tag.encode() for tag in tags])
            feature["tags"] = tf.train.Feature(bytes_list=values)
        if path:
            feature["path"] = tf.train.Feature(float_list=tf.train.FloatList(value=path))
        records.append(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    return Reference(
        records, {"value": np.array(XS) + [len(tags) + len(path) for tags, path in zip(TAGS, PATHS, strict=True)]}
    )


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Callable[..., str]:
    """Exports an `Adding` with some of its signatures."""

    def export(wrong: float, *names: str) -> str:
        path = str(tmp_path_factory.mktemp("model"))
        module = Adding(wrong)
        tf.saved_model.save(module, path, signatures={name: getattr(module, name) for name in names})
        set_method_names(path, {"regress": tf.saved_model.REGRESS_METHOD_NAME} if "regress" in names else {})
        value, text = {"value": Tensor(dtype="float64", shape=(None,))}, Tensor(dtype="string", shape=(None,))
        x, tags = Tensor(dtype="float32", shape=(None,)), Tensor(dtype="string", shape=(None, None))
        paths = Tensor(dtype="float32", shape=(None, None))
        signatures = {
            "predict": Signature(method="predict", inputs={"x": x, "tags": tags, "path": paths}, outputs=value),
            "serving_default": Signature(method="predict", inputs={"examples": text}, outputs=value),
            "regress": Signature(method="regress", inputs={"inputs": text}, outputs={"outputs": x}),
        }
        columns = {
            "x": Column(input="x", dtype="float32", is_list=False, is_required=True),
            "tags": Column(input="tags", dtype="string", is_list=True, is_required=False, missing=""),
            "path": Column(input="path", dtype="float32", is_list=True, is_required=False, missing="NaN"),
        }
        Interface(signatures={name: signatures[name] for name in names}, columns=columns).write(path)
        return path

    return export


def servers() -> list[psutil.Process]:
    return [each for each in psutil.Process().children(recursive=True) if MODULE in each.cmdline()]


def test_another_value_nan_and_an_error_each_fail_the_check(model: Callable[..., str], reference: Reference) -> None:
    found = check(model(0.01, "predict", "serving_default", "regress"), reference, ServingCheck())
    spread = np.std(reference.answers["value"])
    differs = f"output 'value' differs by {0.01 / spread:.2g} (at most 0.001)"
    start = "the server doesn't answer as the trained model does"
    told = {fault.removeprefix(f"{start} ").partition("): ")[::2] for fault in found.faults}
    assert not found.passed and {(where.strip("("), what) for where, what in told if "negative" not in what} == {
        ("HTTP, signature 'predict', rows of 3 records", differs),
        ("HTTP, signature 'serving_default', rows of 3 records", "output 'value' has values that are not finite"),
    }
    failed = [what for _, what in told if "no negative x" in what]
    assert [what.partition(":")[0] for what in sorted(failed)] == [
        "the server answers 400",
        "the server answers INVALID_ARGUMENT",
    ]
    of_predict = [each for each in found.comparisons if each.signature == "predict"]
    assert len(of_predict) == 7 and all(each.fault for each in of_predict)
    assert len(found.latencies) == 4 and found.difference is None
    assert not servers()


@pytest.mark.both_stacks
def test_lists_of_other_lengths_and_missing_ones_are_sent_as_they_are(
    model: Callable[..., str], reference: Reference
) -> None:
    config = ServingCheck.model_validate({"tolerance": 1e-6, "max_memory": "8Gi", "max_load_seconds": 300})
    found = check(model(0.0, "predict"), reference, config)
    assert found.passed and found.bounds == {"max_memory": 8 << 30, "max_load_seconds": 300}


def test_a_model_that_does_not_load_and_a_server_that_is_late_fail_the_check(
    model: Callable[..., str], reference: Reference
) -> None:
    path = model(0.0, "predict")
    late = check(path, reference, ServingCheck(timeout_seconds=0.3))
    assert late.faults == ("the server doesn't answer within 0.3 s (timeout_seconds)",) and not late.passed
    assert late.load_seconds is None and not late.comparisons and not servers()

    Path(path, "variables", "variables.index").write_bytes(b"no index")
    broken = check(path, reference, ServingCheck())
    (fault,) = broken.faults
    assert fault.startswith(f"the server can't load the model: {path}: ") and "sstable" in fault and not servers()


def test_a_server_that_is_killed_is_told_and_one_whose_run_is_interrupted_ends(
    model: Callable[..., str], reference: Reference
) -> None:
    path = model(0.0, "predict")
    with (
        pytest.raises(KeyboardInterrupt),
        serving(path, 60) as server,
        clients(server, time.monotonic() + 60) as given,
    ):
        connections = psutil.Process(server.process.pid).net_connections()
        listening = [each.laddr.ip for each in connections if each.status == psutil.CONN_LISTEN]
        assert len(listening) == 2 and all(ip.removeprefix("::ffff:") == "127.0.0.1" for ip in listening)
        overs = {request.api: request for request in predict_requests(Interface.read(path), reference.records)}
        os.kill(server.process.pid, signal.SIGKILL)
        for request in overs.values():
            with pytest.raises(ServerFault, match=r"^the server ended with exit code 137: "):
                request.send(given)
        raise KeyboardInterrupt
    assert not servers()


def test_a_server_ends_with_the_process_that_started_it_even_if_that_is_killed(model: Callable[..., str]) -> None:
    program = "import sys\nfrom hubline.serving.check.process import serving\nwith serving(sys.argv[1], 60): pass"
    run = subprocess.Popen([sys.executable, "-c", program, model(0.0, "predict")])
    run_of = psutil.Process(run.pid)
    while not (found := [each for each in run_of.children() if MODULE in each.cmdline()]):
        time.sleep(0.05)
    run.kill()
    run.wait()
    gone, alive = psutil.wait_procs(found, timeout=30)
    assert gone and not alive
