"""Dashboard's executor."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from hubline.artifacts.decision import DECISION, Decision
from hubline.components import module_channels
from hubline.components.dashboard.artifacts import (
    SHOWN_CLASSES,
    ClassificationMetrics,
    Metrics,
    confidence_metrics,
    confusion_matrix,
    preview,
    show,
)
from hubline.components.dashboard.markdown import decision_text
from hubline.components.module_keys import PREFIX
from hubline.core import storage
from hubline.report.contents import Artifacts, Findings, RunReport
from hubline.report.labels.predictions import PredictionsByClass
from hubline.report.page import render_findings
from hubline.report.read_artifacts import read
from hubline.trainer.tuning.results import Trials


class Executor(base_executor.BaseExecutor):
    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Writes metrics, confusion matrix and ROC curve as artifact properties, and the decision and the report as
        files.

        Every artifact has a preview text, and a display name that states what it shows and of which split.
        """
        modules = {name: artifact.uri for name, artifact in module_channels.artifacts(input_dict).items()}
        others = (name for name in input_dict if not name.startswith(PREFIX))
        folders = {name: artifact_utils.get_single_uri(input_dict[name]) for name in others}
        with storage.open_binary(f"{folders.pop('blessing')}/{DECISION}") as file:
            decision = Decision.model_validate_json(file.read())
        artifacts = Artifacts(**folders, modules=modules)
        findings = read(artifacts)

        outputs = {name: artifact_utils.get_single_instance(made) for name, made in output_dict.items()}
        _show_metrics(outputs["metrics"], _numbers(decision) | _of_search(findings.trials))
        if "classes" in outputs:
            _show_classes(outputs["classes"], findings.predictions)
        show(outputs["decision"], "Decision", decision_text(decision, findings.serving_check))
        show(outputs["report"], "Report", _page(exec_properties["name"], decision, artifacts, findings))


def _show_metrics(artifact: Metrics, numbers: Mapping[str, float]) -> None:
    for name, value in numbers.items():
        artifact.set_float_custom_property(name, value)
    show(artifact, "Metrics, test split", preview(f"{name} {value:.4g}" for name, value in numbers.items()))


def _numbers(decision: Decision) -> dict[str, float]:
    """All defined metrics of the candidate, the serving version and the best constant, and `blessed` as 1 or 0."""
    serving = {f"{name}_of_serving": value for name, value in (decision.serving_metrics or {}).items()}
    constants = decision.baseline.metrics if decision.baseline else {}
    baseline = {f"{name}_of_baseline": constants.get(name) for name in decision.metrics}
    found = decision.metrics | serving | baseline
    defined = {name: value for name, value in found.items() if value is not None}
    return {"blessed": float(decision.blessed)} | defined


def _of_search(trials: Trials | None) -> dict[str, float]:
    """Number of trials, and the objective and the tuned numbers of the best one."""
    if trials is None or trials.best is None:
        return {}
    values = {trials.objective: trials.best.objective} | trials.best.values
    numbers = {f"best_trial_{key}": float(value) for key, value in values.items() if isinstance(value, int | float)}
    return {"trials": float(len(trials.trials))} | numbers


def _show_classes(artifact: ClassificationMetrics, predictions: Any) -> None:
    shown = []
    if "confusion" in predictions.charts:
        classes = list(predictions.classes)
        artifact.set_json_value_custom_property("confusionMatrix", confusion_matrix(classes, predictions.confusion))
        is_part = len(classes) > SHOWN_CLASSES
        part = f" of the {SHOWN_CLASSES} most confused of {len(classes)} classes" if is_part else ""
        shown.append(f"confusion matrix{part}")
    if isinstance(predictions, PredictionsByClass) and predictions.overall is not None:
        artifact.set_json_value_custom_property("confidenceMetrics", confidence_metrics(predictions.overall))
        shown.append(f"ROC curve ({_curve_of(predictions)})")
    what = " and ".join(shown) or "no confusion matrix and no ROC curve"
    text = preview([*(shown or [what]), "test split", "The report shows more."])
    show(artifact, f"{what[0].upper()}{what[1:]}, test split", text)


def _curve_of(predictions: PredictionsByClass) -> str:
    """The class or average that the single ROC curve refers to."""
    return f"class {predictions.classes[1]}" if len(predictions.classes) == 2 else "micro-average"


def _page(name: str, decision: Decision, artifacts: Artifacts, findings: Findings) -> str:
    # The model is not pushed yet, so the run has not succeeded. The dashboard has no dark mode.
    checked = findings.serving_check
    status = "blessed" if decision.blessed and (checked is None or checked.passed) else "not_blessed"
    run = RunReport(
        name=name,
        file=None,
        began=datetime.now(),
        seconds=None,
        status=status,
        decision=decision,
        artifacts=artifacts,
    )
    return render_findings(run, findings, scheme="light")
