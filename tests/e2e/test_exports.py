"""Full runs that export a model in every form and publish its module, with TensorFlow alone as the client."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.digest import tree_digest
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.variables import variables_of
from tests.support import example_data, hub_modules

pytestmark = pytest.mark.slow

FILE = """\
name: exported
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  image: {kind: image, size: [8, 8]}
  weight: {kind: numeric, normalize: none}
label: {from: label, kind: class, classes: [dark, light]}
hubs:
  photos: {handle: module, inputs: {inputs: image}}
model:
  fine_tune: {photos: {after_epochs: 1, learning_rate: 0.01}}
training: {epochs: 3, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.5}}}
export:
  tflite: {quantize: int8, representative: 40, select_tf_ops: false, max_difference: 0.2}
  frozen_graph: true
  example: none
  publish: {module: photos, to: published}
serving:
  destination: serving
  card: {intended_use: "Tells <b>dark</b> from light.", owner: the tests}
"""
AGAIN = """\
name: again
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  image: {kind: image, size: [8, 8]}
label: {from: label, kind: class, classes: [dark, light]}
hubs:
  tuned: {handle: published/1, inputs: {inputs: image}}
model:
  fine_tune: {tuned: {after_epochs: 1, learning_rate: 0.01}}
training: {epochs: 2, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.5}}}
serving: {destination: serving_again, check: {enabled: false}}
"""
RECORDS = []
for number, serialized in enumerate(example_data.labelled(100)):
    features = tf.train.Example.FromString(serialized).features.feature
    one = {"image": features["image"], "label": features["label"], "weight": number % 5 / 5, "id": number}
    RECORDS.append(example_data.record(**one))
ASKED = RECORDS[:9]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exports")
    example_data.write_tfrecord(folder / "data" / "a.tfrecord", RECORDS)
    hub_modules.endpoints(folder / "module")
    (folder / "pipeline.yaml").write_text(FILE)
    (folder / "again.yaml").write_text(AGAIN)
    return folder


@pytest.fixture(scope="module")
def result(folder: Path) -> Result:
    result, code = run(folder / "pipeline.yaml", None, quiet=True)
    assert code == 0 and result.pushed_model, result.error
    assert result.published_module == str(folder / "published" / "1")
    return result


@pytest.fixture(scope="module")
def exports(result: Result) -> Path:
    return Path(str(result.pushed_model), "assets.extra", "exports")


@pytest.fixture(scope="module")
def served(result: Result) -> dict[str, np.ndarray]:
    answer = tf.saved_model.load(str(result.pushed_model)).signatures["serving_default"](examples=tf.constant(ASKED))
    return {name: values.numpy() for name, values in answer.items()}


def test_a_tf1_session_answers_from_the_frozen_graph(exports: Path, served: dict[str, np.ndarray]) -> None:
    graph = tf.compat.v1.GraphDef.FromString((exports / "frozen_graph.pb").read_bytes())
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(graph, name="")
        session.run("init_tables")
        found = session.run({name: f"{name}:0" for name in served}, {"examples:0": ASKED})
    np.testing.assert_array_equal(found["label"], served["label"])
    np.testing.assert_allclose(found["scores"], served["scores"], rtol=1e-5)


def test_the_interpreter_of_tflite_answers_about_pixels_and_numbers(
    exports: Path, served: dict[str, np.ndarray]
) -> None:
    run = tf.lite.Interpreter(str(exports / "model.tflite")).get_signature_runner()
    found = []
    for record in ASKED:
        row = tf.train.Example.FromString(record).features.feature
        pixels = tf.io.decode_png(row["image"].bytes_list.value[0])[tf.newaxis]
        weight = np.array([row["weight"].float_list.value], np.float32)
        found.append(run(image=pixels.numpy(), weight=weight)["scores"][0])
    assert np.abs(found - served["scores"]).max() < 0.2  # the bound in the file
    assert (exports / "labels.txt").read_text() == "dark\nlight\n"


def test_the_measured_differences_stand_in_the_reasons(result: Result, exports: Path) -> None:
    told = json.loads((exports / "exports.json").read_text())["forms"]
    assert told["tflite"]["bound"] == 0.2 and told["frozen_graph"]["records"] > 10
    assert told["tflite"]["inputs"] == {
        "image": {"dtype": "uint8", "shape": [1, 8, 8, 3]},
        "weight": {"dtype": "float32", "shape": [1, 1]},
    }
    checks = {check.metric: check for check in result.decision.checks} if result.decision else {}
    for name in ("tflite", "frozen_graph"):
        assert checks[f"export.{name}"].value == max(told[name]["differences"].values())
        assert checks[f"export.{name}"].passed


def test_the_guide_beside_the_model_has_no_record(result: Result) -> None:
    version = Path(str(result.pushed_model))
    told = json.loads((version / "inputs.json").read_text())
    assert {name: (each["dtype"], each["value"]) for name, each in told["columns"].items()} == {
        "image": ("string", None),
        "weight": ("float32", None),
    }
    assert told["requests"] == [] and not (version / "requests").exists() and not (version / "answers").exists()
    assert "example: none" in (version / "README.md").read_text()


def test_the_model_card_says_what_the_model_is_made_from_and_for(folder: Path, result: Result) -> None:
    version = Path(str(result.pushed_model))
    card = json.loads((version / "model_card.json").read_text())
    assert (card["pipeline"], card["owner"]) == ("exported", "the tests")
    assert card["data"] == {"all": f"{folder}/data"} and sum(card["examples"].values()) == len(RECORDS)
    module = {"handle": str(folder / "module"), "sha256": tree_digest(str(folder / "module"))}
    assert card["modules"] == {"photos": module}
    assert card["file"]["training"]["epochs"] == 3 and card["versions"]["tensorflow"] == tf.__version__
    assert card["decision"] == json.loads(result.model_dump_json())["decision"]
    page = (version / "model_card.html").read_text()
    assert "Tells &lt;b&gt;dark&lt;/b&gt; from light." in page
    assert f"{result.metrics['accuracy']:.4f}" in page and module["sha256"] in page


def trained(version: str, module: Any) -> list[np.ndarray]:
    """The values of a module's variables in a served model."""
    values = {variable.name: variable.numpy() for variable in tf.saved_model.load(version).modules["photos"]}
    return [values[variable.name] for variable in module.variables]


def test_the_published_module_is_the_fine_tuned_one_with_all_that_it_could_do(folder: Path, result: Result) -> None:
    original, published = (tf.saved_model.load(str(folder / name)) for name in ("module", "published/1"))
    for value, variable in zip(trained(str(result.pushed_model), published), published.variables, strict=True):
        np.testing.assert_array_equal(variable, value)
    changed = [not np.array_equal(one, two) for one, two in zip(original.variables, published.variables, strict=True)]
    assert all(changed)  # moving averages, too
    assert len(published.trainable_variables) == 7
    (penalty,) = published.regularization_losses
    np.testing.assert_allclose(penalty(), 0.01 * np.sum(np.square(published.kernels["logits"])), rtol=1e-6)
    pixels = tf.constant(np.random.default_rng(2).random([3, 8, 8, 3]), tf.float32)
    before = published.mean["block1"].numpy()
    published(pixels, True, False)
    assert not np.array_equal(before, published.mean["block1"])


def test_its_card_says_where_it_comes_from(folder: Path, result: Result) -> None:
    card = json.loads((folder / "published/1/assets.extra/card.json").read_text())
    assert card["handle"] == str(folder / "module") and card["source_sha256"] == tree_digest(str(folder / "module"))
    assert sum(card["examples"].values()) == len(RECORDS) and card["model"] == result.pushed_model
    assert card["metrics"] == result.metrics


def test_the_next_pipeline_file_starts_with_the_published_module(folder: Path, result: Result) -> None:
    again, code = run(folder / "again.yaml", None, quiet=True)
    assert code == 0, again.error
    tuned = tf.saved_model.load(str(folder / "published/1"))
    (rows,) = Path(str(again.artifacts.rows), "Split-validation").iterdir()
    for serialized in example_data.read_tfrecord(rows):
        row = tf.train.Example.FromString(serialized).features.feature
        record = tf.train.Example.FromString(RECORDS[row["id"].int64_list.value[0]]).features.feature
        pixels = tf.io.decode_png(record["image"].bytes_list.value[0])[tf.newaxis]
        vector = tuned(tf.cast(pixels, tf.float32) / 255, False, False)[0]
        np.testing.assert_allclose(row["hubline.vector.tuned"].float_list.value, vector, rtol=1e-4, atol=1e-5)
    (model,) = tf.saved_model.load(str(again.pushed_model)).modules.values()
    moved = [not np.array_equal(one, two) for one, two in zip(model, variables_of(tuned), strict=True)]
    assert all(moved)  # it was trained further
