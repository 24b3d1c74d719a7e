"""Training on two devices, with two workers, and in other precisions comes to what one device comes to in float32."""

import dataclasses
import pickle
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_transform as tft
from pydantic import TypeAdapter

from hubline.components.trainer import local_workers
from hubline.core.errors import RunError, UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.preflight import check
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer import datasets, devices
from hubline.trainer.callbacks import Progress
from hubline.trainer.checkpoints import Interval
from hubline.trainer.config.devices import Devices
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.job import Job
from hubline.trainer.labels.parts import task_of
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.model import TunedModel
from hubline.trainer.phases import phases
from hubline.trainer.precision import in_float32 as in_float32_of
from hubline.trainer.precision import loss_scaled, policy, scaled, unscaled
from hubline.trainer.replicas import share_of_loss
from hubline.trainer.tf1.module import open_to_train
from hubline.trainer.workers import ALONE, Worker
from tests.support import example_data, tf1_trainable_modules
from tests.support import job as make_job
from tests.support.pipeline_files import GOOD, write
from tests.support.trained import Trained, trained

pytestmark = [pytest.mark.slow, pytest.mark.both_stacks]

TWO = {"device": "cpu", "count": 2}
FEATURES: Features = TypeAdapter(Features).validate_python(
    {
        "note": {"kind": "text"},
        "one": {"kind": "numeric", "normalize": "none"},
        "words": {"kind": "categorical", "vocabulary": "computed", "encode": {"embedding": 3}},
    }
)
MOOD: Label = TypeAdapter(Label).validate_python({"kind": "class", "from": "mood", "classes": ["calm", "loud"]})
HUBS: Hubs = {"net": Hub(handle="module", inputs={"texts": "note"})}
TRAINED = 53


class Letters(tf.__internal__.tracking.AutoTrackable):
    """Maps texts to their numbers of letters and of the letter a, each times a variable."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(tf.ones([2]), name="scale")
        self.variables = self.trainable_variables = [self.scale]
        self.regularization_losses = []

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        lengths = [tf.strings.length(each) for each in (texts, tf.strings.regex_replace(texts, "[^a]", ""))]
        return tf.cast(tf.stack(lengths, axis=1), tf.float32) * self.scale


def rows(count: int) -> list[bytes]:
    """Records with one or two words; a third of the notes are loud."""
    rng = np.random.default_rng(2)
    found = []
    for number in range(count):
        is_loud = int(number % 3 == 0)
        often = [0.5, 0.2, 0.3] if is_loud else [0.1, 0.4, 0.5]
        letters = rng.choice([*"abc"], p=often, size=rng.integers(5, 20))
        words = ["ab"[number % 2], "cde"[number % 3]][: 1 + number % 2]
        columns = {"note": "".join(letters), "words": example_data.feature(*words), "mood": is_loud}
        found.append(example_data.record(one=float(rng.normal(is_loud)), **columns))
    return found


@pytest.fixture(scope="module")
def notes_and_words(tmp_path_factory: pytest.TempPathFactory) -> Job:
    """An epoch on cached vectors, and one in which the module is fine-tuned with an optimizer of its own. One of 53
    examples is left for the last batch."""
    folder = tmp_path_factory.mktemp("devices")
    raw = make_job.schema(one="FLOAT", words="BYTES", note="BYTES", mood="INT")
    records, modules = rows(TRAINED + 20), {"net": str(folder / "module")}
    tf.saved_model.save(Letters(), modules["net"])

    def split(name: str, some: list[bytes]) -> Any:
        return make_job.split(folder / name, [some], FEATURES, HUBS, modules, raw)

    return Job(
        features=FEATURES, label=MOOD, hubs=HUBS, schema=raw, module_paths=modules,
        model=Model(
            head=Head(hidden=(4,)),
            fine_tune={"net": FineTune(after_epochs=1, learning_rate=0.1, training_mode=False)},
        ),
        training=Training.model_validate(
            {
                "epochs": 2, "batch_size": 13, "seed": 5,
                "l2": 0.02, "ema": 0.6, "class_weights": "balanced",
                "optimizer": {"name": "sgd", "momentum": 0.9, "learning_rate": 0.5, "global_clipnorm": 0.3},
            }
        ),
        transform=make_job.transform_graph(folder, records, FEATURES, MOOD, raw),
        train=split("train", records[:TRAINED]), validation=split("validation", records[TRAINED:]),
        vectors=CachedVectors(sizes={"net": 2}, recipe="a"), views=1, checkpoints="", logs="", export="",
    )  # fmt: skip


@pytest.fixture(scope="module")
def numbers(notes_and_words: Job) -> Job:
    """A small network on one number."""
    optimizer = {"learning_rate": 0.05}
    training = Training.model_validate({"epochs": 3, "batch_size": 8, "seed": 5, "optimizer": optimizer})
    only = {"one": FEATURES["one"]}
    return dataclasses.replace(
        notes_and_words, features=only, hubs={}, vectors=CachedVectors({}, ""), model=Model(head=Head(hidden=(8,))),
        training=training,
    )  # fmt: skip


def assert_close(found: Trained, expected: Trained, tolerance: float) -> None:
    for values, others in ((found.curves, expected.curves), (found.weights, expected.weights)):
        assert values.keys() == others.keys()
        for name, each in values.items():
            np.testing.assert_allclose(each, others[name], rtol=tolerance, atol=tolerance, err_msg=name)


def test_two_devices_train_as_one(notes_and_words: Job, tmp_path: Path) -> None:
    one, two = trained(notes_and_words, tmp_path / "one"), trained(notes_and_words, tmp_path / "two", **TWO)
    assert (one.notes, two.notes) == ([], ["training on 2 CPUs (MirroredStrategy), float32"])
    assert_close(two, one, 1e-4)
    assert abs(one.weights["hub_net/scale"] - 1).max() > 1e-3, "the module was fine-tuned"


def test_two_workers_train_as_one(notes_and_words: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second worker has no example of the last batch."""
    training = notes_and_words.training.model_copy(update={"batch_size": 26})
    job = dataclasses.replace(notes_and_words, training=training)
    graph = tft.TFTransformOutput(str(Path(job.transform.transform_savedmodel_dir).parent))
    two = dataclasses.replace(job, training=training.model_copy(update={"workers": 2}), transform=graph)
    (tmp_path / "job").write_bytes(pickle.dumps(two))
    monkeypatch.setattr(local_workers, "MODULE", "tests.support.job_worker")
    assert local_workers.run(str(tmp_path / "job"), 2) == []
    found = Trained(*pickle.loads((tmp_path / "job.trained").read_bytes()))
    assert found.notes == ["training on 2 workers with one CPU each (MultiWorkerMirroredStrategy), float32"]
    assert_close(found, trained(job, tmp_path / "one"), 1e-4)


@pytest.mark.parametrize(
    ("on_vectors", "end", "training"),
    [(True, 2, {}), (False, 2, {"drop_remainder": True}), (False, 1, {})],
    ids=["rows", "cached records", "records"],
)
@pytest.mark.parametrize("split", ["train", "validation"])
def test_the_shares_of_workers_make_up_the_batches_of_one(
    notes_and_words: Job, tmp_path: Path, split: str, on_vectors: bool, end: int, training: dict[str, Any]
) -> None:
    """Of 53 training examples, 2 are left for the last batch of 51."""
    changed = notes_and_words.training.model_copy(update={"batch_size": 51, **training})
    job = dataclasses.replace(notes_and_words, training=changed)
    phase = dataclasses.replace(phases(job.model, job.training)[0], on_vectors=on_vectors, first=0, end=end)
    task, graph = task_of(job.label, job.transform, {}), job.transform.transform_features_layer()

    def batches(worker: Worker) -> list[Any]:
        given = (job, task, graph, getattr(job, split), str(tmp_path / str(worker)), phase)
        data = datasets.batches(*given, worker=worker)
        dense = partial(tf.nest.map_structure, lambda values: _dense(values).numpy())
        return [dense(batch) for batch in data]

    whole = batches(ALONE)
    assert sum(len(label) for _, label in whole) == {"validation": 20}.get(split, 51 if training else TRAINED)
    for index in range(3):
        expected = tf.nest.map_structure(lambda values: values[index::3], whole)  # noqa: B023
        tf.nest.map_structure(np.testing.assert_array_equal, batches(Worker(index, 3)), expected)


def _dense(values: tf.Tensor | tf.SparseTensor) -> tf.Tensor:
    """Values, of which each example has at most two."""
    if not isinstance(values, tf.SparseTensor):
        return values
    return tf.sparse.to_dense(tf.sparse.reset_shape(values, [values.dense_shape[0], 2]), default_value=-1)


def test_a_training_on_two_devices_resumes_to_the_same_curve(
    numbers: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each device draws its own numbers for dropout."""
    dropout = {"head": {"hidden": [8], "dropout": 0.4}}
    uninterrupted = trained(numbers, tmp_path / "uninterrupted", dropout, **TWO)
    look = Progress.on_train_batch_end

    def interrupt(self: Progress, at: int, logs: Any = None) -> None:
        look(self, at, logs)
        if self._epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Interval, "EPOCH_SECONDS", 0.0)
        patched.setattr(Progress, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            trained(numbers, tmp_path, dropout, **TWO)
    resumed = trained(numbers, tmp_path, dropout, **TWO)
    assert resumed.curves == uninterrupted.curves
    for name, values in uninterrupted.weights.items():
        np.testing.assert_array_equal(resumed.weights[name], values)


def test_a_tf1_module_is_trained_on_one_device_only(tmp_path: Path) -> None:
    module = str(tf1_trainable_modules.images(tmp_path / "module"))
    two = devices.strategy(Devices.model_validate(TWO))
    with two.scope(), pytest.raises(UserError, match=r"a TF1 module can be trained on one device only"):
        open_to_train(module, FineTune())
    text = GOOD.replace("modules/net", module).replace("[64, 48]", "[8, 8]")
    text = text.replace("training: {", "model: {fine_tune: {net: {}}}\ntraining: {devices: {device: cpu, count: 2}, ")
    with pytest.raises(PipelineFileError) as found:
        check(write(tmp_path, text))
    (refused,) = (each.message for each in found.value.diagnostics if each.key == "model.fine_tune.net")
    assert refused.startswith("a TF1 module can be trained on one device only; set training.devices.count: 1")


def test_pixels_that_are_left_out_count_on_neither_device() -> None:
    """The loss of a batch is the mean over all its pixels that count, wherever they are."""
    outputs = np.random.default_rng(0).normal(size=[3, 2, 2, 4]).astype(np.float32)
    mask = np.full([3, 2, 2, 1], LEFT_OUT, np.uint8)
    mask[0], mask[1, 0], mask[2, 1, 1] = 1, 2, 0
    numbers = np.where(mask == LEFT_OUT, 0, mask)
    each = np.log(np.exp(outputs).sum(-1)) - np.take_along_axis(outputs, numbers, -1)[..., 0]
    counts = mask[..., 0] != LEFT_OUT
    assert counts[:1].sum() != counts[1:].sum()

    strategy, of_batch = devices.strategy(Devices.model_validate(TWO)), Pixels("abcd", "photo").loss()
    data = tf.data.Dataset.from_tensors((outputs, mask))
    ((given, target),) = strategy.experimental_distribute_dataset(data)

    def share(given: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        losses = of_batch.call(target, given)
        of_keras = tf.math.divide_no_nan(tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32)) / 2
        return share_of_loss(of_keras, [], tf.shape(given)[0])

    @tf.function(autograph=False)
    def shares() -> tf.Tensor:
        return strategy.run(share, args=(given, target))

    assert float(strategy.reduce("SUM", shares(), axis=None)) == pytest.approx(each[counts].mean(), rel=1e-5)


@pytest.fixture(scope="module")
def in_float32(numbers: Job, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(numbers, tmp_path_factory.mktemp("float32"))


@pytest.mark.parametrize(
    ("described", "least", "most"),
    [
        ({"jit_compile": True}, 0.0, 1e-5),
        ({"precision": "mixed_float16"}, 1e-6, 5e-3),
        ({"precision": "mixed_bfloat16", "jit_compile": True}, 1e-5, 5e-2),
    ],
    ids=["XLA", "float16", "bfloat16"],
)
def test_precision_and_xla_come_close_to_float32(
    numbers: Job, in_float32: Trained, tmp_path: Path, described: dict[str, Any], least: float, most: float
) -> None:
    found = trained(numbers, tmp_path, **described)
    assert_close(found, in_float32, most)
    assert max(abs(found.weights[name] - values).max() for name, values in in_float32.weights.items()) >= least
    assert {values.dtype for values in found.weights.values()} == {np.dtype("float32")}
    text = ", ".join([described.get("precision", "float32"), *(["XLA"] if "jit_compile" in described else [])])
    assert found.notes == [f"training on one CPU, {text}"]
    assert tf.keras.mixed_precision.global_policy().name == "float32"


def test_loss_scaling_keeps_gradients_that_float16_rounds_to_zero() -> None:
    """The gradient of weight w is 1e-8 x, less than float16's smallest number, 6e-8."""

    def step(precision: str) -> float:
        with policy(precision):
            given = tf.keras.Input([1])
            dense = tf.keras.layers.Dense(1, kernel_initializer="ones")
            model = TunedModel(given, in_float32_of(dense(given)))
        model.compile(optimizer=tf.keras.optimizers.SGD(1e6), loss=lambda target, outputs: 1e-8 * outputs)
        model.train_on_batch(np.ones([4, 1]), np.zeros([4, 1]))
        return float(dense.kernel[0, 0])

    assert step("mixed_float16") == pytest.approx(0.99, abs=1e-4)
    assert tf.cast(1e-8, tf.float16) == 0


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


@pytest.mark.parametrize(
    ("described", "key", "needed"),
    [
        ({"device": "gpu"}, "device", "1 GPU"),
        ({"count": 2}, "count", "2 GPUs"),
        ({"device": "gpu:3"}, "device", "4 GPUs"),
    ],
)
def test_a_gpu_that_is_not_there_is_an_error_before_anything_is_read(
    numbers: Job, tmp_path: Path, described: dict[str, Any], key: str, needed: str
) -> None:
    job = dataclasses.replace(numbers, transform=None)  # type: ignore[arg-type]
    with pytest.raises(RunError, match=rf"training\.devices\.{key}: .* needs {needed} on .*TensorFlow sees none"):
        trained(job, tmp_path, **described)
