"""`hubline inspect` of checkpoints, and the numbers of parameters of models."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.trainer import parameters
from hubline.trainer.parameters import ParameterCount
from tests.support import hub_modules


def inspected(handle: object) -> dict:
    result = CliRunner().invoke(app, ["inspect", str(handle), "--json"])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout.splitlines()[-1])


def listed(content: dict) -> dict[str, tuple[str, list[int], int]]:
    return {each["name"]: (each["dtype"], each["shape"], each["count"]) for each in content["variables"]}


def tf1_checkpoint(folder: Path, write_version: int) -> str:
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.get_variable("conv1/weights", [3, 3, 1, 8])
        tf.compat.v1.get_variable("global_step", initializer=np.int64(5))
        session.run(tf.compat.v1.global_variables_initializer())
        saver = tf.compat.v1.train.Saver(write_version=write_version)
        return saver.save(session, str(folder / "model.ckpt"), global_step=5)


@pytest.mark.parametrize("version", [1, 2])
def test_a_checkpoint_of_tf1_is_listed_by_its_path_and_by_its_folder(
    tmp_path: Path, version: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    prefix = tf1_checkpoint(tmp_path, version)
    handles = [prefix, tmp_path, *([f"{prefix}.index", f"{prefix}.data-00000-of-00001"] if version == 2 else [])]
    for handle in handles:
        content = inspected(handle)
        assert listed(content) == {"conv1/weights": ("float32", [3, 3, 1, 8], 72), "global_step": ("int64", [], 1)}
        assert (content["checkpoint"], content["format"], content["count"]) == (prefix, "TF1", 73)
    monkeypatch.chdir(tmp_path)
    shown = CliRunner().invoke(app, ["inspect", "model.ckpt-5"]).stdout
    assert "TF1 checkpoint, 2 variables, 73 values" in shown
    assert [line.split() for line in shown.splitlines() if line.startswith("conv1")] == [
        ["conv1/weights", "float32", "[3,", "3,", "1,", "8]", "72"]
    ]


@pytest.mark.slow
def test_a_checkpoint_of_keras_is_listed_with_its_optimizer(tmp_path: Path) -> None:
    model = tf.keras.Sequential([tf.keras.layers.Input([4]), tf.keras.layers.Dense(3, name="last")])
    model.compile(tf.keras.optimizers.SGD(momentum=0.5), "mse")
    model.fit(np.zeros([2, 4]), np.zeros([2, 3]), verbose=0)
    manager = tf.train.CheckpointManager(tf.train.Checkpoint(model=model), str(tmp_path), max_to_keep=2)
    for _ in range(3):
        prefix = manager.save()
    content = inspected(tmp_path)
    assert (content["checkpoint"], content["format"]) == (prefix, "TF2")
    found = listed(content)
    assert found["last/kernel"] == ("float32", [4, 3], 12) and found["last/bias"] == ("float32", [3], 3)
    momenta = [name for name, (_, shape, _) in found.items() if shape == [4, 3] and name != "last/kernel"]
    assert len(momenta) == 1
    assert content["count"] == sum(count for _, _, count in found.values()) >= 30


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    prefix = tf1_checkpoint(tmp_path, 2)
    Path(f"{prefix}.index").write_bytes(b"something else")
    with pytest.raises(UserError, match=r"model\.ckpt-5: the checkpoint can't be read"):
        inspected(prefix)


def test_parameters_are_counted_by_part() -> None:
    given = tf.keras.Input([4])
    frozen = tf.keras.layers.Dense(3, name="hub_words", trainable=False)(given)
    normalized = tf.keras.layers.BatchNormalization(name="backbone_net")(given)
    embedded = tf.keras.layers.Dense(2, name="embedded_colour")(given)
    joined = tf.keras.layers.Concatenate()([frozen, normalized, embedded])
    head = tf.keras.Sequential([tf.keras.layers.Dense(5), tf.keras.layers.Dense(1)], name="head")(joined)
    model = tf.keras.Model(given, head)
    counts = parameters.counted(model.layers, {"hub_words": "hubs.words", "backbone_net": "backbones.net"})
    assert {each.part: (each.trainable, each.frozen) for each in counts} == {
        "hubs.words": (0, 4 * 3 + 3),
        "backbones.net": (4 + 4, 4 + 4),
        "features": (4 * 2 + 2, 0),
        "head": (9 * 5 + 5 + 5 * 1 + 1, 0),
    }
    assert sum(each.trainable + each.frozen for each in counts) == model.count_params()


@pytest.mark.slow
def test_parameters_of_a_model_and_of_a_module_are_shown(tmp_path: Path) -> None:
    path = hub_modules.mean_colour(tmp_path / "module")
    content = inspected(path)
    sizes = {each["name"]: int(np.prod(each["shape"])) for each in content["variables"]}
    trained = [each["name"] for each in content["variables"] if each["trainable"]]
    trainable = sum(sizes[name] for name in trained)
    assert 0 < trainable < sum(sizes.values())
    frozen = sum(sizes.values()) - trainable
    assert content["parameters"] == [{"part": "module", "trainable": trainable, "frozen": frozen}]
    counts = (
        ParameterCount(part="hubs.words", trainable=0, frozen=1500),
        ParameterCount(part="head", trainable=7, frozen=0),
    )
    parameters.write(str(path), counts)
    assert inspected(path)["parameters"] == [each.model_dump() for each in counts]
    shown = CliRunner().invoke(app, ["inspect", str(path)]).stdout
    assert "hubs.words: 0 trainable parameters, 1,500 frozen" in shown
