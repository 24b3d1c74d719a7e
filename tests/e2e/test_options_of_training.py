"""A full run with many options of training at once, compared with a training loop of bare Keras."""

import itertools
import json
import signal
import subprocess
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import r2_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from hubline.artifacts.examples import LeftOut
from hubline.artifacts.predictions import CANDIDATE, LABEL
from hubline.components.example_gen.selector import BUCKETS, hashes
from hubline.components.trainer import local_workers
from hubline.core.float64 import from_parts
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer import parameters
from hubline.trainer.training_notes import Notes
from tests.support import example_data
from tests.support.project import HUBLINE

pytestmark = pytest.mark.slow

LINEAR = """\
task: train
name: linear
data:
  examples: data
  split: {train: train-*, validation: validation-*, test: test-*}
  where: kept > 0 and source != 'broken'
  take: 200
features:
  one: {kind: numeric}
  two: {kind: numeric}
label: {kind: regression, from: number, normalize: none}
model: {head: {initializer: zeros, standardize: false}}
training:
  steps: 18
  batch_size: 100
  drop_remainder: true
  loss: {kind: custom, call: "own.losses:huber", arguments: {delta: 0.7}, folder: code}
  sample_weight: weight
  l1: 0.01
  l2: 0.02
  ema: 0.6
  metrics: [r2]
  best: val_rmse
  checkpoints: {every: {epochs: 5}, max_to_keep: 3}
  warm_start: {from: serving}
  optimizer:
    name: sgd
    momentum: 0.9
    nesterov: true
    clipvalue: 0.3
    learning_rate: {kind: cosine_decay, warmup_target: 0.3, warmup_steps: 4, decay_steps: {share: 0.5}}
  tensorboard: {histograms: true, profile: [3, 5]}
evaluation: {thresholds: {rmse: {at_most: 100}}}
serving: {destination: serving, push: false}
"""
LOSS = """\
import tensorflow as tf
from own.parts import linear

def huber(y_true, y_pred, delta):
    error = tf.abs(y_true - y_pred)
    return tf.where(error <= delta, error ** 2 / 2, linear(error, delta))
"""
PARTS = "def linear(error, delta):\n    return delta * (error - delta / 2)\n"
SPLITS = {"train": 100, "validation": 40, "test": 60}
"""A step sees the whole training split, so that the order of examples doesn't matter."""
LEFT_OUT = LeftOut(where=9, no_value=4, take=12)
"""Further records of each split."""


def rate(step: int) -> float:
    """Four steps up, and then half a cosine over half of the training."""
    return 0.3 * step / 4 if step < 4 else 0.15 * (1 + np.cos(np.pi * min((step - 4) / 9, 1)))


Weights = tuple[np.ndarray, np.ndarray]
"""Weights and bias of the linear model."""
ZEROS: Weights = np.zeros([2, 1]), np.zeros([1])


def loop(
    x: np.ndarray, y: np.ndarray, weight: np.ndarray, start: Weights = ZEROS
) -> tuple[list[Weights], list[np.ndarray]]:
    """Averages of weights and bias, and the weights themselves, after each step. The label is learned relative to its
    mean."""
    weights, bias = (tf.Variable(value, dtype=tf.float32) for value in start)
    optimizer = tf.keras.optimizers.SGD(0.0, momentum=0.9, nesterov=True, clipvalue=0.3)
    huber = tf.keras.losses.Huber(delta=0.7)
    average, averages, raw = start, [], []
    for step in range(18):
        optimizer.learning_rate = rate(step)
        with tf.GradientTape() as tape:
            penalty = 0.01 * tf.reduce_sum(tf.abs(weights)) + 0.02 * tf.reduce_sum(weights**2)
            loss = huber((y - y.mean())[:, np.newaxis], x @ weights + bias, weight) + penalty
        gradients = tape.gradient(loss, [weights, bias])
        optimizer.apply_gradients(zip(gradients, [weights, bias], strict=True))
        decay = min(0.6, (2 + step) / (11 + step))
        weights_now, bias_now = weights.numpy(), bias.numpy()
        average = decay * average[0] + (1 - decay) * weights_now, decay * average[1] + (1 - decay) * bias_now
        averages.append(average)
        raw.append(weights_now)
    return averages, raw


def with_others(rows: list[dict[str, float]]) -> list[bytes]:
    """Records of rows, and others that are left out. The 200 records of lowest hash are those of the rows."""

    def with_hash(low: bool, row: dict[str, float]) -> bytes:
        """The record with a further column such that its hash is in the lower or the upper half."""
        for salt in itertools.count():
            record = example_data.record(**row, kept=1, source="good", salt=salt)
            if (int(hashes(tf.constant([record]))[0]) < BUCKETS // 2) == low:
                return record
        raise AssertionError

    wild = {"one": 100.0, "two": -100.0, "number": 1000.0, "weight": 50.0}
    broken = [{"kept": 0, "source": "good"}, {"kept": 5, "source": "broken"}, {"kept": -1, "source": "broken"}]
    others = [example_data.record(**wild, **broken[n % 3], salt=n) for n in range(LEFT_OUT.where)]
    others += [example_data.record(**wild, source="good", salt=n) for n in range(LEFT_OUT.no_value)]
    others += [with_hash(False, wild | {"weight": float(n)}) for n in range(LEFT_OUT.take)]
    return [*others, *(with_hash(True, row) for row in rows)]


def test_length_loss_penalties_average_and_schedule_are_those_of_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    splits = {}
    for name, count in SPLITS.items():
        x = rng.normal(size=[count, 2]).astype(np.float32)
        y = np.float32(x @ [1.5, -0.5] + rng.exponential(1.0, count))
        weight = np.float32(rng.integers(0, 4, count))
        splits[name] = x, y, weight
        rows = [
            {"one": float(one), "two": float(two), "number": float(number), "weight": float(each)}
            for (one, two), number, each in zip(x, y, weight, strict=True)
        ]
        example_data.write_tfrecord(tmp_path / "data" / f"{name}-0", with_others(rows))
    path = tmp_path / "pipeline.yaml"
    path.write_text(LINEAR)
    package = tmp_path / "code" / "own"
    package.mkdir(parents=True)
    for name, text in (("__init__", ""), ("losses", LOSS), ("parts", PARTS)):
        (package / f"{name}.py").write_text(text)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.left_out == dict.fromkeys(SPLITS, LEFT_OUT)
    assert 'id="left-out"' in Path(result.report, "index.html").read_text()

    centre = splits["train"][1].mean()
    averages, raw = loop(*splits["train"])

    def predicted(split: str, epoch: int) -> np.ndarray:
        weights, bias = averages[epoch]
        return (splits[split][0] @ weights + bias)[:, 0] + centre

    rmse = [np.sqrt(np.mean((predicted("validation", epoch) - splits["validation"][1]) ** 2)) for epoch in range(18)]
    best = int(np.argmin(rmse))
    curves = json.loads(Path(str(result.artifacts.model_run), "curves.json").read_text())
    np.testing.assert_allclose(curves["val_rmse"], rmse, rtol=1e-4)
    r2 = [r2_score(splits["validation"][1], predicted("validation", epoch)) for epoch in range(18)]
    np.testing.assert_allclose(curves["val_r2"], r2, atol=1e-4)
    (kept,) = Path(str(result.artifacts.evaluation), "predictions").iterdir()
    columns = [tf.train.Example.FromString(item).features.feature for item in example_data.read_tfrecord(kept)]
    true, told = (
        from_parts(tf.constant([list(each[name].float_list.value) for each in columns])).numpy()
        for name in (LABEL, CANDIDATE)
    )
    x_y = dict(zip(splits["test"][1].tolist(), predicted("test", best), strict=True))
    np.testing.assert_allclose(told, [x_y[float(each)] for each in true], rtol=1e-4, atol=1e-4)
    assert abs(told - true).mean() < abs(centre - true).mean()
    model_run = Path(str(result.artifacts.model_run))
    _check_logs(model_run, raw)
    _check_command(path, model_run)

    assert warm_start_of(notes_of(result)) == "no version serves yet, so training began without a warm start"
    folder = f"{result.artifacts.model_run}/checkpoints"
    state = tf.train.get_checkpoint_state(folder)
    assert [path.rpartition("-")[2] for path in state.all_model_checkpoint_paths] == ["10", "15", "18"]
    for step in (10, 15):
        kept = tf.train.load_checkpoint(f"{folder}/checkpoint-{step}")
        for number, values in enumerate(averages[step - 1], start=1):
            saved = kept.get_tensor(f"averages/{number}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_allclose(saved, values, rtol=1e-4, atol=1e-5)
    last = tf.train.load_checkpoint(tf.train.latest_checkpoint(folder))
    found = weights_in(last)
    np.testing.assert_allclose(found[0], averages[best][0], rtol=1e-4, atol=1e-5)

    continued_from(path, f"{Path(result.log).parent}", found, splits["train"])


def _check_logs(model_run: Path, raw: list[np.ndarray]) -> None:
    """TensorBoard's logs agree with the curves, with the schedule, and with the weights of the loop."""
    curves = json.loads((model_run / "curves.json").read_text())
    assert curves["learning_rate"] == pytest.approx([rate(step) for step in range(1, 19)], rel=1e-5)
    logs = {
        name: EventAccumulator(str(model_run / "tensorboard" / name), {"tensors": 0}).Reload()
        for name in ("", "train", "validation")
    }

    def logged(run: str, tag: str) -> list[np.ndarray]:
        events = logs[run].Tensors(tag)
        assert [event.step for event in events] == list(range(18))
        return [tf.make_ndarray(event.tensor_proto) for event in events]

    for name, values in curves.items():
        run = "validation" if name.startswith("val_") else "train"
        assert logged(run, f"epoch_{name.removeprefix('val_')}") == pytest.approx(values), name
    (kernel,) = [tag for tag in logs["train"].Tags()["tensors"] if "kernel" in tag]
    for histogram, weights in zip(logged("train", kernel), raw, strict=True):
        assert (histogram[0, 0], histogram[-1, 1]) == pytest.approx((weights.min(), weights.max()), rel=1e-3, abs=1e-6)
        assert histogram[:, 2].sum() == 2
    assert "batch_5" in logs["train"].Tags()["tensors"]
    assert list(model_run.glob("tensorboard/plugins/profile/*/*.xplane.pb"))
    assert logs[""].Tags()["graph"]
    metadata = logs[""].SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    told = HParamsPluginData.FromString(metadata).session_start_info.hparams
    assert {name: told[name].number_value for name in ("training.l2", "training.optimizer.momentum")} == {
        "training.l2": 0.02,
        "training.optimizer.momentum": 0.9,
    }
    assert told["training.optimizer.learning_rate.kind"].string_value == "cosine_decay"


def _check_command(path: Path, model_run: Path) -> None:
    """`hubline tensorboard` serves the run's curves and hyperparameters."""
    command = [*HUBLINE, "tensorboard", str(path), "--port", "0", "--no-browser", "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            (run_name,) = told["runs"]
            assert run_name.endswith(f"-{model_run.name}")

            def ask(page: str, body: bytes | None = None) -> Any:
                request = urllib.request.Request(
                    f"{told['url']}data/{page}", body, {"Content-Type": "application/json"}
                )
                with urllib.request.urlopen(request, timeout=30) as answer:
                    return json.load(answer)

            names = {run_name, f"{run_name}/train", f"{run_name}/validation"}
            _wait_until(lambda: set(ask("runs")) == names)
            tags = ask("plugin/scalars/tags")
            assert "epoch_learning_rate" in tags[f"{run_name}/train"]
            assert {"epoch_loss", "epoch_rmse"} <= set(tags[f"{run_name}/validation"])
            page = f"plugin/scalars/scalars?run={run_name}/validation&tag=epoch_rmse"
            curves = json.loads((model_run / "curves.json").read_text())
            assert [value for _, _, value in ask(page)] == pytest.approx(curves["val_rmse"])
            experiment = ask("plugin/hparams/experiment", b"{}")
            assert "training.batch_size" in {each["name"] for each in experiment["hparamInfos"]}
            assert {"group": "validation", "tag": "epoch_rmse"} in [each["name"] for each in experiment["metricInfos"]]
        finally:
            process.send_signal(signal.SIGINT)
    assert process.returncode == 0


def _wait_until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 120
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.2)


def weights_in(checkpoint: Any) -> Weights:
    kernel, bias = (
        checkpoint.get_tensor(f"model_variables/head.Soutputs.S{name}/.ATTRIBUTES/VARIABLE_VALUE")
        for name in ("kernel", "bias")
    )
    return kernel, bias


def notes_of(result: Result) -> Notes:
    return Notes.model_validate_json(Path(str(result.artifacts.model_run), "training_notes.json").read_text())


def warm_start_of(notes: Notes) -> str:
    (text,) = [note.text for note in notes.notes if note.kind == "warm_start"]
    return text


def continued_from(path: Path, earlier: str, start: Weights, train: tuple[np.ndarray, ...]) -> None:
    """Runs the file with a warm start from an earlier run: the training goes on from the weights that it exported.

    It goes on with two workers, of which one is killed in the seventh epoch.
    """
    path.write_text(path.read_text().replace("from: serving}", f"from: {earlier}}}\n  workers: 2"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(local_workers, "MODULE", "tests.support.killed_worker")
        result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    notes = notes_of(result)
    assert {"training: worker 1: killed (exit code 137); all workers were restarted from the last checkpoint",
            "training: training on 2 workers with one CPU each (MultiWorkerMirroredStrategy), float32"
            } <= {str(note) for note in notes.notes}  # fmt: skip
    assert warm_start_of(notes).startswith("2 of 2 variables began with the values in")
    assert [each.model_dump() for each in notes.parameters] == [{"part": "head", "trainable": 3, "frozen": 0}]
    assert parameters.read(f"{result.artifacts.model}/Format-Serving") == notes.parameters
    averages, _ = loop(*train, start)
    folder = f"{result.artifacts.model_run}/checkpoints"
    for step in (10, 15):
        kept = tf.train.load_checkpoint(f"{folder}/checkpoint-{step}")
        for number, values in enumerate(averages[step - 1], start=1):
            saved = kept.get_tensor(f"averages/{number}/.ATTRIBUTES/VARIABLE_VALUE")
            np.testing.assert_allclose(saved, values, rtol=1e-4, atol=1e-5)
