"""A broken checkpoint costs the epochs since the one before, and never the training."""

from pathlib import Path

import pytest
import tensorflow as tf

from trainer.checkpoint_files import drop_broken


def saved(folder: Path) -> None:
    value = tf.Variable(tf.zeros([100]))
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=value), str(folder), max_to_keep=3)
    for number in (1.0, 2.0, 3.0):
        value.assign(tf.fill([100], number))
        manager.save()


def restored(folder: Path) -> float | None:
    value = tf.Variable(tf.zeros([100]))
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(value=value), str(folder), max_to_keep=3)
    return float(value[0]) if manager.restore_or_initialize() else None


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


def test_whole_checkpoints_stay(tmp_path: Path) -> None:
    saved(tmp_path)
    before = sorted(path.name for path in tmp_path.iterdir())
    drop_broken(str(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == before and restored(tmp_path) == 3.0
    drop_broken(str(tmp_path / "missing"))


@pytest.mark.parametrize("file", ["data-00000-of-00001", "index"])
@pytest.mark.parametrize("how", ["flipped", "emptied", "removed"])
def test_training_goes_on_from_the_one_before(tmp_path: Path, file: str, how: str, caplog) -> None:
    folder = tmp_path
    saved(folder)
    path = folder / f"ckpt-3.{file}"
    if how == "flipped":
        flip(path, 20)
    elif how == "emptied":
        path.write_bytes(b"")
    else:
        path.unlink()
    drop_broken(str(folder))
    assert restored(folder) == 2.0
    assert not list(folder.glob("ckpt-3*"))
    assert "ckpt-3: this checkpoint can't be read and is dropped" in caplog.text


def test_without_any_whole_one_training_begins_at_its_start(tmp_path: Path, caplog) -> None:
    saved(tmp_path)
    for path in tmp_path.glob("*.index"):
        path.write_bytes(b"?")
    drop_broken(str(tmp_path))
    assert restored(tmp_path) is None and "training begins at its start" in caplog.text


def test_a_damaged_list_of_checkpoints_is_made_anew(tmp_path: Path) -> None:
    saved(tmp_path)
    (tmp_path / "checkpoint").write_bytes(b"\xff\x00")
    drop_broken(str(tmp_path))
    assert restored(tmp_path) == 3.0
