"""Clips from records to an exported model: modules for clips and for single frames, frozen and trained."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.core.errors import UserError
from hubline.preprocessing.config import ClassLabel, Features, VideoFeature
from hubline.preprocessing.kinds.combiner import Lstm
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import CachedVectors, column
from hubline.trainer.model import feeding
from hubline.trainer.phases import kept_for
from hubline.trainer.train import Job, train
from tests.support import example_data, hub_modules
from tests.support import job as make_job

CLASSES = ("left", "right", "still")
FILM = VideoFeature(kind="video", frames=6, size=(12, 12), channels=1)
LABEL = ClassLabel(kind="class", **{"from": "label"}, classes=CLASSES)
SPEC = {"film": tf.io.VarLenFeature(tf.string)}


def moving(number: int) -> list[bytes]:
    """A moving bright square, in six to nine frames; the number determines the direction."""
    rng = np.random.default_rng(number)
    frames, row, start = 6 + number % 4, rng.integers(0, 9), rng.integers(4, 6)
    step = (-1, 1, 0)[number % 3]
    clip = []
    for time in range(frames):
        pixels = rng.integers(0, 40, [12, 12]).astype(np.uint8)
        left = int(np.clip(start + step * time * 5 // (frames - 1), 0, 9))
        pixels[row : row + 3, left : left + 3] = 230
        clip.append(example_data.image_bytes(pixels))
    return clip


CLIPS = [moving(number) for number in range(96)]
RECORDS = [example_data.record(film=example_data.feature(*clip), label=number % 3) for number, clip in enumerate(CLIPS)]


def keras_video(path: Path, how: str) -> Path:
    """An untrained Keras model for clips, [batch, 6, 12, 12, 1] to vectors [batch, 8], in Keras' format."""
    leave_libraries_alone()
    tf.keras.utils.set_random_seed(3)
    layers = tf.keras.layers
    model = tf.keras.Sequential(
        [
            layers.Input([6, 12, 12, 1]),
            layers.Conv3D(8, [3, 3, 3], strides=[1, 2, 2], activation="relu", name="conv"),
            layers.Flatten(),
            layers.Dense(8, activation="relu", name="dense"),
        ]
    )
    getattr(model, how)(str(path), **({"save_format": "tf"} if how == "save" else {}))
    return path


def places(images: tf.Tensor) -> tf.Tensor:
    """Brightness of each column of an image, which tells where the square is."""
    return tf.reduce_mean(images, [1, 3])


def job_of(folder: Path, hub: dict[str, Any], module: Path, numbers: int, model: Model, training: dict) -> Job:
    features: Features = {"film": FILM}
    hubs: Hubs = {"m": Hub.model_validate({"handle": "m", "inputs": {"images": "film"}} | hub)}
    modules, kept_of = {"m": str(module)}, Training.model_validate({"epochs": 12, "batch_size": 16} | training)
    raw = make_job.schema("presence {min_fraction: 1}", film="BYTES", label="INT")
    kept = kept_for(model, kept_of)
    kept = kept.model_copy(update={"views": max(kept.views, 1)})
    parts = {
        name: make_job.split(folder / name, [records], features, hubs, modules, raw, kept if name == "train" else None)
        for name, records in (("train", RECORDS[:72]), ("validation", RECORDS[72:]))
    }
    return Job(
        features=features, label=LABEL, hubs=hubs, model=model, training=kept_of, schema=raw, **parts,
        transform=make_job.transform_graph(folder / "transform", RECORDS[:72], features, LABEL, raw),
        module_paths=modules, vectors=CachedVectors(sizes={"m": numbers}, recipe="a"), views=kept.views,
        checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"),
    )  # fmt: skip


ADAM = {"optimizer": Optimizer(learning_rate=0.01)}
CONV = Model(head=Head(hidden=(16,)), fine_tune={"m": FineTune(after_epochs=1, learning_rate=0.01)})
ALONE = Model(head=Head(hidden=(16,)))


@pytest.mark.parametrize(
    ("module", "hub", "numbers", "model", "training"),
    [
        (lambda path: keras_video(path, "save"), {}, 8, CONV, ADAM),
        (lambda path: keras_video(path, "export"), {}, 8, CONV,
         ADAM | {"augment": ({"brightness": 0.1},), "epochs": 14}),
        (lambda path: hub_modules.module(path, tf.TensorSpec([None, 12, 12, 1], tf.float32), places),
         {"pool": Lstm(lstm=16)}, 72, ALONE, ADAM | {"epochs": 20}),
        (lambda path: hub_modules.module(path, tf.TensorSpec([None, 12, 12, 1], tf.float32), places),
         {"pool": Lstm(lstm=16)}, 72, ALONE,
         ADAM | {"epochs": 20, "augment": (Augmentation(brightness=0.1),), "cache_views": 2}),
    ],
    ids=["saved", "exported", "frames", "views"],
)  # fmt: skip
def test_which_way_things_move_is_learned_and_served(
    tmp_path: Path, module, hub: dict, numbers: int, model: Model, training: dict
) -> None:
    job = job_of(tmp_path, hub, module(tmp_path / "module"), numbers, model, training)
    curves = train(job)
    assert curves["val_accuracy"][-1] > 0.8  # a third by chance

    served = tf.saved_model.load(job.export).signatures
    by_example = served["serving_default"](examples=tf.constant(RECORDS[72:]))
    by_frames = served["predict"](film=tf.ragged.constant(CLIPS[72:]).to_tensor(""))
    np.testing.assert_allclose(by_example["scores"], by_frames["scores"], rtol=1e-5)
    named = [CLASSES.index(label.decode()) for label in by_frames["label"].numpy()]
    np.testing.assert_allclose(
        np.mean([said == number % 3 for number, said in zip(range(72, 96), named, strict=True)]),
        curves["val_accuracy"][-1], atol=1e-6,
    )  # fmt: skip
    with pytest.raises(tf.errors.InvalidArgumentError):
        served["predict"](film=tf.constant([["", ""]]))
    with pytest.raises(UserError, match="takes clips, lists of frames, as film; pass TFRecords or JSON"):
        ExportedModelSpec(job.export).open().check("image")


@pytest.mark.both_stacks
def test_rows_of_the_embedder_are_what_the_module_gives(tmp_path: Path) -> None:
    path = hub_modules.module(tmp_path / "m", tf.TensorSpec([None, 12, 12, 1], tf.float32), places)
    hubs: Hubs = {"m": Hub(handle="m", inputs={"x": "film"}, pool=Lstm(lstm=2))}
    embedder = Embedder(hubs, {"m": str(path)}, feeding(hubs, {"film": FILM}), SPEC)
    source = example_data.write_tfrecord(tmp_path / "data", RECORDS[:5])
    made = embedder.embed(str(source), 5, str(tmp_path / "rows"), 1, (), 0)
    assert made.sizes == {"m": 72}
    rows = tf.io.parse_example(
        example_data.read_tfrecord(tmp_path / "rows"), {column("m"): tf.io.FixedLenFeature([6, 12], tf.float32)}
    )
    pixels = [[tf.io.decode_png(frame, 1).numpy() / 255 for frame in clip] for clip in CLIPS[:5]]
    chosen = [[clip[(2 * part + 1) * len(clip) // 12] for part in range(6)] for clip in pixels]
    np.testing.assert_allclose(rows[column("m")], np.mean(chosen, axis=(2, 4)), atol=1e-3)
