"""Label `multilabel`, from the transform graph to the exported model, next to a hub module."""

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter
from rich.console import Console
from sklearn.metrics import f1_score

from hubline.pipeline.predict.predict import predict_inputs
from hubline.pipeline.predict.show import show_predictions
from hubline.preprocessing.config import Features
from hubline.preprocessing.labels.label import LABEL
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.labels.parts import task_of
from hubline.trainer.train import Job, train
from tests.support import example_data, hub_modules
from tests.support import job as make_job

FEATURES: Features = TypeAdapter(Features).validate_python(
    {"x": {"kind": "numeric"}, "y": {"kind": "numeric"}, "photo": {"kind": "image", "from": "image", "size": [8, 8]}}
)
HUBS: Hubs = {"mean": Hub(handle="module", inputs={"images": "photo"})}
COUNT = 240
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=[2, COUNT])
GREY = RNG.integers(0, 2, COUNT) * 120 + 60
IMAGES = [example_data.image_bytes(np.full([8, 8, 3], grey, np.uint8)) for grey in GREY]
TAGS = {"right": X > 0, "up": Y > 0.5, "both": (X > 0) & (Y > 0.5), "light": GREY > 100}
"""Only the image determines the last one; some records have none."""
THRESHOLD = 0.4


def records() -> list[bytes]:
    found = []
    for row in range(COUNT):
        tags = [name for name, holds in TAGS.items() if holds[row]]
        tags += ["never seen in training"] if row == 170 else []
        columns: dict[str, Any] = {"x": float(X[row]), "y": float(Y[row]), "image": IMAGES[row]}
        found.append(example_data.record(**columns, **({"tags": example_data.feature(*tags)} if tags else {})))
    return found


def job_of(folder: Path, data: list[bytes]) -> Job:
    modules = {"mean": str(hub_modules.mean_colour(folder / "module"))}
    label = MultilabelLabel.model_validate({"kind": "multilabel", "from": "tags", "threshold": THRESHOLD})
    raw = make_job.schema("", x="FLOAT", y="FLOAT", tags="BYTES", image="BYTES")
    splits = {
        name: make_job.split(folder / name, [part], FEATURES, HUBS, modules, raw)
        for name, part in (("train", data[:160]), ("validation", data[160:200]))
    }
    return Job(
        features=FEATURES, label=label, hubs=HUBS, model=Model(),
        training=Training(epochs=20, batch_size=16, optimizer=Optimizer(learning_rate=0.1)),
        schema=raw, transform=make_job.transform_graph(folder, data[:160], FEATURES, label, raw), module_paths=modules,
        vectors=CachedVectors(sizes={"mean": 6}, recipe="the recipe"), views=1,
        checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"), **splits,
    )  # fmt: skip


@pytest.mark.both_stacks
def test_the_exported_model_tells_any_number_of_classes(tmp_path: Path) -> None:
    data = records()
    job = job_of(tmp_path, data)
    curves = train(job)
    assert set(curves) - {"learning_rate"} == {
        f"{split}{name}" for split in ("", "val_") for name in ("loss", "binary_accuracy", "f1")
    }
    assert curves["val_f1"][-1] > 0.9
    model = tf.saved_model.load(job.export)
    answer = model.signatures["serving_default"](examples=tf.constant(data[200:]))
    types = {name: (value.dtype, value.shape) for name, value in answer.items()}
    assert types == {"classes": (tf.string, [40, 4]), "scores": (tf.float32, [40, 4]), "chosen": (tf.bool, [40, 4])}
    names = [name.decode() for name in answer["classes"][0].numpy()]
    # The most frequent class of the training split comes first.
    assert names == sorted(TAGS, key=lambda name: -TAGS[name][:160].sum())
    scores = answer["scores"].numpy()
    np.testing.assert_array_equal(answer["chosen"], scores >= np.float32(THRESHOLD))
    true = np.stack([TAGS[name][200:] for name in names], axis=1)
    assert f1_score(true, answer["chosen"].numpy(), average="micro") > 0.9
    by_columns = model.signatures["predict"](
        x=tf.constant(X[200:], tf.float32), y=tf.constant(Y[200:], tf.float32), image=tf.constant(IMAGES[200:])
    )
    np.testing.assert_allclose(by_columns["scores"], scores, atol=1e-6)
    np.testing.assert_array_equal(by_columns["classes"], answer["classes"])

    asked = example_data.write_tfrecord(tmp_path / "asked", data[200:])
    predictions = list(predict_inputs(job.export, [str(asked)]))
    ranked = [sorted(zip(row.tolist(), names, strict=True), reverse=True) for row in scores]
    for said, row in zip(predictions, ranked, strict=True):
        assert said["scores"] == pytest.approx({name: score for score, name in row})
        assert said["chosen"] == [name for score, name in row if score >= THRESHOLD]
    console = Console(file=io.StringIO(), width=300)
    show_predictions(console, predictions)
    header, *lines = console.file.getvalue().splitlines()  # type: ignore[attr-defined]
    assert header.split() == ["input", "record", "chosen", "next"]
    for line, row in zip(lines, ranked, strict=True):
        told = ", ".join(f"{name} {score:.3f}" for score, name in row if score >= THRESHOLD) or "none"
        assert f" {told} " in f"{line} "


def test_the_label_of_integers_is_learned_by_their_frequency(tmp_path: Path) -> None:
    label = MultilabelLabel.model_validate({"kind": "multilabel", "from": "tags"})
    raw = make_job.schema("", x="FLOAT", tags="INT")
    rows: list[list[int]] = [[7, -3], [], [7], [12, 7, -3]]
    data = [example_data.record(x=1.0, **({"tags": example_data.feature(*row)} if row else {})) for row in rows]
    graph = make_job.transform_graph(tmp_path, data, {"x": FEATURES["x"]}, label, raw)
    assert label.class_names(graph) == ["7", "-3", "12"]
    spec = {"tags": tf.io.VarLenFeature(tf.int64)}
    transformed = graph.transform_features_layer()(tf.io.parse_example(tf.constant(data), spec))
    target = task_of(label, graph, spec).target(transformed[LABEL])
    np.testing.assert_array_equal(target, [[1, 1, 0], [0, 0, 0], [1, 0, 0], [1, 1, 1]])
