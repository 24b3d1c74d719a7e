"""Label `pixels`: from records through the input path and a full training to the exported model."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer import datasets
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.export_format import HEAD
from hubline.trainer.labels.parts import task_of
from hubline.trainer.phases import kept_for, phases
from hubline.trainer.train import Job, train
from tests.support import example_data
from tests.support import job as make_job
from tests.support import pixels as make_pixels

HUBS: Hubs = {"maps": Hub(handle="module", inputs={"images": "photo"}, outputs=("block1", "block2", "block3"))}
RAW = make_job.schema(image="BYTES", mask="BYTES", turn="INT")


def job_of(folder: Path, records: list[bytes], module: Path, label=None, features=None, head=None, **settings) -> Job:
    label, features = label or make_pixels.label(), features or make_pixels.features()
    described = Training.model_validate({"epochs": 1, "batch_size": 32} | settings)
    model = Model(head=head or Head(channels=(24, 16, 8)))
    kept = kept_for(model, described, needs_pictures=True)
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
        vectors=CachedVectors(sizes={}, recipe="the recipe"),
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
    """The encoded image, and the mask."""
    columns = tf.train.Example.FromString(record).features.feature
    image, mask = (columns[name].bytes_list.value[0] for name in ("image", "mask"))
    return image, tf.io.decode_png(mask).numpy()[..., 0]


def test_it_learns_more_than_the_best_constant(trained) -> None:
    _, curves = trained
    assert set(curves) - {"learning_rate"} == {
        f"{val}{name}" for val in ("", "val_") for name in ("loss", "pixel_accuracy", "mean_iou")
    }
    true = np.stack([columns_of(record)[1] for record in RECORDS[:200]])
    constants = [make_pixels.mean_iou(true, np.full_like(true, number), 3) for number in range(3)]
    assert max(constants) < 0.35
    assert curves["val_mean_iou"][-1] > max(constants) + 0.4
    assert curves["val_pixel_accuracy"][-1] > 0.95


_MUCH = [
    "flip_left_right",
    {"crop": {"area": [0.4, 1.0], "aspect_ratio": [0.6, 1.6]}},
    {"rotate": 90},
    {"contrast": 0.1},
]


@pytest.mark.parametrize(
    ("fit", "augment"),
    [
        ("stretch", ["flip_left_right", "flip_up_down"]),
        ("stretch", [{"crop": 0.4}]),
        ("stretch", [{"rotate": 30}]),
        *((fit, augment) for fit in ("crop", "pad", "crop_or_pad") for augment in ([], _MUCH)),
    ],
)
def test_in_training_the_mask_stays_on_what_it_is_of(tmp_path: Path, fit: str, augment: list) -> None:
    rng = np.random.default_rng(1)
    sizes = [(40, 40), (30, 50), (56, 28), (33, 60)]
    drawn = [make_pixels.shapes(rng, *sizes[number % 4]) for number in range(24)]
    # The background is blue, so that it differs from the padding.
    records = [
        make_pixels.record(np.where(numbers[..., None] > 0, pixels, [0, 0, 200]).astype(np.uint8), numbers)
        for pixels, numbers in drawn
    ]
    features, label = make_pixels.features(fit=fit), make_pixels.label()
    files = make_job.split(tmp_path, [records], features, {}, {}, RAW)
    described = Training.model_validate({"epochs": 3, "augment": augment})
    job = Job(
        features, label, HUBS, Model(), described, RAW, None,  # type: ignore[arg-type]
        {}, files, files, CachedVectors(sizes={}, recipe=""), 0, "", "", "",
    )  # fmt: skip
    (phase,) = phases(job.model, job.training, needs_pictures=True)
    assert not phase.on_vectors
    task = task_of(label, None, {})  # type: ignore[arg-type]
    epoch = tf.Variable(0, dtype=tf.int64)
    data = datasets.batches(job, task, None, files, str(tmp_path / "scratch"), phase, epoch)  # type: ignore[arg-type]

    def two_epochs() -> Iterator[tuple]:
        for number in range(2):
            epoch.assign(number)
            yield from data

    wrong, looks = [], set()
    for inputs, target in two_epochs():
        pictures, masks = inputs["photo"].numpy(), target.numpy()[..., 0]
        assert masks.dtype == np.uint8
        looks |= {picture.tobytes() for picture in pictures}
        expected = np.choose(pictures.argmax(axis=-1), [1, 2, 0])
        expected = np.where(pictures.max(axis=-1) < 70, LEFT_OUT, expected)
        wrong.append((masks != expected).mean())
        assert {0, 1, 2} <= set(masks.ravel().tolist())
    assert np.mean(wrong) < 0.05  # at the edges of shapes, where colours mix
    assert (len(looks) > 24) == bool(augment)


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


@pytest.mark.both_stacks
def test_a_record_with_a_wrong_mask_has_no_row_and_rows_hold_no_masks(tmp_path: Path) -> None:
    pixels, numbers = make_pixels.shapes(np.random.default_rng(0))
    records = [
        make_pixels.record(pixels, numbers, turn=0),
        make_pixels.record(pixels, numbers[:30], turn=1),
        make_pixels.record(pixels, np.where(numbers == 2, 7, numbers).astype(np.uint8), turn=2),
        make_pixels.record(pixels, numbers, turn=3),
    ]
    source = example_data.write_tfrecord(tmp_path / "records", records)
    spec = parsing_spec(RAW, ["image", "mask"])
    embedder = Embedder({}, {}, make_pixels.features(), spec, make_pixels.label())
    embedded = embedder.embed(str(source), 4, str(tmp_path / "rows"), 1, (), 0)
    assert (embedded.count, embedded.undecodable) == (2, (1, 2))
    rows = [tf.train.Example.FromString(row).features.feature for row in example_data.read_tfrecord(tmp_path / "rows")]
    assert [(list(row), row["turn"].int64_list.value[0]) for row in rows] == [(["turn"], 0), (["turn"], 3)]
