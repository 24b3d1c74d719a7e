"""Regression labels that float32 would round: stored, read and evaluated in float64."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from hubline.artifacts.predictions import CANDIDATE, LABEL, PredictionsMetadata, encoded
from hubline.components.evaluator.estimates import estimate
from hubline.components.evaluator.labels.regression import constants_of
from hubline.components.evaluator.read_predictions import read_predictions
from hubline.core.float64 import GREATEST, from_parts, to_parts
from hubline.trainer.metric_names import Metric
from hubline.trainer.metrics.r2 import R2
from hubline.trainer.metrics.regression import MeanAbsoluteDifference, RootMeanSquaredDifference
from tests.support import example_data

RNG = np.random.default_rng(11)
TRUE = 1.6e9 + RNG.uniform(-60, 60, 500)
TOLD = TRUE + RNG.normal(0, 7, 500)
CENTRE = 1_600_000_004.0
METRICS: list[Metric] = ["rmse", "mae", "r2"]
EXPECTED = {
    "rmse": mean_squared_error(TRUE, TOLD) ** 0.5,
    "mae": mean_absolute_error(TRUE, TOLD),
    "r2": r2_score(TRUE, TOLD),
}


@given(st.floats(-GREATEST, GREATEST).filter(lambda value: value == 0 or abs(value) > 1e-22))
def test_numbers_come_out_of_their_parts_to_the_last_bit(value: float) -> None:
    parts = to_parts(np.array([value]))
    assert parts.dtype == np.float32 and parts.shape == (1, 3)
    assert parts[0, 0] == np.float32(value)
    assert from_parts(tf.constant(parts)).numpy().tolist() == [value]


@given(st.floats(-1e-22, 1e-22))
def test_of_very_small_numbers_next_to_nothing_is_lost(value: float) -> None:
    assert float(from_parts(tf.constant(to_parts(np.array(value))))) == pytest.approx(value, abs=1e-37)


def test_metrics_of_numbers_far_greater_than_their_spread_are_those_of_float64() -> None:
    true, told = to_parts(TRUE), to_parts(TOLD)
    for metric in (RootMeanSquaredDifference(), MeanAbsoluteDifference(), R2(centre=CENTRE)):
        metric.update_state(true, told)
        parts = [type(metric).from_config(metric.get_config()) for _ in range(2)]
        for part, rows in zip(parts, (slice(0, 123), slice(123, None)), strict=True):
            part.update_state(true[rows], told[rows])
        whole = type(metric).from_config(metric.get_config())
        whole.set_weights(np.add(parts[0].get_weights(), parts[1].get_weights()))
        assert float(metric.result()) == pytest.approx(EXPECTED[metric.name], rel=1e-9)
        assert float(whole.result()) == pytest.approx(EXPECTED[metric.name], rel=1e-9)


def test_baseline_and_intervals_are_those_of_float64(tmp_path: Path) -> None:
    columns = {LABEL: tf.constant(TRUE[:, np.newaxis]), CANDIDATE: tf.constant(TOLD[:, np.newaxis])}
    file = str(example_data.write_tfrecord(tmp_path / "predictions", encoded(columns).numpy()))
    predicted = PredictionsMetadata("regression", centre=CENTRE)
    (rows,) = read_predictions([file], predicted, [CANDIDATE])
    np.testing.assert_array_equal(rows[LABEL][:, 0], TRUE)
    np.testing.assert_array_equal(rows[CANDIDATE][:, 0], TOLD)
    constants = constants_of(TRUE)
    found = estimate([file], 500, predicted, [CANDIDATE], METRICS, constants)
    assert found.values == pytest.approx(EXPECTED, rel=1e-9)
    deviation, distance = TRUE.std(), np.abs(TRUE - np.median(TRUE)).mean()
    assert found.baseline.metrics == pytest.approx({"rmse": deviation, "mae": distance, "r2": 0.0}, abs=1e-6)
    assert constants.default_description == f"the mean {TRUE.mean():.0f}"
    for metric, measured in EXPECTED.items():
        low, high = found.intervals[metric]
        assert low < measured < high and high - low < 0.2 * measured
        advantage = found.baseline.better_by[metric]
        assert advantage.difference == pytest.approx(abs(found.baseline.metrics[metric] - measured), rel=1e-6)
