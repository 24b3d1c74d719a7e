from collections.abc import Sequence

from hubline.artifacts.decision import Check, Decision, Estimates, SliceMetrics
from hubline.components.config.evaluation import Evaluation
from hubline.components.evaluator.baseline import baseline_checks
from hubline.components.evaluator.thresholds import checks_of, left_out
from hubline.trainer.metric_names import Metric


def decide(
    evaluation: Evaluation,
    slices: Sequence[SliceMetrics],
    serving: str | None,
    estimates: Estimates | None = None,
    parts: Sequence[tuple[Metric, ...]] = (),
    notes: Sequence[str] = (),
    exports: Sequence[Check] = (),
) -> Decision:
    """Checks a model's metrics against the thresholds and the baseline.

    Args:
        evaluation: The thresholds, and whether the baseline must be beaten.
        slices: Metrics on the test split, overall first. Bounds relative to the serving version are skipped if there is
            none.
        serving: Path of the serving version that the model is compared with.
        estimates: Confidence intervals and the baseline's metrics.
        parts: The parts of the prediction that must beat the baseline, as `parts_of` returns.
        notes: Notes to include in the decision.
        exports: Checks of the other forms of the model.
    """
    estimates = estimates or Estimates()
    overall = slices[0]
    checks = list(checks_of(evaluation.thresholds, slices, evaluation.slice_min_examples))
    if estimates.baseline and evaluation.baseline == "beat":
        checks += baseline_checks(estimates.baseline, estimates.values, parts, overall.examples)
    checks += exports
    return Decision(
        blessed=all(check.passed for check in checks),
        compared_with=serving,
        metrics=overall.metrics,
        serving_metrics=overall.serving_metrics,
        intervals=estimates.intervals,
        serving_intervals=estimates.serving_intervals,
        baseline=estimates.baseline,
        slices=tuple(slices),
        checks=tuple(checks),
        notes=(*notes, *left_out(evaluation.thresholds, slices, evaluation.slice_min_examples)),
    )
