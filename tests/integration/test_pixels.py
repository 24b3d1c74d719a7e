"""A label of pixels, from records through the training input path, a whole training and the exported model."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from tests import make_job, make_pixels
from trainer.config import Head, Hub, Hubs, Model, Optimizer, Training
from trainer.export import HEAD
from trainer.phases import Kept
from trainer.train import Job, train
from trainer.vectors import Vectors

HUBS: Hubs = {"maps": Hub(handle="module", inputs={"images": "photo"}, outputs=("block1", "block2", "block3"))}
RAW = make_job.schema(image="BYTES", mask="BYTES", turn="INT")


def job_of(folder: Path, records: list[bytes], module: Path, label=None, features=None, head=None, **settings) -> Job:
    label, features = label or make_pixels.label(), features or make_pixels.features()
    described = Training.model_validate({"epochs": 1, "batch_size": 32} | settings)
    model = Model(head=head or Head(channels=(24, 16, 8)))
    kept = Kept.of(model, described, needs_pictures=True)
    third = len(records) // 3
    return Job(
        features=features,
        label=label,
        hubs=HUBS,
        model=model,
        training=described,
        schema=RAW,
        transform=make_job.transform_graph(folder, records[:1], features, label, RAW),
        module_paths={"maps": str(module)},
        train=make_job.split(folder / "train", [records[third:]], features, {}, {}, RAW, kept),
        validation=make_job.split(folder / "validation", [records[:third]], features, {}, {}, RAW, kept),
        vectors=Vectors(sizes={}, recipe="the recipe"),
        views=kept.views,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
    )


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    return make_pixels.module(tmp_path_factory.mktemp("module") / "maps")


RECORDS = make_pixels.records(600)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, module: Path) -> tuple[Job, dict[str, list[float]]]:
    folder = tmp_path_factory.mktemp("trained")
    job = job_of(folder, RECORDS, module, epochs=8, optimizer=Optimizer(learning_rate=0.005))
    return job, train(job)


def columns_of(record: bytes) -> tuple[bytes, np.ndarray]:
    """The encoded picture, and the mask."""
    columns = tf.train.Example.FromString(record).features.feature
    image, mask = (columns[name].bytes_list.value[0] for name in ("image", "mask"))
    return image, tf.io.decode_png(mask).numpy()[..., 0]


def test_it_learns_more_than_the_best_constant(trained) -> None:
    job, curves = trained
    assert set(curves) == {f"{val}{name}" for val in ("", "val_") for name in ("loss", "pixel_accuracy", "mean_iou")}
    true = np.stack([columns_of(record)[1] for record in RECORDS[:200]])
    constants = [make_pixels.mean_iou(true, np.full_like(true, number), 3) for number in range(3)]
    assert max(constants) < 0.35
    assert curves["val_mean_iou"][-1] > max(constants) + 0.4
    assert curves["val_pixel_accuracy"][-1] > 0.95


def test_the_exported_model_answers_a_mask_in_each_way(trained) -> None:
    job, curves = trained
    loaded = tf.saved_model.load(job.export)
    pictures, true = zip(*map(columns_of, RECORDS[:200]), strict=True)
    served = loaded.signatures["serving_default"](tf.constant(RECORDS[:200]))
    asked = loaded.signatures["predict"](image=tf.constant(pictures))
    assert {name: (tensor.dtype.name, tensor.shape.as_list()[1:]) for name, tensor in served.items()} == {
        "mask": ("uint8", [32, 32]), "classes": ("string", [3]), "covers": ("float32", [4]),
    }  # fmt: skip
    np.testing.assert_array_equal(served["mask"], asked["mask"])
    assert served["classes"].numpy()[0].tolist() == [b"background", b"disc", b"box"]
    np.testing.assert_array_equal(served["covers"], [[0, 0, 1, 1]] * 200)
    assert make_pixels.mean_iou(np.stack(true), served["mask"].numpy(), 3) == pytest.approx(
        curves["val_mean_iou"][-1], abs=1e-5
    )
    assert not Path(f"{job.export}/{HEAD}").exists()
