"""Renders the report's page."""

import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import jinja2
import numpy as np
import plotly.graph_objects as go
from markupsafe import Markup
from plotly.offline import get_plotlyjs

from hubline.preprocessing.palette import colour
from hubline.report import charts, drawing, tuning
from hubline.report.contents import Artifacts, Findings, RunReport, TimeUnit
from hubline.report.labels.predictions import ClassCounts, Predictions, PredictionsByClass
from hubline.trainer.metric_names import lower_is_better

_SHOWN_CLASSES = 25
"""Maximum number of classes in a chart; those with the most errors are shown."""


def render(report: RunReport) -> str:
    """The self-contained HTML page of a run.

    Raises:
        OSError, KeyError, ValueError: if an artifact is not what its step writes.
    """
    findings = _findings(report.artifacts)
    return render_findings(report, replace(findings, curves=findings.curves or report.unfinished_curves))


def _findings(artifacts: Artifacts) -> Findings:
    if artifacts == Artifacts():
        return Findings()
    # Imported here because the page of a run that failed before its first step needs no TensorFlow.
    from hubline.report.read_artifacts import read

    return read(artifacts)


def render_findings(report: RunReport, findings: Findings, scheme: Literal["light", "any"] = "any") -> str:
    """The HTML page of a run from the contents of its artifacts. Reads only its own template.

    Args:
        report: The run.
        findings: Contents of its artifacts.
        scheme: `light` if the surrounding page is light, whatever the reader's system prefers.
    """
    of_classes = findings.predictions if isinstance(findings.predictions, PredictionsByClass) else None
    counts = of_classes.by_class if of_classes else None
    shown = _most_mistaken(counts) if counts else []
    figures = _figures(findings, shown, report.time_units)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["basename"] = posixpath.basename
    return environment.get_template("page.html.j2").render(
        run=report,
        scheme=scheme,
        findings=findings,
        tuning=tuning,
        sections=_sections(report, findings),
        classes=_classes(of_classes, counts, shown) if of_classes and counts else [],
        left_out=len(counts.true) - len(shown) if counts else 0,
        lower_is_better=lower_is_better,
        colours=(drawing.TRUE, drawing.PREDICTED),
        longest_step=max((step.seconds for step in report.steps), default=0.0),
        figures={name: json.loads(figure.to_json()) for name, figure in figures.items()},
        plotly=Markup(get_plotlyjs()) if figures else "",
    )


def _sections(report: RunReport, findings: Findings) -> dict[str, str]:
    """Titles of the sections with contents, by their anchors."""
    decision, predictions = report.decision, findings.predictions
    there = {
        "decision": ("Decision", decision),
        "metrics": ("Metrics", decision),
        "slices": ("Slices", decision and decision.slices),
        "classes": ("Classes", predictions and predictions.by_class),
        **_own_section(predictions),
        "samples": ("Samples", predictions),
        "serving-check": ("Serving check", findings.serving_check),
        "tuning": ("Tuning", findings.trials),
        "training": (
            "Training",
            findings.curves or findings.module_warnings or findings.training_notes or findings.parameters,
        ),
        "data": ("Data", findings.counts or findings.columns),
        "drift": ("Drift", findings.drift is not None),
        "anomalies": ("Anomalies", findings.anomalies is not None),
        "quarantine": ("Quarantine", findings.counts or findings.quarantine.total),
        "steps": ("Steps", report.steps or report.failed_step),
        "recipe": ("Run", report.recipe),
    }
    return {name: title for name, (title, something) in there.items() if something}


def _own_section(predictions: Predictions | None) -> dict[str, tuple[str, object]]:
    if predictions is None or predictions.section is None:
        return {}
    anchor, title = predictions.section
    return {anchor: (title, True)}


def _figures(findings: Findings, shown: Sequence[int], time_units: Mapping[str, TimeUnit]) -> dict[str, go.Figure]:
    """The charts by their names in the template."""
    figures = {
        f"curve-{metric}": charts.curve(metric, findings.curves)
        for metric in findings.curves
        if not metric.startswith("val_")
    }
    figures |= tuning.figures(findings.trials) if findings.trials else {}
    predictions = findings.predictions
    if predictions:
        figures |= {name: charts.OF_PREDICTIONS[name](predictions, shown) for name in predictions.charts}
    columns = {f"column-{number}": column for number, column in enumerate(findings.columns)}
    columns |= {f"drift-{number}": drifted.column for number, drifted in enumerate(findings.drift or ())}
    for place, column in columns.items():
        if figure := charts.column(column, time_units.get(column.name)):
            figures[place] = figure
    return figures


def _most_mistaken(counts: ClassCounts) -> list[int]:
    """The classes with the most false positives and false negatives, in class order."""
    errors = counts.predicted + counts.true - 2 * counts.true_positives
    return sorted(np.argsort(-errors, kind="stable")[:_SHOWN_CLASSES].tolist())


def _classes(predictions: PredictionsByClass, counts: ClassCounts, shown: Sequence[int]) -> list[dict]:
    """One row per shown class; None for undefined values."""
    rows = []
    for index in shown:
        true, predicted, true_positives = (
            int(of_class[index]) for of_class in (counts.true, counts.predicted, counts.true_positives)
        )
        roc = predictions.roc.get(index)
        rows.append(
            {
                "name": predictions.classes[index],
                "records": true,
                "recall": true_positives / true if true else None,
                "precision": true_positives / predicted if predicted else None,
                "f1": 2 * true_positives / (true + predicted) if true + predicted else None,
                "auc": roc.auc if roc else None,
                "serving_auc": predictions.serving_auc.get(index),
                "iou": predictions.iou_of(index),
                "colour": "#{:02x}{:02x}{:02x}".format(*colour(index)),
            }
        )
    return rows
