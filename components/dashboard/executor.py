"""What Dashboard does when it runs."""

from datetime import datetime
from typing import Any

from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils

from components import storage
from components.dashboard.artifacts import Html, confidence_metrics, confusion_matrix
from components.evaluator.decision import DECISION, Decision
from components.report.contents import Artifacts, ClassPredictions, Findings, PredictionsByClass, RunReport
from components.report.page import render_findings
from components.report.read import read


class Executor(base_executor.BaseExecutor):
    """Reads what the steps before made, and writes what the dashboard shows of it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Metrics, confusion matrix and ROC curve are properties of their artifacts; the report is a file."""
        folders = {name: artifact_utils.get_single_uri(artifacts) for name, artifacts in input_dict.items()}
        with storage.open_binary(f"{folders.pop('blessing')}/{DECISION}") as file:
            decision = Decision.model_validate_json(file.read())
        artifacts = Artifacts(**folders)
        findings = read(artifacts)

        metrics, classes, report = (
            artifact_utils.get_single_instance(output_dict[name]) for name in ("metrics", "classes", "report")
        )
        for name, value in _numbers(decision).items():
            metrics.set_float_custom_property(name, value)
        if isinstance(findings.predictions, PredictionsByClass):
            _show_classes(classes, findings.predictions)
        _write(report, exec_properties["name"], decision, artifacts, findings)


def _numbers(decision: Decision) -> dict[str, float]:
    """Each metric that is defined, those of the version which serves and of the best constant, and 1 or 0 under
    `blessed`."""
    serving = {f"{name}_of_serving": value for name, value in (decision.serving_metrics or {}).items()}
    constants = decision.baseline.metrics if decision.baseline else {}
    baseline = {f"{name}_of_baseline": constants.get(name) for name in decision.metrics}
    found = decision.metrics | serving | baseline
    defined = {name: value for name, value in found.items() if value is not None}
    return {"blessed": float(decision.blessed)} | defined


def _show_classes(artifact: Any, predictions: PredictionsByClass) -> None:
    if isinstance(predictions, ClassPredictions) and predictions.confusion is not None:
        artifact.set_json_value_custom_property(
            "confusionMatrix", confusion_matrix(list(predictions.classes), predictions.confusion)
        )
    if predictions.overall is not None:
        artifact.set_json_value_custom_property("confidenceMetrics", confidence_metrics(predictions.overall))


def _write(report: Html, name: str, decision: Decision, artifacts: Artifacts, findings: Findings) -> None:
    status = "succeeded" if decision.blessed else "not_blessed"
    run = RunReport(
        name=name,
        file=None,
        began=datetime.now(),
        seconds=None,
        status=status,
        decision=decision,
        artifacts=artifacts,
    )
    report.write(render_findings(run, findings))
