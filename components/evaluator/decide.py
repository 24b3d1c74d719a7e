"""From metrics to a decision."""

from collections.abc import Sequence

from hubline.artifacts.decision import Decision, Estimates, SliceMetrics
from hubline.components.config.evaluation import Evaluation
from hubline.components.evaluator.baseline import held_to
from hubline.components.evaluator.thresholds import checks_of, left_out
from hubline.trainer.metric_names import Metric


def decide(
    evaluation: Evaluation,
    slices: Sequence[SliceMetrics],
    serving: str | None,
    estimates: Estimates | None = None,
    parts: Sequence[tuple[Metric, ...]] = (),
    notes: Sequence[str] = (),
) -> Decision:
    """Holds a model's metrics to the thresholds and to the best constants.

    Args:
        evaluation: The thresholds, and whether the constants count.
        slices: The model's values on the test split, all records first. Where nothing serves, bounds against what
            serves are not applied.
        serving: The path of the version that it is compared with.
        estimates: How sure the values are, and what constants come to.
        parts: What the model must be better by than constants, as `parts_of` gives it.
        notes: What is known already that must be said.
    """
    estimates = estimates or Estimates()
    overall = slices[0]
    checks = list(checks_of(evaluation.thresholds, slices, evaluation.slice_min_examples))
    if estimates.baseline and evaluation.baseline == "beat":
        checks += held_to(estimates.baseline, estimates.values, parts, overall.examples)
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
