"""Served versions with missing, truncated and damaged files."""

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from hubline.serving.integrity import find_faults

DATA, INDEX = "variables/variables.data-00000-of-00001", "variables/variables.index"


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    (folder / "words.txt").write_text("red\n")
    module = tf.Module()
    module.weights = tf.Variable(tf.reshape(tf.range(90_000, dtype=tf.float32), [300, 300]))
    module.words = tf.saved_model.Asset(str(folder / "words.txt"))
    tf.saved_model.save(module, str(folder / "exp[1] {b}*"))
    return folder / "exp[1] {b}*"


def flip(path: Path, position: int) -> None:
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)


def test_a_whole_model_has_no_faults_even_under_a_path_that_reads_as_a_pattern(model: Path) -> None:
    assert find_faults(str(model)) == []


@pytest.mark.parametrize(
    ("harm", "fault"),
    [
        (lambda model: os.truncate(model / DATA, 100), "/variables/variables.data: variable "),
        (lambda model: os.truncate(model / DATA, (model / DATA).stat().st_size - 1), "/variables/variables.data: "),
        (lambda model: (model / DATA).unlink(), "/variables/variables.data: "),
        (lambda model: flip(model / DATA, 5000), "Checksum does not match"),
        (lambda model: os.truncate(model / INDEX, 100), "/variables/variables.index: "),
        (lambda model: flip(model / INDEX, 30), "/variables/variables.index: "),
        (lambda model: (model / INDEX).unlink(), "/variables/variables.index: there is no such file"),
        (lambda model: shutil.rmtree(model / "variables"), "/variables/variables.index: there is no such file"),
        (lambda model: os.truncate(model / "saved_model.pb", 100), "/saved_model.pb: it is cut short or damaged"),
        (lambda model: os.truncate(model / "saved_model.pb", 0), "/saved_model.pb: it holds no model"),
        (lambda model: (model / "saved_model.pb").unlink(), "/saved_model.pb: there is no such file"),
        (lambda model: (model / "assets" / "words.txt").unlink(), "/assets/words.txt: there is no such file"),
    ],
)
def test_a_file_that_is_not_whole_is_named(
    model: Path, tmp_path: Path, harm: Callable[[Path], None], fault: str
) -> None:
    harmed = tmp_path / "1"
    shutil.copytree(model, harmed)
    harm(harmed)
    (found,) = find_faults(str(harmed))
    assert found.startswith(str(harmed)) and fault in found


def test_a_model_without_variables_needs_no_file_of_them(tmp_path: Path) -> None:
    module = tf.Module()
    module.twice = tf.function(lambda x: 2 * x, input_signature=[tf.TensorSpec([], tf.float32)])
    tf.saved_model.save(module, str(tmp_path / "1"))
    shutil.rmtree(tmp_path / "1" / "variables")
    assert find_faults(str(tmp_path / "1")) == []
