"""Full runs on columns whose digits float32 would lose, and on dates in several formats."""

import json
import subprocess
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD
from hubline.core.float64 import from_parts
from tests.support import example_data
from tests.support.project import HUBLINE, PROJECT, make_project

COUNT = 610
SECONDS = 1_600_000_000 + np.arange(COUNT) % 61
DATES = ["2024-05-31", "20240601T101500Z", "2024-06-02 23:30:00+02:00", "2024-13-45", "0000-00-00"]
FILE = """\
name: digits-of-numbers
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  t: {kind: numeric, normalize: z_score}
  bucket: {kind: bucketized, from: t, buckets: 6}
  day: {kind: timestamp, from: written, part: day, encode: one_hot}
label: %s
training: {epochs: 20, batch_size: 32, optimizer: {learning_rate: 0.05}}
serving: {destination: serving, check: {enabled: false}}
"""
EVERY_RUN = pytest.mark.parametrize(
    ("label", "evaluation"),
    [
        ("""{kind: binary, where: '"start time" > 1600000030'}""", "{thresholds: {accuracy: {at_least: 0.9}}}"),
        ("{kind: regression, from: start time}", "{metrics: [rmse, mae, r2], thresholds: {rmse: {at_most: 5}}}"),
    ],
)


def project(folder: Path, label: str, dates: list[str]) -> Path:
    records = [
        example_data.record(t=int(t), written=dates[n % len(dates)], **{"start time": int(t)}, row=n)
        for n, t in enumerate(SECONDS)
    ]
    return make_project(folder, FILE % label, records)


def run(path: Path, *settings: str) -> tuple[int, dict]:
    options = [option for setting in settings for option in ("--set", setting)]
    done = subprocess.run([*HUBLINE, "run", str(path), "--json", *options], capture_output=True, text=True, cwd=PROJECT)
    return done.returncode, json.loads(done.stdout.splitlines()[-1])


@EVERY_RUN
def test_numbers_that_lie_close_together_are_learned_and_judged(tmp_path: Path, label: str, evaluation: str) -> None:
    code, said = run(project(tmp_path, label, DATES), f"evaluation={evaluation}")
    assert (code, said["status"]) == (0, "succeeded"), said
    (warning,) = [text for text in said["warnings"] if "'written'" in text]
    assert "values are not dates that features.day can read, such as" in warning and "'2024-13-45'" in warning
    model = tf.saved_model.load(said["pushed_model"])
    answer = model.signatures["predict"](t=tf.constant(SECONDS[:61]), written=tf.constant(DATES[:1] * 61))
    if "where" in label:
        is_late = SECONDS[:61] > 1_600_000_030
        assert ((answer["label"].numpy() == b"yes") == is_late).mean() > 0.9
    else:
        assert answer["value"].dtype == tf.float64
        assert np.abs(answer["value"].numpy() - SECONDS[:61]).mean() < 5 and said["metrics"]["r2"] > 0.9
    kept = sorted(tmp_path.glob(".hubline/*/artifacts/Evaluator/evaluation/*/predictions/*.tfrecord"))
    records = [record for file in kept for record in example_data.read_tfrecord(file)]
    truth = [tf.train.Example.FromString(record).features.feature for record in records]
    if "where" in label:
        late = [each[LABEL].int64_list.value[0] for each in truth]
        assert 0.3 < np.mean(late) < 0.7 and len(truth) == len({each[RECORD].int64_list.value[0] for each in truth})
    else:
        numbers, told = (
            from_parts(tf.constant([list(each[name].float_list.value) for each in truth])).numpy()
            for name in (LABEL, CANDIDATE)
        )
        assert set(numbers.tolist()) <= set(SECONDS.astype(float).tolist()) and len(set(numbers.tolist())) > 30
        squares = ((told - numbers) ** 2).mean()
        expected = {"rmse": squares**0.5, "mae": np.abs(told - numbers).mean(), "r2": 1 - squares / numbers.var()}
        assert said["metrics"] == pytest.approx(expected, rel=1e-9)


def test_a_column_without_any_date_stops_with_the_format_to_set(tmp_path: Path) -> None:
    path = project(tmp_path, "{kind: regression, from: start time}", ["05/31/2024", "12/01/2023"])
    code, said = run(path)
    assert code == 1 and said["failed_step"] == "Transform"
    assert "such as '05/31/2024', '12/01/2023'; say how they are written, perhaps format: \"%m/%d/%Y\"" in said["error"]
