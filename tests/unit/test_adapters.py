"""Tests every assumption about private APIs that an adapter makes. A failure names the assumption."""

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
import tensorflow_data_validation as tfdv

from hubline.components.adapters import tfdv as private_tfdv
from hubline.core import typed_json
from hubline.core.adapters.tfx_bsl import SKETCHES, ExampleDecoder, quantiles_sketch
from hubline.trainer.adapters import keras, tensorflow
from hubline.trainer.adapters.tensorboard import meta_graph_pb2
from hubline.trainer.adapters.tensorflow_library import registered_operations
from tests.support.example_data import record

BRANCHING = "def absolute(x):\n    if x < 0:\n        return -x\n    return x\n"


def imported(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    (folder / f"{name}.py").write_text(BRANCHING)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.delitem(sys.modules, name, raising=False)
    return importlib.import_module(name)


def test_autograph_leaves_modules_alone_that_its_rules_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    converted = imported(tmp_path, "graph_code_that_is_converted", monkeypatch)
    excluded = imported(tmp_path, "graph_code_that_is_excluded", monkeypatch)
    tensorflow.exclude_from_autograph([excluded.__name__])
    assert float(tf.function(lambda x: converted.absolute(x))(tf.constant(-2.0))) == 2.0
    with pytest.raises(tf.errors.OperatorNotAllowedInGraphError):
        tf.function(lambda x: excluded.absolute(x))(tf.constant(-2.0))


class Traced(tensorflow.AutoTrackable):
    """A module with two traces, a table and a variable."""

    def __init__(self) -> None:
        super().__init__()
        initializer = tf.lookup.KeyValueTensorInitializer(["a", "b"], tf.constant([1.0, 2.0]))
        self.table = tf.lookup.StaticHashTable(initializer, 0.0)
        self.variables = self.trainable_variables = [tf.Variable(3.0)]

    @tf.function
    def __call__(self, words: tf.Tensor, training: bool = False) -> dict[str, tf.Tensor]:
        return {"scores": self.table.lookup(words) * self.variables[0]}


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("traced")
    module = Traced()
    words = tf.TensorSpec([None], tf.string, name="words")
    traces = [module.__call__.get_concrete_function(words, training=training) for training in (False, True)]
    tf.saved_model.save(module, str(path), signatures=traces[0])
    return path


def test_autotrackable_lets_variables_be_set_and_saves_them(saved: Path) -> None:
    loaded = tf.saved_model.load(str(saved))
    assert [float(each) for each in loaded.variables] == [3.0]


def test_a_loaded_module_lists_the_traces_of_its_call(saved: Path) -> None:
    loaded = tf.saved_model.load(str(saved))
    traces = tensorflow.concrete_functions(loaded)
    assert len(traces) == 2
    assert {trace.structured_input_signature[0][1] for trace in traces} == {False, True}
    assert tensorflow.concrete_functions(tf.Module) == ()


def test_tables_are_resources_as_loaded_and_variables_are_not(saved: Path) -> None:
    loaded = tf.saved_model.load(str(saved))
    parts = tf.train.TrackableView(loaded).descendants()
    resources = [part for part in parts if tensorflow.is_resource(part)]
    assert resources and not any(isinstance(part, tf.Variable) for part in resources)


def test_signatures_are_decoded_from_a_saved_model_that_is_not_loaded(saved: Path) -> None:
    message = tensorflow.parse_saved_model((saved / "saved_model.pb").read_bytes())
    (graph,) = message.meta_graphs
    call = next(node for node in graph.object_graph_def.nodes if node.WhichOneof("kind") == "function")
    arguments, is_method = tensorflow.decode_function_spec(call.function.function_spec.SerializeToString())
    assert arguments.args[-2:] == ["words", "training"] and arguments.defaults == (False,)
    assert len(arguments.args[is_method:]) == 2
    functions = graph.object_graph_def.concrete_functions
    outputs = functions[call.function.concrete_functions[0]].output_signature
    assert tensorflow.decode_structure(outputs.SerializeToString()) == {
        "scores": tf.TensorSpec([None], tf.float32, name="scores")
    }
    # TensorBoard's copy of the message reads the same bytes.
    copy = meta_graph_pb2.MetaGraphDef.FromString(graph.SerializeToString())
    assert sorted(copy.signature_def) == sorted(graph.signature_def)


def test_types_that_are_composite_are_decoded() -> None:
    with tf.Graph().as_default():
        info = tf.compat.v1.saved_model.build_tensor_info(tf.ragged.constant([[1], [2, 3]], tf.int64))
    decoded = tensorflow.decode_type_spec(info.composite_tensor.type_spec.SerializeToString())
    assert decoded == tf.RaggedTensorSpec([2, None], tf.int64)


def test_the_c_library_lists_the_operations_of_tensorflow() -> None:
    assert {"MatMul", "LookupTableFindV2", "VarHandleOp"} <= registered_operations()


def test_layers_draw_from_generators_whose_state_can_be_restored() -> None:
    tf.keras.backend.experimental.enable_tf_random_generator()
    model = tf.keras.Sequential([tf.keras.layers.Dropout(0.5, seed=1), tf.keras.layers.Dropout(0.5, seed=2)])
    ones = tf.ones([4, 32])
    model(ones, training=True)
    generators = keras.random_generators(model)
    assert len(generators) == 2
    states = [tf.identity(generator.state) for generator in generators]
    first, second = model(ones, training=True), model(ones, training=True)
    for generator, state in zip(generators, states, strict=True):
        generator.state.assign(state)
    np.testing.assert_array_equal(model(ones, training=True), first)
    assert np.any(first != second)


@pytest.mark.slow
def test_tensorboard_writes_the_validation_split_by_a_writer_of_its_own(tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Dense(1)])
    model.compile("sgd", "mse")

    class Board(tf.keras.callbacks.TensorBoard):
        def on_test_end(self, logs: dict | None = None) -> None:
            with keras.validation_writer(self).as_default():
                tf.summary.scalar("of_ours", 1.0, step=0)
            super().on_test_end(logs)

    data = tf.ones([2, 1]), tf.ones([2, 1])
    model.fit(*data, validation_data=data, epochs=1, verbose=0, callbacks=[Board(str(tmp_path), write_graph=False)])
    (events,) = (tmp_path / "validation").glob("events*")
    assert b"of_ours" in events.read_bytes()


@pytest.mark.parametrize(
    ("application", "expected"),
    [
        ("MobileNetV2", [-1.0, 0.0, 1.0]),
        ("MobileNetV3Small", [0.0, 127.5, 255.0]),
        # Caffe's: BGR, minus the means of ImageNet.
        ("ResNet50", [255 - 103.939, 127.5 - 116.779, -123.68]),
    ],
)
def test_an_application_stands_beside_its_preprocessing(application: str, expected: list[float]) -> None:
    preprocess = keras.preprocess_input(getattr(tf.keras.applications, application))
    pixels = tf.constant([[[[0.0, 127.5, 255.0]]]])
    np.testing.assert_allclose(preprocess(tf.identity(pixels))[0, 0, 0], expected, atol=1e-4)


def batch(values: list[float], words: list[bytes]) -> pa.RecordBatch:
    return ExampleDecoder().decode([record(x=x, word=word) for x, word in zip(values, words, strict=True)])


def test_examples_are_decoded_as_lists_by_column() -> None:
    decoded = ExampleDecoder().decode([record(x=1.5, n=3), record(n=4)])
    assert decoded.to_pydict() == {"x": [[1.5], None], "n": [[3], [4]]}


def test_sketches_merge_and_survive_being_written() -> None:
    whole, parts = quantiles_sketch(1e-4, 1 << 32), [quantiles_sketch(1e-4, 1 << 32) for _ in range(2)]
    numbers = np.random.default_rng(0).normal(size=1000)
    whole.AddValues(pa.array(numbers))
    for part, own in zip(parts, np.split(numbers, 2), strict=True):
        part.AddValues(pa.array(own))
    first, second = (typed_json.load(typed_json.dump(part, SKETCHES), SKETCHES) for part in parts)
    first.Merge(second)
    np.testing.assert_allclose(
        first.GetQuantiles(4).to_pylist()[0], np.quantile(numbers, [0, 0.25, 0.5, 0.75, 1]), atol=0.01
    )
    assert first.GetQuantiles(4) == whole.GetQuantiles(4)


def test_tfdv_accumulates_by_parts_what_it_computes_of_the_whole() -> None:
    words = [b"a", b"b", b"a", b"c"]
    generators = private_tfdv.generators()
    assert [private_tfdv.counts_values(each) for each in generators].count(False) == 1

    def accumulated(part: slice) -> list[Any]:
        given = batch([1.0, 2.0, 3.0, 4.0][part], words[part])
        one = [each.compact(each.add_input(each.create_accumulator(), given)) for each in generators]
        return typed_json.load(typed_json.dump(one, private_tfdv.ACCUMULATOR_CLASSES), private_tfdv.ACCUMULATOR_CLASSES)

    parts = [accumulated(slice(0, 3)), accumulated(slice(3, 4))]
    merged = [each.merge_accumulators(list(of)) for each, of in zip(generators, zip(*parts, strict=True), strict=True)]
    (dataset,) = private_tfdv.extract(merged, generators).datasets
    found = {feature.path.step[0]: feature for feature in dataset.features}
    assert dataset.num_examples == 4
    assert found["x"].num_stats.mean == pytest.approx(2.5)
    assert found["x"].num_stats.std_dev == pytest.approx(np.std([1.0, 2.0, 3.0, 4.0]))
    assert found["word"].string_stats.unique == 3
    assert [(each.value, each.frequency) for each in found["word"].string_stats.top_values] == [
        ("a", 2),
        ("c", 1),
        ("b", 1),
    ]


def test_tfdvs_basic_statistics_are_those_of_its_public_function() -> None:
    import pandas as pd

    values = [1.0, 2.0, 3.0, 10.0]
    (public,) = tfdv.generate_statistics_from_dataframe(pd.DataFrame({"x": values})).datasets[0].features
    (own,) = (
        each for each in private_tfdv.basic_statistics(batch(values, [b"a"] * 4)).features if each.path.step[0] == "x"
    )
    for name in ("mean", "std_dev", "min", "max", "median"):
        assert getattr(own.num_stats, name) == pytest.approx(getattr(public.num_stats, name)), name


def test_tfx_marks_artifacts_by_these_properties_and_files() -> None:
    from tfx.components.evaluator import constants
    from tfx.components.util import examples_utils
    from tfx.proto import example_gen_pb2
    from tfx.types import standard_artifacts

    from hubline.components.adapters import tfx

    examples, blessing = standard_artifacts.Examples(), standard_artifacts.ModelBlessing()
    tfx.mark_as_tf_examples(examples)
    assert examples_utils.get_payload_format(examples) == example_gen_pb2.PayloadFormat.FORMAT_TF_EXAMPLE
    assert [tfx.bless(blessing, blessed) for blessed in (False, True)] == [
        constants.NOT_BLESSED_FILE_NAME,
        constants.BLESSED_FILE_NAME,
    ]
    assert blessing.get_int_custom_property(constants.ARTIFACT_PROPERTY_BLESSED_KEY) == constants.BLESSED_VALUE


@pytest.mark.parametrize("passed", [True, False])
def test_tfx_marks_the_blessing_of_a_server_by_this_property_and_file(passed: bool, tmp_path: Path) -> None:
    from tfx.components.infra_validator import executor
    from tfx.types import standard_artifacts

    from hubline.components.adapters import tfx

    theirs, ours = standard_artifacts.InfraBlessing(), standard_artifacts.InfraBlessing()
    theirs.uri = str(tmp_path)
    {True: executor._mark_blessed, False: executor._mark_not_blessed}[passed](theirs)
    assert [item.name for item in tmp_path.iterdir()] == [tfx.bless_serving(ours, passed)]
    assert ours.get_int_custom_property("blessed") == theirs.get_int_custom_property("blessed") == int(passed)


@pytest.fixture
def two_steps(tmp_path: Path) -> Callable[[], Any]:
    """A pipeline of two steps, the second of which needs the first."""
    from tfx.orchestration import metadata
    from tfx.orchestration.pipeline import Pipeline

    from tests.support.tfx_steps import Copy, Write

    def make() -> Any:
        write = Write(text="hello")
        return Pipeline(
            pipeline_name="two",
            pipeline_root=str(tmp_path / "root"),
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
            components=[write, Copy(text=write.outputs["written"])],
            enable_cache=True,
        )

    return make


@pytest.mark.slow
def test_tfx_launches_each_step_through_our_hooks(two_steps: Callable[[], Any], tmp_path: Path) -> None:
    from hubline.pipeline.adapters.tfx import run_locally

    steps: list[str] = []
    asked: list[list[str]] = []
    emptied: list[str] = []

    def around_step(step: str, launch: Callable[[], Any]) -> Any:
        steps.append(step)
        return launch()

    def reusable(outputs: Any) -> bool:
        asked.append([artifact.uri for artifacts in outputs.values() for artifact in artifacts])
        return len(asked) != 1

    def before_outputs(outputs: Any) -> None:
        for artifacts in outputs.values():
            for artifact in artifacts:
                assert not Path(artifact.uri).exists(), "TFX makes the folders of outputs after this hook"
                emptied.append(artifact.uri)

    run_locally(two_steps(), around_step, reusable, before_outputs)
    assert steps == ["Write", "Copy"] and not asked and len(emptied) == 2
    assert Path(emptied[1], "text").read_text() == "hello"

    # The outputs of `Write` are rejected once, so it runs again, and `Copy` runs on its new outputs.
    run_locally(two_steps(), around_step, reusable, before_outputs)
    assert asked[0] == emptied[:1] and len(emptied) == 4
    run_locally(two_steps(), around_step, reusable, before_outputs)
    assert asked[-2:] == [emptied[2:3], emptied[3:4]] and len(emptied) == 4

    from tfx.orchestration.portable import launcher

    assert launcher.Launcher.__module__ == launcher.__name__, "the launcher is put back"


@pytest.mark.slow
def test_beam_steps_get_arguments_that_are_not_in_their_cache_keys(tmp_path: Path) -> None:
    from tfx.orchestration import metadata
    from tfx.orchestration.pipeline import Pipeline

    from hubline.pipeline.adapters.tfx import run_locally
    from tests.support.tfx_steps import NameJob

    made: list[str] = []

    def around_step(_: str, launch: Callable[[], Any]) -> Any:
        execution = launch()
        made.append(execution.output_dict["named"][0].uri)
        return execution

    for name in ("first", "second"):
        pipeline = Pipeline(
            pipeline_name="one",
            pipeline_root=str(tmp_path / "root"),
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite")),
            components=[NameJob()],
            enable_cache=True,
        )
        run_locally(pipeline, around_step, beam_arguments=[f"--job_name={name}"])
    assert Path(made[0], "text").read_text() == "first"
    assert len({*Path(tmp_path, "root", "NameJob", "named").iterdir()}) == 1, "the second run takes the first's output"


@pytest.mark.slow
def test_kfps_client_sends_all_through_our_rest_client(monkeypatch: pytest.MonkeyPatch) -> None:
    import kfp
    import urllib3

    from hubline.pipeline.adapters.kfp import RestClient, call, headers, use_rest_client
    from tests.support.kfp_api import KfpApi

    monkeypatch.setattr("kfp.Client._LOCAL_KFP_CONTEXT", os.devnull + "/none")
    seen: list[tuple[str, Any]] = []

    class Seen(RestClient):
        def request(self, method: str, url: str, **given: Any) -> Any:
            response = super().request(method, url, **given)
            seen.append((url, headers(response).get("content-type")))
            return response

    never = urllib3.Retry(connect=0, read=0, status=0, other=0, redirect=0, raise_on_redirect=False)
    with KfpApi().serving() as api:
        client = kfp.Client(host=api.host)
        use_rest_client(client, lambda configuration: Seen(configuration, (1, 5), never))
        health = call(client, "GET", "/apis/v2beta1/healthz", "V2beta1GetHealthzResponse")
        assert health.multi_user is not None
        client.list_experiments()
        assert call(client, "GET", "/apis/v2beta1/healthz", None).status == 200
    assert [url.rpartition("/")[2] for url, _ in seen] == ["healthz", "experiments", "healthz"]
    assert all("json" in content_type for _, content_type in seen)


def test_a_saved_model_fills_the_tables_of_a_graph_where_it_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("a\nb\n")

    def table(file: Any, shared: str) -> tuple[Any, Any]:
        handle = tf.raw_ops.HashTableV2(
            key_dtype=tf.string, value_dtype=tf.int64, shared_name=shared, use_node_name_sharing=True
        )
        options = {"key_index": -2, "value_index": -1}
        return handle, lambda: tf.raw_ops.InitializeTableFromTextFileV2(table_handle=handle, filename=file, **options)

    initializer = tensorflow.GraphInitializer(lambda file: table(file, "of words")[1](), [str(tmp_path / "words.txt")])
    initializer.initialize()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def look_up(words: tf.Tensor) -> tf.Tensor:
        handle, _ = table("", "of words")
        return tf.raw_ops.LookupTableFindV2(table_handle=handle, keys=words, default_value=tf.constant(-1, tf.int64))

    words = tf.constant(["b", "a", "c"])
    assert look_up(words).numpy().tolist() == [1, 0, -1]
    root = tf.Module()
    root.state, root.look_up = [initializer, *initializer.assets], look_up
    tf.saved_model.save(root, str(tmp_path / "saved"))
    (tmp_path / "words.txt").unlink()
    loaded = tf.saved_model.load(str(tmp_path / "saved"))
    assert loaded.look_up(words).numpy().tolist() == [1, 0, -1]


def test_beams_worker_pool_starts_workers_as_python_with_its_own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    import shutil
    import subprocess

    from apache_beam.portability.api import beam_fn_api_pb2
    from apache_beam.runners.worker import worker_pool_main

    from hubline.components.adapters.beam import serve_workers

    commands: list[list[str]] = []

    def main(arguments: list[str]) -> None:
        pool = worker_pool_main.BeamFnExternalWorkerPoolServicer(use_process=True)
        pool.StartWorker(beam_fn_api_pb2.StartWorkerRequest(worker_id=arguments[-1]), None)

    def popen(command: list[str], **options: Any) -> None:
        assert "env" not in options, "workers inherit TF_USE_LEGACY_KERAS"
        commands.append(command)

    monkeypatch.setattr(worker_pool_main, "main", main)
    monkeypatch.setattr(subprocess, "Popen", popen)
    monkeypatch.setenv("PATH", os.defpath)
    serve_workers(["--service_port", "7"])
    ((program, *_),) = commands
    found = shutil.which(program)
    assert found is not None and Path(found).parent == Path(sys.executable).parent
