"""From a run to its page."""

import json
from collections.abc import Sequence
from pathlib import Path

import jinja2
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from components.config import LOWER_IS_BETTER
from components.report import charts
from components.report.contents import Artifacts, ClassPredictions, Findings, RunReport, ValuePredictions

_SHOWN_CLASSES = 25
"""A chart of more classes cannot be read; the ones with the most errors are shown."""


def render(report: RunReport) -> str:
    """The HTML page of a run, with all that it needs inside it.

    Raises:
        OSError, KeyError, ValueError: where an artifact is not what its step writes.
    """
    return render_findings(report, _findings(report.artifacts))


def _findings(artifacts: Artifacts) -> Findings:
    if artifacts == Artifacts():
        return Findings()
    # Imported here: the page of a run that failed before its first step needs no TensorFlow.
    from components.report.read import read

    return read(artifacts)


def render_findings(report: RunReport, findings: Findings) -> str:
    """The HTML page of a run, from what its artifacts hold. Reads nothing but its own template."""
    predictions = findings.predictions
    of_classes = predictions if isinstance(predictions, ClassPredictions) else None
    shown = _most_mistaken(of_classes) if of_classes else []
    figures = _figures(findings, shown)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template("page.html.j2").render(
        run=report,
        findings=findings,
        sections=_sections(report, findings),
        classes=_classes(of_classes, shown) if of_classes else [],
        left_out=len(of_classes.classes) - len(shown) if of_classes else 0,
        lower_is_better=LOWER_IS_BETTER,
        longest_step=max((step.seconds for step in report.steps), default=0.0),
        figures={name: json.loads(figure.to_json()) for name, figure in figures.items()},
        plotly=Markup(get_plotlyjs()) if figures else "",
    )


def _sections(report: RunReport, findings: Findings) -> dict[str, str]:
    """The titles of the sections that there is something to show in, by the names that links know them by."""
    decision, predictions = report.decision, findings.predictions
    there = {
        "decision": ("Decision", decision),
        "metrics": ("Metrics", decision),
        "slices": ("Slices", decision and decision.slices),
        "classes": ("Classes", isinstance(predictions, ClassPredictions) and predictions.confusion is not None),
        "values": ("Values", isinstance(predictions, ValuePredictions)),
        "samples": ("Samples", predictions),
        "training": ("Training", findings.curves),
        "data": ("Data", findings.counts or findings.columns),
        "drift": ("Drift", findings.drift is not None),
        "anomalies": ("Anomalies", findings.anomalies is not None),
        "quarantine": ("Quarantine", findings.counts or findings.quarantine.total),
        "steps": ("Steps", report.steps or report.failed_step),
    }
    return {name: title for name, (title, something) in there.items() if something}


def _figures(findings: Findings, shown: Sequence[int]) -> dict[str, go.Figure]:
    """The charts by the names that the template gives their places."""
    figures = {
        f"curve-{metric}": charts.curve(metric, findings.curves)
        for metric in findings.curves
        if not metric.startswith("val_")
    }
    predictions = findings.predictions
    if isinstance(predictions, ClassPredictions) and predictions.confusion is not None:
        figures["confusion"] = charts.confusion(predictions, shown)
    if isinstance(predictions, ClassPredictions) and predictions.roc:
        figures["roc"] = charts.roc(predictions, shown)
    if isinstance(predictions, ValuePredictions):
        figures["values"] = charts.values(predictions)
        figures["residuals"] = charts.residuals(predictions)
    columns = {f"column-{number}": column for number, column in enumerate(findings.columns)}
    columns |= {f"drift-{number}": drifted.column for number, drifted in enumerate(findings.drift or ())}
    for place, column in columns.items():
        if figure := charts.column(column):
            figures[place] = figure
    return figures


def _most_mistaken(predictions: ClassPredictions) -> list[int]:
    """The classes that most often are taken for another, or another for them, in their own order."""
    matrix = predictions.confusion
    if matrix is None:
        return []
    mistakes = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * matrix.diagonal()
    return sorted(np.argsort(-mistakes, kind="stable")[:_SHOWN_CLASSES].tolist())


def _classes(predictions: ClassPredictions, shown: Sequence[int]) -> list[dict]:
    """A row for each class that is shown; None for what is not defined."""
    matrix = predictions.confusion
    if matrix is None:
        return []
    rows = []
    for index in shown:
        right, records, predicted = matrix[index, index], matrix[index].sum(), matrix[:, index].sum()
        roc = predictions.roc.get(index)
        rows.append(
            {
                "name": predictions.classes[index],
                "records": int(records),
                "recall": right / records if records else None,
                "precision": right / predicted if predicted else None,
                "auc": roc.auc if roc else None,
                "serving_auc": predictions.serving_auc.get(index),
            }
        )
    return rows
