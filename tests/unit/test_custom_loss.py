"""A loss of the user's own: what it gets, what is refused, and where."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.components.pin.snapshot import pin_loss
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.preprocessing.labels.class_and_box import LossWeights
from hubline.trainer.config.losses import CustomLoss
from hubline.trainer.custom_loss import check_loss, custom_loss
from hubline.trainer.labels.class_and_box import ClassAndBox
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.multilabel import Multilabel
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.labels.regression import Regression
from hubline.trainer.task import Task

LOSSES = """\
import tensorflow as tf

def pinball(y_true, y_pred, share=0.5):
    error = y_true - y_pred
    return tf.maximum(share * error, (share - 1) * error)

def softmax(y_true, y_pred):
    return tf.nn.softmax_cross_entropy_with_logits(y_true, y_pred)

def conditional(y_true, y_pred):
    from helpers import square
    if tf.reduce_mean(y_pred) > 1e9:
        return square(y_pred[:, 0])
    return square(y_true[:, 0] - y_pred[:, 0])

def dice(y_true, y_pred):
    counts = tf.cast(y_true != 255, tf.float32)
    true = tf.one_hot(tf.cast(y_true[..., 0], tf.int32), 3) * counts
    scores = tf.nn.softmax(y_pred) * counts
    both = tf.reduce_sum(true * scores, axis=[1, 2])
    return 1 - tf.reduce_mean((2 * both + 1) / (tf.reduce_sum(true + scores, axis=[1, 2]) + 1), axis=1)

def corners(y_true, y_pred):
    return tf.abs(y_true[:, 1:] - y_pred[:, -4:])

def scalar(y_true, y_pred):
    return tf.reduce_mean((y_true - y_pred) ** 2)

def pairs(y_true, y_pred):
    return (y_true[:, 0] - y_pred) ** 2

def hits(y_true, y_pred):
    return tf.argmax(y_pred, axis=1)

def steps(y_true, y_pred):
    return tf.cast(tf.argmax(y_pred, axis=1), tf.float32)

def nothing(y_true, y_pred):
    return None

def fails(y_true, y_pred):
    return tf.matmul(y_true, y_pred)

def of_one(y_true):
    return y_true

number = 3
"""
REGRESSION, CLASSES = Regression(tf.cast), Classes(["a", "b", "c"])
TASKS: dict[str, tuple[Task, list[int | None]]] = {
    "regression": (REGRESSION, [None, 1]),
    "class": (CLASSES, [None, 3]),
    "mixed": (CLASSES.mixable(), [None, 3]),
    "multilabel": (Multilabel(["a", "b", "c"], 0.5), [None, 3]),
    "class_and_box": (ClassAndBox(["a", "b"], LossWeights(), "photo"), [None, 6]),
    "pixels": (Pixels(["a", "b", "c"], "photo"), [None, 4, 6, 3]),
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_losses.py").write_text(LOSSES)
    (tmp_path / "helpers.py").write_text("def square(x):\n    return x ** 2\n")
    return tmp_path


def custom(folder: Path, name: str, **arguments: Any) -> CustomLoss:
    return CustomLoss(kind="custom", call=f"own_losses:{name}", folder=str(folder), arguments=arguments)


def checked(config: CustomLoss, kind: str) -> tf.keras.losses.Loss:
    task, outputs = TASKS[kind]
    check_loss(config, task, tf.TensorShape(outputs))
    return custom_loss(config, task)


@pytest.mark.slow
def test_numbers_and_classes_arrive_in_the_shape_of_the_outputs(folder: Path) -> None:
    rng = np.random.default_rng(0)
    target, outputs = np.float32(rng.normal(size=8)), np.float32(rng.normal(size=[8, 1]))
    error = target - outputs[:, 0]
    pinball = checked(custom(folder, "pinball", share=0.8), "regression")
    assert float(pinball(target, outputs)) == pytest.approx(np.maximum(0.8 * error, -0.2 * error).mean(), rel=1e-5)
    squared = tf.function(checked(custom(folder, "conditional"), "regression"))
    assert float(squared(target, outputs)) == pytest.approx((error**2).mean(), rel=1e-5)

    logits, index = np.float32(rng.normal(size=[8, 3])), rng.integers(0, 3, 8)
    own, keras = checked(custom(folder, "softmax"), "class"), CLASSES.loss()
    assert float(own(index, logits)) == pytest.approx(float(keras(index, logits)), rel=1e-6)
    assert float(own(index[:, np.newaxis], logits)) == pytest.approx(float(keras(index, logits)), rel=1e-6)
    shares = np.float32(rng.dirichlet(np.ones(3), 8))
    mixed = checked(custom(folder, "softmax"), "mixed")
    assert float(mixed(shares, logits)) == pytest.approx(float(TASKS["mixed"][0].loss()(shares, logits)), rel=1e-6)
    weights = np.float32(rng.uniform(size=8))
    each = -np.log(tf.nn.softmax(logits).numpy()[np.arange(8), index])
    assert float(own(index, logits, weights)) == pytest.approx((each * weights).mean(), rel=1e-5)


@pytest.mark.slow
def test_every_kind_of_label_takes_a_loss_of_its_own(folder: Path) -> None:
    rng = np.random.default_rng(1)
    mask, outputs = rng.integers(0, 3, [2, 4, 6, 1]).astype(np.uint8), np.float32(rng.normal(size=[2, 4, 6, 3]))
    mask[0, 0] = 255
    assert 0 < float(checked(custom(folder, "dice"), "pixels")(mask, outputs)) < 1
    target, box = np.float32(rng.random([3, 5])), np.float32(rng.random([3, 6]))
    found = float(checked(custom(folder, "corners"), "class_and_box")(target, box))
    assert found == pytest.approx(np.abs(target[:, 1:] - box[:, -4:]).mean(), rel=1e-5)
    checked(custom(folder, "pinball"), "multilabel")


@pytest.mark.parametrize(
    ("kind", "name", "says"),
    [
        (
            "regression",
            "scalar",
            r"must return one value per example, .* for 5 and 7 examples it returned \[\] and \[\]",
        ),
        (
            "regression",
            "pairs",
            r"it returned \[5, 5\] and \[7, 7\]. y_true and y_pred .* \[batch, 1\] and \[batch, 1\]",
        ),
        ("class", "hits", "must return a tensor of floats; it returned a tensor of int64"),
        ("class", "nothing", "must return a tensor of floats; it returned a NoneType"),
        ("class", "steps", "has no gradient with respect to y_pred"),
        ("class", "fails", r"own_losses:fails failed: \w+: "),
        ("class", "of_one", r"own_losses:of_one takes \(y_true\); it is called with y_true, y_pred and `arguments`"),
        ("class", "number", "there is no function 'number' in it"),
    ],
)
def test_a_loss_that_does_not_fit_is_refused_before_training(folder: Path, kind: str, name: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^training.loss: .*{says}"):
        checked(custom(folder, name), kind)


def test_arguments_are_those_of_the_function(folder: Path) -> None:
    with pytest.raises(UserError, match=r"it is called with y_true, y_pred and `arguments`: .*'shares'"):
        checked(custom(folder, "pinball", shares=0.3), "regression")


FILE = """\
name: tiny
data: {examples: data/*.gz, split: {train: 8, validation: 1, test: 1}}
features: {x: {kind: numeric}}
label: {from: y, kind: regression}
training:
  epochs: 1
  loss: {kind: custom, call: "own_losses:NAME", arguments: {share: 0.9}}
serving: {destination: serving}
"""


def test_the_file_is_checked_for_the_function_and_its_source_is_pinned(folder: Path) -> None:
    path = folder / "pipeline.yaml"

    def diagnostics(name: str) -> list[tuple[str, int, str]]:
        path.write_text(FILE.replace("NAME", name))
        try:
            check(path)
        except PipelineFileError as error:
            return [(one.key, one.line, one.message) for one in error.diagnostics if "loss" in one.key]
        return []

    assert diagnostics("pinball") == []
    ((key, line, message),) = diagnostics("pinbal")
    assert (key, line) == ("training.loss.call", 7) and "there is no function 'pinbal' in it" in message
    assert diagnostics("pinball") == []
    config = load(path)[0].training.loss
    assert isinstance(config, CustomLoss) and config.folder == str(folder)
    before = pin_loss(config)
    assert pin_loss(None) is None and before == pin_loss(config)
    (folder / "helpers.py").write_text("def square(x):\n    return x * x\n")
    assert pin_loss(config) != before
    path.write_text(FILE.replace("own_losses:NAME", "absent_losses:pinball"))
    with pytest.raises(UserError, match=r"training\.loss: there is no module 'absent_losses'"):
        pin_loss(load(path)[0].training.loss)
