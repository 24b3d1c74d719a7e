"""Options of training in whole trainings, each compared with a training loop of bare Keras on the same batches."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter

from hubline.core.errors import DataError, UserError
from hubline.preprocessing.config import Features, Label
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.train import Job, Split, train
from hubline.trainer.training_notes import Note
from tests.support import example_data
from tests.support import job as make_job

FEATURES: Features = TypeAdapter(Features).validate_python(
    {name: {"kind": "numeric", "normalize": "none"} for name in ("one", "two")}
)
RNG = np.random.default_rng(1)
X = RNG.normal(size=[140, 2]).astype(np.float32)
CLASS = (X @ [2.0, -1.0] + RNG.normal(0, 0.5, 140) > 0).astype(int)
NUMBER = np.float32(X @ [1.5, 0.5] + RNG.exponential(1.0, 140))
WEIGHT = np.float32(RNG.integers(0, 5, 140) / 2)  # some records don't count
TAGS = np.stack([X[:, 0] > 0.8, X[:, 1] > -0.5, X.sum(axis=1) > 1], axis=1).astype(int)
RECORDS = [
    example_data.record(
        one=float(x[0]), two=float(x[1]), kind=int(kind), number=float(number), weight=float(weight),
        **{f"tag{n}": int(tag) for n, tag in enumerate(tags)},
    )
    for x, kind, number, weight, tags in zip(X, CLASS, NUMBER, WEIGHT, TAGS, strict=True)
]  # fmt: skip
TRAIN, BATCH = 100, 16  # seven steps per epoch, the last of four examples
LABELS: dict[str, Label] = {
    "class": TypeAdapter(Label).validate_python({"kind": "class", "from": "kind", "classes": ["no", "yes"]}),
    "multilabel": TypeAdapter(Label).validate_python({"kind": "multilabel", "columns": ["tag0", "tag1", "tag2"]}),
    "regression": TypeAdapter(Label).validate_python({"kind": "regression", "from": "number", "normalize": "none"}),
}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("options")
    raw = make_job.schema(
        "presence {min_fraction: 1} shape {dim {size: 1}}", one="FLOAT", two="FLOAT", kind="INT", number="FLOAT",
        weight="FLOAT", tag0="INT", tag1="INT", tag2="INT",
    )  # fmt: skip
    splits = {
        name: make_job.split(folder / name, [some], FEATURES, {}, {}, raw)
        for name, some in (("train", RECORDS[:TRAIN]), ("validation", RECORDS[TRAIN:]))
    }
    return {
        kind: Job(
            features=FEATURES, label=label, hubs={}, model=Model(head=Head(initializer="zeros")),
            training=Training(epochs=1), schema=raw, module_paths={}, views=1,
            vectors=CachedVectors(sizes={}, recipe=""),
            transform=make_job.transform_graph(folder / kind, RECORDS[:TRAIN], FEATURES, label, raw),
            checkpoints="", logs="", export="", **splits,
        )
        for kind, label in LABELS.items()
    }  # fmt: skip


def trained(job: Job, folder: Path, /, notes: list[Note] | None = None, **training: Any) -> dict[str, list[float]]:
    places = {name: str(folder / name) for name in ("checkpoints", "logs", "export")}
    settings = {"batch_size": BATCH, "shuffle_buffer": 1} | training
    return train(dataclasses.replace(job, training=Training.model_validate(settings), **places), notes)


class Reference:
    """A linear model from zeros, trained by a loop over the batches in the order of the file."""

    def __init__(
        self, kind: str, loss: Callable, optimizer: tf.keras.optimizers.Optimizer, penalty: float = 0.0
    ) -> None:
        self.weights = tf.Variable(tf.zeros([2, 2 if kind == "class" else 1]))
        self.bias = tf.Variable(tf.zeros(self.weights.shape[1:]))
        centre = NUMBER[:TRAIN].mean() if kind == "regression" else 0.0
        self.target = CLASS if kind == "class" else NUMBER - centre
        self.loss, self.optimizer, self.penalty = loss, optimizer, penalty
        self.snapshots: list[list[np.ndarray]] = []
        """Weights and bias after each step."""

    def run(self, steps: int) -> None:
        for step in range(steps):
            self.run_step(step)

    def run_step(self, step: int) -> None:
        starts = [*range(0, TRAIN, BATCH)]
        start = starts[step % len(starts)]
        with tf.GradientTape() as tape:
            of_batch = self.value(slice(start, min(start + BATCH, TRAIN)))
        both = [self.weights, self.bias]
        gradients = tape.gradient(of_batch, both)
        self.optimizer.apply_gradients(zip(gradients, both, strict=True))
        self.snapshots.append([one.numpy() for one in both])

    def value(self, rows: slice) -> tf.Tensor:
        outputs = X[rows] @ self.weights + self.bias
        return tf.reduce_mean(self.loss(self.target[rows], outputs)) + self.penalty * tf.reduce_sum(self.weights**2)


def exported(folder: Path) -> list[np.ndarray]:
    """Weights and bias of the exported linear model."""
    loaded = tf.saved_model.load(str(folder / "export"))
    parts = [part for part in tf.train.TrackableView(loaded).descendants() if isinstance(part, tf.Variable)]
    found = [part.numpy() for part in parts if part.dtype == tf.float32 and part.name.startswith("outputs/")]
    return sorted(found, key=lambda each: -each.ndim)


def smooth(target: np.ndarray, outputs: tf.Tensor) -> tf.Tensor:
    shares = 0.8 * np.eye(2, dtype=np.float32)[target] + 0.1
    return -tf.reduce_sum(shares * tf.nn.log_softmax(outputs), axis=1)


def focal(target: np.ndarray, outputs: tf.Tensor) -> tf.Tensor:
    of_true = tf.reduce_sum(np.eye(2, dtype=np.float32)[target] * tf.nn.softmax(outputs), axis=1)
    return -0.5 * (1 - of_true) ** 3 * tf.math.log(of_true)


def pinball(target: np.ndarray, outputs: tf.Tensor) -> tf.Tensor:
    error = outputs[:, 0] - target
    return tf.maximum(error, -4 * error)


def lopsided(target: np.ndarray, outputs: tf.Tensor) -> tf.Tensor:
    error = outputs[:, 0] - target
    return tf.where(error > 0, 3.0, 1.0) * error**2


def huber(target: np.ndarray, outputs: tf.Tensor) -> tf.Tensor:
    error = tf.abs(outputs[:, 0] - target)
    return tf.where(error < 0.7, error**2 / 2, 0.7 * (error - 0.35))


COSINE = {"kind": "cosine_decay", "warmup_target": 0.3, "warmup_steps": 4}


def cosine_by_hand(step: int) -> float:
    return 0.3 * step / 4 if step < 4 else 0.15 * (1 + np.cos(np.pi * (step - 4) / 14))


@pytest.mark.both_stacks
def test_steps_schedule_smoothing_and_l2_are_those_of_a_loop(jobs: dict[str, Job], tmp_path: Path) -> None:
    """18 steps: two whole epochs, and four steps of a third."""
    options = {"name": "sgd", "momentum": 0.9, "nesterov": True, "learning_rate": COSINE, "clipvalue": 0.2}
    curves = trained(
        jobs["class"],
        tmp_path,
        steps=18,
        optimizer=options,
        l2=0.05,
        loss={"kind": "cross_entropy", "label_smoothing": 0.2},
    )
    keras = tf.keras.optimizers.SGD(0.0, momentum=0.9, nesterov=True, clipvalue=0.2)
    loop = Reference("class", smooth, keras, penalty=0.05)
    for step in range(18):
        keras.learning_rate = cosine_by_hand(step)
        loop.run_step(step)
    for one, other in zip(exported(tmp_path), loop.snapshots[-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    assert len(curves["val_loss"]) == 3
    assert curves["val_loss"][-1] == pytest.approx(float(loop.value(slice(TRAIN, 140))), rel=1e-5)


@pytest.mark.parametrize(
    ("kind", "loss", "by_hand"),
    [
        ("class", {"kind": "focal", "gamma": 3.0, "alpha": 0.5}, focal),
        ("regression", {"kind": "asymmetric", "over": 1, "under": 4}, pinball),
        ("regression", {"kind": "asymmetric", "over": 3, "under": 1, "power": 2}, lopsided),
        ("regression", {"kind": "huber", "delta": 0.7}, huber),
        ("regression", "mae", lambda target, outputs: tf.abs(outputs[:, 0] - target)),
    ],
    ids=lambda each: str(each) if isinstance(each, dict | str) else "",
)
def test_a_loss_is_learned_as_by_its_formula(jobs: dict[str, Job], tmp_path: Path, kind: str, loss, by_hand) -> None:
    options = {"name": "rmsprop", "learning_rate": 0.05, "global_clipnorm": None}
    curves = trained(jobs[kind], tmp_path, epochs=2, optimizer=options, loss=loss)
    loop = Reference(kind, by_hand, tf.keras.optimizers.RMSprop(0.05))
    loop.run(14)
    for one, other in zip(exported(tmp_path), loop.snapshots[-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert curves["val_loss"][-1] == pytest.approx(float(loop.value(slice(TRAIN, 140))), rel=1e-4)


@pytest.mark.both_stacks
def test_the_average_of_the_weights_is_evaluated_and_exported(jobs: dict[str, Job], tmp_path: Path) -> None:
    options = {"name": "sgd", "learning_rate": 0.5, "global_clipnorm": None}
    curves = trained(jobs["class"], tmp_path / "last", epochs=3, optimizer=options, ema=0.6)
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    loop = Reference("class", cross_entropy, tf.keras.optimizers.SGD(0.5))
    loop.run(21)
    average = [np.zeros([2, 2]), np.zeros([2])]
    losses = []
    for n, weights in enumerate(loop.snapshots, start=1):
        decay = min(0.6, (1 + n) / (10 + n))
        average = [decay * mean + (1 - decay) * one for mean, one in zip(average, weights, strict=True)]
        if n % 7 == 0:
            losses.append(float(cross_entropy(CLASS[TRAIN:], X[TRAIN:] @ average[0] + average[1])))
    np.testing.assert_allclose(curves["val_loss"], losses, rtol=1e-5)
    for one, other in zip(exported(tmp_path / "last"), average, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    # The raw weights go on as without an average.
    assert curves["loss"] == pytest.approx(
        trained(jobs["class"], tmp_path / "raw", epochs=3, optimizer=options)["loss"]
    )


def test_the_best_epoch_by_a_metric_is_exported(jobs: dict[str, Job], tmp_path: Path) -> None:
    options = {
        "name": "sgd",
        "learning_rate": {"kind": "piecewise_constant_decay", "boundaries": [13], "values": [0.5, 40]},
    }
    curves = trained(jobs["class"], tmp_path, epochs=4, optimizer=options, best="val_loss")
    assert len(curves["val_loss"]) == 4  # nothing stops early
    best = int(np.argmin(curves["val_loss"]))
    assert 0 < best < 3
    weights, bias = exported(tmp_path)
    logits = X[TRAIN:] @ weights + bias
    of_export = float(tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)(CLASS[TRAIN:], logits))
    assert of_export == pytest.approx(curves["val_loss"][best], rel=1e-5)


PLAIN_SGD = {"name": "sgd", "learning_rate": 0.5, "global_clipnorm": None}


def fitted(outputs: int, loss: Any, target: np.ndarray, rows: slice = slice(TRAIN), **fit: Any) -> Any:
    """A linear model from zeros that bare Keras fits for two epochs."""
    model = tf.keras.Sequential([tf.keras.layers.Dense(outputs, kernel_initializer="zeros")])
    model.compile(optimizer=tf.keras.optimizers.SGD(0.5), loss=loss)
    history = model.fit(X[rows], target[rows], batch_size=BATCH, epochs=2, shuffle=False, verbose=0, **fit)
    return model.get_weights(), history.history


def balanced(target: np.ndarray) -> dict[int, float]:
    """scikit-learn's formula."""
    return {one: len(target) / (2 * int((target == one).sum())) for one in (0, 1)}


@pytest.mark.both_stacks
def test_class_and_sample_weights_are_those_of_keras_fit(jobs: dict[str, Job], tmp_path: Path) -> None:
    notes: list[Note] = []
    options = {"epochs": 2, "optimizer": PLAIN_SGD, "class_weights": "balanced", "sample_weight": "weight"}
    curves = trained(jobs["class"], tmp_path, notes=notes, **options)
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    by_class = balanced(CLASS[:TRAIN])
    weights, history = fitted(
        2, cross_entropy, CLASS, sample_weight=WEIGHT[:TRAIN] * np.vectorize(by_class.get)(CLASS[:TRAIN]),
        validation_data=(X[TRAIN:], CLASS[TRAIN:], WEIGHT[TRAIN:]),
    )  # fmt: skip
    for one, other in zip(exported(tmp_path), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(curves[name], history[name], rtol=1e-5)
    logits = X[TRAIN:] @ weights[0] + weights[1]
    assert curves["val_accuracy"][-1] == pytest.approx(np.mean(logits.argmax(axis=1) == CLASS[TRAIN:]))  # unweighted

    of_column, of_classes = [note.text for note in notes if note.kind == "weights"]
    assert f"'weight': 0 to 2 in the training split, {WEIGHT[:TRAIN].mean(dtype=float):.4g} on average" in of_column
    assert f"{(WEIGHT[:TRAIN] == 0).sum()} of 100 are 0" in of_column
    counts = np.bincount(CLASS[:TRAIN])
    assert of_classes.endswith(
        f"no {by_class[0]:.4g} ({counts[0]} records), yes {by_class[1]:.4g} ({counts[1]} records)"
    )


def test_the_weight_of_a_class_is_given_by_name(jobs: dict[str, Job], tmp_path: Path) -> None:
    curves = trained(jobs["class"], tmp_path, epochs=2, optimizer=PLAIN_SGD, class_weights={"yes": 3})
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    _, history = fitted(
        2, cross_entropy, CLASS, class_weight={0: 1.0, 1: 3.0}, validation_data=(X[TRAIN:], CLASS[TRAIN:])
    )
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(curves[name], history[name], rtol=1e-5)


@pytest.mark.parametrize("given", ["balanced", {"tag0": 4.0}], ids=str)
def test_classes_of_a_multilabel_are_weighted_one_by_one(
    jobs: dict[str, Job], tmp_path: Path, given: str | dict[str, float]
) -> None:
    options = {"epochs": 2, "optimizer": PLAIN_SGD, "class_weights": given, "sample_weight": "weight"}
    curves = trained(jobs["multilabel"], tmp_path, **options)
    by_tag = [balanced(tags) for tags in TAGS[:TRAIN].T]
    table = np.float32([[of[0], of[1]] for of in by_tag] if given == "balanced" else [[1, 4], [1, 1], [1, 1]])

    def of_each(both: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        """The target holds the tags, and the weight of each."""
        tags, weights = both[:, :3], both[:, 3:]
        return tf.reduce_mean(weights * tf.nn.sigmoid_cross_entropy_with_logits(tags, outputs), axis=1)

    of_class = np.where(TAGS == 1, table[:, 1], table[:, 0])
    of_class[TRAIN:] = 1
    both = np.concatenate([np.float32(TAGS), of_class], axis=1)
    weights, history = fitted(
        3, of_each, both, sample_weight=WEIGHT[:TRAIN], validation_data=(X[TRAIN:], both[TRAIN:], WEIGHT[TRAIN:])
    )
    for one, other in zip(exported(tmp_path), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(curves[name], history[name], rtol=1e-5)


def test_the_last_partial_batch_is_dropped(jobs: dict[str, Job], tmp_path: Path) -> None:
    curves = trained(jobs["class"], tmp_path, epochs=2, optimizer=PLAIN_SGD, drop_remainder=True)
    cross_entropy = tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    whole = slice(TRAIN - TRAIN % BATCH)  # six batches of seven
    weights, history = fitted(2, cross_entropy, CLASS, whole, validation_data=(X[TRAIN:], CLASS[TRAIN:]))
    for one, other in zip(exported(tmp_path), weights, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
    for name in ("loss", "val_loss"):
        np.testing.assert_allclose(curves[name], history[name], rtol=1e-5)
    with pytest.raises(DataError, match="drop_remainder leaves no batch: the training split has 100 records"):
        trained(jobs["class"], tmp_path, epochs=2, batch_size=101, drop_remainder=True)


def test_a_sample_weight_of_a_regression(jobs: dict[str, Job], tmp_path: Path) -> None:
    options = {"epochs": 2, "optimizer": {**PLAIN_SGD, "learning_rate": 0.05}, "materialize": True}
    curves = trained(jobs["regression"], tmp_path, sample_weight="weight", **options)
    loop = Reference("regression", lambda target, outputs: (outputs[:, 0] - target) ** 2, tf.keras.optimizers.SGD(0.05))
    plain = loop.loss
    loop.target = np.stack([loop.target, WEIGHT], axis=1)
    loop.loss = lambda both, outputs: both[:, 1] * plain(both[:, 0], outputs)
    loop.run(14)
    for one, other in zip(exported(tmp_path), loop.snapshots[-1], strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    assert curves["val_loss"][-1] == pytest.approx(float(loop.value(slice(TRAIN, 140))), rel=1e-4)


def test_an_unknown_class_and_weights_of_0_are_refused(jobs: dict[str, Job], tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a weight for 'maybe', which is no class .*; the classes are: no, yes"):
        trained(jobs["class"], tmp_path, epochs=1, class_weights={"maybe": 2})
    none = dataclasses.replace(jobs["class"], validation=of_no_weight(jobs["class"], tmp_path))
    with pytest.raises(DataError, match="every 'weight', the sample weight, of the validation split is 0"):
        trained(none, tmp_path, epochs=1, sample_weight="weight")


def of_no_weight(job: Job, folder: Path) -> Split:
    some = [record for record, weight in zip(RECORDS, WEIGHT, strict=True) if weight == 0]
    return make_job.split(folder / "none", [some], FEATURES, {}, {}, job.schema)
