"""Rows cached after the transform graph equal rows transformed each time."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.examples import assemble, piece
from hubline.trainer import caches, inputs, train
from hubline.trainer.caches import Cache
from hubline.trainer.config.model import Head, Model
from hubline.trainer.materialized import MaterializedRows
from hubline.trainer.train import Job
from tests.support.tabular import TABULAR, job_of


@pytest.fixture(scope="module")
def tabular(tmp_path_factory: pytest.TempPathFactory) -> Job:
    model = Model(head=Head(hidden=(8,)), wide=("both",))
    return job_of(tmp_path_factory.mktemp("materialized"), TABULAR, {}, {}, model)


def trained(job: Job, materialize: bool | str, folder: str) -> tuple[dict[str, list[float]], list[Cache]]:
    training = job.training.model_copy(update={"materialize": materialize, "epochs": 3})
    cached: list[Cache] = []
    curves = train.train(dataclasses.replace(job, training=training, export=f"{folder}/{materialize}"), caches=cached)
    return curves, cached


def test_training_is_the_same(tabular: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, as_rows = trained(tabular, False, str(tmp_path))
    size = sum(Path(path).stat().st_size for path in tabular.train.rows)
    assert [(each.split, each.form, each.place) for each in as_rows] == [
        ("train", "rows", "memory"),
        ("validation", "rows", "memory"),
    ]
    assert (as_rows[0].first_epoch, as_rows[0].last_epoch) == (1, 3) and as_rows[0].size == 10 * size  # GZIP
    monkeypatch.setattr(caches, "MANY_ROWS", 100)  # below the rows of each split in three epochs
    for materialize in (True, "auto"):
        curves, transformed = trained(tabular, materialize, str(tmp_path))
        assert {each.form for each in transformed} == {"transformed_rows"}
        for name, values in expected.items():
            assert curves[name] == pytest.approx(values, rel=1e-4), name


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

    kept = MaterializedRows(parse)
    given, label = kept.parse(kept.encode(rows))
    np.testing.assert_array_equal(tf.sparse.to_dense(given["doubled"]), [[6, 0], [0, 0], [10, 14]])
    np.testing.assert_allclose(label, tensors["y"] + 1.0)
    assert kept.bytes_of_row(rows) > 0
