"""Label `class_and_box`: from records through the input path and a full training to the exported model."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.columns import parsing_spec, present
from hubline.preprocessing.kinds.kind import TransformContext
from hubline.trainer import datasets, inputs
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.export_format import HEAD
from hubline.trainer.labels.parts import needs_pictures, task_of
from hubline.trainer.phases import kept_for, phases
from hubline.trainer.train import Job, train
from tests.support import boxes as make_boxes
from tests.support import example_data
from tests.support import job as make_job

HUBS: Hubs = {"places": Hub(handle="module", inputs={"images": "photo"})}
RAW = make_job.schema(image="BYTES", boxes="FLOAT", box_labels="BYTES", turn="INT")


def job_of(folder: Path, records: list[bytes], module: Path, label=None, features=None, **settings) -> Job:
    label, features = label or make_boxes.label(), features or make_boxes.features()
    described = Training.model_validate({"epochs": 1, "batch_size": 32} | settings)
    model = Model(head=Head(hidden=(128,)))
    kept = kept_for(model, described, needs_pictures=needs_pictures(label, features))
    third = len(records) // 3
    fed, modules = (HUBS if kept.views else {}), {"places": str(module)}
    return Job(
        features=features,
        label=label,
        hubs=HUBS,
        model=model,
        training=described,
        schema=RAW,
        transform=make_job.transform_graph(folder, records, features, label, RAW),
        module_paths=modules,
        train=make_job.split(folder / "train", [records[third:]], features, fed, modules, RAW, kept),
        validation=make_job.split(folder / "validation", [records[:third]], features, fed, modules, RAW, kept),
        vectors=CachedVectors(sizes={"places": 192}, recipe="the recipe"),
        views=kept.views,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
    )


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    return make_boxes.module(tmp_path_factory.mktemp("module") / "places")


def bounds(picture: np.ndarray) -> np.ndarray:
    """Box around the bright area of an image, as fractions."""
    rows, columns = np.nonzero(picture.max(axis=2) > 127)
    height, width, _ = picture.shape
    return np.array(
        [rows.min() / height, columns.min() / width, (rows.max() + 1) / height, (columns.max() + 1) / width]
    )


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
        ("stretch", [{"rotate": 15}]),
        *((fit, augment) for fit in ("crop", "pad", "crop_or_pad") for augment in ([], _MUCH)),
    ],
)
def test_in_training_the_box_stays_around_what_is_in_it(tmp_path: Path, fit: str, augment: list) -> None:
    rng = np.random.default_rng(1)
    sizes = [(40, 40), (30, 50), (56, 28), (33, 60)]
    records = [make_boxes.record(*make_boxes.rectangle(rng, *sizes[number % 4])) for number in range(480)]
    features, label = make_boxes.features(size=(32, 32), fit=fit), make_boxes.label()
    spec = parsing_spec(RAW, label.columns)

    def transform(parsed: dict) -> dict:
        return label.transform(TransformContext(lambda column: present(parsed[column]), None))  # type: ignore[arg-type]

    files = make_job.split(tmp_path, [records], features, {}, {}, RAW)
    job = Job(
        features, label, HUBS, Model(), Training.model_validate({"epochs": 3, "augment": augment}), RAW, None,  # type: ignore[arg-type]
        {}, files, files, CachedVectors(sizes={}, recipe=""), 1, "", "", "",
    )  # fmt: skip
    phase = dataclasses.replace(phases(job.model, job.training, needs_pictures=True)[0], on_vectors=False)
    task = task_of(label, None, spec)  # type: ignore[arg-type]
    data = datasets.batches(job, task, transform, files, str(tmp_path / "scratch"), phase)
    turns = any("rotate" in each for each in augment)
    seen = whole = 0
    lost = []
    for pictures, target in (batch for _ in range(2) for batch in data):
        for picture, (index, *box) in zip(pictures["photo"].numpy(), target.numpy(), strict=True):
            is_bright = picture.max(axis=2) > 127
            if not any(box):
                lost.append(is_bright.mean())
                continue
            around, close = bounds(picture), 1.6 / 32
            if turns and (min(box) < 0.01 or max(box) > 0.99):
                # In a rotated box, the corner that is cut off may be the one that extended furthest.
                assert (around[:2] >= np.array(box[:2]) - close).all()
                assert (around[2:] <= np.array(box[2:]) + close).all()
            else:
                np.testing.assert_allclose(box, around, atol=close)
                whole += 1
            inside = picture[is_bright].sum(axis=0)
            assert np.argmax(inside) == index  # the class belongs to the same object
            seen += 1
    assert seen > 60
    assert whole
    assert not lost or fit.startswith("crop") or any(isinstance(each, dict) for each in augment)
    if lost:
        # Less than a quarter of the box around a lost object is visible. That box is largest if a rectangle of
        # 16 x 30 in the fitted image (of 33 x 60) is turned by 45 degrees and enlarged by a crop to 0.4 of the area.
        assert max(lost) < (16 + 30) ** 2 / 2 / 32**2 / 0.4 / 4
        assert np.mean(lost) < 0.06  # most are far smaller


RECORDS = make_boxes.rectangles(1500)


@pytest.fixture(scope="module")
def trained(tmp_path_factory, module: Path) -> tuple[Job, dict[str, list[float]]]:
    folder = tmp_path_factory.mktemp("trained")
    job = job_of(folder, RECORDS, module, epochs=30, optimizer=Optimizer(learning_rate=0.005))
    return job, train(job)


def test_it_learns_both_and_says_so(trained) -> None:
    _, curves = trained
    assert set(curves) - {"learning_rate"} == {
        f"{val}{name}" for val in ("", "val_") for name in ("loss", "accuracy", "mean_iou")
    }
    boxes = np.stack([read_box(record) for record in RECORDS[:500]])
    assert curves["val_accuracy"][-1] > 0.95
    assert curves["val_mean_iou"][-1] > make_boxes.best_constant_iou(boxes) + 0.3


def read_box(record: bytes) -> np.ndarray:
    return np.array(tf.train.Example.FromString(record).features.feature["boxes"].float_list.value)


@pytest.mark.both_stacks
def test_the_exported_model_answers_with_a_box_in_each_way(trained) -> None:
    job, curves = trained
    loaded = tf.saved_model.load(job.export)
    served = loaded.signatures["serving_default"](tf.constant(RECORDS[:500]))
    assert {name: tensor.shape.as_list()[1:] for name, tensor in served.items()} == {
        "label": [], "score": [], "classes": [2], "scores": [2], "box": [4],
    }  # fmt: skip
    images = [tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0] for record in RECORDS]
    asked = loaded.signatures["predict"](image=tf.constant(images[:500]))
    on_vectors = tf.saved_model.load(f"{job.export}/{HEAD}").signatures["serving_default"]
    rows = example_data.read_tfrecord(job.validation.rows[0])
    for said in (asked, on_vectors(tf.constant(rows))):
        np.testing.assert_allclose(said["box"], served["box"], atol=1e-4)
    box = served["box"].numpy()
    assert ((box >= 0) & (box <= 1)).all()
    assert (box[:, :2] <= box[:, 2:]).all()
    overlap = make_boxes.iou(box, np.stack([read_box(record) for record in RECORDS[:500]]))
    assert overlap.mean() == pytest.approx(curves["val_mean_iou"][-1], abs=1e-4)
    names = [
        tf.train.Example.FromString(record).features.feature["box_labels"].bytes_list.value[0] for record in RECORDS
    ]
    right = served["label"].numpy() == np.array(names[:500])
    assert right.mean() == pytest.approx(curves["val_accuracy"][-1], abs=1e-6)


@pytest.mark.parametrize("fit", ["crop", "pad", "crop_or_pad"])
def test_the_answer_is_in_the_picture_as_it_was_given(tmp_path: Path, module: Path, fit: str) -> None:
    rng = np.random.default_rng(2)
    drawn = [make_boxes.rectangle(rng, *((40, 28) if number % 2 else (26, 48))) for number in range(60)]
    records = [make_boxes.record(*each) for each in drawn]
    job = job_of(tmp_path, records, module, features=make_boxes.features(fit=fit), epochs=1)
    assert not job.views  # cached vectors would not know what was cropped
    train(job)
    assert not Path(f"{job.export}/{HEAD}").exists()
    loaded = tf.saved_model.load(job.export)
    # An image of the model's own size is not cropped; in the middle of a wider or taller image, the same area remains.
    pixels = rng.integers(0, 256, [32, 32, 3], np.uint8)
    same = loaded.signatures["predict"](image=tf.constant([example_data.image_bytes(pixels)]))["box"].numpy()[0]
    for down, across in ((0, 8), (5, 0)):
        if fit == "pad":  # which shows the whole of the larger image
            wide = np.pad(pixels, ((down, down), (across, across), (0, 0)))
            small = tf.image.resize_with_pad(wide, 32, 32).numpy().round().astype(np.uint8)
            seen = loaded.signatures["predict"](image=tf.constant([example_data.image_bytes(small)]))["box"].numpy()[0]
            side = max(wide.shape)
            size = np.array([wide.shape[0], wide.shape[1]] * 2)
            offset = np.array([(side - wide.shape[0]) / 2, (side - wide.shape[1]) / 2] * 2)
            expected = np.clip((seen * side - offset) / size, 0, 1)
        else:
            wide = np.pad(pixels, ((down, down), (across, across), (0, 0)))
            size = np.array([32 + 2 * down, 32 + 2 * across] * 2)
            expected = (same * 32 + np.array([down, across] * 2)) / size
        found = loaded.signatures["predict"](image=tf.constant([example_data.image_bytes(wide)]))["box"].numpy()[0]
        np.testing.assert_allclose(found, expected, atol=2.5 / 32 if fit == "pad" else 1e-5)


def test_classes_that_are_not_given_are_those_of_the_objects_that_count(tmp_path: Path) -> None:
    small, large = [0.0, 0.0, 0.25, 0.25], [0.25, 0.25, 1.0, 1.0]
    several = {"boxes": example_data.feature(*small, *large), "image": example_data.random_image(0)}
    records = [
        example_data.record(box_labels=example_data.feature("never", "dog"), **several),
        example_data.record(box_labels=example_data.feature("cat", "dog"), **several),
        example_data.record(box_labels=example_data.feature("dog", "cat"), **several),
    ]
    label = make_boxes.label(classes=None)
    graph = make_job.transform_graph(tmp_path, records, make_boxes.features(), label, RAW)
    assert label.class_names(graph) == ["dog", "cat"]
    unknown = example_data.record(box_labels=example_data.feature("dog", "never"), **several)
    parse = inputs.parsing(parsing_spec(RAW, label.columns), graph.transform_features_layer())
    _, target = parse(tf.constant([*records, unknown]))
    assert target.numpy().tolist() == [[index, *large] for index in (0, 0, 1, -1)]
    known = inputs.with_known_class(tf.data.Dataset.from_tensor_slices([*records, unknown]), parse)
    assert list(known.as_numpy_iterator()) == records
