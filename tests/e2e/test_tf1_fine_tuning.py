"""A full run that fine-tunes three TF1 modules; the served model is compared with TF1 sessions."""

import io
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hubline.pipeline.run import run
from tests.support import example_data
from tests.support import tf1_trainable_modules as modules
from tests.support.project import PROJECT
from tests.support.saved_variables import variables_of

pytestmark = pytest.mark.slow

FILE = """\
name: tf1
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  photo: {kind: image, size: [8, 8]}
  note: {kind: text}
label: {from: label, kind: class, classes: [dark, light]}
hubs:
  photos: {handle: photos, inputs: {images: photo}}
  words: {handle: words, signature: tokens, inputs: {tokens: note, sequence_len: note}, output: elmo, pool: mean}
  sentences: {handle: sentences, inputs: {text: note}}
model:
  head: {standardize: false}
  fine_tune:
    photos: {after_epochs: 1, learning_rate: 0.01, variables: [block4]}
    words: {after_epochs: 1, learning_rate: 0.01}
    sentences: {after_epochs: 2, learning_rate: 0.01}
training: {epochs: 4, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.5}}}
serving: {destination: serving}
"""


def test_a_run_with_tf1_modules_serves_what_sessions_answer(tmp_path: Path) -> None:
    records = []
    for number, serialized in enumerate(example_data.labelled(120)):
        photo = tf.train.Example.FromString(serialized).features.feature["image"]
        note = (("bad film", "a bad book"), ("this was good", "good"))[number % 2][number // 2 % 2]
        records.append(example_data.record(photo=photo, note=note, label=number % 2))
    example_data.write_tfrecord(tmp_path / "data" / "a.tfrecord", records)
    modules.images(tmp_path / "photos")
    modules.elmo(tmp_path / "words")
    modules.sentences(tmp_path / "sentences", tmp_path)
    (tmp_path / "pipeline.yaml").write_text(FILE)

    result, code = run(tmp_path / "pipeline.yaml", None, quiet=True)

    assert code == 0 and result.pushed_model, result.error
    variables, asked = variables_of(result.pushed_model), records[:7]
    checkpoint = tf.train.load_checkpoint(str(tmp_path / "photos" / "variables" / "variables"))
    before = {name: checkpoint.get_tensor(name) for name in checkpoint.get_variable_to_shape_map()}
    changed = {name for name, value in before.items() if not np.array_equal(value, variables[name])}
    moving = {f"net/block3/BatchNorm/moving_{what}" for what in ("mean", "variance")}
    assert changed == {name for name in before if "block4" in name} | moving
    by_module = [module(tmp_path, variables, asked) for module in (_photos, _words, _sentences)]
    vectors = np.concatenate(by_module, axis=1)
    (kernel,) = [value for name, value in variables.items() if value.shape == (12, 2) and "kernel" in name]
    (bias,) = [value for name, value in variables.items() if value.shape == (2,) and "bias" in name]
    expected = tf.nn.softmax(vectors @ kernel + bias)
    served = tf.saved_model.load(result.pushed_model).signatures["serving_default"](examples=tf.constant(asked))
    np.testing.assert_allclose(served["scores"], expected, atol=1e-5)

    example_data.write_tfrecord(tmp_path / "asked.tfrecord", asked)
    command = [sys.executable, "-m", "hubline.pipeline.cli", "predict", str(tmp_path / "serving"), "--json"]
    told = subprocess.run([*command, str(tmp_path / "asked.tfrecord")], capture_output=True, text=True, cwd=PROJECT)
    predictions = json.loads(told.stdout.splitlines()[-1])["predictions"]
    scores = [[each["scores"]["dark"], each["scores"]["light"]] for each in predictions]
    np.testing.assert_allclose(scores, expected, atol=1e-4)


def _column(record: bytes, name: str) -> bytes:
    return tf.train.Example.FromString(record).features.feature[name].bytes_list.value[0]


def _photos(folder: Path, variables: dict[str, np.ndarray], records: list[bytes]) -> np.ndarray:
    pixels = np.stack([np.asarray(Image.open(io.BytesIO(_column(record, "photo")))) for record in records])
    inputs = {"images": pixels.astype(np.float32) / np.float32(255)}
    return modules.infer_in_session(folder / "photos", variables, inputs, "default", "default")


def _words(folder: Path, variables: dict[str, np.ndarray], records: list[bytes]) -> np.ndarray:
    """The mean over the words of each text, one text at a time."""
    rows = []
    for record in records:
        words = _column(record, "note").decode().split()
        inputs = {"tokens": np.array([words], object), "sequence_len": np.array([len(words)], np.int32)}
        rows.append(modules.infer_in_session(folder / "words", variables, inputs, "tokens", "elmo")[0].mean(axis=0))
    return np.stack(rows)


def _sentences(folder: Path, variables: dict[str, np.ndarray], records: list[bytes]) -> np.ndarray:
    inputs = {"text": np.array([_column(record, "note") for record in records], object)}
    return modules.infer_in_session(folder / "sentences", variables, inputs, "default", "default")
