"""A module that reaches beyond its own computation is refused before anything of it runs, wherever it hides that."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from hubline.components.hub_module.executor import Executor
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.inspect import inspect_handle
from hubline.pipeline.predict.cli import predict
from hubline.pipeline.preflight import check
from hubline.trainer.adapters.tensorflow_library import registered_operations
from hubline.trainer.reaching_operations import KNOWN, reaching_operations, refuse_reaching
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import open_module
from tests.support import hub_modules
from tests.support.project import PIPELINE, make_project

NUMBERS = tf.TensorSpec([None], tf.float32, name="numbers")


class Table(tf.Module):
    """Reads a table from a file, which is either an asset of the module or a constant path."""

    def __init__(self, path: str, asset: bool) -> None:
        super().__init__()
        self.asset = tf.saved_model.Asset(path) if asset else None
        name = self.asset.asset_path if self.asset else path
        lines = tf.lookup.TextFileInitializer(name, tf.string, 0, tf.int64, 1, delimiter=" ")
        self.table = tf.lookup.StaticHashTable(lines, -1)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, words: tf.Tensor) -> tf.Tensor:
        return self.table.lookup(words)


def reach(path: Path) -> dict[str, str]:
    return reaching_operations(SavedModel.parse((path / "saved_model.pb").read_bytes(), str(path)))


def edited(path: Path, edit: Callable) -> Path:
    """Edits the message of a module."""
    file = path / "saved_model.pb"
    saved = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    edit(saved.meta_graphs[0])
    file.write_bytes(saved.SerializeToString())
    return path


def reads(numbers: tf.Tensor) -> tf.Tensor:
    return numbers + tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)


def writes_in_a_branch_of_a_loop(numbers: tf.Tensor) -> tf.Tensor:
    @tf.function
    def inner(step: tf.Tensor) -> tf.Tensor:
        def write() -> tf.Tensor:
            with tf.control_dependencies([tf.io.write_file("/tmp/there", "x")]):
                return step + 1

        return tf.cond(step > 3, write, lambda: step + 1)

    return numbers + tf.cast(tf.while_loop(lambda step: step < 5, lambda step: [inner(step)], [0])[0], tf.float32)


def calls_python(numbers: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.numpy_function(lambda some: some, [numbers], tf.float32), [None])


def reads_records(numbers: tf.Tensor) -> tf.Tensor:
    count = tf.data.TFRecordDataset("/etc/hostname").reduce(0, lambda total, _: total + 1)
    return numbers + tf.cast(count, tf.float32)


def restores(numbers: tf.Tensor) -> tf.Tensor:
    return (
        numbers
        + tf.raw_ops.RestoreV2(
            prefix="/elsewhere/variables", tensor_names=["x"], shape_and_slices=[""], dtypes=[tf.float32]
        )[0]
    )


def prints_into_a_file(numbers: tf.Tensor) -> tf.Tensor:
    tf.print(numbers, output_stream="file:///tmp/there")
    return numbers


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        (reads, {"ReadFile": "reads files"}),
        (writes_in_a_branch_of_a_loop, {"WriteFile": "writes files"}),
        (calls_python, {"PyFunc": "calls Python"}),
        (reads_records, {"TFRecordDataset": "reads files"}),
        (restores, {"RestoreV2": "reads files"}),
        (prints_into_a_file, {"PrintV2": "writes files"}),
    ],
)
def test_an_operation_is_found_in_any_function(tmp_path: Path, function: Callable, expected: dict[str, str]) -> None:
    assert reach(hub_modules.module(tmp_path / "module", NUMBERS, function)) == expected


@pytest.mark.slow
def test_a_module_that_prints_and_has_variables_reaches_nothing(tmp_path: Path) -> None:
    def prints(numbers: tf.Tensor) -> tf.Tensor:
        tf.print(numbers)
        return numbers

    assert reach(hub_modules.module(tmp_path / "prints", NUMBERS, prints)) == {}
    assert reach(hub_modules.mean_colour(tmp_path / "variables")) == {}
    assert reach(hub_modules.keras(tmp_path / "keras", "export")) == {}


def test_a_table_is_filled_from_an_asset_only(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("one 1\ntwo 2\n")
    for name, asset in (("asset", True), ("path", False)):
        tf.saved_model.save(Table(str(words), asset), str(tmp_path / name))
    # TextFileInitializer makes an asset of any path, which a module from elsewhere need not do.
    assert reach(tmp_path / "asset") == reach(tmp_path / "path") == {}

    def of_a_constant(graph) -> None:
        (initializer,) = [
            function
            for function in graph.graph_def.library.function
            if any(node.op == "InitializeTableFromTextFileV2" for node in function.node_def)
        ]
        path = initializer.node_def.add(name="elsewhere", op="Const")
        path.attr["value"].tensor.CopyFrom(tf.make_tensor_proto("/etc/passwd"))
        path.attr["dtype"].type = tf.string.as_datatype_enum
        for node in initializer.node_def:
            if node.op == "InitializeTableFromTextFileV2":
                node.input[1] = "elsewhere:output:0"

    assert reach(edited(tmp_path / "path", of_a_constant)) == {"InitializeTableFromTextFileV2": "reads files"}

    def captures_another_object(graph) -> None:
        for function in graph.object_graph_def.concrete_functions.values():
            for place, number in enumerate(function.bound_inputs):
                if graph.object_graph_def.nodes[number].WhichOneof("kind") == "asset":
                    function.bound_inputs[place] = 0

    assert reach(edited(tmp_path / "asset", captures_another_object)) == {
        "InitializeTableFromTextFileV2": "reads files"
    }


def test_an_asset_lies_in_the_module(tmp_path: Path) -> None:
    words = tmp_path / "words.txt"
    words.write_text("one 1\n")
    tf.saved_model.save(Table(str(words), asset=True), str(tmp_path / "module"))

    def moved(graph) -> None:
        graph.asset_file_def[0].filename = "../../../etc/passwd"

    content = (edited(tmp_path / "module", moved) / "saved_model.pb").read_bytes()
    with pytest.raises(UserError, match=r"its asset file '\.\./\.\./\.\./etc/passwd' is outside the module"):
        refuse_reaching(SavedModel.parse(content, "module"))


def test_an_operation_in_a_tf1_graph_is_found(tmp_path: Path) -> None:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        numbers = tf.compat.v1.placeholder(tf.float32, [None])
        scale = tf.compat.v1.get_variable("scale", initializer=2.0)
        total = numbers * scale + tf.cast(tf.strings.length(tf.io.matching_files("/etc/*")[0]), tf.float32)
        session.run(tf.compat.v1.global_variables_initializer())
        tf.compat.v1.saved_model.simple_save(session, str(tmp_path / "module"), {"n": numbers}, {"total": total})
    assert reach(tmp_path / "module") == {"MatchingFiles": "reads files"}  # and not its own RestoreV2 and SaveV2


@pytest.fixture(scope="module")
def reading(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A module of images that also reads a file."""

    def colour(images: tf.Tensor) -> tf.Tensor:
        length = tf.cast(tf.strings.length(tf.io.read_file("/etc/hostname")), tf.float32)
        return tf.reduce_mean(images, axis=[1, 2]) + 0.0 * length

    return hub_modules.module(tmp_path_factory.mktemp("reading") / "module", hub_modules.IMAGES, colour)


SAYS = re.escape(
    "it contains operations that reach beyond the module: ReadFile (reads files); a module is a program that runs with "
    "your rights. If you trust its source, allow them: allow_operations: [ReadFile] in the pipeline file, or "
    "--allow-operation ReadFile"
)


def test_check_refuses_a_module_unless_the_file_allows_its_operation(tmp_path: Path, reading: Path) -> None:
    path = make_project(tmp_path, PIPELINE.replace("handle: module", f"handle: {reading}"))
    with pytest.raises(PipelineFileError, match=SAYS) as error:
        check(path)
    assert [each["key"] for each in error.value.as_dicts] == ["hubs.mean.handle"]
    path.write_text(path.read_text().replace(f"handle: {reading}", f"allow_operations: [ReadFile], handle: {reading}"))
    check(path)


def test_hub_module_refuses_it_before_it_is_loaded(tmp_path: Path, reading: Path, monkeypatch) -> None:
    from hubline.components.hub_module import executor
    from tests.support.executors import artifact

    loaded: list[str] = []
    monkeypatch.setattr(executor, "open_to_train", lambda path, tuned: loaded.append(path) or open_module(path))

    def run(**hub) -> None:
        properties = {
            "name": "mean",
            "hub": json.dumps({"handle": str(reading), "inputs": {"images": "photo"}} | hub),
            "features": json.dumps({"photo": {"kind": "image", "size": [8, 8]}}),
            "infers": "", "tuned": "",
        }  # fmt: skip
        from tfx.types import standard_artifacts

        Executor().Do({}, {"model": [artifact(standard_artifacts.Model, tmp_path / "out")]}, properties)

    with pytest.raises(UserError, match=SAYS):
        run()
    assert not loaded
    run(allow_operations=["ReadFile"])
    assert loaded


def test_predict_refuses_it_and_inspect_lists_it(reading: Path) -> None:
    with pytest.raises(UserError, match=SAYS):
        predict(["there.png"], hub=str(reading))
    _, _, operations = inspect_handle(str(reading))
    assert operations == {"ReadFile": "reads files"}


HARMLESS = frozenset(
    {"CTCBeamSearchDecoder", "ExperimentalSetStatsAggregatorDataset", "SetStatsAggregatorDataset", "TensorSliceDataset"}
)
"""Operations of TensorFlow with an argument whose name suggests a file or an address, but which reach nothing."""


def test_every_operation_with_a_file_or_an_address_is_known() -> None:
    from tensorflow.python.framework import op_def_registry

    operations = [op_def_registry.get(name) for name in registered_operations()]
    suggests = re.compile(r"file|path|dir(ectory)?$|url|address|prefix$|host$")
    named = {
        operation.name
        for operation in operations
        if any(suggests.search(each.name) for each in (*operation.input_arg, *operation.attr))
    }
    assert sorted(named - KNOWN - HARMLESS) == []
