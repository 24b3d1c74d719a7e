"""A full run with many options of training at once, compared with a training loop of bare Keras."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL
from hubline.core.float64 import from_parts
from hubline.pipeline.run import run
from tests.support import example_data

pytestmark = pytest.mark.slow

LINEAR = """\
task: train
name: linear
data: {examples: data, split: {train: train-*, validation: validation-*, test: test-*}}
features:
  one: {kind: numeric}
  two: {kind: numeric}
label: {kind: regression, from: number, normalize: none}
model: {head: {initializer: zeros, standardize: false}}
training:
  steps: 18
  batch_size: 100
  loss: {kind: huber, delta: 0.7}
  l1: 0.01
  l2: 0.02
  ema: 0.6
  best: val_rmse
  optimizer:
    name: sgd
    momentum: 0.9
    nesterov: true
    clipvalue: 0.3
    learning_rate: {kind: cosine_decay, warmup_target: 0.3, warmup_steps: 4, decay_steps: {share: 0.5}}
evaluation: {thresholds: {rmse: {at_most: 100}}}
serving: {destination: serving, push: false}
"""
SPLITS = {"train": 100, "validation": 40, "test": 60}
"""A step sees the whole training split, so that the order of examples doesn't matter."""


def rate(step: int) -> float:
    """Four steps up, and then half a cosine over half of the training."""
    return 0.3 * step / 4 if step < 4 else 0.15 * (1 + np.cos(np.pi * min((step - 4) / 9, 1)))


def averages_by_hand(x: np.ndarray, y: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Averages of weights and bias after each step. The label is learned relative to its mean."""
    weights, bias = tf.Variable(tf.zeros([2, 1])), tf.Variable(tf.zeros([1]))
    optimizer = tf.keras.optimizers.SGD(0.0, momentum=0.9, nesterov=True, clipvalue=0.3)
    huber = tf.keras.losses.Huber(delta=0.7)
    average, found = (np.zeros([2, 1]), np.zeros([1])), []
    for step in range(18):
        optimizer.learning_rate = rate(step)
        with tf.GradientTape() as tape:
            penalty = 0.01 * tf.reduce_sum(tf.abs(weights)) + 0.02 * tf.reduce_sum(weights**2)
            loss = huber((y - y.mean())[:, np.newaxis], x @ weights + bias) + penalty
        gradients = tape.gradient(loss, [weights, bias])
        optimizer.apply_gradients(zip(gradients, [weights, bias], strict=True))
        decay = min(0.6, (2 + step) / (11 + step))
        weights_now, bias_now = weights.numpy(), bias.numpy()
        average = decay * average[0] + (1 - decay) * weights_now, decay * average[1] + (1 - decay) * bias_now
        found.append(average)
    return found


def test_length_loss_penalties_average_and_schedule_are_those_of_a_loop(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    splits = {}
    for name, count in SPLITS.items():
        x = rng.normal(size=[count, 2]).astype(np.float32)
        y = np.float32(x @ [1.5, -0.5] + rng.exponential(1.0, count))
        splits[name] = x, y
        rows = [
            example_data.record(one=float(one), two=float(two), number=float(number))
            for (one, two), number in zip(x, y, strict=True)
        ]
        example_data.write_tfrecord(tmp_path / "data" / f"{name}-0", rows)
    path = tmp_path / "pipeline.yaml"
    path.write_text(LINEAR)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error

    centre = splits["train"][1].mean()
    averages = averages_by_hand(*splits["train"])

    def predicted(split: str, epoch: int) -> np.ndarray:
        weights, bias = averages[epoch]
        return (splits[split][0] @ weights + bias)[:, 0] + centre

    rmse = [np.sqrt(np.mean((predicted("validation", epoch) - splits["validation"][1]) ** 2)) for epoch in range(18)]
    best = int(np.argmin(rmse))
    (kept,) = Path(str(result.artifacts.evaluation), "predictions").iterdir()
    columns = [tf.train.Example.FromString(item).features.feature for item in example_data.read_tfrecord(kept)]
    true, told = (
        from_parts(tf.constant([list(each[name].float_list.value) for each in columns])).numpy()
        for name in (LABEL, CANDIDATE)
    )
    x_y = dict(zip(splits["test"][1].tolist(), predicted("test", best), strict=True))
    np.testing.assert_allclose(told, [x_y[float(each)] for each in true], rtol=1e-4, atol=1e-4)
    assert abs(told - true).mean() < abs(centre - true).mean()
