"""README.md and inputs.json beside an exported model: clients that follow them get the answers that they state."""

import ast
import asyncio
import base64
import contextlib
import io
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter
from typer.testing import CliRunner

from hubline.core.digest import tree_digest
from hubline.pipeline.cli import app
from hubline.preprocessing.config import Features
from hubline.serving.server import Settings, serve
from hubline.trainer.export import ServingModel
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.regression import Regression
from hubline.trainer.model import Parts
from hubline.trainer.serving_guide.example import write_guide
from hubline.trainer.serving_guide.interface import Interface
from hubline.trainer.serving_guide.readme import remove_example, shortened
from hubline.trainer.task import Task
from tests.support import example_data
from tests.support.linear_models import NAMES, WEIGHTS, softmax

pytestmark = pytest.mark.slow

TOWN, PICTURE = "town | `x` *", "picture"
SPEC = {
    "age": tf.io.VarLenFeature(tf.int64),
    "fare": tf.io.VarLenFeature(tf.float32),
    TOWN: tf.io.VarLenFeature(tf.string),
    PICTURE: tf.io.FixedLenFeature([], tf.string),
    "tags": tf.io.VarLenFeature(tf.string),
    "point": tf.io.FixedLenFeature([2], tf.float32),
}
LISTS = {"tags", "point"}
BYTES = b"\xff\x00" * 200
RECORDS = [
    example_data.record(
        age=example_data.feature(1), picture=example_data.feature(b""), point=example_data.feature(0.0, 0.0)
    ),
    tf.train.Example(
        features=tf.train.Features(
            feature={
                "age": example_data.feature(41),
                TOWN: example_data.feature("Überlingen".encode()),
                PICTURE: example_data.feature(BYTES),
                "tags": example_data.feature(b"a", b"bc", b"d"),
                "point": example_data.feature(0.1, -2.5),
                "label": example_data.feature(b"private"),
            }
        )
    ).SerializeToString(),
]
X = np.array([[41.0, 10.0 + 400.0, 4.0, -2.4]], np.float32) / 100
"""Of the second record: age and 0 for the missing fare, bytes of town and picture, letters of tags, sum of point."""


class Numbers(tf.keras.layers.Layer):
    """Makes four numbers of the columns; what is missing counts 0."""

    def call(self, columns: Mapping[str, Any]) -> Mapping[str, tf.Tensor]:
        def one(name: str) -> tf.Tensor:
            return tf.sparse.to_dense(columns[name])[:, 0]

        fare = columns["fare"]
        finite = tf.where(tf.math.is_finite(fare.values), fare.values, 0.0)
        fares = tf.math.unsorted_segment_sum(finite, fare.indices[:, 0], fare.dense_shape[0])
        tags = columns["tags"]
        lengths = tf.cast(tf.strings.length(tags.values), tf.float32)
        letters = tf.math.unsorted_segment_sum(lengths, tags.indices[:, 0], tags.dense_shape[0])
        texts = tf.cast(tf.strings.length(one(TOWN)) + tf.strings.length(columns[PICTURE]), tf.float32)
        numbers = [tf.cast(one("age"), tf.float32) + fares, texts - 1.0, letters, tf.reduce_sum(columns["point"], 1)]
        return {"x": tf.stack(numbers, axis=1) / 100}


def export(path: Path, task: Task) -> Path:
    given = {"x": tf.keras.Input([4], name="x")}
    dense = tf.keras.layers.Dense(task.outputs, use_bias=False)
    model = tf.keras.Model(given, dense(given["x"]))
    dense.set_weights([WEIGHTS[:, : task.outputs]])
    features = TypeAdapter(Features).validate_python({"x": {"kind": "numeric", "length": 4}})
    serving = ServingModel(Parts({}, model, model), Numbers(), SPEC, LISTS, features, task)
    write_guide(str(path), SPEC, LISTS, serving.save(str(path)), RECORDS)
    return path


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return export(tmp_path_factory.mktemp("serving") / "1", Classes(NAMES))


def while_served(folder: Path, clients: Callable[[int, int], None]) -> None:
    """Serves in this thread until the clients, in another one, are done; raises what they raise."""
    errors: list[BaseException] = []

    def ask(rest: int, grpc: int) -> None:
        try:
            clients(rest, grpc)
        except BaseException as error:
            errors.append(error)
        signal.raise_signal(signal.SIGTERM)

    def started(rest: int, grpc: int) -> None:
        threading.Thread(target=ask, args=(rest, grpc)).start()

    asyncio.run(serve(Settings(str(folder), "model", rest_port=0, grpc_port=0), started))
    for error in errors:
        raise error


def assert_same(found: Any, stated: Any) -> None:
    """Compares JSON; numbers within the precision of float32."""
    if isinstance(stated, float):
        assert found == pytest.approx(stated, rel=1e-5)
    elif isinstance(stated, dict):
        assert found.keys() == stated.keys()
        for name, value in stated.items():
            assert_same(found[name], value)
    elif isinstance(stated, list):
        assert len(found) == len(stated)
        for one, other in zip(found, stated, strict=True):
            assert_same(one, other)
    else:
        assert found == stated


def blocks(version: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", (version / "README.md").read_text(), re.DOTALL)


def answer(version: Path, name: str) -> Any:
    return json.loads((version / "answers" / name).read_text())


def test_the_stated_answers_are_those_of_numpy(version: Path) -> None:
    scores = softmax(X @ WEIGHTS)[0]
    stated = answer(version, "predict-rows.json")["predictions"][0]
    np.testing.assert_allclose(stated["scores"], scores, rtol=1e-5)
    assert stated["label"] == NAMES[scores.argmax()]
    classified = answer(version, "classify-examples.json")["results"][0]
    assert [name for name, _ in classified] == list(NAMES)
    np.testing.assert_allclose([score for _, score in classified], scores, rtol=1e-5)


def test_every_column_says_what_stands_for_a_missing_value(version: Path) -> None:
    columns = json.loads((version / "inputs.json").read_text())["columns"]
    described = {
        name: (each["dtype"], each["is_list"], each["length"], each["missing"]) for name, each in columns.items()
    }
    assert described == {
        "age": ("int64", False, None, -(2**63)),
        "fare": ("float32", False, None, "NaN"),
        TOWN: ("string", False, None, ""),
        PICTURE: ("string", False, None, None),
        "tags": ("string", True, None, ""),
        "point": ("float32", True, 2, None),
    }
    assert {name for name, each in columns.items() if each["is_required"]} == {PICTURE, "point"}
    assert {name: each["value"] for name, each in columns.items()} == {
        "age": 41,
        "fare": "NaN",
        TOWN: "Überlingen",
        PICTURE: {"b64": base64.b64encode(BYTES).decode()},
        "tags": ["a", "bc", "d"],
        "point": [0.1, -2.5],
    }
    assert [name for name, each in columns.items() if each["is_left_out"]] == ["fare"]


def printed(code: str, folder: Path) -> str:
    """What Python code prints that runs in a folder."""
    output, before = io.StringIO(), Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(output):
            exec(code, {})
    finally:
        os.chdir(before)
    return output.getvalue()


def ask_as_the_readme_says(version: Path, rest: int, grpc: int) -> None:
    def here(text: str) -> str:
        return text.replace("localhost:8501", f"127.0.0.1:{rest}").replace("localhost:8500", f"127.0.0.1:{grpc}")

    commands = [block for block in blocks(version, "sh") if block.startswith("curl") and "localhost" in block]
    assert len(commands) == 5
    for command in commands if shutil.which("curl") else ():
        found = subprocess.run(shlex.split(here(command)), cwd=version, capture_output=True, check=True, timeout=60)
        assert_same(json.loads(found.stdout), answer(version, re.search(r"@requests/(\S+)", command)[1]))

    for_rest, for_grpc = (here(block) for block in blocks(version, "python"))
    expected = answer(version, "predict-rows.json")
    assert_same(ast.literal_eval(printed(for_rest, version)), expected)
    outputs = dict(line.split(" ", 1) for line in printed(for_grpc, version).splitlines())
    scores, label = ast.literal_eval(outputs["scores"]), ast.literal_eval(outputs["label"])
    np.testing.assert_allclose(scores[0], expected["predictions"][0]["scores"], rtol=1e-5)
    assert label == [expected["predictions"][0]["label"].encode()]
    if shutil.which("java"):
        (source,) = blocks(version, "java")
        (version.parent / "Ask.java").write_text(here(source))
        command = ["java", str(version.parent / "Ask.java")]
        found = subprocess.run(command, cwd=version, capture_output=True, check=True, timeout=60)
        assert_same(json.loads(found.stdout), expected)


def ask_from_inputs_alone(version: Path, rest: int) -> None:
    """A client for any model, which knows inputs.json and TensorFlow Serving's API only."""
    told = json.loads((version / "inputs.json").read_text())

    def value(column: dict) -> Any:
        is_word = column["dtype"] == "float32" and isinstance(column["value"], str)
        return float(column["value"]) if is_word else column["value"]

    row = {column["input"]: value(column) for column in told["columns"].values()}
    example = {name: value(column) for name, column in told["columns"].items() if not column["is_left_out"]}
    for request in told["requests"]:
        if request["signature"] == "predict":
            columns = {name: [each] for name, each in row.items()}
            body = {"rows": {"instances": [row]}, "columns": {"inputs": columns}}[request["form"]]
        elif request["form"] == "examples":
            body = {"examples": [example]}
        else:  # serialized by a library
            continue
        url = f"http://127.0.0.1:{rest}/v1/models/model:{told['signatures'][request['signature']]['method']}"
        content = json.dumps({"signature_name": request["signature"], **body})
        found = httpx.post(url, content=content, timeout=60)
        assert found.status_code == 200, found.text
        assert_same(found.json(), json.loads((version / request["answer"]).read_text()))


@pytest.mark.both_stacks
def test_clients_get_the_stated_answers(version: Path) -> None:
    def clients(rest: int, grpc: int) -> None:
        ask_as_the_readme_says(version, rest, grpc)
        ask_from_inputs_alone(version, rest)

    while_served(version, clients)


def test_the_files_follow_from_the_model_and_the_records(version: Path, tmp_path: Path) -> None:
    again = export(tmp_path / "1", Classes(NAMES))
    names = ["README.md", "inputs.json", *(f"{part}/predict-rows.json" for part in ("requests", "answers"))]
    for name in names:
        assert (again / name).read_bytes() == (version / name).read_bytes(), name
    assert not any(b"private" in path.read_bytes() for path in version.rglob("*.json"))  # the label


def test_a_number_is_asked_for_by_regress(tmp_path: Path) -> None:
    path = export(tmp_path / "1", Regression(lambda raw, dtype: tf.cast(raw, dtype) * 10))
    expected = 10 * (X @ WEIGHTS)[0, 0]
    assert answer(path, "regress-examples.json")["results"] == [pytest.approx(expected, rel=1e-5)]
    assert answer(path, "predict-columns.json")["outputs"] == [pytest.approx(expected, rel=1e-5)]


def test_without_the_example_no_value_of_the_record_is_left(version: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(version, tmp_path / "1"))
    remove_example(str(copy))
    assert not (copy / "requests").exists() and not (copy / "answers").exists()
    for name in ("README.md", "inputs.json"):
        text = (copy / name).read_text()
        assert "berlingen" not in text and base64.b64encode(BYTES).decode()[:20] not in text
    interface = Interface.read(str(copy))
    assert interface is not None and not interface.requests
    assert interface.columns["age"].missing == -(2**63)
    assert "example: none" in (copy / "README.md").read_text()
    before = tree_digest(str(copy))
    remove_example(str(copy))
    assert tree_digest(str(copy)) == before


def test_names_from_the_data_stay_in_their_cells(version: Path) -> None:
    (row,) = [line for line in (version / "README.md").read_text().splitlines() if line.startswith("| <code>town")]
    assert row == (
        "| <code>town &#124; &#96;x&#96; &#42;</code> | <code>town&#95;&#95;&#95;&#95;x&#95;&#95;&#95;</code> "
        "| string | 1 | an empty string |"
    )


def test_the_command_shows_where_the_readme_is(version: Path) -> None:
    shown = CliRunner().invoke(app, ["models", "show", str(version.parent), "1", "--json"])
    assert json.loads(shown.stdout)["readme"] == f"{version}/README.md"


def test_long_values_are_shortened_at_any_depth() -> None:
    assert shortened({"a": [{"b64": "x" * 90}], "b": list(range(14)), "c": 1.5}) == {
        "a": [{"b64": "x" * 80 + "…"}],
        "b": [*range(12), "…"],
        "c": 1.5,
    }
