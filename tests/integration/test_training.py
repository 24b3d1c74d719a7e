"""Transform graph, training and export together, with TensorFlow and TF Transform alone."""

import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
import tensorflow_transform.beam as tft_beam
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.public import tfxio

from preprocessing.columns import parsing_spec
from preprocessing.config import ClassLabel, ImageFeature
from preprocessing.errors import DataError, RunError
from preprocessing.transform import LABEL, TransformConfig, class_names, preprocessing_fn
from tests import make
from trainer import train as training
from trainer.config import Head, Hub, Model, Optimizer, Training
from trainer.inputs import batches, read_records
from trainer.train import Job, train

FEATURES = {"photo": ImageFeature(kind="image", size=(8, 8), **{"from": "image"})}


def schema(label_type: str, optional: bool = False) -> schema_pb2.Schema:
    """As SchemaGen infers it: always one value, or where some records lack the column, no fixed shape."""
    shape = "value_count {min: 1 max: 1}" if optional else "presence {min_fraction: 1} shape {dim {size: 1}}"
    text = f"""
        feature {{name: "image" type: BYTES {shape}}}
        feature {{name: "label" type: {label_type} {shape}}}
    """
    return text_format.Parse(text, schema_pb2.Schema())


def transform_graph(
    folder: Path, records: Sequence[bytes], label: ClassLabel, raw: schema_pb2.Schema, config: dict | None = None
) -> tft.TFTransformOutput:
    """Runs `preprocessing_fn` through TF Transform's own Beam stages."""
    config = config or TransformConfig(features=FEATURES, label=label).to_custom_config()
    source = make.write_tfrecord(folder / "analysed", records)
    reader = tfxio.TFExampleRecord(str(source), schema=raw)

    with beam.Pipeline() as pipeline, tft_beam.Context(temp_dir=str(folder / "tmp")):
        data = pipeline | reader.BeamSource(), reader.TensorAdapterConfig()
        transform_fn = data | tft_beam.AnalyzeDataset(lambda inputs: preprocessing_fn(inputs, config))
        _ = transform_fn | tft_beam.WriteTransformFn(str(folder / "graph"))
    return tft.TFTransformOutput(str(folder / "graph"))


@pytest.mark.parametrize(
    ("classes", "label_type", "values", "names", "indices"),
    [
        (("dark", "light"), "INT", [0, 1, 1], ["dark", "light"], [0, 1, 1]),
        (("dark", "light"), "BYTES", ["light", "dark", "light"], ["dark", "light"], [1, 0, 1]),
        (None, "BYTES", ["b", "a", "b"], ["b", "a"], [0, 1, 0]),
        (None, "INT", [70, 3, 70], ["70", "3"], [0, 1, 0]),
    ],
)
@pytest.mark.parametrize("optional", [False, True])
def test_labels_become_class_indices(tmp_path, classes, label_type, values, names, indices, optional) -> None:
    label = ClassLabel(kind="class", **{"from": "label"}, classes=classes)
    records = [make.record(image=make.random_image(n), label=value) for n, value in enumerate(values)]
    raw = schema(label_type, optional)
    graph = transform_graph(tmp_path, records, label, raw)
    assert class_names(label, graph) == names
    parsed = tf.io.parse_example(records, parsing_spec(raw, ["image", "label"]))
    transformed = graph.transform_features_layer()(parsed)
    assert transformed[LABEL].numpy().tolist() == indices
    assert transformed["photo"].numpy().tolist() == [make.random_image(n) for n in range(len(values))]


RECORDS = make.labelled(120)


@pytest.fixture(scope="module")
def job(tmp_path_factory) -> Job:
    folder = tmp_path_factory.mktemp("job")
    label = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
    raw = schema("INT")
    return Job(
        features=FEATURES,
        label=label,
        hubs={"mean": Hub(handle="module", inputs={"images": "photo"})},
        model=Model(head=Head(hidden=(8,), dropout=0.1)),
        training=Training(epochs=6, batch_size=16, optimizer=Optimizer(learning_rate=0.05)),
        schema=raw,
        transform=transform_graph(folder, RECORDS, label, raw),
        module_paths={"mean": str(make.hub_module(folder / "module"))},
        train_files=[str(make.write_tfrecord(folder / name, RECORDS[n::3], "GZIP")) for n, name in enumerate("ab")],
        validation_files=[str(make.write_tfrecord(folder / "c", RECORDS[2::3], "GZIP"))],
        train_count=80,
        checkpoints=str(folder / "checkpoints"),
        logs=str(folder / "logs"),
        export=str(folder / "export"),
    )


@pytest.fixture
def fresh(job: Job, tmp_path: Path) -> Job:
    """The same job with places of its own."""
    places = {name: str(tmp_path / name) for name in ("checkpoints", "logs", "export")}
    return dataclasses.replace(job, **places)


@pytest.fixture(scope="module")
def exported(job: Job):
    curves = train(job)
    return curves, tf.saved_model.load(job.export)


def test_it_learns_and_says_so_by_epoch(exported, job: Job) -> None:
    curves, _ = exported
    assert set(curves) == {"loss", "accuracy", "val_loss", "val_accuracy"}
    assert all(len(values) == job.training.epochs for values in curves.values())
    assert curves["val_accuracy"][-1] > 0.95


def test_tensorboard_finds_its_logs(exported, job: Job) -> None:
    assert {path.parent.name for path in Path(job.logs).rglob("events.out.tfevents.*")} == {"train", "validation"}


def test_a_finished_run_leaves_no_checkpoint(exported, job: Job) -> None:
    assert not any(path.is_file() for path in Path(job.checkpoints).rglob("*"))


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
    without_label = [make.record(image=make.random_image(1, 30, 20, form="JPEG"))]
    answer = model.signatures["serving_default"](examples=tf.constant(without_label))
    assert answer["scores"].shape == (1, 2)


def test_the_same_seed_gives_the_same_model(fresh: Job, exported) -> None:
    _, first = exported
    train(fresh)
    second = tf.saved_model.load(fresh.export)
    one, two = (m.signatures["serving_default"](examples=tf.constant(RECORDS))["scores"] for m in (first, second))
    np.testing.assert_allclose(one, two, atol=1e-6)


def test_an_interrupted_run_goes_on_from_its_last_epoch(fresh: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = training._Progress.on_epoch_begin

    def interrupt(self, epoch, logs=None) -> None:
        if epoch == 4:
            raise KeyboardInterrupt
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(training._Progress, "on_epoch_begin", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(fresh)
    assert not Path(fresh.export).exists()
    curves = train(fresh)
    assert len(curves["loss"]) == fresh.training.epochs - 4
    assert curves["val_accuracy"][-1] > 0.95


def test_a_loss_that_is_not_a_number_stops_and_leaves_nothing_to_go_on_from(fresh: Job) -> None:
    wild = dataclasses.replace(
        fresh, training=Training(epochs=3, optimizer=Optimizer(name="sgd", learning_rate=1e38)), model=Model()
    )
    with pytest.raises(RunError, match=r"the loss became .* in epoch 1; try a learning rate below 1e\+38"):
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


def test_a_class_that_only_the_validation_split_has_is_passed_over(fresh: Job, tmp_path: Path) -> None:
    label = ClassLabel(kind="class", **{"from": "label"})
    seen = [make.record(image=make.random_image(n), label="ab"[n % 2]) for n in range(20)]
    unseen = [make.record(image=make.random_image(n), label="c") for n in range(5)]
    raw = schema("BYTES")
    job = dataclasses.replace(
        fresh,
        label=label,
        schema=raw,
        transform=transform_graph(tmp_path, seen, label, raw),
        train_files=[str(make.write_tfrecord(tmp_path / "train", seen, "GZIP"))],
        validation_files=[str(make.write_tfrecord(tmp_path / "validation", unseen + seen[:4], "GZIP"))],
        train_count=20,
        training=Training(epochs=1),
    )
    assert np.isfinite(train(job)["val_loss"][0])


def test_one_class_alone_is_refused(fresh: Job, tmp_path: Path) -> None:
    label = ClassLabel(kind="class", **{"from": "label"})
    same = [make.record(image=make.random_image(n), label="a") for n in range(4)]
    graph = transform_graph(tmp_path, same, label, schema("BYTES"))
    with pytest.raises(DataError, match="has one class only, 'a'"):
        train(dataclasses.replace(fresh, label=label, transform=graph))


def test_a_run_cut_short_while_it_exports_does_not_train_again(fresh: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(self, path: str) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(training.ServingModel, "save", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(fresh)
    assert train(fresh) == {}
    assert Path(fresh.export, "saved_model.pb").exists()


def test_columns_and_features_of_any_name_can_be_served(fresh: Job, tmp_path: Path) -> None:
    column = "image/encoded (é)"
    features = {name: FEATURES["photo"].model_copy(update={"column": column}) for name in ("label", "head", "hub_mean")}
    records = [make.record(**{column: make.random_image(n)}, label=n % 2) for n in range(10)]
    raw = schema("INT")
    raw.feature[0].name = column
    config = TransformConfig(features=features, label=fresh.label).to_custom_config()
    files = [str(make.write_tfrecord(tmp_path / "all", records, "GZIP"))]
    graph = transform_graph(tmp_path, records, fresh.label, raw, config)
    hubs = {"mean": Hub(handle="module", inputs={"images": "head"})}
    job = dataclasses.replace(
        fresh, features=features, hubs=hubs, schema=raw, transform=graph, train_files=files, validation_files=files,
        train_count=10, training=Training(epochs=1),
    )  # fmt: skip
    train(job)
    model = tf.saved_model.load(job.export)
    answer = model.signatures["predict"](image_encoded____=tf.constant([make.random_image(0)]))
    by_example = model.signatures["serving_default"](examples=tf.constant(records[:1]))
    np.testing.assert_array_equal(answer["scores"], by_example["scores"])


def test_the_input_path_gives_every_example_once_with_its_own_label(job: Job) -> None:
    spec = parsing_spec(job.schema, ["image", "label"])
    layer = job.transform.transform_features_layer()
    dataset = batches(read_records(job.train_files), spec, layer, job.features, batch_size=7)
    got = Counter()
    for inputs, labels in dataset:
        assert inputs["photo"].shape[1:] == (8, 8, 3) and labels.shape[0] == inputs["photo"].shape[0] <= 7
        got.update(
            (round(float(tf.reduce_mean(photo)), 5), int(label))
            for photo, label in zip(*inputs.values(), labels, strict=True)
        )
    expected = Counter()
    for item in RECORDS[0::3] + RECORDS[1::3]:
        columns = tf.train.Example.FromString(item).features.feature
        pixels = tf.io.decode_png(columns["image"].bytes_list.value[0]) / 255
        expected[round(float(tf.reduce_mean(pixels)), 5), columns["label"].int64_list.value[0]] += 1
    assert got == expected
