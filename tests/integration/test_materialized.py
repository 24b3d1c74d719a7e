"""Rows that are kept transformed are the rows that are transformed each time."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.examples import assemble, piece
from hubline.trainer import datasets, inputs, train
from hubline.trainer.config.model import Head, Model
from hubline.trainer.materialized import Materialized
from hubline.trainer.train import Job
from tests.integration.test_tabular import TABULAR, job_of


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Job:
    model = Model(head=Head(hidden=(8,)), wide=("both",))
    return job_of(tmp_path_factory.mktemp("materialized"), TABULAR, {}, {}, model)


def trained(job: Job, materialize: bool | str, folder: str) -> dict[str, list[float]]:
    training = job.training.model_copy(update={"materialize": materialize, "epochs": 3})
    return train.train(dataclasses.replace(job, training=training, export=f"{folder}/{materialize}"))


def test_training_is_the_same(tabular: Job, tmp_path, monkeypatch) -> None:
    again = trained(tabular, False, str(tmp_path))
    kept = trained(tabular, True, str(tmp_path))
    for name, values in again.items():
        assert kept[name] == pytest.approx(values, rel=1e-4), name

    tried: list[bool] = []

    def is_faster(self: Materialized, rows: tf.Tensor) -> bool:
        tried.append(True)
        return len(rows) > 0

    monkeypatch.setattr(Materialized, "is_faster", is_faster)
    assert trained(tabular, "auto", str(tmp_path))["loss"] == pytest.approx(again["loss"], rel=1e-4)
    assert not tried  # few rows are not worth a trial
    monkeypatch.setattr(datasets, "_WORTH_A_TRIAL", 100)
    assert trained(tabular, "auto", str(tmp_path))["loss"] == pytest.approx(again["loss"], rel=1e-4)
    assert len(tried) == 2


@pytest.mark.both_stacks
def test_what_is_read_back_is_what_was_transformed() -> None:
    sparse = tf.sparse.from_dense([[3, 0], [0, 0], [5, 7]])
    spec = {"x": tf.io.VarLenFeature(tf.int64), "y": tf.io.FixedLenFeature([2], tf.float32)}
    tensors = {"x": tf.RaggedTensor.from_sparse(tf.cast(sparse, tf.int64)), "y": tf.random.normal([3, 2])}
    rows = assemble([piece(name, values) for name, values in tensors.items()])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def parse(serialized: tf.Tensor) -> tuple[inputs.Tensors, tf.Tensor]:
        parsed = tf.io.parse_example(serialized, spec)
        return {"doubled": tf.sparse.map_values(lambda v: 2 * v, parsed["x"])}, parsed["y"] + 1.0

    kept = Materialized(parse)
    given, label = kept.parse(kept.encode(rows))
    np.testing.assert_array_equal(tf.sparse.to_dense(given["doubled"]), [[6, 0], [0, 0], [10, 14]])
    np.testing.assert_allclose(label, tensors["y"] + 1.0)
    assert isinstance(kept.is_faster(rows), bool)
    assert kept.bytes_of_row(rows) > 0
