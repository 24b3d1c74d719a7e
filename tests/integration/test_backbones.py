"""Backbones other than hub modules: training and export, and their steps in a run."""

import dataclasses
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter
from sklearn.datasets import load_digits

from hubline.components.pin.snapshot import pin
from hubline.core.errors import UserError
from hubline.pipeline.graph import graph
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.run import run
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.trainer.backbones.config import AnyBackbone, Backbones
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.train import Job, train
from tests.support import example_data, hub_modules
from tests.support import job as make_job
from tests.support.project import make_project
from tests.support.saved_variables import variables_of

LABEL = ClassLabel(kind="class", **{"from": "label"}, classes=tuple(map(str, range(10))))
DIGITS = load_digits()
PIXELS = (DIGITS.images[:300] * (255 / 16)).round().astype(np.uint8)
RECORDS = [
    example_data.record(image=example_data.image_bytes(image), label=int(label))
    for image, label in zip(PIXELS, DIGITS.target, strict=False)
]


def backbone(**said: Any) -> AnyBackbone:
    return TypeAdapter(AnyBackbone).validate_python(said)


def job_of(
    folder: Path, features: Features, backbones: Backbones, model: Model, training: Training, **more: Any
) -> Job:
    raw = make_job.schema("presence {min_fraction: 1} shape {dim {size: 1}}", image="BYTES", label="INT")
    job = Job(
        features=features, label=LABEL, hubs={}, backbones=backbones, model=model, schema=raw, training=training,
        transform=make_job.transform_graph(folder / "transform", RECORDS[:50], features, LABEL, raw), module_paths={},
        train=make_job.split(folder / "train", [RECORDS[:240]], features, {}, {}, raw),
        validation=make_job.split(folder / "validation", [RECORDS[240:]], features, {}, {}, raw),
        vectors=CachedVectors(sizes={}, recipe=""), views=0,
        checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"),
    )  # fmt: skip
    return dataclasses.replace(job, **more)


GREY: Features = {"image": ImageFeature(kind="image", size=(16, 16), channels=1)}


def test_lenet_learns_digits_from_nothing_and_is_served(tmp_path: Path) -> None:
    said = backbone(kind="lenet5", input="image")
    training = Training(epochs=8, batch_size=16, optimizer=Optimizer(learning_rate=0.003))
    job = job_of(tmp_path, GREY, {"lenet": said}, Model(), training)
    curves = train(job)
    assert curves["val_accuracy"][-1] > 0.7  # 0.1 by chance
    model = tf.saved_model.load(job.export)
    by_example = model.signatures["serving_default"](examples=tf.constant(RECORDS[240:]))
    encoded = [tf.train.Example.FromString(item).features.feature["image"].bytes_list.value[0] for item in RECORDS]
    by_image = model.signatures["predict"](image=tf.constant(encoded[240:]))
    np.testing.assert_array_equal(by_example["scores"], by_image["scores"])
    right = by_image["label"].numpy().astype(str) == DIGITS.target[240:300].astype(str)
    assert np.mean(right) == pytest.approx(curves["val_accuracy"][-1])


LENET = {"lenet": backbone(kind="lenet5", input="image")}
LAYERS = {f"{layer}/{part}" for layer in ("c1", "c3", "c5", "f6") for part in ("kernel", "bias")}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """A training of the head only, so that the exported backbone has the initial weights of the seed."""
    model = Model(fine_tune={"lenet": FineTune(after_epochs=9)})
    training = Training(epochs=1, batch_size=60)
    job = job_of(tmp_path_factory.mktemp("begun"), GREY, LENET, model, training)
    train(job)
    return job


@pytest.mark.parametrize(
    ("tune", "changed"),
    [
        ({"variables": ["^c3/", "f6/bias"]}, {"c3/kernel", "c3/bias", "f6/bias"}),
        ({"last": 2}, {"c5/kernel", "c5/bias", "f6/kernel", "f6/bias"}),
        ({}, LAYERS),
        (None, LAYERS),
    ],
)
def test_exactly_what_is_named_changes(begun: Job, tmp_path: Path, tune: dict | None, changed: set[str]) -> None:
    fine_tune = {} if tune is None else {"lenet": FineTune(**{"after_epochs": 0, "learning_rate": 0.01} | tune)}
    places = {name: str(tmp_path / name) for name in ("checkpoints", "logs", "export")}
    job = dataclasses.replace(begun, model=Model(fine_tune=fine_tune), **places)
    train(job)
    before, after = variables_of(begun.export), variables_of(job.export)
    assert {name for name in LAYERS if not np.array_equal(before[name], after[name])} == changed


COLOUR: Features = {"image": ImageFeature(kind="image", size=(32, 32))}


@pytest.mark.both_stacks
def test_an_exported_application_with_kept_weights_is_that_of_keras(tmp_path: Path) -> None:
    tf.keras.utils.set_random_seed(1)
    by_hand = tf.keras.applications.MobileNetV2(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg", alpha=0.35
    )
    for one in by_hand.weights:
        one.assign_add(0.05 * tf.random.uniform(one.shape))
    (tmp_path / "kept").mkdir()
    by_hand.save_weights(tmp_path / "kept" / "net.h5")
    said = backbone(
        kind="keras_application", name="MobileNetV2", alpha=0.35, weights="net.h5", input="image", trainable=False
    )
    as_they_are = Model(head=Head(standardize=False))
    job = job_of(
        tmp_path, COLOUR, {"net": said}, as_they_are, Training(epochs=1), module_paths={"net": str(tmp_path / "kept")}
    )
    train(job)
    exported = variables_of(job.export)
    for one in by_hand.weights:
        np.testing.assert_array_equal(exported[one.name.partition(":")[0]], one)
    images = tf.image.resize(tf.image.grayscale_to_rgb(tf.constant(PIXELS[:9, ..., None])), [32, 32])
    vectors = by_hand(tf.round(images) / 127.5 - 1, training=False).numpy()
    (kernel,) = (value for value in exported.values() if value.shape == (vectors.shape[1], 10))
    (bias,) = (value for value in exported.values() if value.shape == (10,))
    model = tf.saved_model.load(job.export)
    scores = model.signatures["serving_default"](examples=tf.constant(RECORDS[:9]))["scores"]
    np.testing.assert_allclose(scores, tf.nn.softmax(vectors @ kernel + bias), rtol=1e-3, atol=1e-5)


def test_a_backbone_stands_beside_a_hub_module(tmp_path: Path) -> None:
    features: Features = {"image": ImageFeature(kind="image", size=(8, 8)), "big": GREY["image"].model_copy()}
    features["big"] = features["big"].model_copy(update={"column": "image"})
    hubs: Hubs = {"mean": Hub(handle="module", inputs={"images": "image"})}
    modules = {"mean": str(hub_modules.mean_colour(tmp_path / "module"))}
    said = {"lenet": backbone(kind="lenet5", input="big")}
    model = Model(head=Head(hidden=(8,)), fine_tune={"mean": FineTune(after_epochs=1, learning_rate=0.1)})
    job = job_of(tmp_path, features, said, model, Training(epochs=2), hubs=hubs, module_paths=modules)
    assert np.isfinite(train(job)["val_loss"]).all()
    assert not np.array_equal(variables_of(job.export)["scale"], np.ones(6))


PIPELINE = """\
name: built
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  image: {kind: image, size: [8, 8]}
label: {from: label, kind: class, classes: [dark, light]}
backbones:
  small: {kind: builder, call: "my_models.small:build", arguments: {units: 4}, inputs: {pixels: image}}
training: {epochs: 4, batch_size: 16, optimizer: {learning_rate: 0.02}}
evaluation: {thresholds: {accuracy: {at_least: 0.9}}}
serving: {destination: serving, check: {enabled: false}}
"""
SMALL = """\
import tensorflow as tf
from helpers import halved

def build(units):
    return tf.keras.Sequential([
        tf.keras.layers.Conv2D(units, 3, name="conv"), tf.keras.layers.BatchNormalization(momentum=0.5, name="bn"),
        tf.keras.layers.Lambda(halved), tf.keras.layers.Flatten(),
    ])
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    path = make_project(tmp_path / "project", PIPELINE)
    shutil.rmtree(path.parent / "module")
    (path.parent / "my_models").mkdir()
    (path.parent / "my_models" / "small.py").write_text(SMALL)
    (path.parent / "helpers.py").write_text("def halved(values):\n    return values / 2\n")
    return path


def test_a_function_beside_the_file_is_run_from_data_to_a_served_model(project: Path) -> None:
    result, code = run(project, None, quiet=True)
    assert code == 0, result.error
    assert [step.id for step in result.steps][:2] == ["Backbone.small", "ExampleGen"]
    assert result.metrics["accuracy"] > 0.9 and result.newly_pushed
    assert Path(result.report, "index.html").exists()
    variables = variables_of(result.pushed_model)
    assert {"conv/kernel", "bn/gamma"} <= variables.keys() and np.any(variables["bn/moving_mean"])
    # Serving works without the user's code.
    shutil.rmtree(project.parent / "my_models")
    (project.parent / "helpers.py").unlink()
    picture = project.parent / "dark.png"
    picture.write_bytes(example_data.image_bytes(np.full([20, 20, 3], 60, np.uint8)))
    asked = [
        sys.executable,
        "-m",
        "hubline.pipeline.cli",
        "predict",
        str(project.parent / "serving"),
        str(picture),
        "--json",
    ]
    said = subprocess.run(asked, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert said.returncode == 0, said.stderr
    assert "dark" in json.dumps(json.loads(said.stdout.splitlines()[-1]))
    with pytest.raises(UserError, match=r"backbones.small.call: there is no module 'my_models"):
        run(project, None, quiet=True)


def keys(path: Path) -> dict[str, object]:
    file, _ = load(path)
    pins = pin(file.data, file.features, file.hubs, file.serving.destination, file.backbones)
    return {node.id: dict(node.exec_properties) for node in graph(file, pins, Paths(path.parent / "root"))}


def stale(before: dict[str, object], after: dict[str, object]) -> set[str]:
    return {step for step in after if before.get(step) != after[step]}


def test_a_changed_function_or_helper_runs_the_backbone_again_and_nothing_that_reads_data(project: Path) -> None:
    before = keys(project)
    (project.parent / "unrelated.py").write_text("x = 1")
    assert stale(before, keys(project)) == set()
    (project.parent / "helpers.py").write_text("def halved(values):\n    return values / 3\n")
    assert stale(before, after := keys(project)) == {"Backbone.small"}
    (project.parent / "my_models" / "small.py").write_text(SMALL.replace("0.5", "0.6"))
    assert stale(after, keys(project)) == {"Backbone.small"}
    project.write_text(PIPELINE.replace("units: 4", "units: 5"))
    assert "Trainer" in stale(after, keys(project)) and "ExampleGen" not in stale(after, keys(project))


def test_the_trainer_reads_what_the_backbone_made(project: Path) -> None:
    file, _ = load(project)
    pins = pin(file.data, file.features, file.hubs, file.serving.destination, file.backbones)
    nodes = {node.id: node for node in graph(file, pins, Paths(project.parent / "root"))}
    assert "Backbone.small" in nodes["Trainer"].reads and "Backbone.small" in nodes["ExampleGen"].upstream


def test_weights_count_by_their_content(project: Path) -> None:
    application = "{kind: keras_application, name: MobileNetV2, weights: net.h5, input: image}"
    start, end = PIPELINE.index("  small:"), PIPELINE.index("training:")
    text = PIPELINE[:start] + f"  net: {application}\n" + PIPELINE[end:]
    project.write_text(text.replace("size: [8, 8]", "size: [32, 32]"))
    with pytest.raises(UserError, match=r"backbones.net: .*net.h5: there is no such file"):
        keys(project)
    weights = project.parent / "net.h5"
    weights.write_bytes(b"\x89HDF\r\n\x1a\n one")
    before = keys(project)
    weights.touch()
    assert stale(before, keys(project)) == set()
    weights.write_bytes(b"\x89HDF\r\n\x1a\n another")
    assert stale(before, keys(project)) == {"Backbone.net"}
    result, code = run(project, None, quiet=True)
    assert code == 2 and "not the weights of MobileNetV2 without its top" in (result.error or "")
    assert not result.steps and result.failed_step == "Backbone.net"
