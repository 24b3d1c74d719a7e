"""Other forms of an exported model, and the checks before a push."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.decision import OVERALL, SliceMetrics
from hubline.components.config.evaluation import Evaluation
from hubline.components.evaluator.decide import decide
from hubline.components.evaluator.export_checks import export_checks
from hubline.components.exporter.card import ModuleCard
from hubline.components.pusher.publish import publish
from hubline.core.errors import RunError, UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.preflight import check
from hubline.trainer.config.export import Export, TFLite
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.exports import tflite
from hubline.trainer.exports.differences import differences
from hubline.trainer.exports.frozen_graph import frozen_graph
from hubline.trainer.exports.hub_module import write_module
from hubline.trainer.exports.results import Form, Forms
from hubline.trainer.exports.write import write_forms
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.regression import Regression
from hubline.trainer.saved_model_loader import open_module
from hubline.trainer.tf1.module import open_to_train
from hubline.trainer.variables import variables_of
from tests.support import example_data, hub_modules, tf1_trainable_modules
from tests.support.linear_models import LOGITS, NAMES, NUMBERS, RECORDS, export, softmax
from tests.support.pipeline_files import diagnostics, write


@pytest.mark.slow
@pytest.mark.parametrize("quantize", ["none", "float16", "dynamic", "int8"])
def test_a_tflite_model_answers_within_its_bound(tmp_path: Path, quantize: str) -> None:
    path = export(tmp_path / "1", Classes(NAMES))
    (form,) = write_forms(path, Export(tflite={"quantize": quantize}), RECORDS, RECORDS).forms.values()
    run = tf.lite.Interpreter(f"{path}/assets.extra/exports/model.tflite").get_signature_runner()
    scores = np.concatenate([run(x=row[np.newaxis])["scores"] for row in NUMBERS])
    measured = np.abs(scores - softmax(LOGITS)).max()
    assert measured <= form.bound and form.agrees
    np.testing.assert_allclose(form.differences["scores"], measured, atol=1e-6)
    assert (quantize in ("float16", "int8")) == (measured > 1e-4)  # these round the weights of so small a layer


@pytest.mark.slow
def test_a_number_is_compared_in_standard_deviations_and_in_full_precision(tmp_path: Path) -> None:
    path = export(tmp_path / "1", Regression(lambda raw, dtype: tf.cast(raw, dtype) + 1e7))
    forms = write_forms(path, Export(tflite=True, frozen_graph=True), RECORDS, RECORDS).forms
    exact = LOGITS[:, 0].astype(np.float64) + 1e7
    loss = np.abs(exact.astype(np.float32) - exact).max() / exact.std()
    np.testing.assert_allclose(forms["tflite"].differences["value"], loss, rtol=1e-3)
    assert not forms["tflite"].agrees  # float32 has steps of one at 1e7
    assert forms["frozen_graph"].differences == {"value": 0.0}


class Tables(tf.Module):
    """Scores of towns from a table of its own and, if asked, one inside the graph as in TF1 modules."""

    def __init__(self, inside: bool = False) -> None:
        super().__init__()
        keys, values = tf.constant(["ulm", "ham"]), tf.constant([1, 2], tf.int64)
        self.known = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), -1)
        self.weights = tf.Variable([0.5, 0.25])
        self.names = tf.constant(["low", "high"])
        self.inside = inside

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, "examples")])
    def serving_default(self, examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
        town = tf.io.parse_example(examples, {"town": tf.io.FixedLenFeature([], tf.string)})["town"]
        scores = tf.cast(self.known.lookup(town), tf.float32)[:, tf.newaxis] * self.weights
        if self.inside:
            table = tf.raw_ops.HashTableV2(key_dtype=tf.string, value_dtype=tf.int64)
            found = tf.raw_ops.LookupTableFindV2(table_handle=table, keys=town, default_value=tf.constant(0, tf.int64))
            scores += tf.cast(found, tf.float32)[:, tf.newaxis]
        return {"scores": scores, "label": tf.gather(self.names, tf.cast(scores[:, 0] > 0.7, tf.int32))}

    def saved(self, path: Path) -> str:
        tf.saved_model.save(self, str(path), signatures={"serving_default": self.serving_default})
        return str(path)


@pytest.mark.slow
def test_a_frozen_graph_fills_its_tables(tmp_path: Path) -> None:
    path = Tables().saved(tmp_path / "1")
    graph = tf.compat.v1.GraphDef.FromString(frozen_graph(tf.saved_model.load(path)))
    towns = [example_data.record(town=town) for town in ("ham", "bonn", "ulm")]
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(graph, name="")
        assert not [node for node in graph.node if "Var" in node.op]
        session.run("init_tables")
        scores, label = session.run(["scores:0", "label:0"], {"examples:0": towns})
    np.testing.assert_array_equal(scores, np.outer([2, -1, 1], [0.5, 0.25]))
    assert label.tolist() == [b"high", b"low", b"low"]


def test_a_table_inside_the_graph_cannot_be_frozen(tmp_path: Path) -> None:
    path = Tables(inside=True).saved(tmp_path / "1")
    with pytest.raises(UserError, match=r"tables of its own \(HashTableV2\), which can't be frozen"):
        frozen_graph(tf.saved_model.load(path))


class Determinants(tf.Module):
    """An operation that TFLite lacks."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def prepare(self, examples: tf.Tensor) -> Mapping[str, tf.Tensor]:
        return tf.io.parse_example(examples, {"x": tf.io.FixedLenFeature([4], tf.float32)})

    @tf.function(input_signature=[{"x": tf.TensorSpec([None, 4], tf.float32)}])
    def on_device(self, inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
        return {"scores": tf.linalg.det(tf.reshape(inputs["x"], [-1, 2, 2]))}


@pytest.mark.slow
def test_operations_that_tflite_lacks_are_named_and_kept_on_request() -> None:
    with pytest.raises(UserError) as caught:
        tflite.convert(Determinants(), TFLite(), RECORDS[:1])
    assert "MatrixDeterminant" in str(caught.value) and "select_tf_ops" in str(caught.value)
    content = tflite.convert(Determinants(), TFLite(select_tf_ops=True), RECORDS[:1])
    try:
        found = tflite.answers(content, {"x": NUMBERS})["scores"]
    except UserError as error:  # newer versions of TensorFlow come without the Flex delegate
        assert "has no Flex delegate" in str(error)
        return
    np.testing.assert_allclose(found, np.linalg.det(NUMBERS.reshape(-1, 2, 2)), rtol=1e-4)


def test_differences_are_distances_shares_or_not_finite() -> None:
    expected = {
        "scores": np.float32([[0.25, 0.75], [0.5, 0.5]]),
        "value": np.array([10.0, 14.0]),
        "label": np.array([b"a", b"b"], object),
    }
    found = {
        "scores": np.float32([[0.25, 0.5], [0.5, 0.5]]),
        "value": np.array([11.0, 14.0]),
        "label": np.array([b"a", b"c"], object),
    }
    assert differences(expected, found) == {"scores": 0.25, "value": 0.5, "label": 0.5}
    assert differences({"scores": expected["scores"]}, {"scores": np.float32([[np.nan, 0], [0, 0]])}) == {
        "scores": None
    }
    with pytest.raises(ValueError, match="shape"):
        differences({"scores": expected["scores"]}, {"scores": expected["scores"][:1]})
    with pytest.raises(ValueError, match="outputs"):
        differences(expected, {})


@pytest.mark.parametrize(
    ("difference", "blessed", "reason"),
    [
        (0.05, True, "export.tflite answers as the SavedModel does: the greatest difference for 9 records"),
        (0.2, False, "export.tflite does not answer as the SavedModel does: the greatest difference for 9 records"),
        (None, False, "export.tflite gives answers that are not finite for 9 records of the test split"),
    ],
)
def test_a_form_that_answers_differently_blocks_the_push(
    tmp_path: Path, difference: float | None, blessed: bool, reason: str
) -> None:
    form = Form(file="m", inputs={}, outputs={}, records=9, differences={"a": 0.0, "b": difference}, bound=0.1)
    Forms(forms={"tflite": form}).write(str(tmp_path))
    checks = export_checks(str(tmp_path))
    every = SliceMetrics(slice=OVERALL, examples=9, metrics={"accuracy": 1.0}, serving_metrics=None)
    decision = decide(Evaluation(thresholds={"accuracy": {"at_least": 0.5}}), [every], None, exports=checks)
    assert decision.blessed == blessed
    assert decision.checks[-1].value == difference and decision.checks[-1].reason.startswith(reason)
    assert export_checks(str(tmp_path / "without")) == []


@pytest.mark.slow
def test_a_published_tf1_module_keeps_both_graphs_and_has_the_trained_values(tmp_path: Path) -> None:
    tf1_trainable_modules.images(tmp_path / "images")
    root = open_to_train(str(tmp_path / "images"), VariableSelection()).loaded
    values = {}
    for variable in root.variables:
        variable.assign(variable + 0.25)
        values[variable.name.partition(":")[0]] = variable.numpy()
    write_module(str(tmp_path / "images"), variables_of(root), str(tmp_path / "published"))
    pixels = {"images": np.random.default_rng(3).random([2, 8, 8, 3], np.float32)}
    expected = tf1_trainable_modules.infer_in_session(tmp_path / "images", values, pixels, "default", "default")
    published = open_module(str(tmp_path / "published"))
    found = published.loaded.signatures["default"](tf.constant(pixels["images"]))["default"]
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)
    again = open_to_train(str(tmp_path / "published"), VariableSelection())
    assert set(again.graphs) == {True, False}  # type: ignore[attr-defined]


@pytest.mark.slow
def test_a_published_tf1_module_with_partitioned_variables_is_restored_by_tf1(tmp_path: Path) -> None:
    tf1_trainable_modules.sentences(tmp_path / "sentences", tmp_path)
    root = open_to_train(str(tmp_path / "sentences"), VariableSelection()).loaded
    expected = [np.full(variable.shape, number, np.float32) for number, variable in enumerate(root.variables)]
    for variable, value in zip(root.variables, expected, strict=True):
        variable.assign(value)
    write_module(str(tmp_path / "sentences"), variables_of(root), str(tmp_path / "published"))
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.saved_model.load(session, [], str(tmp_path / "published"))
        parts = session.run(tf.compat.v1.global_variables())
    assert len(parts) == 2
    for part, value in zip(parts, expected, strict=True):
        np.testing.assert_array_equal(part, value)


@pytest.mark.slow
def test_variables_of_another_module_are_not_published(tmp_path: Path) -> None:
    original = hub_modules.endpoints(tmp_path / "module")
    others = list(reversed(variables_of(tf.saved_model.load(str(original)))))
    with pytest.raises(RunError, match="not those that were trained"):
        write_module(str(original), others, str(tmp_path / "published"))
    assert not (tmp_path / "published").exists()


def test_a_module_is_published_once_with_its_card(tmp_path: Path) -> None:
    module = tmp_path / "module"
    module.mkdir()
    (module / "saved_model.pb").write_text("graph")
    card = ModuleCard(
        module="photos",
        handle="hub/photos/1",
        source_sha256="a" * 64,
        sha256="b" * 64,
        pipeline="first",
        data={"all": "data/*"},
        examples={"train": 1200},
    )
    destination = str(tmp_path / "published")
    one = publish(str(module), card, destination, {"auc": None, "accuracy": 0.75}, "serving/3")
    assert one == f"{destination}/1" == publish(str(module), card, destination, {"accuracy": 0.75}, "serving/4")
    told = json.loads(Path(one, "assets.extra/card.json").read_text())
    assert told["metrics"] == {"auc": None, "accuracy": 0.75} and told["model"] == "serving/3"
    text = Path(one, "assets.extra/README.md").read_text()
    assert "1,200 examples" in text and "auc: undefined" in text and "accuracy: 0.7500" in text
    changed = card.model_copy(update={"sha256": "c" * 64})
    assert publish(str(module), changed, destination, {}, None) == f"{destination}/2"


FILE = """\
name: tiny
data: {{examples: data/*.gz, split: {{train: 8, validation: 1, test: 1}}}}
features:
  photo: {{kind: image, size: [64, 48]}}
  note: {{kind: text}}
  town: {{kind: categorical, hash_buckets: 10{encode}}}
label: {{from: label, kind: class}}
hubs:
  net: {{handle: modules/net, inputs: {{images: photo}}}}
  words: {{handle: modules/words, inputs: {{text: note}}}}
model: {{fine_tune: {{net: {{}}}}}}
training: {{epochs: 1}}
export: {export}
serving: {{destination: serving}}
"""


@pytest.mark.parametrize(
    ("export", "key", "message"),
    [
        ("{publish: {module: words, to: a}}", "export.publish.module", "'words' is not fine-tuned"),
        ("{publish: {module: none, to: a}}", "export.publish.module", "there is no hub module 'none'"),
        ("{publish: {module: net, to: serving}}", "export.publish.to", "this is serving.destination"),
        ("{tflite: {quantize: int4}}", "export.tflite.quantize", "int4"),
        ("{tflite: {max_difference: 0}}", "export.tflite.max_difference", "greater than 0"),
    ],
)
def test_mistakes_in_the_section_are_found_with_the_file(tmp_path: Path, export: str, key: str, message: str) -> None:
    ((_, found, told),) = diagnostics(tmp_path, FILE.format(export=export, encode=""))
    assert found == key and message in told


@pytest.mark.slow
def test_a_tf1_module_with_tables_is_refused_before_it_is_trained(tmp_path: Path) -> None:
    tf1_trainable_modules.sentences(tmp_path / "modules" / "words", tmp_path)
    tf1_trainable_modules.images(tmp_path / "modules" / "net")
    with pytest.raises(PipelineFileError) as caught:
        check(write(tmp_path, FILE.format(export="{frozen_graph: true}", encode="")))
    (message,) = [each.message for each in caught.value.diagnostics if each.key == "export.frozen_graph"]
    assert message.startswith(f"{tmp_path}/modules/words: a TF1 module with tables")


def test_tflite_takes_no_strings_and_no_categories(tmp_path: Path) -> None:
    found = diagnostics(tmp_path, FILE.format(export="{tflite: true}", encode=""))
    assert [message.partition("; ")[2].partition(";")[0] for _, _, message in found] == [
        "'note' is text",
        "'town' is categorical",
    ]
    (one,) = diagnostics(tmp_path, FILE.format(export="{tflite: true}", encode=", encode: none"))
    assert "'note' is text" in one[2]
