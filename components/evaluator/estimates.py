"""Metrics of the models and of the baseline with confidence intervals, from stored predictions."""

from collections.abc import Sequence

import numpy as np

from hubline.artifacts.decision import Advantage, Baseline, Estimates, Intervals, Metrics
from hubline.artifacts.predictions import CANDIDATE, LABEL, SERVING, PredictionsMetadata
from hubline.components.evaluator.auc import MOST_CLASSES, AucAccumulator
from hubline.components.evaluator.bootstrap import GroupSums, interval, point
from hubline.components.evaluator.constants import ConstantPredictions
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.metric_sums import MetricFromSums, mean
from hubline.components.evaluator.read_predictions import read_predictions
from hubline.trainer.metric_names import Metric, MetricName, lower_is_better

_CHANCE = 0.5
"""AUC of any constant."""


def estimate(
    files: Sequence[str],
    examples: int,
    predicted: PredictionsMetadata,
    models: Sequence[str],
    metrics: Sequence[Metric],
    constants: ConstantPredictions,
) -> Estimates:
    """Computes metrics from stored predictions, and compares the candidate with the baseline.

    Args:
        files: TFRecord files of predictions.
        examples: Number of examples.
        predicted: Kind of label and classes.
        models: `CANDIDATE`, and `SERVING` if its predictions are included.
        metrics: The metrics to compute.
        constants: The baseline.
    """
    names = [MetricName.parse(metric) for metric in metrics]
    sums_of = EVALUATION.of(predicted.kind).sums
    common = {name.text: sums for name in names if (sums := sums_of(name, predicted)) is not None}
    of_models = {(model, metric): sums for model in models for metric, sums in common.items()}
    areas = [name for name in names if name.score == "auc"] if len(predicted.classes) <= MOST_CLASSES else []
    for name in areas:
        of_models |= {(model, name.text): sums for model, sums in _areas(name, files, predicted, models).items()}
    groups: dict[tuple[str, str], GroupSums] = {}

    def add(name: str, metric: str, values: np.ndarray) -> None:
        groups.setdefault((name, metric), GroupSums(examples, values.shape[1])).add(values)

    for rows in read_predictions(files, predicted, models):
        for (model, metric), sums in of_models.items():
            add(model, metric, sums.of_each(rows[LABEL], rows[model]))
        for metric, sums in common.items():
            add("", metric, sums.of_each(rows[LABEL], constants.predictions(metric, rows[CANDIDATE])))

    drawn = {(model, metric): sums.value(groups[model, metric].drawn()) for (model, metric), sums in of_models.items()}
    constant = {metric: sums.value(groups["", metric].drawn()) for metric, sums in common.items()}
    values = {metric: point(groups["", metric], sums.value) for metric, sums in common.items()}
    own: Metrics = {metric: point(groups[CANDIDATE, metric], sums.value) for (_, metric), sums in of_models.items()}
    for name in areas:
        defined = own[name.text] is not None
        constant[name.text] = np.full_like(drawn[CANDIDATE, name.text], _CHANCE if defined else np.nan)
        values[name.text] = _CHANCE if defined else None

    def of_model(model: str) -> Intervals:
        return {metric: _within(metric, interval(drawn[name, metric])) for name, metric in drawn if name == model}

    answers = dict.fromkeys((name.text for name in areas), "any constant")
    answers |= {metric: constants.answer(metric) for metric in common}
    return Estimates(
        values=own,
        intervals=of_model(CANDIDATE),
        serving_intervals=of_model(SERVING) if SERVING in models else None,
        baseline=Baseline(
            answers=answers,
            metrics=values,
            intervals={metric: interval(of_samples) for metric, of_samples in constant.items()},
            better_by={
                metric: _advantage(metric, own[metric], values[metric], drawn[CANDIDATE, metric] - of_samples)
                for metric, of_samples in constant.items()
            },
        ),
    )


def _advantage(metric: str, own: float | None, constant: float | None, differences: np.ndarray) -> Advantage | None:
    sign = -1.0 if lower_is_better(metric) else 1.0
    bounds = interval(sign * differences)
    if own is None or constant is None or bounds is None:
        return None
    return Advantage(difference=sign * (own - constant), low=bounds[0], high=bounds[1])


def _within(metric: str, bounds: tuple[float, float] | None) -> tuple[float, float] | None:
    """Clips AUC intervals to [0, 1], which a bootstrap of the components can exceed."""
    return (max(bounds[0], 0.0), min(bounds[1], 1.0)) if bounds and MetricName.parse(metric).score == "auc" else bounds


def _areas(
    metric: MetricName, files: Sequence[str], predicted: PredictionsMetadata, models: Sequence[str]
) -> dict[str, MetricFromSums]:
    """AUC of each model, as the mean of its structural components."""
    classes, of = len(predicted.classes), metric.index(predicted.classes)
    chosen = slice(classes) if of is None else slice(of, of + 1)
    areas = {model: AucAccumulator(classes if of is None else 1) for model in models}

    is_of = EVALUATION.of(predicted.kind).is_of_class
    assert is_of is not None  # labels with an AUC define it

    for rows in read_predictions(files, predicted, models):
        for model, area in areas.items():
            area.count(is_of(rows[LABEL], classes)[:, chosen], rows[model][:, chosen])

    def components(area: AucAccumulator) -> MetricFromSums:
        return mean(lambda true, predictions: area.components(is_of(true, classes)[:, chosen], predictions[:, chosen]))

    return {model: components(area) for model, area in areas.items()}
