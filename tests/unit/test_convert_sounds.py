"""Converts folders of WAV files to records."""

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from hubline.pipeline.cli import app
from tests.support.conversion import rows_of
from tests.support.files_to_convert import write
from tests.support.sounds import tone, wav


def test_sounds_in_folders_are_stored_as_they_are_and_bad_ones_are_listed(tmp_path: Path) -> None:
    low, high = wav(tone(300, 8000, 80), 8000), wav(np.stack([tone(900, 44_100, 80)] * 2, axis=1), 44_100)
    write(
        tmp_path / "in",
        low__1_wav=low,
        high__2_wav=high,
        high__3_wav=b"ID3 is no WAV",
        high__4_wav=low[:30],
        high__5_wav=low[:34] + b"\x08\x00" + low[36:],
        low__6_wav=wav(np.zeros(0, np.int16), 8000),
        low__7_wav=high[:-7],
    )
    arguments = ["convert", "audio", str(tmp_path / "in"), "--output", str(tmp_path / "out")]
    said = CliRunner().invoke(app, [*arguments, "--bad", "skip"])
    assert said.exit_code == 0, said.output
    found = {row["file"][0]: (row["audio"], row["label"]) for row in rows_of(tmp_path / "out")}
    assert found == {b"low/1.wav": ([low], [b"low"]), b"high/2.wav": ([high], [b"high"])}
    failed = CliRunner().invoke(app, [*arguments[:-1], str(tmp_path / "other")])
    assert failed.exit_code != 0 and not (tmp_path / "other").exists()
    faults = f"{failed.output} {failed.exception}"
    for fault in (
        "high/3.wav: is not a WAV file with 16 bits a sample (PCM): ",
        "high/4.wav: is not a WAV file with 16 bits a sample (PCM): ",
        "high/5.wav: has 8 bits a sample; it must be a WAV file with 16 bits a sample (PCM)",
        "low/6.wav: has no samples",
        "low/7.wav: is cut off",
    ):
        assert fault in " ".join(faults.split())
