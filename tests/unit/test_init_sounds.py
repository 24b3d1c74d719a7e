"""`hubline init` on WAV files: class folders, modules of samples, and rates that differ."""

import io
import json
from pathlib import Path

import pytest
import tensorflow as tf
from rich.console import Console
from typer.testing import CliRunner

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.pipeline.init.command import init
from hubline.pipeline.preflight import check
from tests.support.example_data import feature, record, write_tfrecord
from tests.support.sounds import tone, wav

SILENT = Console(file=io.StringIO())
HERTZ = {"low": 300, "high": 1500}


def samples_module(folder: Path, samples: int) -> Path:
    """A module that returns the first two of so many samples."""

    class First(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, samples], tf.float32, "waveform")])
        def __call__(self, waveform: tf.Tensor) -> tf.Tensor:
            return waveform[:, :2]

    tf.saved_model.save(First(), str(folder))
    return folder


def sound(number: int, pitch: str) -> bytes:
    rate = 16_000 if number == 3 else 8000
    return wav(tone(HERTZ[pitch], rate, int(rate * (0.1 + 0.01 * number)), number), rate)


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    for pitch in HERTZ:
        folder = tmp_path / "recordings" / pitch
        folder.mkdir(parents=True)
        for number in range(11):
            (folder / f"{number}.WAV").write_bytes(sound(number, pitch))
    return tmp_path / "recordings"


def test_class_folders_of_wav_files_become_an_audio_feature_of_the_module(recordings: Path) -> None:
    output, module = recordings.parent / "pipeline.yaml", samples_module(recordings.parent / "module", 800)
    done = CliRunner().invoke(app, ["init", str(recordings), "--hub", str(module), "--output", str(output), "--json"])
    assert done.exit_code == 0, done.exception
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["features"] == {"audio": {"kind": "audio", "sample_rate": 8000, "samples": 800}}
    assert said["label"]["classes"] == ["high", "low"]
    file, _, _ = check(output)
    assert file.training is not None and file.hubs["audio_module"].inputs == {"waveform": "audio"}
    text = " ".join(output.read_text().replace("\n  #", "").split())
    assert "sound; 0.1 to 0.2 s at 8,000, 16,000 Hz; sample_rate must be that of the module" in text


def test_sounds_without_a_module_are_named(recordings: Path) -> None:
    with pytest.raises(
        UserError, match=r"are sounds \(audio\), which need a network; pass --hub HANDLE for a hub module"
    ):
        init(str(recordings), None, None, recordings.parent / "pipeline.yaml", False, SILENT)


def test_sounds_beside_numbers_stand_commented_out_with_half_of_them_whole(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    records = [
        record(wav=sound(number, "low"), loud=feature(0.1 * number), label=feature(number % 2)) for number in range(11)
    ]
    write_tfrecord(tmp_path / "data" / "a", records)
    init(str(tmp_path / "data"), None, None, tmp_path / "pipeline.yaml", False, SILENT)
    assert "# wav: {kind: audio, sample_rate: 8000, seconds: 0.15}" in (tmp_path / "pipeline.yaml").read_text()


def test_a_column_feeds_the_input_that_the_user_names(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    records = [record(wav=sound(number, "low"), label=feature(number % 2)) for number in range(12)]
    write_tfrecord(tmp_path / "data" / "a", records)
    module = samples_module(tmp_path / "module", 400)
    init(str(tmp_path / "data"), None, str(module), tmp_path / "pipeline.yaml", False, SILENT, inputs=["waveform=wav"])
    file, _, _ = check(tmp_path / "pipeline.yaml")
    assert file.features["wav"].samples == 400
    with pytest.raises(UserError, match="--input waveform=label: the column holds numbers, and the input takes 400"):
        init(str(tmp_path / "data"), "wav", str(module), tmp_path / "b.yaml", False, SILENT, inputs=["waveform=label"])


def test_records_without_a_sound_are_set_aside(tmp_path: Path) -> None:
    rows = [record(wav=sound(number, "low"), label=feature(number % 2)) for number in range(12)]
    rows[5] = record(wav=b"\xff\xfe", label=feature(1))
    path = write_tfrecord(tmp_path / "data" / "a", rows)
    module, shown = samples_module(tmp_path / "module", 400), io.StringIO()
    init(str(tmp_path / "data"), None, str(module), tmp_path / "p.yaml", False, Console(file=shown, width=300))
    said = f"1 of 12 records hold no WAV file there, such as {path}: record 5 (counted from 0)"
    assert said in shown.getvalue() and said in " ".join((tmp_path / "p.yaml").read_text().replace("\n  #", "").split())
    file, _, _ = check(tmp_path / "p.yaml")
    assert (file.data.bad_records.policy, file.data.bad_records.max_fraction) == ("quarantine", 0.13)
    assert file.hubs["wav_module"].inputs == {"waveform": "wav"}
