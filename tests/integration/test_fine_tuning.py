"""Fine-tuning by variable names changes exactly the named variables; also several types of modules in one model."""

import dataclasses
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.preprocessing.kinds.combiner import Lstm
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Model
from hubline.trainer.config.optimizer import Optimizer
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors, column
from hubline.trainer.train import Job, train
from tests.support import example_data, hub_modules, tf1_hub_modules
from tests.support import job as make_job
from tests.support.saved_variables import variables_of

PHOTO = ImageFeature(kind="image", size=(8, 8))
LABEL = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
NOTES = ("good", "bad", "ugly")
RECORDS = [
    example_data.record(
        photo=tf.train.Example.FromString(record).features.feature["image"],
        label=number % 2,
        note=NOTES[number % 3],
    )
    for number, record in enumerate(example_data.labelled(32))
]


def job_of(folder: Path, features: Features, hubs: Hubs, modules: dict[str, str], model: Model, sizes) -> Job:
    raw = make_job.schema("presence {min_fraction: 1} shape {dim {size: 1}}", photo="BYTES", note="BYTES", label="INT")
    split = make_job.split(folder / "split", [RECORDS], features, hubs, modules, raw)
    return Job(
        features=features, label=LABEL, hubs=hubs, model=model, schema=raw,
        training=Training(epochs=1, batch_size=8, optimizer=Optimizer(name="adamw", learning_rate=0.01)),
        transform=make_job.transform_graph(folder / "transform", RECORDS, features, LABEL, raw),
        module_paths=modules, train=split, validation=split, vectors=CachedVectors(sizes=sizes, recipe="a"), views=1,
        checkpoints=str(folder / "checkpoints"), logs=str(folder / "logs"), export=str(folder / "export"),
    )  # fmt: skip


MODULES = {
    "endpoints": hub_modules.endpoints,
    "keras": lambda path: hub_modules.keras(path, "save"),
    "keras_export": lambda path: hub_modules.keras(path, "export"),
}
SIZES = {"endpoints": 5, "keras": 4, "keras_export": 4}


@pytest.fixture(scope="module")
def jobs(tmp_path_factory) -> dict[str, Job]:
    made = {}
    for name, make_module in MODULES.items():
        folder = tmp_path_factory.mktemp(name)
        modules = {"m": str(make_module(folder / "module"))}
        hubs = {"m": Hub(handle="module", inputs={"images": "photo"})}
        made[name] = job_of(folder, {"photo": PHOTO}, hubs, modules, Model(), {"m": SIZES[name]})
    return made


NET = {
    f"Net/{block}/{part}" for block in ("block1", "block2") for part in ("weights", "BatchNorm/gamma", "BatchNorm/beta")
}
AVERAGES = {f"Net/{block}/BatchNorm/moving_mean" for block in ("block1", "block2")}


@pytest.mark.parametrize(
    ("module", "options", "changed"),
    [
        ("endpoints", {"variables": ["block2"]}, {name for name in NET if "block2" in name}),
        ("endpoints", {"variables": [r"block\d/.*gamma$", "^Net/logits"]},
         {"Net/block1/BatchNorm/gamma", "Net/block2/BatchNorm/gamma", "Net/logits/weights"}),
        ("endpoints", {"last": 2}, {"Net/block2/BatchNorm/gamma", "Net/block2/BatchNorm/beta", "Net/logits/weights"}),
        ("endpoints", {}, NET | AVERAGES | {"Net/logits/weights"}),
        ("keras", {"variables": ["block1_bn/gamma", "block2_conv"]},
         {"block1_bn/gamma", "block2_conv/kernel", "block2_conv/bias"}),
        ("keras_export", {"last": 1}, {"block2_bn/gamma", "block2_bn/beta"}),
    ],
)  # fmt: skip
def test_exactly_what_is_named_changes(
    jobs: dict[str, Job], tmp_path: Path, module: str, options: dict[str, Any], changed: set[str]
) -> None:
    tune = FineTune.model_validate({"after_epochs": 0, "learning_rate": 0.01} | options)
    places = {name: str(tmp_path / name) for name in ("checkpoints", "logs", "export")}
    job = dataclasses.replace(jobs[module], model=Model(fine_tune={"m": tune}), **places)
    train(job)
    before, after = variables_of(job.module_paths["m"]), variables_of(job.export)
    assert {name for name, value in before.items() if not np.array_equal(value, after[name])} == changed


ASK = """
import sys, hubline, numpy as np, tensorflow as tf
from tests.support import example_data
model, records = tf.saved_model.load(sys.argv[1]), example_data.read_tfrecord(sys.argv[2])
np.save(sys.argv[3], model.signatures["serving_default"](examples=tf.constant(records))["scores"].numpy())
"""


class Words(tf.Module):
    """A text module that doesn't list its variables."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.Variable(tf.random.stateless_normal([50, 2], [1, 2]), name="table")
        self.other = tf.Variable(tf.ones([2]), name="scale")

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def __call__(self, texts):
        return tf.gather(self.table, tf.strings.to_hash_bucket_fast(texts, 50)) * self.other


@pytest.mark.both_stacks
def test_texts_alone_feed_a_module_that_is_trained(tmp_path: Path) -> None:
    tf.saved_model.save(Words(), str(tmp_path / "words"))
    hubs = {"words": Hub(handle="words", inputs={"text": "note"})}
    model = Model(fine_tune={"words": FineTune(after_epochs=1, learning_rate=0.1, variables=("scale",))})
    modules = {"words": str(tmp_path / "words")}
    job = job_of(tmp_path, {"note": TextFeature(kind="text")}, hubs, modules, model, {"words": 2})
    train(dataclasses.replace(job, training=job.training.model_copy(update={"epochs": 2})))
    before, after = variables_of(modules["words"]), variables_of(job.export)
    assert {name for name, value in before.items() if not np.array_equal(value, after[name])} == {"scale"}
    rows = example_data.read_tfrecord(job.train.rows[0])
    kept = tf.io.parse_example(rows, {column("words"): tf.io.FixedLenFeature([2], tf.float32)})[column("words")]
    np.testing.assert_array_equal(kept[:3], tf.saved_model.load(modules["words"])(tf.constant(NOTES)))
    answer = tf.saved_model.load(job.export).signatures["predict"](note=tf.constant(["good", "what"]))
    assert answer["scores"].shape == (2, 2)


def test_a_photo_a_text_and_a_face_in_one_model_that_is_served_elsewhere(tmp_path: Path) -> None:
    features: Features = {"photo": PHOTO, "note": TextFeature(kind="text")}
    faces = tf.TensorSpec([1, None, None, 3], tf.uint8)
    modules = {
        "net": str(hub_modules.endpoints(tmp_path / "net")),
        "words": str(tf1_hub_modules.texts(tmp_path / "words", tmp_path)),
        "faces": str(hub_modules.module(tmp_path / "faces", faces, lambda x: tf.reshape(x, [1, -1, 3]))),
    }
    (tmp_path / "words.txt").unlink()
    hubs = {
        "net": Hub(handle="net", inputs={"images": "photo"}, output="Net/block2/output", pool="mean"),
        "words": Hub(handle="words", inputs={"text": "note"}, signature="both"),
        "faces": Hub(handle="faces", inputs={"image": "photo"}, pool=Lstm(lstm=3, max_length=4)),
    }
    model = Model(fine_tune={"net": FineTune(after_epochs=1, variables=("block2/weights",))})
    job = job_of(tmp_path, features, hubs, modules, model, {"net": 4, "words": 2, "faces": 12})
    job = dataclasses.replace(job, training=job.training.model_copy(update={"epochs": 2}))
    assert np.isfinite(train(job)["val_loss"]).all()
    here = tf.saved_model.load(job.export).signatures["serving_default"](examples=tf.constant(RECORDS))["scores"]
    # Another process has only what was exported of the modules.
    for name in modules:
        (tmp_path / name).rename(tmp_path / f"{name}-gone")
    places = [job.export, str(example_data.write_tfrecord(tmp_path / "asked", RECORDS)), str(tmp_path / "scores.npy")]
    subprocess.run([sys.executable, "-c", ASK, *places], check=True, capture_output=True, cwd=Path(__file__).parents[2])
    np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), here, rtol=1e-5)
