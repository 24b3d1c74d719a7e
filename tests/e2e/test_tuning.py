"""A full run with a search, compared with a run of the best trial's values without one."""

import json
from html import unescape
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from ruamel.yaml import YAML
from sklearn.metrics import average_precision_score, f1_score, precision_score, recall_score, roc_auc_score

from hubline.pipeline.run import run
from tests.support import example_data

pytestmark = pytest.mark.slow

TUNED = """\
name: tuned
data: {examples: data, split: {train: train-*, validation: validation-*, test: test-*}}
features:
  one: {kind: numeric}
  two: {kind: numeric}
label: {kind: binary, from: side, classes: [inside, outside]}
training:
  epochs: 6
  batch_size: 20
  optimizer: {learning_rate: 0.1}
  devices: {precision: mixed_float16, jit_compile: true}
tune:
  training.optimizer.learning_rate: {log: [0.001, 0.1]}
  model.head.dropout: {uniform: [0.0, 0.3]}
  training.batch_size: {int: [10, 40], step: 2, sampling: log}
  model.head.hidden: {choice: [[3], [7], [5, 4]]}
  objective: val_accuracy
  search: random
  prune: false
  parallel: 2
  seed: 5
  trials: 4
evaluation: {metrics: [precision, recall, f1, pr_auc, auc], thresholds: {accuracy: {at_least: 0.1}}}
serving: {destination: serving, check: {enabled: false}}
"""
SPLITS = {"train": 120, "validation": 61, "test": 40}


def contents(folder: str, name: str) -> Any:
    return json.loads(Path(folder, name).read_text())


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any, Any]:
    """The project, the result of the run with a search, and that of the run with the frozen values."""
    folder, rng = tmp_path_factory.mktemp("tuned"), np.random.default_rng(3)
    for split, count in SPLITS.items():
        points = rng.normal(size=[count, 2])
        rows = [
            example_data.record(one=float(one), two=float(two), side="inside" if one**2 + two**2 < 1.4 else "outside")
            for one, two in points
        ]
        example_data.write_tfrecord(folder / "data" / f"{split}-0", rows)
    path = folder / "pipeline.yaml"
    path.write_text(TUNED)
    searched, code = run(path, None, quiet=True)
    assert code == 0, searched.error
    unchanged, code = run(path, None, quiet=True)
    assert code == 0, unchanged.error
    assert {step.id for step in unchanged.steps if step.cached} >= {"Tuner", "Trainer"}
    best = YAML(typ="safe").load(str(searched.best_trial))
    frozen = {key: value for key, value in YAML(typ="safe").load(TUNED).items() if key != "tune"}
    for section, values in best.items():
        frozen[section] = frozen.get(section, {}) | values
    with path.open("w") as file:
        YAML(typ="safe").dump(frozen, file)
    again, code = run(path, None, quiet=True)
    assert code == 0, again.error
    return folder, searched, again


def test_the_model_is_trained_with_the_values_of_the_best_trial(tuned: tuple[Path, Any, Any]) -> None:
    _, searched, again = tuned
    found = contents(searched.artifacts.tuner_results, "trials.json")
    trials = found["trials"]
    assert [trial["number"] for trial in trials] == [1, 2, 3, 4]
    assert len({json.dumps(trial["values"]) for trial in trials}) == 4
    for trial in trials:
        values = trial["values"]
        assert 0.001 <= values["training.optimizer.learning_rate"] <= 0.1
        assert 0.0 <= values["model.head.dropout"] <= 0.3
        assert values["training.batch_size"] in (10, 20, 40) and values["model.head.hidden"] in ([3], [7], [5, 4])
        assert trial["status"] == "completed" and trial["epochs"] == 6 and trial["objective"] == trial["history"][-1]
    best = max(trials, key=lambda trial: trial["objective"])
    curves = contents(searched.artifacts.model_run, "curves.json")
    assert curves["val_accuracy"] == best["history"]
    assert curves == contents(again.artifacts.model_run, "curves.json"), "a run of the same values without a search"

    data_steps = {step.id: step.cached for step in again.steps if step.id in ("ExampleGen", "Transform", "Embedder")}
    assert all(data_steps.values()) and len(data_steps) == 3
    variables = tf.train.list_variables(f"{searched.pushed_model}/variables/variables")
    kernels = [shape for _, shape in variables if len(shape) == 2]
    sizes = [2, *best["values"]["model.head.hidden"], 2]
    assert sorted(kernels) == sorted(map(list, pairwise(sizes)))
    pushed = tf.saved_model.load(str(searched.pushed_model)).signatures["serving_default"]
    assert "DT_HALF" not in str(pushed.graph.as_graph_def()), "trained in float16, exported in float32"

    page = Path(searched.report, "index.html").read_text()
    assert str(searched.best_trial) in unescape(page) and f"{best['objective']:.4g}" in page
    assert all(f'"{name}"' in page for name in ("trials", "tuned-0", "tuned-1", "tuned-2", "tuned-3"))


def test_metrics_of_two_names_are_those_of_scikit_learn_for_the_second(tuned: tuple[Path, Any, Any]) -> None:
    folder, searched, _ = tuned
    records = [record.numpy() for record in tf.data.TFRecordDataset(f"{folder}/data/test-0")]
    texts = [tf.train.Example.FromString(record).features.feature["side"].bytes_list.value[0] for record in records]
    answer = tf.saved_model.load(str(searched.pushed_model)).signatures["serving_default"](tf.constant(records))
    assert answer["classes"].numpy()[0].tolist() == [b"inside", b"outside"]
    true, predicted = np.array(texts) == b"outside", answer["label"].numpy() == b"outside"
    scores = answer["scores"].numpy()[:, 1]
    expected = {
        "precision": precision_score(true, predicted),
        "recall": recall_score(true, predicted),
        "f1": f1_score(true, predicted),
        "auc": roc_auc_score(true, scores),
    }
    found = searched.decision.metrics
    assert {name: found[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    assert found["pr_auc"] == pytest.approx(average_precision_score(true, scores), abs=0.02)  # interpolated
    page = Path(searched.report, "index.html").read_text()
    assert f"{expected['f1']:.4f}" in page


def test_a_gpu_that_is_not_there_ends_a_run_before_its_steps(tuned: tuple[Path, Any, Any]) -> None:
    folder, *_ = tuned
    path = folder / "on_gpus.yaml"
    path.write_text(TUNED.replace("devices: {", "devices: {count: 2, ").replace(", jit_compile: true", ""))
    result, code = run(path, folder / "on_gpus", quiet=True)
    assert code == 2 and not result.steps
    assert f"{path}:11: training.devices.count: the training needs 2 GPUs on this machine, and" in str(result.error)
    path.write_text(TUNED)
    result, code = run(path, folder / "on_gpus", quiet=True, settings=["training.devices={count: 2}"])
    assert code == 2 and str(result.error).startswith("--set: training.devices.count: the training needs 2 GPUs")
