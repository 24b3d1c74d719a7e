"""Baselines and intervals of the Evaluator, compared with scikit-learn and a bootstrap of the examples themselves."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import accuracy_score, f1_score, log_loss, r2_score, roc_auc_score

from hubline.artifacts.decision import Estimates
from hubline.artifacts.predictions import CANDIDATE, LABEL, PredictionsMetadata, encoded
from hubline.components.evaluator.auc import AucAccumulator
from hubline.components.evaluator.baseline import baseline_checks, parts_of
from hubline.components.evaluator.bootstrap import GroupSums, interval
from hubline.components.evaluator.constants import ConstantPredictions
from hubline.components.evaluator.estimates import estimate
from hubline.components.evaluator.labels import classes, multilabel, regression
from tests.support import example_data

COUNT = 400
CLASSES = ["ant", "bee", "cat"]
RNG = np.random.default_rng(0)
SHARES = np.array([0.6, 0.3, 0.1])
TRUE = RNG.choice(3, COUNT, p=SHARES)


def scores_of(skill: float, rng: np.random.Generator, true: np.ndarray = TRUE) -> np.ndarray:
    logits = np.log(SHARES) + rng.normal(size=[len(true), 3]) + skill * np.eye(3)[true]
    return (np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)).astype(np.float32)


def estimated(
    folder: Path,
    predicted: PredictionsMetadata,
    true: np.ndarray,
    told: np.ndarray,
    constants: ConstantPredictions,
    *metrics: str,
) -> Estimates:
    """Estimates from predictions stored in a file."""
    columns = {LABEL: tf.constant(true), CANDIDATE: tf.constant(told)}
    file = example_data.write_tfrecord(folder / "predictions", encoded(columns).numpy())
    return estimate([str(file)], len(true), predicted, [CANDIDATE], metrics, constants)


def drawn_again(measure: Callable[[np.ndarray], float], count: int = COUNT, samples: int = 400) -> tuple[float, float]:
    """95 % interval of a metric, by resampling rows."""
    rng = np.random.default_rng(7)
    low, high = np.quantile([measure(rng.integers(0, count, count)) for _ in range(samples)], [0.025, 0.975])
    return low, high


@pytest.fixture(scope="module")
def of_classes(tmp_path_factory) -> tuple[np.ndarray, Estimates]:
    scores = scores_of(2.0, np.random.default_rng(1))
    predicted = PredictionsMetadata("class", CLASSES)
    metrics = ("accuracy", "cross_entropy", "auc", "top_3_accuracy")
    constants = classes.constants_of(SHARES, predicted)
    folder = tmp_path_factory.mktemp("classes")
    return scores, estimated(folder, predicted, TRUE[:, np.newaxis], scores, constants, *metrics)


MEASURES: dict[str, Callable[[np.ndarray, np.ndarray], float]] = {
    "accuracy": lambda true, scores: accuracy_score(true, scores.argmax(axis=1)),
    "cross_entropy": lambda true, scores: log_loss(true, scores / scores.sum(axis=1, keepdims=True), labels=[0, 1, 2]),
    "auc": lambda true, scores: roc_auc_score(true, scores / scores.sum(axis=1, keepdims=True), multi_class="ovr"),
}


@pytest.mark.slow
@pytest.mark.parametrize("metric", list(MEASURES))
def test_intervals_are_those_of_drawing_the_examples_again(of_classes, metric: str) -> None:
    scores, found = of_classes
    scores = scores.astype(np.float64)
    low, high = drawn_again(lambda rows: MEASURES[metric](TRUE[rows], scores[rows]))
    measured = MEASURES[metric](TRUE, scores)
    assert found.values[metric] == pytest.approx(measured, abs=2e-3 if metric == "auc" else 1e-6)
    assert found.intervals[metric] == pytest.approx((low, high), abs=0.2 * (high - low))
    assert found.intervals[metric][0] < measured < found.intervals[metric][1]


def test_the_baseline_is_the_shares_of_the_classes_and_the_most_frequent_one(of_classes) -> None:
    _, found = of_classes
    baseline = found.baseline
    assert baseline.metrics == {
        "accuracy": pytest.approx((TRUE == 0).mean()),
        "cross_entropy": pytest.approx(log_loss(TRUE, np.tile(SHARES, [COUNT, 1]))),
        "top_3_accuracy": 1.0,
        "auc": 0.5,
    }
    assert baseline.answers["accuracy"] == "always 'ant'"
    low, high = drawn_again(lambda rows: (TRUE[rows] == 0).mean())
    assert baseline.intervals["accuracy"] == pytest.approx((low, high), abs=0.02)


def test_the_difference_is_of_the_same_examples(of_classes) -> None:
    scores, found = of_classes
    scores = scores.astype(np.float64)
    constant = -np.log(SHARES[TRUE])
    better = constant + np.log(scores[np.arange(COUNT), TRUE] / scores.sum(axis=1))
    low, high = drawn_again(lambda rows: better[rows].mean())
    advantage = found.baseline.better_by["cross_entropy"]
    assert advantage.difference == pytest.approx(better.mean(), abs=1e-6)
    assert (advantage.low, advantage.high) == pytest.approx((low, high), abs=0.2 * (high - low))


def verdicts(folder: Path, skill: float, seed: int, count: int = COUNT, kind: str = "class") -> list:
    rng = np.random.default_rng(seed)
    true = rng.choice(3, count, p=SHARES)
    predicted = PredictionsMetadata(kind, CLASSES)
    found = estimated(
        folder, predicted, true[:, np.newaxis], scores_of(skill, rng, true), classes.constants_of(SHARES, predicted),
        "cross_entropy", "accuracy",
    )  # fmt: skip
    return list(baseline_checks(found.baseline, found.values, parts_of(kind, 3), count))


@pytest.mark.slow
def test_a_model_without_skill_is_not_blessed_and_one_with_some_is(tmp_path: Path) -> None:
    # Two metrics, each with a chance of 2.5 % or less.
    assert sum(verdicts(tmp_path, 0.0, seed)[0].passed for seed in range(60)) <= 4
    assert all(verdicts(tmp_path, 2.5, seed)[0].passed for seed in range(10))


@pytest.mark.slow
def test_a_test_split_that_is_too_small_to_tell_is_said_with_the_number_that_would(tmp_path: Path) -> None:
    undecided = [check for seed in range(20) for check in verdicts(tmp_path, 0.8, seed, 25) if not check.passed]
    said = [check.reason for check in undecided if "too small to decide: it has 25 records" in check.reason]
    assert said and all(" would be needed" in reason for reason in said)


def test_of_five_records_nothing_can_be_told(tmp_path: Path) -> None:
    (check,) = verdicts(tmp_path, 30.0, 0, 5)
    assert not check.passed and "too small to decide: it has 5 records" in check.reason
    assert "evaluation.baseline: ignore" in check.reason
    assert verdicts(tmp_path, 30.0, 0, 12)[0].passed


def test_of_several_classes_the_constant_of_each_metric_is_the_best_one(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    true = rng.random([COUNT, 4]) < [0.7, 0.5, 0.2, 0.05]
    sets, counts = np.unique(true, axis=0, return_counts=True)
    predicted = PredictionsMetadata("multilabel", ["a", "b", "c", "d"])
    constants = multilabel.constants_of(sets, counts, predicted)
    told = np.concatenate([np.full([COUNT, 4], 0.5), np.zeros([COUNT, 4])], axis=1).astype(np.float32)
    metrics = ("f1", "macro_f1", "precision", "recall", "cross_entropy", "exact_match", "auc")
    found = estimated(tmp_path, predicted, true.astype(np.int64), told, constants, *metrics)
    every = [np.array(np.unravel_index(number, [2] * 4), bool) for number in range(16)]
    rows = [np.tile(one, [COUNT, 1]) for one in every]
    best = found.baseline.metrics
    assert best["f1"] == pytest.approx(max(f1_score(true, one, average="micro", zero_division=0) for one in rows))
    assert best["macro_f1"] == pytest.approx(max(f1_score(true, one, average="macro", zero_division=0) for one in rows))
    assert best["exact_match"] == max((true == one).all(axis=1).mean() for one in every)
    share = true.mean(axis=0)
    assert best["cross_entropy"] == pytest.approx(
        np.mean([log_loss(true[:, k], np.full(COUNT, share[k])) for k in range(4)])
    )
    assert best["auc"] == 0.5 and found.values["auc"] == pytest.approx(0.5)
    assert found.values["recall"] == 0.0 and found.values["precision"] is None


@pytest.mark.slow
def test_of_numbers_it_is_the_mean_and_of_the_absolute_error_the_median(tmp_path: Path) -> None:
    rng = np.random.default_rng(4)
    true = rng.lognormal(3, 1, COUNT).astype(np.float32)
    told = (true * rng.normal(1, 0.2, COUNT)).astype(np.float32)
    metrics = ("rmse", "mae", "r2")
    constants = regression.constants_of(true.astype(np.float64))
    columns = true[:, np.newaxis].astype(np.float64), told[:, np.newaxis].astype(np.float64)
    found = estimated(tmp_path, PredictionsMetadata("regression"), *columns, constants, *metrics)
    wide = true.astype(np.float64)
    assert found.baseline.metrics == pytest.approx(
        {"rmse": wide.std(), "mae": np.abs(wide - np.median(wide)).mean(), "r2": 0.0}, abs=1e-9
    )
    low, high = drawn_again(lambda rows: r2_score(true[rows], told[rows]))
    assert found.intervals["r2"] == pytest.approx((low, high), abs=0.25 * (high - low))


@pytest.mark.slow
def test_groups_of_many_examples_vary_as_the_examples_do() -> None:
    values = np.random.default_rng(5).normal(3.0, 2.0, [50_000, 1])
    groups = GroupSums(len(values), 2)
    for begin in range(0, len(values), 7000):
        some = values[begin : begin + 7000]
        groups.add(np.concatenate([np.ones_like(some), some], axis=1))
    assert len(groups.sums) < len(values) and groups.total == pytest.approx([50_000, values.sum()])
    drawn = groups.drawn()
    low, high = interval(drawn[:, 1] / drawn[:, 0])
    half = 1.96 * values.std() / len(values) ** 0.5
    assert (low, high) == pytest.approx((values.mean() - half, values.mean() + half), abs=0.2 * half)


def test_the_components_of_an_area_are_those_of_delong() -> None:
    rng = np.random.default_rng(6)
    true = rng.random(300) < 0.3
    scores = (1 / (1 + np.exp(-rng.normal(true * 1.5, 1.0)))).astype(np.float32)[:, np.newaxis]
    areas = AucAccumulator(1)
    for rows in (slice(0, 100), slice(100, 300)):
        areas.count(true[rows, np.newaxis], scores[rows])
    components = areas.components(true[:, np.newaxis], scores)
    assert components.mean() == pytest.approx(roc_auc_score(true, scores[:, 0]), abs=1e-3)
    ranked = (scores[true] > scores[~true].T).mean(axis=1), (scores[true] > scores[~true].T).mean(axis=0)
    variance = ranked[0].var() / true.sum() + ranked[1].var() / (~true).sum()
    assert components.var() / 300 == pytest.approx(variance, rel=0.02)


def test_the_area_of_one_class_alone_is_not_defined() -> None:
    areas = AucAccumulator(2)
    true = np.tile([True, False], [10, 1])
    areas.count(true, np.full([10, 2], 0.5))
    assert np.isnan(areas.components(true, np.full([10, 2], 0.5))).all()
