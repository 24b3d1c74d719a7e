"""An interrupted and resumed training equals the uninterrupted training."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hubline.preprocessing.config import ClassLabel, Features, ImageFeature
from hubline.trainer import datasets, fit
from hubline.trainer.callbacks import Progress
from hubline.trainer.checkpoint_reader import open_checkpoint
from hubline.trainer.checkpoints import Interval, saved_in
from hubline.trainer.config.hubs import Hub, Hubs
from hubline.trainer.config.model import FineTune, Head, Model
from hubline.trainer.config.training import Training
from hubline.trainer.embeddings import CachedVectors
from hubline.trainer.epochs import Position
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import Note
from tests.support import example_data, hub_modules
from tests.support import job as make_job

FEATURES: Features = {"photo": ImageFeature(kind="image", size=(8, 8), **{"from": "image"})}
LABEL = ClassLabel(kind="class", **{"from": "label"}, classes=("dark", "light"))
HUBS: Hubs = {"mean": Hub(handle="module", inputs={"images": "photo"})}
RECORDS = example_data.labelled(96)
EPOCHS, FROZEN = 7, 3


@pytest.fixture(scope="module")
def job(tmp_path_factory: pytest.TempPathFactory) -> Job:
    folder = tmp_path_factory.mktemp("resume")
    raw = make_job.schema("presence {min_fraction: 1} shape {dim {size: 1}}", image="BYTES", label="INT")
    modules = {"mean": str(hub_modules.mean_colour(folder / "module"))}

    def split(name: str, *files: list[bytes]):
        return make_job.split(folder / name, files, FEATURES, HUBS, modules, raw)

    return Job(
        features=FEATURES, label=LABEL, hubs=HUBS, schema=raw, module_paths=modules,
        model=Model(
            head=Head(hidden=(8,), dropout=0.4),
            fine_tune={"mean": FineTune(after_epochs=FROZEN, learning_rate=0.01)},
        ),
        training=Training(epochs=EPOCHS, batch_size=8, seed=5),
        transform=make_job.transform_graph(folder, RECORDS, FEATURES, LABEL, raw),
        train=split("train", RECORDS[:40], RECORDS[40:64]), validation=split("validation", RECORDS[64:]),
        vectors=CachedVectors(sizes={"mean": 6}, recipe="a"), views=1,
        checkpoints="", logs="", export="",
    )  # fmt: skip


AUGMENT = {"augment": ["flip_left_right", {"brightness": 0.4}, {"mixup": 0.4}]}
STOPPING = {"early_stopping": {"patience": 2, "min_delta": 0.5}}


def with_training(job: Job, folder: Path, **training: object) -> Job:
    described = job.training.model_dump(exclude_none=True) | training
    places = {name: str(folder / name) for name in ("checkpoints", "logs", "export")}
    return dataclasses.replace(job, training=Training.model_validate(described), **places)


def variables_of(export: str) -> list[np.ndarray]:
    loaded = tf.saved_model.load(export)
    parts = tf.train.TrackableView(loaded).descendants()
    return [part.numpy() for part in parts if isinstance(part, tf.Variable) and part.dtype.is_floating]


def interrupted(job: Job, monkeypatch: pytest.MonkeyPatch, epoch: int, batch: int) -> None:
    """Trains until a batch of an epoch has been processed, with a checkpoint after each epoch."""
    look = Progress.on_train_batch_end

    def interrupt(self, at: int, logs=None) -> None:
        look(self, at, logs)
        if (self._epoch, at >= batch) == (epoch, True):
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Interval, "EPOCH_SECONDS", 0.0)
        patch.setattr(Progress, "on_train_batch_end", interrupt)
        with pytest.raises(KeyboardInterrupt):
            train(job)


AVERAGE = {
    "epochs": None,
    "steps": 53,  # the last epoch is cut short
    "ema": 0.9,
    "l2": 1e-3,
    "optimizer": {"learning_rate": {"kind": "polynomial_decay", "initial_learning_rate": 0.01}},
}


WITHIN_EPOCHS = {"checkpoints": {"every": 3}}


@pytest.mark.parametrize(
    "training",
    [{}, AUGMENT, STOPPING, AVERAGE],
    ids=["vectors", "augment", "stopping", "average"],
)
def test_a_run_interrupted_in_both_phases_is_the_undisturbed_run(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, training: dict
) -> None:
    monkeypatch.setattr(fit, "STEPS_ON_VECTORS", 3)
    monkeypatch.setattr(datasets, "ROWS_AT_ONCE", 16)  # so that two batches of an epoch are parsed together
    undisturbed = with_training(job, tmp_path / "one", **training)
    again = with_training(job, tmp_path / "other", **training, **WITHIN_EPOCHS)
    notes: list[Note] = []
    expected = train(undisturbed, notes)
    epochs = len(expected["loss"])
    assert epochs == EPOCHS or training is STOPPING
    starts: list[tuple[int, int]] = []

    class Recorded(Position):
        def __init__(self, epoch: int, step: int, together: int) -> None:
            super().__init__(epoch, step, together)
            starts.append((epoch, step))

    monkeypatch.setattr(fit, "Position", Recorded)
    interrupted(again, monkeypatch, epoch=1, batch=5)
    interrupted(again, monkeypatch, epoch=epochs - 1, batch=4)
    said: list[Note] = []
    assert train(again, said) == expected
    assert said == notes
    assert {epoch for epoch, step in starts if step} == {1, epochs - 1}
    for one, other in zip(variables_of(undisturbed.export), variables_of(again.export), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.both_stacks
def test_without_a_readable_newest_checkpoint_training_resumes_from_the_one_before(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    undisturbed, again = (with_training(job, tmp_path / name) for name in ("one", "[other]"))
    expected = train(undisturbed)
    interrupted(again, monkeypatch, epoch=2, batch=0)
    assert [saved.step for saved in saved_in(f"{again.checkpoints}/0")] == [8, 16]
    (data,) = Path(again.checkpoints, "0", saved_in(f"{again.checkpoints}/0")[-1].folder).glob("*.data-*")
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 0xFF
    data.write_bytes(bytes(content))
    assert train(again) == expected
    assert "the checkpoint of step 16" in caplog.text and "can't be read" in caplog.text
    assert "step 8" not in caplog.text
    with open_checkpoint(f"{again.export}/variables/variables") as exported:
        names = {"hub_mean/scale", "hub_mean/offset", "head/hidden_0/kernel", "head/outputs/bias"}
        assert names <= exported.specs.keys()


def test_epochs_and_steps_in_tensorboard_go_on_over_phases_and_resumes(
    job: Job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    again = with_training(job, tmp_path)
    interrupted(again, monkeypatch, epoch=1, batch=0)
    resumed = dataclasses.replace(again, logs=str(tmp_path / "later"))
    curves = train(resumed)
    logs = EventAccumulator(f"{resumed.logs}/validation", {"tensors": 0}).Reload()

    def logged(tag: str) -> tuple[list[int], list[float]]:
        events = logs.Tensors(tag)
        return [event.step for event in events], [float(tf.make_ndarray(event.tensor_proto)) for event in events]

    assert logged("epoch_loss") == (list(range(EPOCHS)), pytest.approx(curves["val_loss"]))
    steps = 64 // 8
    assert logged("evaluation_loss_vs_iterations")[0] == [steps * epoch for epoch in range(2, EPOCHS + 1)]
