"""Sounds, token ids and tensors as inputs of hub modules, in whole runs of training and of `task: infer`."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.quarantine import FILE as QUARANTINE_LIST
from hubline.artifacts.quarantine import read_quarantine
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.predict.predict import predict_inputs
from hubline.pipeline.preflight import check
from hubline.pipeline.result import Result
from hubline.pipeline.run import run
from hubline.trainer.embeddings import column
from tests.support import example_data
from tests.support.inference import rows as predictions_in
from tests.support.sounds import as_samples, tone, wav

pytestmark = pytest.mark.slow

NUMBERS = """\
  ids: {kind: numeric, from: ids, length: 5, missing: 0}
  mask: {kind: numeric, from: mask, length: 5, missing: 0}
  grid: {kind: numeric, from: grid, length: 12, shape: [2, 3, 2], missing: 0}
"""
TRAIN = f"""\
name: tones
data:
  examples: data
  split: {{train: train, validation: validation, test: test}}
  bad_records: {{policy: quarantine, max_fraction: 0.1}}
features:
  sound: {{kind: audio, from: wav, sample_rate: 4000, seconds: 0.1, cut: center}}
{NUMBERS}label: {{from: pitch, kind: class, classes: [low, middle, high]}}
hubs:
  bands: {{handle: bands, inputs: {{waveform: sound}}}}
  tokens: {{handle: tokens, inputs: {{ids: ids, mask: mask}}}}
  planes: {{handle: planes, inputs: {{x: grid}}}}
model: {{fine_tune: {{bands: {{after_epochs: 6}}}}}}
training: {{epochs: 8, batch_size: 16, optimizer: {{learning_rate: 0.05}}}}
evaluation: {{thresholds: {{accuracy: {{at_least: 0.9}}}}}}
serving: {{destination: serving}}
"""
INFER = f"""\
task: infer
name: all-inputs
data: {{examples: data/test}}
features:
  sound: {{kind: audio, from: wav, sample_rate: 4000, samples: 400, cut: center}}
{NUMBERS}hubs:
  all: {{handle: all, inputs: {{waveform: sound, ids: ids, mask: mask, x: grid}}}}
predictions: {{destination: predictions, batch_size: 4}}
"""
HERTZ = {"low": 300, "middle": 700, "high": 1500}
RATES = (4000, 8000, 11_025)
TABLE = np.random.default_rng(7).normal(size=[10, 3]).astype(np.float32)
COSINES = np.cos(2 * np.pi * np.outer(np.arange(400) / 4000, list(HERTZ.values()))).astype(np.float32)
SINES = np.sin(2 * np.pi * np.outer(np.arange(400) / 4000, list(HERTZ.values()))).astype(np.float32)


class Modules(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(0.05 * tf.ones([3]), name="scale")

    def bands(self, waveform):
        """How loud each of the three tones is, [batch, 3]."""
        return self.scale * tf.sqrt((waveform @ COSINES) ** 2 + (waveform @ SINES) ** 2)

    def tokens(self, ids, mask):
        """The sum of the vectors of the tokens that count, [batch, 3]."""
        return tf.reduce_sum(tf.gather(TABLE, ids) * tf.cast(mask, tf.float32)[..., tf.newaxis], axis=1)

    def planes(self, x):
        """The sums of the two planes, [batch, 2]."""
        return tf.reduce_sum(x, axis=(2, 3))

    def all(self, waveform, ids, mask, x):
        return {"bands": self.bands(waveform), "tokens": self.tokens(ids, mask), "planes": self.planes(x)}


SPECS = {
    "waveform": tf.TensorSpec([None, 400], tf.float32, "waveform"),
    "ids": tf.TensorSpec([None, 5], tf.int32, "ids"),
    "mask": tf.TensorSpec([None, 5], tf.int64, "mask"),
    "x": tf.TensorSpec([None, 2, 3, 2], tf.float32, "x"),
}
INPUTS = {"bands": ["waveform"], "tokens": ["ids", "mask"], "planes": ["x"], "all": list(SPECS)}


class Record:
    """One record, and the vectors of each module, by SciPy and NumPy."""

    def __init__(self, number: int) -> None:
        rng = np.random.default_rng(number)
        self.pitch, self.rate = list(HERTZ)[number % 3], RATES[number % 2 if number % 5 else 2]
        self.samples = tone(HERTZ[self.pitch], self.rate, int(self.rate * (0.06 + 0.01 * (number % 9))), number)
        self.ids, self.mask = rng.integers(0, 10, 5), rng.integers(0, 2, 5)
        self.grid = rng.normal(size=12).astype(np.float32)

    @property
    def columns(self) -> dict:
        return {
            "wav": wav(self.samples, self.rate),
            "ids": self.ids.tolist(),
            "mask": self.mask.tolist(),
            "grid": self.grid.tolist(),
        }

    def example(self, **other: bytes) -> bytes:
        lists = {
            name: example_data.feature(*values) if isinstance(values, list) else values
            for name, values in (self.columns | other).items()
        }
        return example_data.record(pitch=self.pitch, **lists)

    @property
    def vectors(self) -> dict[str, np.ndarray]:
        wave = as_samples(self.samples, self.rate, 4000, 400, "center")
        return {
            "bands": 0.05 * np.hypot(wave @ COSINES, wave @ SINES),
            "tokens": (TABLE[self.ids] * self.mask[:, np.newaxis]).sum(axis=0),
            "planes": self.grid.reshape(2, 3, 2).sum(axis=(1, 2)),
        }


SPLITS = {
    "train": [Record(n) for n in range(45)],
    "validation": [Record(n) for n in range(45, 60)],
    "test": [Record(n) for n in range(60, 78)],
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("tones")
    for split, records in SPLITS.items():
        bad = [records[0].example(wav=b"ID3"), records[0].example(wav=records[0].columns["wav"][:30])]
        given = [one.example() for one in records]
        example_data.write_tfrecord(
            folder / "data" / split, [*given[:3], *(bad if split == "train" else []), *given[3:]]
        )
    module = Modules()
    for name, inputs in INPUTS.items():
        own = tf.Module()
        own.scale = module.scale
        own.__call__ = tf.function(getattr(module, name), input_signature=[SPECS[each] for each in inputs])
        tf.saved_model.save(own, str(folder / name))
    path = folder / "pipeline.yaml"
    path.write_text(TRAIN)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    return path, result


def test_stored_vectors_are_those_of_scipy_and_numpy(trained: tuple[Path, Result]) -> None:
    path, result = trained
    assert result.metrics["accuracy"] >= 0.9
    for split in ("train", "validation"):  # the test split meets the fine-tuned module
        records = SPLITS[split]
        (file,) = Path(result.artifacts.rows, f"Split-{split}").iterdir()
        rows = [tf.train.Example.FromString(row).features.feature for row in example_data.read_tfrecord(file)]
        assert all("wav" not in row for row in rows)
        by_grid = {tuple(row["grid"].float_list.value): row for row in rows}
        assert len(rows) == len(by_grid) == len(records)
        for record in records:
            row = by_grid[tuple(record.grid.tolist())]
            for hub, expected in record.vectors.items():
                np.testing.assert_allclose(row[column(hub)].float_list.value, expected, atol=1e-4)
    lists = path.parent.glob(f".hubline/**/{QUARANTINE_LIST}")
    assert {entry.record for file in lists for entry in read_quarantine(str(file))} == {3, 4}


def test_the_exported_model_takes_the_bytes_of_a_wav_file(trained: tuple[Path, Result], tmp_path: Path) -> None:
    _, result = trained
    records = SPLITS["test"]
    model = tf.saved_model.load(result.pushed_model)
    by_example = model.signatures["serving_default"](tf.constant([one.example() for one in records]))
    columns = [one.columns for one in records]
    by_name = model.signatures["predict"](
        wav=tf.constant([one["wav"] for one in columns]),
        ids=tf.constant([one["ids"] for one in columns], tf.int64),
        mask=tf.constant([one["mask"] for one in columns], tf.int64),
        grid=tf.constant([one["grid"] for one in columns]),
    )
    np.testing.assert_allclose(by_name["scores"], by_example["scores"], atol=1e-5)
    lines = [one | {"wav": {"b64": base64.b64encode(one["wav"]).decode()}} for one in columns]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    told = list(predict_inputs(str(result.pushed_model), [str(tmp_path / "a.jsonl")]))
    right = [one["label"] == record.pitch for one, record in zip(told, records, strict=True)]
    assert np.mean(right) == pytest.approx(result.metrics["accuracy"])


def test_a_module_with_all_these_inputs_is_asked(trained: tuple[Path, Result]) -> None:
    folder = trained[0].parent
    path = folder / "infer.yaml"
    path.write_text(INFER)
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    said = predictions_in(str(result.predictions))
    for name in ("bands", "tokens", "planes"):
        expected = [record.vectors[name] for record in SPLITS["test"]]
        np.testing.assert_allclose([one[name] for one in said], expected, atol=1e-4)


def test_check_names_a_record_that_is_no_sound(trained: tuple[Path, Result], tmp_path: Path) -> None:
    record = SPLITS["test"][0]
    for split in SPLITS:
        example_data.write_tfrecord(tmp_path / "data" / split, [record.example(wav=b"OggS")])
    path = tmp_path / "pipeline.yaml"
    text = TRAIN.replace("  bad_records: {policy: quarantine, max_fraction: 0.1}\n", "")
    path.write_text(text.replace("handle: ", f"handle: {trained[0].parent}/"))
    with pytest.raises(PipelineFileError) as caught:
        check(path)
    said = {diagnostic.key: diagnostic.message for diagnostic in caught.value.diagnostics}
    assert "the sound 'wav' of " in said["features.sound.from"]
    assert "is not a WAV file with 16 bits a sample (PCM): it begins with b'OggS'" in said["features.sound.from"]
