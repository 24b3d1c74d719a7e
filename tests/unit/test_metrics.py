"""Each metric in training and in the evaluation, compared with scikit-learn and NumPy."""

import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from hubline.core.errors import UserError
from hubline.preprocessing.config import ClassLabel
from hubline.preprocessing.labels.class_and_box import LossWeights
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer.callbacks import EarlyStopping
from hubline.trainer.checkpoints import PhaseState
from hubline.trainer.config.training import EarlyStopping as Selection
from hubline.trainer.config.training import Training
from hubline.trainer.labels.binary import TwoClasses
from hubline.trainer.labels.class_and_box import ClassAndBox
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.multilabel import Multilabel
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.labels.regression import Regression
from hubline.trainer.metric_names import FAMILIES, Metric, MetricName, Monitor, class_fault, lower_is_better
from hubline.trainer.metrics.in_training import metrics_of, training_metrics
from hubline.trainer.task import Task
from hubline.trainer.tensorboard import TensorBoard
from tests.support import metrics as reference

RNG = np.random.default_rng(5)
COUNT = 64
NAMES = ["ant", "bee", "a cat", "dog (big)", "never seen"]
LOGITS = np.float32(RNG.normal(0, 2, [COUNT, 5]) - [0, 0, 0, 0, 50])  # the last one is never predicted
INDEX = RNG.integers(0, 4, COUNT)
SETS = RNG.random([COUNT, 5]) < [0.5, 0.3, 0.2, 0.1, 0.0]
WEIGHTS = np.float32(RNG.uniform(0.2, 3, COUNT))


def softmax(logits: np.ndarray) -> np.ndarray:
    return tf.nn.softmax(logits).numpy()


def box_label(rng: np.random.Generator, count: int) -> np.ndarray:
    corners = np.sort(rng.random([count, 2, 2]), axis=1)
    return np.float32(corners.reshape(count, 4))


BOXES = box_label(RNG, COUNT)
CASES: dict[str, tuple[Task, np.ndarray, np.ndarray]] = {
    "class": (Classes(NAMES), INDEX, LOGITS),
    "mixed": (Classes(NAMES).mixable(), np.float32(np.eye(5)[INDEX] * 0.6 + np.eye(5)[(INDEX + 1) % 5] * 0.4), LOGITS),
    "binary": (TwoClasses(NAMES[:2]), INDEX % 2, LOGITS[:, :2]),
    "decided": (TwoClasses(NAMES[:2], 0.3), INDEX % 2, LOGITS[:, :2]),
    "multilabel": (Multilabel(NAMES, 0.3), np.float32(SETS), LOGITS),
    "class_and_box": (
        ClassAndBox(NAMES, LossWeights(), "photo"),
        np.column_stack([np.float32(INDEX), BOXES]),
        np.concatenate([LOGITS, np.float32(RNG.normal(size=[COUNT, 4]))], axis=1),
    ),
}
"""Task, targets and raw outputs."""
KINDS = {"mixed": "class", "decided": "binary"}
"""The kind of label of a case, where its name is another."""


def expected(case: str, weights: np.ndarray | None) -> dict[str, float]:
    if case == "multilabel":
        scores = tf.sigmoid(LOGITS).numpy()
        return reference.of_several_classes(SETS, scores, scores >= np.float32(0.3), NAMES, weights)
    if case in ("binary", "decided"):
        scores = softmax(LOGITS[:, :2])
        predicted = (scores[:, 1] >= 0.3).astype(int) if case == "decided" else None
        return reference.of_one_class(INDEX % 2, scores, NAMES[:2], positive=1, weights=weights, predicted=predicted)
    return reference.of_one_class(INDEX, softmax(LOGITS), NAMES, 1, 2, 4, weights=weights)


def values(metrics: Sequence[tf.keras.metrics.Metric]) -> dict[str, float]:
    return {metric.name: float(metric.result()) for metric in metrics}


@pytest.mark.slow
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("case", list(CASES))
def test_every_metric_of_classes_is_that_of_scikit_learn(case: str, weighted: bool) -> None:
    task, target, outputs = CASES[case]
    kind = KINDS.get(case, case)
    weights = WEIGHTS if weighted else None
    names = [
        name
        for name in reference.names_of(kind, task.class_names, *([] if kind in ("binary", "multilabel") else [1, 2, 4]))
        if "iou" not in name
    ]
    metrics = metrics_of(kind, task, names)
    for rows in (slice(0, 11), slice(11, None)):
        for metric in metrics:
            metric.update_state(target[rows], outputs[rows], None if weights is None else weights[rows])
    known = expected(case, weights)
    assert values(metrics) == pytest.approx({name: known[name] for name in names}, rel=1e-5, nan_ok=True)
    undefined = {name for name, value in known.items() if math.isnan(value)}
    assert kind == "binary" or {"recall(never seen)", "f1(never seen)", "pr_auc(never seen)"} <= undefined
    for metric in metrics:
        metric.reset_state()
    assert all(math.isnan(value) or value == 0 for value in values(metrics).values())


@pytest.mark.slow
@pytest.mark.parametrize("case", list(CASES))
def test_results_of_parts_add_up_after_a_round_trip_through_the_configuration(case: str) -> None:
    """TFMA creates metrics from their configuration, and adds up their states."""
    task, target, outputs = CASES[case]
    kind = KINDS.get(case, case)
    create = TRAINING.of(kind).keras_metric
    for name in reference.names_of(kind, task.class_names[:1], 1):
        metric = create(MetricName.parse(name), task.class_names, 0.0)
        assert not hasattr(tf.keras.metrics, type(metric).__name__)  # which TFMA would take instead
        parts = [type(metric).from_config(json.loads(json.dumps(metric.get_config()))) for _ in range(3)]
        for part, rows in zip(
            (metric, *parts), (slice(None), slice(0, 20), slice(20, 50), slice(50, None)), strict=True
        ):
            part.update_state(*task.comparable(target[rows], outputs[rows]))
        whole = type(metric).from_config(metric.get_config())
        whole.set_weights([sum(states) for states in zip(*(part.get_weights() for part in parts), strict=True)])
        assert (whole.name, float(whole.result())) == (name, pytest.approx(float(metric.result()), nan_ok=True))


@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_metrics_of_numbers_are_in_the_unit_of_the_label(weights: np.ndarray | None) -> None:
    task = Regression(lambda normalized, dtype: tf.cast(normalized, dtype) * 70 + 1e6)
    target, outputs = np.float32(RNG.normal(size=[2, COUNT]))
    metrics = metrics_of("regression", task, ["rmse", "mae", "r2"])
    for metric in metrics:
        metric.update_state(target, outputs[:, np.newaxis], weights)
    true, predicted = (each.astype(np.float64) * 70 + 1e6 for each in (target, outputs))
    assert values(metrics) == pytest.approx(
        {
            "rmse": mean_squared_error(true, predicted, sample_weight=weights) ** 0.5,
            "mae": mean_absolute_error(true, predicted, sample_weight=weights),
            "r2": r2_score(true, predicted, sample_weight=weights),
        },
        rel=1e-6,
    )
    assert task.centre == 1e6


def test_iou_of_pixels_and_boxes_is_that_of_numpy() -> None:
    true = RNG.integers(0, 3, [8, 4, 4])
    true[0] = LEFT_OUT
    outputs = np.float32(RNG.normal(size=[8, 4, 4, 4]) - [0, 0, 0, 50])
    predicted, counts = outputs.argmax(axis=3), true != LEFT_OUT
    task = Pixels(["sky", "road", "tree", "sea"], "photo")
    metrics = metrics_of("pixels", task, reference.names_of("pixels", task.class_names))
    for metric in metrics:
        metric.update_state(np.uint8(true[..., np.newaxis]), outputs)
    ious = {
        name: ((true == k) & (predicted == k) & counts).sum() / (((true == k) | (predicted == k)) & counts).sum()
        for k, name in enumerate(task.class_names[:3])
    }
    assert values(metrics) == pytest.approx(
        {f"iou({name})": iou for name, iou in ious.items()}
        | {
            "iou(sea)": np.nan,
            "mean_iou": np.mean(list(ious.values())),
            "pixel_accuracy": (true == predicted)[counts].mean(),
        },
        nan_ok=True,
    )
    whole, half = [0.0, 0.0, 1.0, 1.0], [0.0, 0.0, 1.0, 0.4]
    create = TRAINING.of("class_and_box").keras_metric
    for name, iou in (("mean_iou", 0.7), ("iou_50", 0.5)):
        metric = create(MetricName.parse(name), ["a"], 0.0)
        metric.update_state(np.float32([[0, *whole], [0, *half]]), np.float32([[1, *whole]] * 2))
        assert float(metric.result()) == pytest.approx(iou)


@pytest.mark.slow
def test_curves_have_the_named_metrics_and_a_name_may_contain_anything(tmp_path: Path) -> None:
    task, target, outputs = CASES["class"]
    training = Training(epochs=1, metrics=("f1(a cat)", "auc(dog (big))", "pr_auc"), best="val_top_2_accuracy")
    label = ClassLabel(kind="class", **{"from": "label"})
    model = tf.keras.Sequential([tf.keras.layers.Dense(5, kernel_initializer="identity")])
    model.compile(tf.keras.optimizers.SGD(0.0), task.loss(), training_metrics(training, label, task))
    data = tf.data.Dataset.from_tensor_slices((outputs, target)).batch(10)
    board = TensorBoard(str(tmp_path), 0, (), 0)
    history = model.fit(data, validation_data=data, epochs=2, verbose=0, callbacks=[board]).history
    known = expected("class", None)
    for name in ("accuracy", "f1(a cat)", "auc(dog (big))", "pr_auc", "top_2_accuracy"):
        assert history[name] == history[f"val_{name}"] == pytest.approx([known[name]] * 2, rel=1e-5)
    (events,) = (tmp_path / "validation").iterdir()
    tags = {value.tag for event in tf.compat.v1.train.summary_iterator(str(events)) for value in event.summary.value}
    assert {"epoch_f1(a cat)", "epoch_auc(dog (big))"} <= tags


def test_a_metric_that_the_classes_do_not_have_is_refused_before_training() -> None:
    label = ClassLabel(kind="class", **{"from": "label"})
    for section, says in (
        ({"metrics": ["f1(cow)"]}, r"training.metrics\[0\]: f1\(cow\): there is no class 'cow'; the classes are: ant,"),
        ({"best": "val_top_5_accuracy"}, "training.best: top_5_accuracy is 1 for every model, as there are only 5"),
        ({"early_stopping": {"monitor": "val_auc(cow)"}}, "training.early_stopping.monitor: auc"),
    ):
        training = Training.model_validate({"epochs": 1, **section})
        with pytest.raises(UserError, match=says):
            training_metrics(training, label, CASES["class"][0])
    assert class_fault("top_4_accuracy", NAMES) is None and class_fault("f1(dog (big))", NAMES) is None


@pytest.mark.parametrize("name", ["top_0_accuracy", "top_k_accuracy", "f1()", "f1", "accuracy(cat)", "f1(cat) ", ""])
def test_only_names_of_metrics_are_read(name: str) -> None:
    if name == "f1":
        assert TypeAdapter(Metric).validate_python(name) == name
        assert TypeAdapter(Monitor).validate_python(f"val_{name}") == f"val_{name}"
        return
    with pytest.raises(
        ValidationError, match=r"is not a metric; (did you mean '.+'\? )?the metrics are: accuracy, cross_entropy"
    ):
        TypeAdapter(Metric).validate_python(name)
    with pytest.raises(ValidationError):
        TypeAdapter(Monitor).validate_python(f"val_{name}")


def test_every_family_belongs_to_a_label_and_is_better_in_one_direction() -> None:
    assert set(FAMILIES) == {family for part in TRAINING.by_kind.values() for family in part.metrics}
    for part in TRAINING.by_kind.values():
        assert set(part.training_metrics) <= set(part.metrics)
    low = {"cross_entropy", "rmse", "mae"}
    assert {family for family, found in FAMILIES.items() if found.lower_is_better} == low
    assert lower_is_better("loss") and not lower_is_better("f1(loss)")
    assert [Selection(monitor=f"val_{name}").mode for name in ("loss", "mae", "f1(cat)")] == ["min", "min", "max"]


def test_an_epoch_in_which_the_metric_is_undefined_is_not_the_best_one() -> None:
    state = PhaseState()
    stopping = EarlyStopping(Selection(monitor="val_recall", patience=5), state)
    model = tf.keras.Sequential([tf.keras.layers.Dense(1, input_shape=[1])])
    stopping.set_model(model)
    stopping.on_train_begin()
    for epoch, value in enumerate([math.nan, math.nan, 0.4, math.nan, 0.3]):
        model.layers[0].bias.assign([epoch])
        stopping.on_epoch_end(epoch, {"val_recall": value})
        assert state.stopping is not None and state.stopping.is_defined == (epoch >= 2)
    assert (state.stopping.best, state.stopping.best_epoch, state.stopping.wait) == (0.4, 2, 2)
    assert state.stopping.weights[1] == [2]
