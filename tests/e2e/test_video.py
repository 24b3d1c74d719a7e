"""The video example with fewer epochs: clips in both record formats, two of them damaged, to a model that predicts."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tensorflow as tf

from hubline.pipeline.run import run
from tests.support import example_data

pytestmark = pytest.mark.slow

EXAMPLE = Path(__file__).parents[2] / "examples" / "video"


def in_steps(record: bytes) -> bytes:
    """Converts a tf.Example to a tf.SequenceExample with a step for each frame."""
    columns = tf.train.Example.FromString(record).features.feature
    message = tf.train.SequenceExample()
    message.context.feature["label"].CopyFrom(columns["label"])
    for frame in columns["frames"].bytes_list.value:
        message.feature_lists.feature_list["frames"].feature.add().CopyFrom(example_data.feature(frame))
    return message.SerializeToString()


def test_clips_become_a_model_that_tells_which_way_things_move(tmp_path: Path) -> None:
    shutil.copytree(EXAMPLE, tmp_path, dirs_exist_ok=True, ignore=shutil.ignore_patterns("data", "serving", ".hubline"))
    subprocess.run([sys.executable, tmp_path / "make_data.py"], check=True)
    shard = sorted((tmp_path / "data").iterdir())[0]
    records = example_data.read_tfrecord(shard, "GZIP")
    cut = tf.train.Example.FromString(records[0])
    cut.features.feature["frames"].bytes_list.value[0] = cut.features.feature["frames"].bytes_list.value[0][:60]
    broken = [example_data.record(label="left"), cut.SerializeToString()]
    example_data.write_tfrecord(shard, [*map(in_steps, records), *broken], "GZIP")
    path = tmp_path / "pipeline.yaml"
    text = path.read_text().replace("epochs: 12", "epochs: 6").replace("after_epochs: 5", "after_epochs: 2")
    # The first frame is among those sampled.
    text = text.replace("channels: 1}", "channels: 1, sample: first}")
    quarantine = "data:\n  bad_records: {policy: quarantine, max_fraction: 0.01}\n"
    path.write_text(text.replace("data:\n", quarantine, 1))
    result, code = run(path, None, quiet=True)
    assert code == 0, result.error
    assert result.blessed and result.metrics["accuracy"] > 0.9

    asked = [
        sys.executable,
        "-m",
        "hubline.pipeline.cli",
        "predict",
        f"{tmp_path}/serving",
        shard,
        "--json",
        "--bad",
        "skip",
    ]
    done = subprocess.run(asked, check=True, capture_output=True, text=True)
    answers = json.loads(done.stdout)["predictions"]
    assert len(answers) == len(records)
    said = [answer["label"].encode() for answer in answers]
    labels = [tf.train.Example.FromString(each).features.feature["label"].bytes_list.value[0] for each in records]
    assert sum(a == b for a, b in zip(said, labels, strict=True)) > 0.9 * len(labels)
    for number in (len(records), len(records) + 1):
        assert f"record {number} (counted from 0): " in done.stderr
