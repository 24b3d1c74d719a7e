"""Training on two devices and in other precisions comes to what one device comes to in float32.

All trainings on two devices run in one process, because TensorFlow makes several devices of a CPU only at its start.
"""

import dataclasses
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import TypeAdapter

from hubline.core.errors import RunError
from hubline.preprocessing.config import ClassLabel, Features, ImageFeature, Label
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.precision import loss_scaled, scaled, unscaled
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import Note
from tests.support import example_data, hub_modules, tf1_trainable_modules
from tests.support import job as make_job

RNG = np.random.default_rng(2)
TABLE: Features = TypeAdapter(Features).validate_python(
    {
        "one": {"kind": "numeric", "normalize": "none"},
        "words": {"kind": "categorical", "vocabulary": "computed", "encode": {"embedding": 3}},
    }
)
X = RNG.normal(size=140)


def words_of(number: int) -> tf.train.Feature:
    """One or two words."""
    return example_data.feature(*["ab"[number % 2], "cde"[number % 3]][: 1 + number % 2])


ROWS = [example_data.record(one=float(x), words=words_of(number), kind=int(x > 0.1)) for number, x in enumerate(X)]
KIND: Label = TypeAdapter(Label).validate_python({"kind": "class", "from": "kind", "classes": ["no", "yes"]})
PHOTOS: Features = {"photo": ImageFeature(kind="image", size=(8, 8), **{"from": "image"})}
SHADE = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
SHADES = example_data.labelled(70)
ONE = "presence {min_fraction: 1} shape {dim {size: 1}}"


def table(folder: Path) -> Job:
    raw = make_job.schema(one="FLOAT", words="BYTES", kind="INT")
    return Job(
        features=TABLE, label=KIND, hubs={}, model=Model(head=Head(hidden=(4,))), schema=raw, module_paths={},
        training=Training(
            epochs=2, batch_size=33, l2=0.05, ema=0.6,  # of 100 examples, one is left for the last batch
            optimizer={"name": "sgd", "momentum": 0.9, "learning_rate": 0.5, "global_clipnorm": 0.1},
        ),
        transform=make_job.transform_graph(folder, ROWS[:100], TABLE, KIND, raw),
        train=make_job.split(folder / "train", [ROWS[:100]], TABLE, {}, {}, raw),
        validation=make_job.split(folder / "validation", [ROWS[100:]], TABLE, {}, {}, raw),
        vectors=CachedVectors(sizes={}, recipe=""), views=1, checkpoints="", logs="", export="",
    )  # fmt: skip


def tuned(folder: Path, module: Path, size: int, /, model: dict[str, Any] | None = None, **training: Any) -> Job:
    """A hub module that is fine-tuned, with an optimizer of its own, after two epochs on vectors."""
    raw = make_job.schema(ONE, image="BYTES", label="INT")
    hubs: Hubs = {"net": Hub(handle="module", inputs={"images": "photo"})}
    modules = {"net": str(module)}
    splits = {
        name: make_job.split(folder / name, [some], PHOTOS, hubs, modules, raw)
        for name, some in (("train", SHADES[:50]), ("validation", SHADES[50:]))
    }
    fine_tune = FineTune(after_epochs=2, learning_rate=0.02, training_mode=False)
    described = {"epochs": 4, "batch_size": 15, "seed": 5, "optimizer": {"learning_rate": 0.01}} | training
    return Job(
        features=PHOTOS, label=SHADE, hubs=hubs, schema=raw, module_paths=modules,
        model=Model.model_validate({"head": {"hidden": [8]}, "fine_tune": {"net": fine_tune}} | (model or {})),
        training=Training.model_validate(described),
        transform=make_job.transform_graph(folder, SHADES, PHOTOS, SHADE, raw),
        vectors=CachedVectors(sizes={"net": size}, recipe="a"), views=1, checkpoints="", logs="", export="", **splits,
    )  # fmt: skip


def on(job: Job, folder: Path, **devices: Any) -> Job:
    """The job with settings of its devices, and a folder for its outputs."""
    described = job.training.model_dump(exclude_defaults=True, by_alias=True) | {"devices": devices}
    places = {name: str(folder / name) for name in ("checkpoints", "logs", "export")}
    return dataclasses.replace(job, training=Training.model_validate(described), **places)


@pytest.fixture(scope="module")
def jobs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Job]:
    folder = tmp_path_factory.mktemp("devices")
    noisy = {"augment": ["flip_left_right", {"mixup": 0.4}], "ema": 0.9}
    in_table = table(folder / "table")
    return {
        "table": in_table,
        "tuned": tuned(folder / "tuned", hub_modules.mean_colour(folder / "mean"), 6, **noisy),
        "tf1": tuned(folder / "tf1", tf1_trainable_modules.images(folder / "photos"), 5),
        "dropout": dataclasses.replace(in_table, model=Model(head=Head(hidden=(4,), dropout=0.4))),
    }


@pytest.fixture(scope="module")
def two_devices(jobs: dict[str, Job], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What each job came to on two devices, and the folder of its export; the results of `tests.support.two_devices`
    under its name."""
    folder, two = tmp_path_factory.mktemp("two"), {"device": "cpu", "count": 2}
    planned = {name: on(job, folder / name, **two) for name, job in jobs.items()}
    planned["dropout_again"] = on(jobs["dropout"], folder / "dropout_again", **two)
    for name, job in planned.items():
        graph = tft.TFTransformOutput(str(Path(job.transform.transform_savedmodel_dir).parent))
        (folder / f"{name}.job").write_bytes(pickle.dumps(dataclasses.replace(job, transform=graph)))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "tests.support.two_devices", str(folder)]
    done = subprocess.run(command, env=environment, check=False, capture_output=True, text=True)
    assert not done.returncode, done.stderr[-3000:]
    return json.loads((folder / "results.json").read_text()) | {
        name: json.loads((folder / f"{name}.json").read_text()) | {"export": job.export}
        for name, job in planned.items()
    }


def variables_of(export: str) -> list[np.ndarray]:
    loaded = tf.saved_model.load(export)
    parts = tf.train.TrackableView(loaded).descendants()
    return [part.numpy() for part in parts if isinstance(part, tf.Variable) and part.dtype.is_floating]


@pytest.mark.both_stacks
@pytest.mark.parametrize("name", ["table", "tuned"])
def test_two_devices_train_as_one(jobs: dict[str, Job], two_devices: dict[str, Any], tmp_path: Path, name: str) -> None:
    one, two, notes = on(jobs[name], tmp_path), two_devices[name], []
    curves = train(one, notes)
    assert not notes
    assert two["notes"] == ["training: training on 2 CPUs (MirroredStrategy), float32"]
    assert set(two["curves"]) == set(curves)
    for metric, values in curves.items():
        np.testing.assert_allclose(two["curves"][metric], values, rtol=1e-4, atol=1e-6, err_msg=metric)
    for found, expected in zip(variables_of(two["export"]), variables_of(one.export), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)


def test_two_devices_resume_to_the_uninterrupted_curve(two_devices: dict[str, Any]) -> None:
    assert two_devices["dropout_again"]["curves"] == two_devices["dropout"]["curves"]
    assert two_devices["dropout"]["curves"] != two_devices["table"]["curves"]


def test_a_tf1_module_is_trained_on_one_device_only(two_devices: dict[str, Any]) -> None:
    assert "a TF1 module can be trained on one device only" in two_devices["tf1"]["error"]


def test_pixels_that_are_left_out_count_on_neither_device(two_devices: dict[str, Any]) -> None:
    """The loss of a batch is the mean over all its pixels that count, wherever they are."""
    outputs, mask = (np.array(values) for values in two_devices["pixels"])
    numbers = np.where(mask == LEFT_OUT, 0, mask)
    each = np.log(np.exp(outputs).sum(-1)) - np.take_along_axis(outputs, numbers, -1)[..., 0]
    counts = mask[..., 0] != LEFT_OUT
    assert counts[:1].sum() != counts[1:].sum()
    assert two_devices["pixels_loss"] == pytest.approx(each[counts].mean(), rel=1e-5)


@pytest.mark.parametrize(("precision", "tolerance"), [("mixed_float16", 2e-3), ("mixed_bfloat16", 2e-2)])
def test_mixed_precision_comes_close_to_float32(
    jobs: dict[str, Job], two_devices: dict[str, Any], tmp_path: Path, precision: str, tolerance: float
) -> None:
    """Also compiled by XLA, which can't compile the sparse features of the other job."""
    notes: list[Note] = []
    job = on(jobs["tuned"], tmp_path, precision=precision, jit_compile=True)
    curves = train(job, notes)
    np.testing.assert_allclose(curves["loss"], two_devices["tuned"]["curves"]["loss"], atol=tolerance)
    assert curves["loss"] != two_devices["tuned"]["curves"]["loss"]
    assert [note.text for note in notes] == [f"training on one CPU, {precision}, XLA"]
    assert tf.keras.mixed_precision.global_policy().name == "float32"
    signature = tf.saved_model.load(job.export).signatures["serving_default"]
    assert {tensor.dtype for tensor in signature.structured_outputs.values()} == {tf.float32, tf.string}
    assert "DT_HALF" not in str(signature.graph.as_graph_def())


def test_an_overflow_of_one_optimizer_is_a_step_that_none_takes() -> None:
    """The gradient of the second variable overflows in float16's range, as one of a loss that is scaled too much."""
    one, two = (
        loss_scaled(tf.keras.optimizers.SGD(1.0), tf.keras.mixed_precision.Policy("mixed_float16")) for _ in "ab"
    )
    variables = tf.Variable(1.0), tf.Variable([1.0])

    def step(*gradients: float) -> list[float]:
        scaled_up = [[tf.constant(gradients[0]) * one.loss_scale], [tf.constant([gradients[1]]) * two.loss_scale]]
        for each, of_each, variable in zip((one, two), unscaled([one, two], scaled_up), variables, strict=True):
            each.apply_gradients(zip(of_each, [variable], strict=True))
        return [float(variables[0]), float(variables[1][0])]

    assert float(scaled([one, two], tf.constant(2.0))) == 2.0 * 2**15
    assert step(0.25, 0.5) == [0.75, 0.5]
    assert step(0.25, np.inf) == [0.75, 0.5]
    assert float(one.loss_scale) == float(two.loss_scale) == 2**14
    assert step(0.25, 0.5) == [0.5, 0.0]


def test_a_gpu_that_is_not_there_is_an_error_before_anything_is_read(jobs: dict[str, Job], tmp_path: Path) -> None:
    job = dataclasses.replace(jobs["table"], transform=None)  # type: ignore[arg-type]
    for devices, key in (({"device": "gpu"}, "device"), ({"count": 2}, "count"), ({"device": "gpu:3"}, "device")):
        needed = {"gpu": "1 GPU", "gpu:3": "4 GPUs"}.get(devices.get("device", ""), "2 GPUs")
        with pytest.raises(RunError, match=rf"training\.devices\.{key}: .* needs {needed} on .*TensorFlow sees none"):
            train(on(job, tmp_path, **devices))
