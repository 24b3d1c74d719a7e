"""Label `regression`, from the transform graph to the exported model, compared with NumPy and scikit-learn."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter
from sklearn.metrics import r2_score
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features
from hubline.preprocessing.labels.label import LABEL
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.labels.parts import task_of
from hubline.trainer.train import Job, train
from tests.support import example_data
from tests.support import job as make_job

FEATURES: Features = TypeAdapter(Features).validate_python({"x": {"kind": "numeric", "normalize": "z_score"}})
RNG = np.random.default_rng(0)
X = RNG.normal(3.0, 2.0, 400)
PRICES = np.round(200_000 * np.exp(0.4 * X + RNG.normal(0, 0.05, 400)))
"""Much larger than 1, and all positive."""


def label_of(normalize: str) -> RegressionLabel:
    return RegressionLabel.model_validate({"kind": "regression", "from": "price", "normalize": normalize})


def schema(kind: str, optional: bool = False) -> schema_pb2.Schema:
    """As SchemaGen infers it, or with columns that some records lack."""
    shape = "value_count {min: 1 max: 1}" if optional else "presence {min_fraction: 1} shape {dim {size: 1}}"
    return make_job.schema(shape, x="FLOAT", price=kind)


def records(kind: str) -> list[bytes]:
    number: Any = {"INT": int, "FLOAT": float}[kind]
    return [example_data.record(x=float(x), price=number(price)) for x, price in zip(X, PRICES, strict=True)]


NORMALIZED = {
    "none": (lambda prices: prices - PRICES.mean(), lambda outputs: outputs + PRICES.mean()),
    "log": (
        lambda prices: np.log(prices) - np.log(PRICES).mean(),
        lambda outputs: np.exp(outputs + np.log(PRICES).mean()),
    ),
    "z_score": (
        lambda prices: (prices - PRICES.mean()) / PRICES.std(),
        lambda outputs: outputs * PRICES.std() + PRICES.mean(),
    ),
}


@pytest.mark.parametrize(
    ("normalize", "kind", "optional"),
    [("none", "INT", False), ("log", "FLOAT", True), ("z_score", "INT", True), ("z_score", "FLOAT", False)],
)
def test_what_is_learned_is_normalised_and_what_is_answered_is_not(tmp_path, normalize, kind, optional) -> None:
    label, raw = label_of(normalize), schema(kind, optional)
    graph = make_job.transform_graph(tmp_path, records(kind), FEATURES, label, raw)
    done, undone = NORMALIZED[normalize]
    spec = parsing_spec(raw, ["price"])
    target = graph.transform_features_layer()(tf.io.parse_example(records(kind), spec))[LABEL]
    assert target.shape == (400,) and target.dtype == tf.float32
    np.testing.assert_allclose(target, done(PRICES), rtol=1e-5, atol=1e-6)
    outputs = np.float32([[-1.5], [0.0], [2.25]])
    task = task_of(label, graph, spec)
    value = task.answer(tf.constant(outputs))["value"]
    assert value.shape == (3,) and value.dtype == tf.float64
    np.testing.assert_allclose(value, undone(outputs[:, 0].astype(np.float64)), rtol=1e-6)


@pytest.mark.parametrize("normalize", ["none", "z_score"])
def test_large_numbers_that_lie_close_together_keep_their_digits(tmp_path: Path, normalize: str) -> None:
    label, raw = label_of(normalize), schema("INT")
    whole = 1_600_000_000_000 + np.arange(121) - 60
    data = [example_data.record(x=float(n), price=int(price)) for n, price in enumerate(whole)]
    graph = make_job.transform_graph(tmp_path, data, FEATURES, label, raw)
    spec = parsing_spec(raw, ["price"])
    target = graph.transform_features_layer()(tf.io.parse_example(data, spec))[LABEL]
    scale = whole.std() if normalize == "z_score" else 1.0
    np.testing.assert_allclose(target, (whole - whole.mean()) / scale, rtol=1e-6, atol=1e-4 / scale)
    value = task_of(label, graph, spec).answer(target[:, tf.newaxis])["value"]
    np.testing.assert_allclose(value - 1.6e12, whole - 1.6e12, atol=1e-3)


def test_a_label_that_is_the_same_everywhere_is_not_scaled(tmp_path: Path) -> None:
    label, raw = label_of("z_score"), schema("FLOAT")
    same = [example_data.record(x=float(n), price=7.5) for n in range(5)]
    graph = make_job.transform_graph(tmp_path, same, FEATURES, label, raw)
    value = task_of(label, graph, parsing_spec(raw, ["price"])).answer(tf.constant([[0.0], [1.0]]))["value"]
    np.testing.assert_allclose(value, [7.5, 8.5])


def test_a_wild_answer_is_large_and_not_infinite() -> None:
    statistics = {f"{LABEL}.{name}": tf.bitcast(tf.ones([1], tf.float64), tf.int64) for name in ("mean", "scale")}
    value = label_of("log").undone(statistics)(tf.constant([1e6]), tf.float64)
    assert 1e38 < float(value[0]) < np.inf


@pytest.mark.both_stacks
@pytest.mark.parametrize("normalize", ["log", "z_score"])
def test_the_exported_model_answers_in_the_units_of_the_label(tmp_path: Path, normalize: str) -> None:
    label, raw, data = label_of(normalize), schema("INT"), records("INT")
    train_split, validation = (
        make_job.split(tmp_path / name, [part], FEATURES, {}, {}, raw)
        for name, part in (("train", data[:300]), ("validation", data[300:350]))
    )
    job = Job(
        features=FEATURES, label=label, hubs={}, model=Model(head=Head(hidden=(16,))),
        training=Training(epochs=30, batch_size=16, optimizer=Optimizer(learning_rate=0.02)),
        schema=raw, transform=make_job.transform_graph(tmp_path, data[:300], FEATURES, label, raw), module_paths={},
        train=train_split, validation=validation, vectors=CachedVectors(sizes={}, recipe=""), views=1,
        checkpoints=str(tmp_path / "checkpoints"), logs=str(tmp_path / "logs"), export=str(tmp_path / "export"),
    )  # fmt: skip
    curves = train(job)
    assert set(curves) - {"learning_rate"} == {
        f"{split}{name}" for split in ("", "val_") for name in ("loss", "rmse", "mae")
    }
    model = tf.saved_model.load(job.export)
    validated = model.signatures["serving_default"](examples=tf.constant(data[300:350]))["value"].numpy()
    assert curves["val_rmse"][-1] == pytest.approx(np.sqrt(((validated - PRICES[300:350]) ** 2).mean()), rel=1e-5)
    answer = model.signatures["serving_default"](examples=tf.constant(data[350:]))
    assert set(answer) == {"value"} and answer["value"].dtype == tf.float64
    assert r2_score(PRICES[350:], answer["value"].numpy()) > 0.9
    without_label = model.signatures["predict"](x=tf.constant(X[350:], tf.float32))["value"]
    np.testing.assert_allclose(without_label, answer["value"], rtol=1e-5)
