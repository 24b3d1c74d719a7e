"""Augmentation in training: augmenting hub modules, cached views, mixup, and a model that contains none of them."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.preprocessing.kinds import image as image_kind
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.trainer import datasets, inputs, randomness
from hubline.trainer import train as training
from hubline.trainer.augment import augmented
from hubline.trainer.augment_hub import changing, modules_by_feature, try_out_changing
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import CachedVectors, column
from hubline.trainer.export_format import HEAD
from hubline.trainer.kept import Kept
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.multilabel import Multilabel
from hubline.trainer.labels.parts import task_of
from hubline.trainer.metrics.in_training import metrics_of
from hubline.trainer.module_fit import check_fits
from hubline.trainer.phases import phases
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import open_module
from hubline.trainer.train import Job, train
from tests.support import augmenting_modules, example_data, hub_modules, tf1_hub_modules
from tests.support import job as make_job

PHOTO = ImageFeature(kind="image", size=(8, 8), **{"from": "image"})
FEATURES: Features = {"photo": PHOTO}
RECORDS = example_data.labelled(60)
LABEL = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
BACKBONE = Hub(handle="module", inputs={"images": "photo"})
INVERTING = Hub(handle="inverting", inputs={"images": "photo"}, role="augment")
PICTURE = np.random.default_rng(0).random([8, 8, 3], np.float32)


def seed(number: int) -> tf.Tensor:
    return tf.constant([3, number], tf.int64)


@pytest.mark.both_stacks
def test_a_module_changes_pictures_as_its_seed_says(tmp_path: Path) -> None:
    change = changing(INVERTING, open_module(str(augmenting_modules.inverting(tmp_path / "m"))), FEATURES)
    got = [change(tf.constant(PICTURE), seed(number)).numpy() for number in range(20)]
    inverted = [np.allclose(one, 1 - PICTURE) for one in got]
    assert all(is_so or np.allclose(one, PICTURE) for one, is_so in zip(got, inverted, strict=True))
    assert 3 <= sum(inverted) <= 17
    assert inverted == [np.allclose(change(tf.constant(PICTURE), seed(number)), 1 - PICTURE) for number in range(20)]


@pytest.mark.parametrize(
    "make_module", [augmenting_modules.keras_layers, lambda path: augmenting_modules.inverting(path, False)]
)
def test_a_module_that_takes_no_seed_draws_by_itself(tmp_path: Path, make_module: Callable) -> None:
    change = tf.function(changing(INVERTING, open_module(str(make_module(tmp_path / "m"))), FEATURES))
    got = {change(tf.constant(PICTURE), seed(0)).numpy().tobytes() for _ in range(40)}
    assert len(got) == 2


@pytest.mark.parametrize("wanted", [True, False])
def test_a_tf1_module_takes_files_and_arguments(tmp_path: Path, wanted: bool) -> None:
    arguments = {"image_size": (8, 8), "augmentation": wanted}
    hub = Hub(handle="m", role="augment", inputs={"encoded_images": "photo"}, arguments=arguments)
    opened = open_module(str(tf1_hub_modules.augmenting(tmp_path / "m")))
    try_out_changing(hub, opened, FEATURES)
    got = changing(hub, opened, FEATURES)(tf.constant(PICTURE), seed(0))
    np.testing.assert_allclose(got, 1 - PICTURE if wanted else PICTURE, atol=0.51 / 255)


def test_a_module_sees_0_to_1_whatever_the_range_of_the_feature(tmp_path: Path) -> None:
    wide: Features = {"photo": PHOTO.model_copy(update={"value_range": (-1.0, 1.0)})}
    spec = hub_modules.IMAGES
    path = hub_modules.module(tmp_path / "m", spec, lambda images: tf.ones_like(images) * tf.reduce_max(images))
    opened = open_module(str(path))
    np.testing.assert_allclose(changing(INVERTING, opened, wide)(tf.ones([8, 8, 3]), seed(0)), 1)
    np.testing.assert_allclose(changing(INVERTING, opened, wide)(tf.zeros([8, 8, 3]), seed(0)), 0)


@pytest.mark.parametrize(
    ("function", "says"),
    [
        (lambda x: tf.reduce_mean(x, [1, 2]), r"returns images of shape \[3\] from images of shape \[8, 8, 3\]"),
        (lambda x: 255 * x, r"from \d.* to 25\d.*; an augmenting module must return 0 to 1"),
        (lambda x: tf.cast(x, tf.uint8), "'default' is uint8.*, not images"),
        (lambda x: x[:, 1:], r"returns images of shape \[7, 8, 3\] from images of shape \[8, 8, 3\]"),
    ],
)
def test_what_gives_no_pictures_does_not_augment(tmp_path: Path, function: Callable, says: str) -> None:
    path = hub_modules.module(tmp_path / "m", hub_modules.IMAGES, function)
    with pytest.raises(UserError, match=says):
        try_out_changing(INVERTING, open_module(str(path)), FEATURES)


def test_a_module_of_another_size_says_what_would_fit(tmp_path: Path) -> None:
    path = augmenting_modules.inverting(tmp_path / "m", shape=[16, 16, 3])
    with pytest.raises(UserError, match=r"takes float32\[\?, 16, 16, 3\].*give the feature size: \[16, 16\]"):
        try_out_changing(INVERTING, open_module(str(path)), FEATURES)


class Halving(tf.Module):
    """Returns images of half the height, with or without declaring it."""

    def __init__(self, says: bool) -> None:
        super().__init__()
        self.says = says

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32)])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return images[:, :4] if self.says else tf.image.resize(images, [tf.shape(images)[1] // 2, 8])


@pytest.mark.parametrize("says", [True, False])
def test_a_module_that_gives_another_size_says_which(tmp_path: Path, says: bool) -> None:
    tf.saved_model.save(Halving(says), str(tmp_path / "m"))
    reason = (
        r"returns images of shape \[4, 8, 3\] from images of shape \[8, 8, 3\]; an augmenting module must keep the size"
    )
    with pytest.raises(UserError, match=reason):
        try_out_changing(INVERTING, open_module(str(tmp_path / "m")), FEATURES)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    raw = make_job.schema("presence {min_fraction: 1} shape {dim {size: 1}}", image="BYTES", label="INT")
    paths = {
        "mean": str(hub_modules.mean_colour(folder / "module")),
        "inverting": str(augmenting_modules.inverting(folder / "inverting")),
    }
    hubs: Hubs = {"mean": BACKBONE}

    def split(name: str, records: list[bytes]) -> training.Split:
        return make_job.split(folder / name, [records], FEATURES, hubs, paths, raw)

    return Job(
        features=FEATURES,
        label=LABEL,
        hubs={"mean": BACKBONE, "inverting": INVERTING},
        model=Model(head=Head()),
        training=Training(epochs=1, batch_size=8, optimizer=Optimizer(learning_rate=0.1)),
        schema=raw,
        transform=make_job.transform_graph(folder, RECORDS, FEATURES, LABEL, raw),
        module_paths=paths,
        train=split("train", RECORDS[:40]),
        validation=split("validation", RECORDS[40:]),
        vectors=CachedVectors(sizes={"mean": 6}, recipe="the recipe"),
        views=1,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
    )


EVERYTHING = (
    {"flip_left_right": True},
    {"rotate": 20},
    {"crop": 0.2},
    {"hue": 0.1},
    {"cutout": 0.3},
    {"hub": "inverting"},
    {"mixup": 0.3},
)


def with_augment(job: Job, folder: Path, *how: dict, **options) -> Job:
    places = {name: str(folder / name) for name in ("checkpoints", "logs", "export")}
    said = {**job.training.model_dump(exclude_none=True), "augment": how, **options}
    return dataclasses.replace(job, **places, training=Training.model_validate(said))


def test_the_model_that_is_served_knows_nothing_of_augmentation(job: Job, tmp_path: Path, monkeypatch) -> None:
    # With step size zero, the weights are the initial ones from the seed, with and without augmentation.
    still = {"optimizer": {"name": "sgd", "learning_rate": 1e-30}}
    serialized, exported = [], []
    for name, how in (("with", EVERYTHING), ("without", ())):
        one = with_augment(job, tmp_path / name, *how, **still)
        train(dataclasses.replace(one, model=Model(fine_tune={"mean": FineTune(after_epochs=0, learning_rate=1e-30)})))
        exported.append(tf.saved_model.load(one.export))
        content = Path(one.export, "saved_model.pb").read_bytes()
        serialized.append(SavedModel.parse(content, "model").operations)
    assert not {operation for operation in serialized[0] if "Random" in operation or "Projective" in operation}
    assert serialized[0] == serialized[1]
    scores = [model.signatures["serving_default"](examples=tf.constant(RECORDS))["scores"] for model in exported]
    np.testing.assert_array_equal(*scores)


def test_training_sees_changed_pictures_and_validation_never(job: Job, tmp_path: Path) -> None:
    changed = with_augment(job, tmp_path, {"hub": "inverting"}, {"mixup": 0.3}, shuffle_buffer=1)
    (phase,) = phases(changed.model, changed.training)
    assert not phase.on_vectors
    task = task_of(LABEL, job.transform, job.label_spec).mixable()
    transform = job.transform.transform_features_layer()
    seen = {}
    for name, split in (("train", changed.train), ("validation", changed.validation)):
        data = datasets.batches(changed, task, transform, split, str(tmp_path / name), phase)
        batches = list(data.as_numpy_iterator())
        seen[name] = (
            np.concatenate([one["photo"] for one, _ in batches]),
            np.concatenate([label for _, label in batches]),
        )
    encoded = [tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0] for record in RECORDS]
    truth = np.stack([image_kind.pixels(PHOTO, tf.constant(one)).numpy() for one in encoded])
    np.testing.assert_array_equal(seen["validation"][0], truth[40:])
    assert set(seen["validation"][1].flat) == {0, 1}
    assert 0 < seen["train"][1].min() < 0.5 or len(set(seen["train"][1].flat)) > 2
    assert not np.array_equal(np.sort(seen["train"][0].mean(axis=(1, 2, 3))), np.sort(truth[:40].mean(axis=(1, 2, 3))))


def test_kept_views_are_of_the_pictures_that_training_would_see(job: Job, tmp_path: Path) -> None:
    augment = tuple(Augmentation.model_validate(how) for how in EVERYTHING[:-1])
    kept = Kept(views=3, splits=("train",), augment=augment, seed=5)
    assert set(kept.hubs(job.hubs)) == {"mean", "inverting"}
    assert set(Kept(views=1, splits=()).hubs(job.hubs)) == {"mean"}
    spec = {"image": tf.io.FixedLenFeature([1], tf.string)}
    embedder = Embedder(job.hubs, job.module_paths, FEATURES, spec)
    path = example_data.write_tfrecord(tmp_path / "records", RECORDS[:6])
    made = embedder.embed(str(path), 6, str(tmp_path / "rows"), 3, augment, 5)
    assert made.sizes == {"mean": 6}  # and none for the augmenting module
    rows = tf.io.parse_example(example_data.read_tfrecord(tmp_path / "rows"), job.vectors.spec(3))[
        column("mean")
    ].numpy()
    modules = modules_by_feature(job.hubs, job.module_paths, FEATURES)["photo"]
    for number, record in enumerate(RECORDS[:6]):
        encoded = tf.train.Example.FromString(record).features.feature["image"].bytes_list.value[0]
        pixels = image_kind.pixels(PHOTO, tf.constant(encoded))
        for view in range(3):
            drawn_by = tf.constant([5 + (view << 32), number], tf.int64)
            seen = augmented(augment, pixels, drawn_by, modules).numpy() / 255
            expected = np.concatenate([seen.mean(axis=(0, 1)), seen.std(axis=(0, 1))])
            np.testing.assert_allclose(rows[number, view], expected, atol=2e-2)


@pytest.mark.parametrize(("fit", "form"), [("pad", "PNG"), ("crop_or_pad", "JPEG")])
def test_kept_vectors_and_the_exported_model_see_images_alike(job: Job, tmp_path: Path, fit: str, form: str) -> None:
    features: Features = {"photo": PHOTO.model_copy(update={"fit": fit, "standardize": "per_image"})}
    pictures = [example_data.random_image(number, 6 + number % 7, 14 - number % 9, form) for number in range(24)]
    records = [example_data.record(image=picture, label=number % 2) for number, picture in enumerate(pictures)]
    rows = make_job.split(tmp_path, [records], features, {"mean": BACKBONE}, job.module_paths, job.schema)
    one = dataclasses.replace(with_augment(job, tmp_path), features=features, train=rows, validation=rows)
    train(one)
    kept = tf.io.parse_example(example_data.read_tfrecord(rows.rows[0]), job.vectors.spec(1))[column("mean")].numpy()
    for vectors, picture in zip(kept.reshape(24, 6), pictures, strict=True):
        seen = image_kind.pixels(features["photo"], tf.constant(picture)).numpy().astype(float)  # eagerly
        seen = (seen - seen.mean()) / seen.std()
        np.testing.assert_allclose(vectors, [*seen.mean(axis=(0, 1)), *seen.std(axis=(0, 1))], atol=1e-4)
    model, head = tf.saved_model.load(one.export), tf.saved_model.load(f"{one.export}/{HEAD}")
    by_record = model.signatures["serving_default"](examples=tf.constant(records))["scores"]
    by_row = head.signatures["serving_default"](examples=tf.constant(example_data.read_tfrecord(rows.rows[0])))[
        "scores"
    ]
    np.testing.assert_allclose(by_record, by_row, atol=1e-5)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            tf.TensorSpec([None, 8, 8, 3], tf.uint8),
            "takes uint8, pixels from 0 to 255; leave standardize out of 'photo'",
        ),
        (tf.TensorSpec([None], tf.string), "takes image files; leave standardize out of 'photo'"),
    ],
)
def test_what_takes_no_floats_takes_no_standardized_images(tmp_path: Path, spec: tf.TensorSpec, says: str) -> None:
    features: Features = {"photo": PHOTO.model_copy(update={"standardize": "per_image"})}
    path = hub_modules.module(tmp_path / "m", spec, lambda given: tf.zeros([tf.shape(given)[0], 2]))
    with pytest.raises(UserError, match=says):
        check_fits(open_module(str(path)).offer, BACKBONE, features)


def test_it_learns_from_mixtures(job: Job, tmp_path: Path) -> None:
    curves = train(with_augment(job, tmp_path, {"mixup": 0.4}, epochs=8))
    assert curves["val_accuracy"][-1] > 0.9
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}


def test_classes_are_mixed_by_hand() -> None:
    task = Classes(["a", "b", "c"]).mixable()
    target = np.array(task.target(tf.constant([0, 2], tf.int64)))
    np.testing.assert_array_equal(target, [[1, 0, 0], [0, 0, 1]])
    mixture = (0.7 * target[0] + 0.3 * target[1])[np.newaxis].astype(np.float32)
    logits = np.array([[2.0, 0.0, 1.0]], np.float32)
    shares = np.exp(logits) / np.exp(logits).sum()
    expected = -(0.7 * np.log(shares[0, 0]) + 0.3 * np.log(shares[0, 2]))
    assert float(task.loss()(mixture, logits)) == pytest.approx(expected, rel=1e-5)
    (accuracy,) = metrics_of("class", task, ["accuracy"])
    accuracy.update_state(mixture, logits)
    assert float(accuracy.result()) == 1  # of the class with the larger share
    answer, same = (one.answer(tf.constant(logits)) for one in (task, Classes(["a", "b", "c"])))
    assert answer["label"].numpy().tolist() == same["label"].numpy().tolist() == [b"a"]


def test_metrics_of_mixed_sets_of_classes_are_of_the_greater_part() -> None:
    assert MultilabelLabel(kind="multilabel", **{"from": "tags"}).can_be_mixed
    task = Multilabel(["a", "b", "c", "d"], threshold=0.5)
    mixture = np.array([[1.0, 0.7, 0.3, 0.0]], np.float32)  # of {a, b} by 0.7 and {a, c} by 0.3
    logits = np.array([[3.0, 2.0, -2.0, 1.0]], np.float32)
    accuracy, f1 = metrics_of("multilabel", task, ["binary_accuracy", "f1"])
    for metric in (accuracy, f1):
        metric.update_state(mixture, logits)
    assert float(accuracy.result()) == pytest.approx(0.75)
    assert float(f1.result()) == pytest.approx(2 * 2 / (2 * 2 + 1))  # a, b and also d are predicted


def test_changes_go_to_the_feature_of_their_module_alone(job: Job) -> None:
    modules = modules_by_feature(job.hubs, job.module_paths, FEATURES)
    picture = np.full([8, 8, 3], 40, np.uint8)
    examples = tf.data.Dataset.from_tensors({"photo": picture, "other": picture, inputs.ROW: b""}).repeat(12)
    augment = (Augmentation(hub="inverting"),)
    seen = list(randomness.changed(examples, augment, 0, 0, modules).as_numpy_iterator())
    assert {int(one["other"][0, 0, 0]) for one in seen} == {40}
    assert {int(one["photo"][0, 0, 0]) for one in seen} == {40, 215}
