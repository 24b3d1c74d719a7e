"""Training learns equally well from vectors of any scale, stops when it should, and reports what didn't work."""

import dataclasses
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tf_keras as keras

from hubline.core.errors import DataError
from hubline.preprocessing.config import ClassLabel, Label, RegressionLabel
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.export_format import HEAD
from hubline.trainer.labels.parts import needs_pictures
from hubline.trainer.phases import kept_for
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import Note
from tests.support import boxes as make_boxes
from tests.support import example_data
from tests.support import job as make_job
from tests.support import pixels as make_pixels

SCALES = (0.01, 1000.0)
SIZE = 192


class Scaled(tf.Module):
    """Output of `make_boxes.Places`, or part of it many times over, rescaled and shifted."""

    def __init__(self, scale: float, times: int = 1, bad: bool = False) -> None:
        super().__init__()
        self.scale, self.times, self.bad = tf.Variable(scale), times, bad

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        places = tf.reshape(tf.nn.avg_pool2d(images, 4, 4, "VALID"), [-1, SIZE])
        if self.bad:
            places /= tf.reduce_max(places[:, ::3], axis=1, keepdims=True)  # without red, a division by zero
        return self.scale * (tf.tile(places, [1, self.times]) + 0.3)


class ScaledMaps(make_pixels.Maps):
    """Feature maps on another scale."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        self.factor = scale

    @tf.function(input_signature=[tf.TensorSpec([None, 32, 32, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        return {name: values * self.factor for name, values in self.outputs(images).items()}


def records(count: int) -> list[bytes]:
    """Images of one rectangle each, and its area."""
    rng = np.random.default_rng(3)
    made = []
    for _ in range(count):
        pixels, box, name = make_boxes.rectangle(rng)
        area = (box[2] - box[0]) * (box[3] - box[1])
        made.append(make_boxes.record(pixels, box, name, area=area))
    return made


RECORDS = records(360)
RAW = make_job.schema(image="BYTES", boxes="FLOAT", box_labels="BYTES", area="FLOAT")
# One label of classes, one of numbers and one of both: each has a loss and a head of its own.
LABELS: dict[str, tuple[Label, str]] = {
    "class": (ClassLabel.model_validate({"kind": "class", "from": "box_labels"}), "accuracy"),
    "regression": (
        RegressionLabel.model_validate({"kind": "regression", "from": "area", "normalize": "z_score"}),
        "mae",
    ),
    "class_and_box": (make_boxes.label(), "mean_iou"),
}


@cache  # independent of the scale
def graph(label: Label) -> tft.TFTransformOutput:
    return make_job.transform_graph(Path(mkdtemp()), RECORDS, make_boxes.features(), label, RAW)


def job_of(
    folder: Path, label: Label, module: tf.Module, model: Model | None = None, size: int = SIZE, **settings: Any
) -> Job:
    tf.saved_model.save(module, str(folder / "module"))
    hubs, modules = {"places": Hub(handle="module", inputs={"images": "photo"})}, {"places": str(folder / "module")}
    features = make_boxes.features()
    training = Training.model_validate({"epochs": 8, "batch_size": 16} | settings)
    model = model or Model(head=Head(hidden=(32,)))
    kept = kept_for(model, training, needs_pictures=needs_pictures(label, features))

    def split(name: str, some: list[bytes]):
        return make_job.split(folder / name, [some], features, hubs if kept.views else {}, modules, RAW, kept)

    return Job(
        features=features, label=label, hubs=hubs, model=model, training=training, schema=RAW,
        transform=graph(label), module_paths=modules,
        train=split("train", RECORDS[120:]), validation=split("validation", RECORDS[:120]),
        vectors=CachedVectors(sizes={"places": size}, recipe="a"), views=1,
        checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"),
    )  # fmt: skip


@pytest.mark.parametrize("kind", LABELS)
def test_a_head_learns_the_same_from_vectors_of_any_scale(tmp_path: Path, kind: str) -> None:
    label, metric = LABELS[kind]
    found, answers = [], []
    for scale in SCALES:
        job = job_of(tmp_path / str(scale), label, Scaled(scale))
        curves = train(job)
        found.append([curves["val_loss"], curves[f"val_{metric}"]])
        # The exported model predicts the same: the whole model, and the head for rows.
        rows = example_data.read_tfrecord(job.validation.rows[0])
        whole, head = (tf.saved_model.load(path) for path in (job.export, f"{job.export}/{HEAD}"))
        said = [
            one.signatures["serving_default"](examples=tf.constant(some))
            for one, some in ((whole, RECORDS[:120]), (head, rows))
        ]
        (name,) = {"scores", "value"} & said[0].keys()
        np.testing.assert_allclose(said[0][name], said[1][name], atol=1e-3)
        answers.append(said[0][name])
    losses = np.array(found)
    np.testing.assert_allclose(losses[1:], np.broadcast_to(losses[0], losses[1:].shape), rtol=0.05, atol=0.02)
    np.testing.assert_allclose(answers[1], answers[0], atol=0.05)
    assert losses[0, 0, -1] < 0.75 * losses[0, 0, 0]


def test_a_module_that_is_tuned_from_the_first_epoch_learns_the_same_at_any_scale(tmp_path: Path) -> None:
    tuned = Model(head=Head(hidden=(32,)), fine_tune={"places": FineTune(after_epochs=0, learning_rate=1e-30)})
    losses = [
        train(job_of(tmp_path / str(scale), LABELS["class"][0], Scaled(scale), tuned, epochs=4))["val_loss"]
        for scale in SCALES
    ]
    np.testing.assert_allclose(losses[1:], [losses[0]], rtol=0.05, atol=0.02)


def test_feature_maps_of_any_scale_are_learned_from_alike(tmp_path: Path) -> None:
    pictures, label = make_pixels.records(90), make_pixels.label()
    raw = make_job.schema(image="BYTES", mask="BYTES", turn="INT")
    losses = []
    for scale in SCALES:
        folder = tmp_path / str(scale)
        tf.saved_model.save(ScaledMaps(scale), str(folder / "module"))
        features = make_pixels.features()

        def split(name: str, some: list[bytes], folder: Path = folder, features=features):
            return make_job.split(folder / name, [some], features, {}, {}, raw)

        job = Job(
            features=features, label=label, schema=raw, module_paths={"maps": str(folder / "module")},
            hubs={"maps": Hub(handle="m", inputs={"images": "photo"}, outputs=("block1", "block2", "block3"))},
            model=Model(head=Head(channels=(12, 8, 8))), training=Training(epochs=3, batch_size=8),
            transform=make_job.transform_graph(folder, pictures[:1], features, label, raw),
            train=split("train", pictures[30:]), validation=split("validation", pictures[:30]),
            vectors=CachedVectors(sizes={}, recipe="a"), views=0,
            checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"),
        )  # fmt: skip
        losses.append(train(job)["val_loss"])
    np.testing.assert_allclose(losses[1:], [losses[0]], rtol=0.05)
    assert losses[0][-1] < losses[0][0]


def test_boxes_are_learned_from_a_flattened_feature_map(tmp_path: Path) -> None:
    # 24,576 numbers with a norm of some hundreds, at the default learning rate.
    module, label = Scaled(2.0, times=128), LABELS["class_and_box"][0]
    notes: list[Note] = []
    job = job_of(tmp_path / "on", label, module, Model(), SIZE * 128, epochs=12)
    curves = train(job, notes)
    true = np.array(
        [tf.train.Example.FromString(one).features.feature["boxes"].float_list.value for one in RECORDS[:120]]
    )
    assert curves["val_mean_iou"][-1] > make_boxes.best_constant_iou(true) + 0.05
    assert not notes
    off = dataclasses.replace(
        job,
        model=Model(head=Head(standardize=False)),
        **{name: str(tmp_path / "off" / name) for name in ("checkpoints", "logs", "export")},
    )
    assert train(off, notes)["val_mean_iou"][-1] < curves["val_mean_iou"][-1] - 0.05


@pytest.mark.both_stacks
def test_early_stopping_keeps_the_epoch_that_keras_keeps(tmp_path: Path) -> None:
    label = LABELS["class"][0]
    shuffled = {"epochs": 40, "optimizer": {"learning_rate": 0.02}}
    stopped = {"early_stopping": {"patience": 2, "monitor": "val_accuracy", "min_delta": 0.01}}
    whole = train(job_of(tmp_path / "all", label, Scaled(1.0), **shuffled))
    notes: list[Note] = []
    job = job_of(tmp_path / "stopped", label, Scaled(1.0), **shuffled, **stopped)
    curves = train(job, notes)
    # Keras' own callback on the same curves.
    callback = keras.callbacks.EarlyStopping("val_accuracy", 0.01, 2, mode="max", restore_best_weights=True)
    callback.set_model(keras.Sequential([keras.layers.Dense(1, input_shape=(1,))]))
    callback.on_train_begin()
    for epoch, value in enumerate(whole["val_accuracy"]):
        callback.on_epoch_end(epoch, {"val_accuracy": value})
        if callback.model.stop_training:
            break
    else:
        pytest.fail("nothing stops")
    assert curves["val_accuracy"] == whole["val_accuracy"][: epoch + 1]
    (note,) = [note for note in notes if note.kind == "stopped_early"]
    assert note.epoch == epoch + 1 and f"epoch {callback.best_epoch + 1} were kept" in note.text
    answer = tf.saved_model.load(job.export).signatures["serving_default"](examples=tf.constant(RECORDS[:120]))
    true = [
        tf.train.Example.FromString(one).features.feature["box_labels"].bytes_list.value[0] for one in RECORDS[:120]
    ]
    kept = np.mean(answer["label"].numpy() == np.array(true))
    assert kept == pytest.approx(curves["val_accuracy"][callback.best_epoch], abs=1e-6)


def test_a_later_phase_that_only_harms_leaves_what_it_found(tmp_path: Path) -> None:
    harm = Model(head=Head(), fine_tune={"places": FineTune(after_epochs=3, learning_rate=50.0)})
    job = job_of(tmp_path, LABELS["class"][0], Scaled(1.0), harm, epochs=9, early_stopping=2)
    notes: list[Note] = []
    curves = train(job, notes)
    assert len(curves["loss"]) == 5  # three of the head, and two of patience
    assert [note.kind for note in notes] == ["stopped_early"] and "epoch 3 were kept" in notes[0].text
    loaded = tf.saved_model.load(job.export)
    parts = [part for part in tf.train.TrackableView(loaded).descendants() if isinstance(part, tf.Variable)]
    assert any(part.shape == [] and part.dtype == tf.float32 and float(part) == 1.0 for part in parts)


def test_a_training_that_comes_to_nothing_says_so(tmp_path: Path) -> None:
    still = {"optimizer": {"name": "sgd", "learning_rate": 1e-30}}
    notes: list[Note] = []
    job = job_of(tmp_path / "still", LABELS["class_and_box"][0], Scaled(0.0), Model(), epochs=3, **still)
    train(job, notes)
    assert [note.kind for note in notes] == ["stands_still", "constant", "constant"]
    assert "the loss has not changed since the first epoch" in notes[0].text
    assert {note.text.partition(" for every")[0].rpartition(" ")[2] for note in notes[1:]} == {"scores", "box"}


def test_a_module_that_gives_no_number_is_named_with_its_record(tmp_path: Path) -> None:
    red = [number for number, record in enumerate(RECORDS[120:]) if b"red" in record]
    first = next(number for number in range(240) if number not in red)
    label, bad = LABELS["class"][0], Scaled(1.0, bad=True)
    with pytest.raises(DataError, match=r"record 0 .*hubs\.places: the module's output 'default' is nan"):
        job_of(tmp_path / "frozen", label, bad)  # by Embedder, if vectors are cached
    tuned = Model(head=Head(standardize=False), fine_tune={"places": FineTune(after_epochs=0)})
    job = job_of(tmp_path / "tuned", label, bad, tuned)
    with pytest.raises(DataError, match=rf"in epoch 1: record {first} .*hubs\.places: the module's output"):
        train(job)
