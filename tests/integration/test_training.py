"""Transform graph, training and export together, with TensorFlow and TF Transform only."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorflow_metadata.proto.v0 import schema_pb2

from hubline.core.errors import DataError, RunError
from hubline.preprocessing.columns import parsing_spec, present
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer import datasets, untrained
from hubline.trainer import train as training
from hubline.trainer.callbacks import Progress
from hubline.trainer.checkpoints import Interval
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.tensorboard import TensorBoard
from hubline.trainer.config.training import Training
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import CachedVectors, column
from hubline.trainer.export_format import HEAD, recipe_of
from hubline.trainer.inputs import bytes_of_pixels, encoded_images
from hubline.trainer.kept import Kept
from hubline.trainer.labels.parts import task_of
from hubline.trainer.memo import Memo
from hubline.trainer.model import TunedModel
from hubline.trainer.phases import phases
from hubline.trainer.randomness import Epoch
from hubline.trainer.tensorboard import training_images
from hubline.trainer.train import Job, Split, train
from tests.support import example_data, hub_modules
from tests.support import job as make_job

FEATURES: Features = {"photo": ImageFeature(kind="image", size=(8, 8), **{"from": "image"})}


ONE, AT_MOST_ONE = "presence {min_fraction: 1} shape {dim {size: 1}}", "value_count {min: 1 max: 1}"
"""In schema notation: always one value; or, if some records lack the column, no fixed shape."""


def schema(label_type: str, shape: str = ONE) -> schema_pb2.Schema:
    return make_job.schema(shape, image="BYTES", label=label_type)


def transform_graph(folder: Path, records: Sequence[bytes], label: ClassLabel, raw: schema_pb2.Schema):
    return make_job.transform_graph(folder, records, FEATURES, label, raw)


@pytest.mark.parametrize(
    ("classes", "label_type", "values", "names", "indices"),
    [
        (("dark", "light"), "INT", [0, 1, 1], ["dark", "light"], [0, 1, 1]),
        (("dark", "light"), "BYTES", ["light", "dark", "light"], ["dark", "light"], [1, 0, 1]),
        (None, "BYTES", ["b", "a", "b"], ["b", "a"], [0, 1, 0]),
        (None, "INT", [70, 3, 70], ["70", "3"], [0, 1, 0]),
    ],
)
@pytest.mark.parametrize("shape", [ONE, AT_MOST_ONE])
def test_labels_become_class_indices(tmp_path, classes, label_type, values, names, indices, shape) -> None:
    label = ClassLabel(kind="class", **{"from": "label"}, classes=classes)
    records = [example_data.record(image=example_data.random_image(n), label=value) for n, value in enumerate(values)]
    raw = schema(label_type, shape)
    graph = transform_graph(tmp_path, records, label, raw)
    assert label.class_names(graph) == names
    parsed = tf.io.parse_example(records, parsing_spec(raw, ["image", "label"]))
    transformed = graph.transform_features_layer()({"label": parsed["label"]})
    assert transformed[LABEL].numpy().tolist() == indices
    assert set(transformed) == {LABEL}  # images bypass the graph
    assert label.names(lambda column: present(parsed[column])).numpy().tolist() == [
        names[index].encode() for index in indices
    ]
    encoded = encoded_images(FEATURES, parsed)
    assert encoded["photo"].numpy().tolist() == [example_data.random_image(n) for n in range(len(values))]


RECORDS = example_data.labelled(120)
HUBS: Hubs = {"mean": Hub(handle="module", inputs={"images": "photo"})}
VECTORS = CachedVectors(sizes={"mean": 6}, recipe="the recipe")


def split(folder: Path, files: Sequence[Sequence[bytes]], module: Path | str, kept: Kept | None = None) -> Split:
    return make_job.split(folder, files, FEATURES, HUBS, {"mean": str(module)}, schema("INT"), kept)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    label = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
    raw = schema("INT")
    module = hub_modules.mean_colour(folder / "module")
    return Job(
        features=FEATURES,
        label=label,
        hubs=HUBS,
        model=Model(head=Head(hidden=(8,), dropout=0.1)),
        training=Training(epochs=6, batch_size=16, optimizer=Optimizer(learning_rate=0.05)),
        schema=raw,
        transform=transform_graph(folder, RECORDS, label, raw),
        module_paths={"mean": str(module)},
        train=split(folder / "train", [RECORDS[0::3], RECORDS[1::3]], module),
        validation=split(folder / "validation", [RECORDS[2::3]], module),
        vectors=VECTORS,
        views=1,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
    )


@pytest.fixture
def fresh(job: Job, tmp_path: Path) -> Job:
    """The same job with its own folders."""
    places = {name: str(tmp_path / name) for name in ("checkpoints", "logs", "export")}
    return dataclasses.replace(job, **places)


@pytest.fixture(scope="module")
def exported(job: Job):
    curves = train(job)
    return curves, tf.saved_model.load(job.export)


def test_it_learns_and_says_so_by_epoch(exported, job: Job) -> None:
    curves, _ = exported
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy", "learning_rate"}
    assert all(len(values) == job.training.epochs for values in curves.values())
    assert curves["val_accuracy"][-1] > 0.95


def test_tensorboard_finds_its_logs(exported, job: Job) -> None:
    files = Path(job.logs).rglob("events.out.tfevents.*")
    assert {str(path.parent.relative_to(job.logs)) for path in files} == {".", "train", "validation"}
    logs = EventAccumulator(job.logs).Reload()
    assert {"_hparams_/session_start_info", "_hparams_/session_end_info"} <= set(logs.Tags()["tensors"])
    graph = logs.Graph()
    inputs = {node.name for node in graph.node if node.op == "Placeholder" and "shape" in node.attr}
    assert "given" in "".join(inputs) and graph.library.function  # the hub module's
    (event,) = logs.Tensors("photo")
    width, height, *encoded = tf.make_ndarray(event.tensor_proto)
    assert (int(width), int(height), len(encoded)) == (8, 8, 8)
    assert {tf.io.decode_png(image).numpy().tobytes() for image in encoded} <= pictures(mirrored=False)


def pictures(mirrored: bool) -> set[bytes]:
    """The pixels of all images of the training split."""
    columns = [tf.train.Example.FromString(item).features.feature for item in RECORDS]
    pixels = [tf.io.decode_png(each["image"].bytes_list.value[0], 3).numpy() for each in columns]
    return {(one[:, ::-1] if mirrored else one).tobytes() for one in pixels}


def test_tensorboard_shows_images_as_they_are_augmented(fresh: Job) -> None:
    training_config = Training(epochs=1, augment=("flip_left_right",), tensorboard=TensorBoard(images=20))
    job = dataclasses.replace(fresh, training=training_config)
    (first,) = phases(job.model, job.training)
    task = task_of(job.label, job.transform, job.label_spec)
    logged = training_images(job, task, job.transform.transform_features_layer(), first)["photo"].numpy()
    seen = {image.tobytes() for image in logged}
    assert len(logged) == 20 and seen <= pictures(mirrored=False) | pictures(mirrored=True)
    assert seen & pictures(mirrored=False) - pictures(mirrored=True)
    assert seen & pictures(mirrored=True) - pictures(mirrored=False)


def test_a_finished_run_leaves_no_checkpoint(exported, job: Job) -> None:
    assert not any(path.is_file() for path in Path(job.checkpoints).rglob("*"))


@pytest.mark.both_stacks
def test_both_signatures_answer_the_same_and_name_what_they_say(exported) -> None:
    _, model = exported
    columns = [tf.train.Example.FromString(item).features.feature for item in RECORDS]
    images = [column["image"].bytes_list.value[0] for column in columns]
    truth = [["dark", "light"][column["label"].int64_list.value[0]] for column in columns]
    by_example = model.signatures["serving_default"](examples=tf.constant(RECORDS))
    by_image = model.signatures["predict"](image=tf.constant(images))
    assert set(by_example) == {"label", "score", "classes", "scores"}
    for name, values in by_example.items():
        np.testing.assert_array_equal(values, by_image[name])
    scores = by_image["scores"].numpy()
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    assert by_image["classes"].numpy().tolist() == [[b"dark", b"light"]] * len(images)
    assert [label.decode() for label in by_image["label"].numpy()] == [
        ("dark", "light")[k] for k in scores.argmax(axis=1)
    ]
    np.testing.assert_array_equal(by_image["score"], scores.max(axis=1))
    assert (
        np.mean([label.decode() == true for label, true in zip(by_image["label"].numpy(), truth, strict=True)]) > 0.95
    )


def test_the_exported_model_needs_no_label_and_takes_any_image(exported) -> None:
    _, model = exported
    without_label = [example_data.record(image=example_data.random_image(1, 30, 20, form="JPEG"))]
    answer = model.signatures["serving_default"](examples=tf.constant(without_label))
    assert answer["scores"].shape == (1, 2)


def test_the_same_seed_gives_the_same_model(fresh: Job, exported) -> None:
    _, first = exported
    train(fresh)
    second = tf.saved_model.load(fresh.export)
    one, two = (m.signatures["serving_default"](examples=tf.constant(RECORDS))["scores"] for m in (first, second))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_an_interrupted_run_goes_on_from_its_last_epoch(fresh: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Progress.on_epoch_begin

    def interrupt(self, epoch, logs=None) -> None:
        if epoch == 4:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    monkeypatch.setattr(Interval, "EPOCH_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(Progress, "on_epoch_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(fresh)
    assert not Path(fresh.export).exists()
    curves = train(fresh)
    assert len(curves["loss"]) == fresh.training.epochs
    assert curves["val_accuracy"][-1] > 0.95


def test_a_loss_that_is_not_a_number_stops_and_leaves_nothing_to_go_on_from(fresh: Job) -> None:
    steps = Optimizer.model_validate({"name": "sgd", "learning_rate": 3e38, "global_clipnorm": None})
    wild = dataclasses.replace(fresh, training=Training(epochs=3, optimizer=steps), model=Model())
    with pytest.raises(
        RunError,
        match=r"the loss became .* in epoch 1; the label, the features and the hub module outputs are finite "
        r"\(the largest absolute value is [^,]*, in mean\); try a learning rate below 3e\+38",
    ):
        train(wild)
    assert not any(path.is_file() for path in Path(wild.checkpoints).rglob("*"))
    assert not Path(wild.export).exists()


def test_progress_counts_every_example_of_every_epoch(fresh: Job, caplog: pytest.LogCaptureFixture) -> None:
    two = dataclasses.replace(fresh, training=fresh.training.model_copy(update={"epochs": 2}))
    with caplog.at_level("INFO", "hubline.progress"):
        train(two)
    seen = [item.progress for item in caplog.records if hasattr(item, "progress")]  # type: ignore[attr-defined]
    assert seen[-1]["done"] == seen[-1]["total"] == 160
    assert [item["done"] for item in seen] == sorted(item["done"] for item in seen)
    assert all(item["values"]["per_second"] > 0 and 0 <= item["values"]["waiting_for_input"] <= 1 for item in seen)


def test_a_class_that_only_the_validation_split_has_is_passed_over(fresh: Job, tmp_path: Path) -> None:
    label = ClassLabel(kind="class", **{"from": "label"})
    seen = [example_data.record(image=example_data.random_image(n), label="ab"[n % 2]) for n in range(20)]
    unseen = [example_data.record(image=example_data.random_image(n), label="c") for n in range(5)]
    raw = schema("BYTES")
    job = dataclasses.replace(
        fresh,
        label=label,
        schema=raw,
        transform=transform_graph(tmp_path, seen, label, raw),
        train=split(tmp_path / "train", [seen], fresh.module_paths["mean"]),
        validation=split(tmp_path / "validation", [unseen + seen[:4]], fresh.module_paths["mean"]),
        training=Training(epochs=1),
    )
    assert np.isfinite(train(job)["val_loss"][0])


def test_one_class_alone_is_refused(fresh: Job, tmp_path: Path) -> None:
    label = ClassLabel(kind="class", **{"from": "label"})
    same = [example_data.record(image=example_data.random_image(n), label="a") for n in range(4)]
    graph = transform_graph(tmp_path, same, label, schema("BYTES"))
    with pytest.raises(DataError, match="has one class only, 'a'"):
        train(dataclasses.replace(fresh, label=label, transform=graph))


def test_a_run_cut_short_while_it_exports_does_not_train_again(fresh: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self, path: str, vectors: CachedVectors | None) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.ServingModel, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(fresh)
    with monkeypatch.context() as patch:
        patch.setattr(TunedModel, "train_step", None)
        assert len(train(fresh)["loss"]) == fresh.training.epochs
    assert Path(fresh.export, "saved_model.pb").exists()


def test_columns_and_features_of_any_name_can_be_served(fresh: Job, tmp_path: Path) -> None:
    column, names = "image/encoded (é)", ("label", "head", "hub_mean")
    features = {name: FEATURES["photo"].model_copy(update={"column": column}) for name in names}
    records = [example_data.record(**{column: example_data.random_image(n)}, label=n % 2) for n in range(10)]
    raw = make_job.schema(ONE, **{column: "BYTES", "label": "INT"})
    graph = make_job.transform_graph(tmp_path, records, features, fresh.label, raw)
    hubs = {name: Hub(handle="module", inputs={"images": name}) for name in names}
    module = fresh.module_paths["mean"]
    all_of_it = make_job.split(tmp_path / "all", [records], features, hubs, dict.fromkeys(hubs, module), raw)
    job = dataclasses.replace(
        fresh, features=features, hubs=hubs, schema=raw, transform=graph, train=all_of_it, validation=all_of_it,
        training=Training(epochs=1), module_paths=dict.fromkeys(hubs, module),
        vectors=CachedVectors(sizes=dict.fromkeys(hubs, 6), recipe=""),
    )  # fmt: skip
    train(job)
    model = tf.saved_model.load(job.export)
    answer = model.signatures["predict"](image_encoded____=tf.constant([example_data.random_image(0)]))
    by_example = model.signatures["serving_default"](examples=tf.constant(records[:1]))
    np.testing.assert_array_equal(answer["scores"], by_example["scores"])


def batches_of(job: Job, on_vectors: bool, scratch: str = "", epoch: Epoch = 0) -> tf.data.Dataset:
    """Training batches by epoch."""
    (phase,) = phases(job.model, job.training)
    phase = dataclasses.replace(phase, on_vectors=on_vectors)
    task = task_of(job.label, job.transform, {})
    transform = job.transform.transform_features_layer()
    return datasets.batches(job, task, transform, job.train, scratch, phase, epoch)


def examples_of(job: Job, on_vectors: bool, epochs: int) -> list[Counter]:
    """Training examples of each epoch: how often each occurs, by mean and label."""
    some = dataclasses.replace(job, training=job.training.model_copy(update={"epochs": epochs}))
    dataset = batches_of(some, on_vectors, f"{job.logs}/scratch").unbatch()
    (name,) = dataset.element_spec[0]
    assert name == (column("mean") if on_vectors else "photo")
    return [
        Counter(
            (round(float(tf.reduce_mean(tf.cast(inputs[name], tf.float32))), 3), int(label))
            for inputs, label in dataset
        )
        for _ in range(epochs)
    ]


@pytest.mark.parametrize("memory", [0, 1 << 40])
@pytest.mark.parametrize("epochs", [1, 2])
def test_every_epoch_gives_every_image_once_with_its_own_label(fresh, memory: int, epochs: int) -> None:
    fresh = dataclasses.replace(fresh, training=fresh.training.model_copy(update={"cache_bytes": memory}))
    expected = Counter()
    for item in RECORDS[0::3] + RECORDS[1::3]:
        columns = tf.train.Example.FromString(item).features.feature
        pixels = tf.cast(tf.io.decode_png(columns["image"].bytes_list.value[0]), tf.float32)
        expected[round(float(tf.reduce_mean(pixels)), 3), columns["label"].int64_list.value[0]] += 1
    assert examples_of(fresh, on_vectors=False, epochs=epochs) == [expected] * epochs
    kept = list(Path(fresh.logs).rglob("examples*"))
    assert bool(kept) == (epochs == 2 and memory == 0)


def test_kept_vectors_are_what_the_module_gives(fresh: Job) -> None:
    expected = Counter()
    module = tf.saved_model.load(fresh.module_paths["mean"])
    for item in RECORDS[0::3] + RECORDS[1::3]:
        columns = tf.train.Example.FromString(item).features.feature
        pixels = tf.cast(tf.io.decode_png(columns["image"].bytes_list.value[0]), tf.float32) / 255
        expected[round(float(tf.reduce_mean(module(pixels[tf.newaxis]))), 3), columns["label"].int64_list.value[0]] += 1
    assert examples_of(fresh, on_vectors=True, epochs=2) == [expected] * 2


def test_a_model_trained_on_kept_vectors_answers_as_one_trained_without(fresh: Job, tmp_path: Path) -> None:
    # Without shuffling: vectors and images are shuffled at different stages, and come in different orders.
    unshuffled = fresh.training.model_copy(update={"shuffle_buffer": 1})
    still = dataclasses.replace(fresh, model=Model(head=Head(hidden=(8,))), training=unshuffled)
    kept = train(still)
    again = dataclasses.replace(still, export=str(tmp_path / "whole"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            untrained,
            "phases",
            lambda *given: [dataclasses.replace(phase, on_vectors=False) for phase in phases(*given)],
        )
        whole = train(again)
    assert kept["loss"] == pytest.approx(whole["loss"], rel=1e-4)
    one, two = (
        tf.saved_model.load(path).signatures["serving_default"](examples=tf.constant(RECORDS))["scores"]
        for path in (still.export, again.export)
    )
    np.testing.assert_allclose(one, two, atol=1e-4)


def test_an_exported_model_answers_rows_as_it_answers_records(exported, job: Job) -> None:
    _, model = exported
    records = tf.constant(example_data.read_tfrecord(job.validation.records[0], "GZIP"))
    rows = tf.constant(example_data.read_tfrecord(job.validation.rows[0]))
    head = tf.saved_model.load(f"{job.export}/{HEAD}")
    by_row, by_record = (one.signatures["serving_default"](examples=of) for one, of in ((head, rows), (model, records)))
    np.testing.assert_allclose(by_row["scores"], by_record["scores"], atol=1e-5)
    np.testing.assert_array_equal(by_row["classes"], by_record["classes"])
    assert recipe_of(job.export) == "the recipe"


def test_the_module_is_trained_in_its_phase_only_and_by_its_own_rate(fresh: Job) -> None:
    def scale(after_epochs: int, learning_rate: float) -> np.ndarray:
        model = Model(fine_tune={"mean": FineTune(after_epochs=after_epochs, learning_rate=learning_rate)})
        export = f"{fresh.export}-{after_epochs}-{learning_rate}"
        curves = train(
            dataclasses.replace(fresh, model=model, training=Training(epochs=3, batch_size=16), export=export)
        )
        assert len(curves["loss"]) == 3
        loaded = tf.saved_model.load(export)
        assert recipe_of(export) == (VECTORS.recipe if after_epochs >= 3 else None)
        variables = (part for part in tf.train.TrackableView(loaded).descendants() if isinstance(part, tf.Variable))
        return next(variable.numpy() for variable in variables if variable.name == "scale:0")

    untouched, slow, fast = scale(3, 0.1), scale(2, 1e-4), scale(2, 1e-1)
    np.testing.assert_array_equal(untouched, np.ones(6))
    # Adam's first steps have the size of its learning rate: five of them, from 80 examples in batches of 16.
    assert 0 < np.abs(slow - 1).max() <= 5.5e-4 < np.abs(fast - 1).max() <= 0.55


def test_every_epoch_draws_one_of_the_kept_views(fresh: Job, tmp_path: Path) -> None:
    augment = (Augmentation(brightness=0.5),)
    kept = Kept(views=4, splits=("train",), augment=augment, seed=3)
    records = RECORDS[:8]
    seen = split(tmp_path / "views", [records], fresh.module_paths["mean"], kept)
    views = tf.io.parse_example(example_data.read_tfrecord(seen.rows[0]), VECTORS.spec(4))[
        "hubline.vector.mean"
    ].numpy()
    assert all(len({tuple(view) for view in of_one}) > 1 for of_one in views)
    again = split(tmp_path / "again", [records], fresh.module_paths["mean"], kept)
    assert example_data.read_tfrecord(seen.rows[0]) == example_data.read_tfrecord(again.rows[0])

    in_order = Training(epochs=30, batch_size=3, augment=augment, cache_views=4, shuffle_buffer=1)
    job = dataclasses.replace(fresh, train=seen, views=4, training=in_order)
    assert phases(job.model, job.training)[0].on_vectors
    epoch = tf.Variable(0, dtype=tf.int64)
    dataset = batches_of(job, on_vectors=True, epoch=epoch)
    assert int(dataset.cardinality()) == 3

    def views_of(number: int) -> np.ndarray:
        epoch.assign(number)
        return np.concatenate([inputs[column("mean")] for inputs, _ in dataset])

    drawn = np.array([views_of(number) for number in range(30)])
    choices = (drawn[:, :, np.newaxis] == views[np.newaxis]).all(axis=-1)
    assert (choices.sum(axis=-1) >= 1).all()  # each is a view of the same example
    used = choices.any(axis=0).sum(axis=-1)
    assert (used >= 3).all()  # of four views, in thirty epochs
    assert not (drawn[0] == drawn[1]).all()


def test_records_that_do_not_decode_have_no_row_and_are_passed_over(fresh: Job, tmp_path: Path) -> None:
    records = list(RECORDS[:30])
    for number in (0, 7, 29):
        records[number] = example_data.record(image=example_data.random_image(number)[:60], label=0)
    path = example_data.write_tfrecord(tmp_path / "records", records)
    spec = {"image": tf.io.FixedLenFeature([1], tf.string)}
    embedder = Embedder(HUBS, fresh.module_paths, FEATURES, spec)
    made = embedder.embed(str(path), 30, str(tmp_path / "rows"), 1, (), 0)
    assert (made.count, made.undecodable, made.sizes) == (27, (0, 7, 29), {"mean": 6})
    assert len(example_data.read_tfrecord(tmp_path / "rows")) == 27
    some = Split(records=[str(path)], rows=[str(tmp_path / "rows")], count=27, undecodable=made.undecodable)
    job = dataclasses.replace(fresh, train=some, validation=some)
    for on_vectors in (True, False):
        assert sum(examples_of(job, on_vectors, epochs=1)[0].values()) == 27


def test_rows_hold_every_column_but_the_images(fresh: Job, tmp_path: Path) -> None:
    records = [
        example_data.record(image=example_data.random_image(n), label=n % 2, name=f"n{n}", odd=n / 2) for n in range(5)
    ]
    rows = example_data.read_tfrecord(split(tmp_path / "all", [records], fresh.module_paths["mean"]).rows[0])
    for number, row in enumerate(rows):
        columns = tf.train.Example.FromString(row).features.feature
        assert set(columns) == {"label", "name", "odd", "hubline.vector.mean"}
        assert columns["name"].bytes_list.value == [f"n{number}".encode()]


def test_kept_bytes_decide_where_examples_are_kept() -> None:
    grey = ImageFeature(kind="image", size=(3, 2), channels=1)
    assert bytes_of_pixels(FEATURES | {"grey": grey}) == 8 * 8 * 3 + 3 * 2


def test_trainings_that_share_rows_get_the_same_batches_as_a_single_one(fresh: Job) -> None:
    shared = dataclasses.replace(fresh, memo=Memo())
    epoch = tf.Variable(0, dtype=tf.int64)
    alone, *several = (batches_of(job, True, epoch=epoch) for job in (fresh, shared, shared))
    orders = []
    for number in range(2):
        epoch.assign(number)
        expected = list(alone)
        for data in several:
            for batch, given in zip(data, expected, strict=True):
                tf.nest.map_structure(np.testing.assert_array_equal, batch, given)
        orders.append(np.concatenate([label for _, label in expected]).tolist())
    assert orders[0] != orders[1]
    assert len(orders[0]) == fresh.train.count
