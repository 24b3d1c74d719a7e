"""Steps read data from, and keep state in, every store as they do on a disk."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.examples import Origin
from hubline.artifacts.quarantine import FILE, read_quarantine
from hubline.components.config.data import Data
from hubline.components.example_gen.ingest import ingest
from hubline.components.example_gen.small_files import ingest_group
from hubline.components.pin.snapshot import pin_files
from hubline.components.predictor.inputs import batches, counted, pieces_of
from hubline.core import storage
from hubline.core.errors import DataError
from hubline.core.tfrecords import read_batches
from hubline.trainer.checkpoints import Checkpoint, PhaseState
from hubline.trainer.model import TunedModel
from tests.support import example_data
from tests.support.ingestion import job


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of temporary files, which must be empty in the end."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def put(path: Path, place: str) -> str:
    storage.copy(str(path), f"{place}/{path.name}")
    return f"{place}/{path.name}"


@pytest.mark.slow
@pytest.mark.parametrize("compression", ["", "GZIP"])
def test_a_file_is_ingested_and_names_itself(place: str, tmp_path: Path, temporary: Path, compression: str) -> None:
    records = example_data.labelled(30)
    records[7] = example_data.record(image=example_data.random_image(0))  # no label
    path = put(example_data.write_tfrecord(tmp_path / "in", records, compression), f"{place}/data")
    ((file,),) = pin_files(Data(examples=f"{place}/data")).by_split.values()
    assert file.path == path and file.size == storage.stat(path).size
    work = job(tmp_path / "in", policy="quarantine").model_copy(update={"file": file})
    (tmp_path / "out").mkdir()
    ingested = ingest(work, f"{tmp_path}/out")
    assert sum(part.count for part in ingested.parts) == 29 and ingested.quarantined_records == 1
    assert {origin.file for part in ingested.parts for origin in part.origins} == {path}
    (bad,) = read_quarantine(f"{tmp_path}/out/{FILE}")
    assert (bad.file, bad.record) == (path, 7)
    with pytest.raises(DataError) as error:
        ingest(work.model_copy(update={"policy": "fail"}), f"{tmp_path}/out")
    assert str(error.value).startswith(f"{path}: record 7 (counted from 0): ")
    content = storage.read_bytes(path)
    for changed in (b"X" + b"\0" * (file.size - 1), content[:-20], content[: len(content) // 2], b""):
        storage.write_bytes(path, changed)
        for policy in ("fail", "quarantine"):
            with pytest.raises(DataError, match=f"^{path}: the file has changed since the run began; run again$"):
                ingest(work.model_copy(update={"policy": policy}), f"{tmp_path}/out")
    storage.remove(path)
    with pytest.raises(DataError, match="the file has been removed since the run began"):
        ingest(work, f"{tmp_path}/out")
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_small_files_are_ingested_as_one(place: str, tmp_path: Path) -> None:
    records = example_data.labelled(6)
    for number in range(3):
        put(example_data.write_tfrecord(tmp_path / f"{number}", records[2 * number :][:2]), f"{place}/data")
    ((files),) = pin_files(Data(examples=f"{place}/data/*")).by_split.values()
    jobs = [job(tmp_path / "0", split=None).model_copy(update={"file": file}) for file in files]
    (ingested,) = ingest_group(jobs, f"{tmp_path}/out").values()
    assert ingested.parts[0].origins == tuple(Origin(file=f"{place}/data/{number}", count=2) for number in range(3))


def test_records_are_read_and_damage_is_named(place: str, tmp_path: Path, temporary: Path) -> None:
    records = [b"%03d" % number for number in range(10)]
    path = put(example_data.write_tfrecord(tmp_path / "records", records), place)
    read = [(first, batch.numpy().tolist()) for first, batch in read_batches(path, 4)]
    assert read == [(0, records[:4]), (4, records[4:8]), (8, records[8:])]
    next(iter(read_batches(path, 4)))  # a reader that stops early
    (piece,) = map(counted, pieces_of([f"{place}/"]))
    assert piece.count == 10
    assert [item.data for _, items in batches([piece.cut(3, 6)], 2) for item in items] == records[3:6]
    content = (tmp_path / "records").read_bytes()
    storage.write_bytes(path, content[:-3])
    with pytest.raises(DataError) as error:
        list(read_batches(path))
    assert str(error.value).startswith(f"{path}: record 9 (counted from 0) cannot be read")
    assert list(temporary.iterdir()) == []


@pytest.mark.slow
def test_a_checkpoint_is_restored(place: str, tmp_path: Path) -> None:
    def model(value: float) -> TunedModel:
        given = tf.keras.Input([2])
        initializer = tf.keras.initializers.Constant(value)
        dense = tf.keras.layers.Dense(1, use_bias=False, kernel_initializer=initializer, name="dense")
        made = TunedModel(inputs=given, outputs=dense(given))
        made.compile(optimizer="sgd")
        return made

    folder = f"{place}/checkpoints/0"
    first, state = model(3.0), PhaseState(history=[{"loss": 0.5}], finished=True)
    checkpoint = Checkpoint(folder, f"{tmp_path}/scratch", first, state)
    assert not checkpoint.restore()
    saved: list[str] = []
    """Folders of checkpoints, whose names are random, by age."""

    def save() -> None:
        checkpoint.save()
        saved.extend(sorted({*storage.names(folder)} - {*saved, "checkpoints.json"}))

    for step, value in enumerate([4.0, 5.0, 6.0]):
        first.variables[0].assign([[value], [value]])
        state.total_steps, state.step, state.metrics = step, step, [np.float32([step, 0.5])]
        save()
    assert len(saved) == 3 and {*storage.names(folder)} == {*saved[1:], "checkpoints.json"}
    save()  # replaces that of the same step
    assert len(saved) == 4 and {*storage.names(folder)} == {saved[1], saved[3], "checkpoints.json"}
    second, restored = model(0.0), PhaseState()
    again = Checkpoint(folder, f"{tmp_path}/scratch", second, restored)
    assert again.restore()
    np.testing.assert_array_equal(second.variables[0].numpy(), [[6.0], [6.0]])
    assert restored.history == [{"loss": 0.5}] and restored.finished and (restored.total_steps, restored.step) == (2, 2)
    np.testing.assert_array_equal(restored.metrics, [[2.0, 0.5]])
    damage(f"{folder}/{saved[3]}")
    assert again.restore()
    np.testing.assert_array_equal(second.variables[0].numpy(), [[5.0], [5.0]])
    assert restored.step == 1
    damage(f"{folder}/{saved[1]}")
    assert not again.restore()
    assert storage.names(folder) == []


def damage(folder: str) -> None:
    (data,) = [name for name in storage.names(folder) if ".data-" in name]
    storage.write_bytes(f"{folder}/{data}", b"damaged")
