"""Charts of the report, as Plotly figures. Names from users are escaped because Plotly renders them as HTML.

Text and grid lines take their colours from the page's style sheet, which adapts to dark mode.
"""

from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import plotly.graph_objects as go

from hubline.artifacts.splits import ALL, SPLITS
from hubline.report.contents import Column, TimeUnit
from hubline.report.labels.predictions import BoxPredictions, ClassPredictions, PredictionsByClass, ValuePredictions

_COLOURS = (
    "#3b82f6",
    "#f59e0b",
    "#10b981",
    "#ef4444",
    "#8b5cf6",
    "#06b6d4",
    "#ec4899",
    "#84cc16",
    "#f97316",
    "#64748b",
)
_SPLIT_COLOURS = dict(zip((*SPLITS, ALL), _COLOURS, strict=False)) | {"baseline": "#94a3b8"}
_CELLS_WITH_NUMBERS = 20
"""Maximum number of classes of a confusion matrix with numbers in its cells."""
_RESIDUAL_BINS = 50
_NAME = 40
"""Maximum length of a name in a chart."""


def figure_of(traces: Sequence[go.Scatter | go.Bar | go.Heatmap], height: int, **layout: object) -> go.Figure:
    """A chart in the report's style."""
    figure = go.Figure(traces)
    axes = {"zeroline": False, "showline": False, "ticks": "", "automargin": True}
    figure.update_layout(
        template="none",
        height=height,
        margin={"l": 16, "r": 16, "t": 16, "b": 16},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        colorway=_COLOURS,
        font={"family": "system-ui, sans-serif", "size": 12},
        legend={"bgcolor": "rgba(0,0,0,0)"},
        xaxis=axes,
        yaxis=axes,
    )
    return figure.update_layout(**layout)


def shortened(text: str) -> str:
    """A name from a user, escaped and short enough for a chart."""
    # Plotly interprets `<b>` and `&lt;`, but shows quotes literally.
    return escape(text if len(text) <= _NAME else f"{text[: _NAME - 1]}…", quote=False)


def curve(metric: str, curves: Mapping[str, Sequence[float]]) -> go.Figure:
    """A metric over the epochs: training and, if available, validation."""
    lines = [("train", curves[metric]), ("validation", curves.get(f"val_{metric}", []))]
    return figure_of(
        [
            go.Scatter(
                x=list(range(1, len(values) + 1)), y=list(values), name=split, mode="lines+markers",
                line={"color": _SPLIT_COLOURS[split], "width": 2}, marker={"size": 5},
            )
            for split, values in lines
            if values
        ],
        height=280, hovermode="x unified", showlegend=True,
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0},
        xaxis={"title": "epoch", "tick0": 1, "dtick": -(-len(curves[metric]) // 12)},
        yaxis={"title": shortened(metric)},
    )  # fmt: skip


def confusion(predictions: ClassPredictions, shown: Sequence[int]) -> go.Figure:
    """A confusion matrix with true classes as rows and predicted classes as columns.

    Args:
        predictions: Predictions with a confusion matrix.
        shown: Indices of the classes to show.
    """
    assert predictions.confusion is not None
    names = [shortened(predictions.classes[index]) for index in shown]
    records = predictions.confusion[np.ix_(shown, shown)]
    of_class = predictions.confusion[shown].sum(axis=1, keepdims=True)
    share = records / np.maximum(of_class, 1)
    places = list(range(len(shown)))
    what = predictions.unit
    axis = {"tickvals": places, "ticktext": names, "showgrid": False}
    return figure_of(
        [
            go.Heatmap(
                # The square root makes the few errors visible next to the many correct ones.
                x=places, y=places, z=np.sqrt(share).round(4), zmin=0, zmax=1, showscale=False, xgap=2, ygap=2,
                colorscale=[[0, "rgba(100,116,139,0.08)"], [1, "rgba(59,130,246,0.75)"]],
                text=[[f"{cell:,}" if cell else "" for cell in row] for row in records.tolist()],
                texttemplate="%{text}" if len(shown) <= _CELLS_WITH_NUMBERS else None,
                customdata=np.stack([records, share], axis=-1),
                hovertemplate=f"true %{{y}}, predicted %{{x}}<br>%{{customdata[0]:,}} {what}, "
                "%{customdata[1]:.1%} of the class<extra></extra>",
            )
        ],
        height=max(320, min(900, 120 + 34 * len(shown))),
        xaxis=axis | {"title": "predicted"}, yaxis=axis | {"title": "true", "autorange": "reversed"},
    )  # fmt: skip


def roc(predictions: PredictionsByClass, shown: Sequence[int]) -> go.Figure:
    """One-vs-rest ROC curves, with their AUC in the legend."""
    chance = go.Scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"dash": "dot", "color": "#94a3b8", "width": 1},
        name="chance", hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    lines = [
        go.Scatter(
            x=curve.false_positives, y=curve.true_positives, mode="lines", line={"width": 2},
            name=f"{shortened(predictions.classes[index])} (AUC {curve.auc:.4f})",
            hovertemplate="true positive rate %{y:.3f}, false positive rate %{x:.3f}",
        )
        for index, curve in predictions.roc.items()
        if index in shown
    ]  # fmt: skip
    return figure_of(
        [*lines, chance], height=420 + 10 * len(lines), legend={"orientation": "h", "y": -0.2, "yanchor": "top"},
        xaxis={"title": "false positive rate", "range": [-0.01, 1.01]},
        yaxis={"title": "true positive rate", "range": [-0.01, 1.01]},
    )  # fmt: skip


def values(predictions: ValuePredictions) -> go.Figure:
    """Predicted against true values, with the diagonal of correct predictions."""
    both = np.concatenate([predictions.true, predictions.predicted])
    ends = [float(both.min()), float(both.max())]
    same = go.Scatter(
        x=ends, y=ends, mode="lines", line={"dash": "dot", "color": "#94a3b8", "width": 1}, hoverinfo="skip",
    )  # fmt: skip
    points = go.Scatter(
        x=predictions.true, y=predictions.predicted, mode="markers",
        # Transparent, so that overlapping points appear darker.
        marker={"size": 5, "opacity": 0.35, "line": {"width": 0}, "color": _SPLIT_COLOURS["test"]},
        hovertemplate="true %{x:.10~g}, predicted %{y:.10~g}<extra></extra>",
    )  # fmt: skip
    return figure_of(
        [same, points], height=480, showlegend=False, xaxis={"title": "true"}, yaxis={"title": "predicted"}
    )


def residuals(predictions: ValuePredictions) -> go.Figure:
    """Histogram of the residuals."""
    off = predictions.predicted - predictions.true
    counts, edges = np.histogram(off, bins=_RESIDUAL_BINS)
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2, y=counts, width=np.diff(edges), marker={"color": _SPLIT_COLOURS["test"]},
        customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate="from %{customdata[0]:.4g} to %{customdata[1]:.4g}: %{y:,} records<extra></extra>",
    )  # fmt: skip
    return figure_of(
        [bars], height=300, showlegend=False, bargap=0.02,
        xaxis={"title": "predicted minus true"}, yaxis={"title": "records"},
    )  # fmt: skip


def overlap(predictions: BoxPredictions) -> go.Figure:
    """Histogram of the IoU between predicted and true boxes."""
    edges = np.linspace(0.0, 1.0, len(predictions.iou) + 1)
    bars = go.Bar(
        x=(edges[:-1] + edges[1:]) / 2, y=predictions.iou, width=np.diff(edges),
        marker={"color": _SPLIT_COLOURS["test"]}, customdata=np.stack([edges[:-1], edges[1:]], axis=1),
        hovertemplate="from %{customdata[0]:.2f} to %{customdata[1]:.2f}: %{y:,} records<extra></extra>",
    )  # fmt: skip
    return figure_of(
        [bars], height=300, showlegend=False, bargap=0.02,
        xaxis={"title": "IoU", "range": [0, 1]}, yaxis={"title": "records"},
    )  # fmt: skip


OF_PREDICTIONS: dict[str, Callable[[Any, Sequence[int]], go.Figure]] = {
    "confusion": confusion,
    "roc": roc,
    "values": lambda predictions, _: values(predictions),
    "residuals": lambda predictions, _: residuals(predictions),
    "overlap": lambda predictions, _: overlap(predictions),
}
"""Charts of predictions by name. The second argument are the indices of the classes to show."""


def column(data: Column, unit: TimeUnit | None = None) -> go.Figure | None:
    """Distribution of a column's values by split; None if its statistics don't contain it.

    Args:
        data: Statistics of the column.
        unit: Unit of integers that are points in time since 1970.
    """
    lines = [_density(split.split, split.buckets) for split in data.splits if _width(split.buckets)]
    if lines:
        axis = {"showgrid": False, "showticklabels": False, "rangemode": "tozero"}
        across: dict[str, Any] = {"exponentformat": "none", "separatethousands": True}  # for identifiers
        if unit is not None and all(_is_date(place, unit) for line in lines for place in line.x):
            across = {"type": "date"}
            lines = [_with_times(line, unit) for line in lines]
        return figure_of(lines, height=190, xaxis=across, yaxis=axis, showlegend=False)
    values = list(dict.fromkeys(value for split in data.splits for value, _ in split.top))[:10]
    if not values:
        return None
    places = list(range(len(values)))
    bars = [
        go.Bar(
            x=[dict(split.top).get(value, 0) / max(split.count, 1) for value in values], y=places, orientation="h",
            name=split.split, marker={"color": _SPLIT_COLOURS[split.split]}, hovertemplate="%{y}: %{x:.1%}",
        )
        for split in data.splits
    ]  # fmt: skip
    axis = {"tickvals": places, "ticktext": [shortened(value) for value in values], "autorange": "reversed"}
    return figure_of(
        bars, height=60 + 30 * len(values), yaxis=axis, xaxis={"tickformat": ".0%"}, showlegend=False, bargap=0.3
    )


def _width(buckets: Sequence[tuple[float, float, float]]) -> float:
    return buckets[-1][1] - buckets[0][0] if buckets else 0.0


def _is_date(place: float, unit: TimeUnit) -> bool:
    """Whether a number is a point in time that Plotly can show; the largest integer, for "never", is none."""
    return abs(place) * _MICROSECONDS[unit] < _LATEST


def _with_times(line: go.Scatter, unit: TimeUnit) -> go.Scatter:
    times = [str(np.datetime64(round(place * _MICROSECONDS[unit]), "us")) for place in line.x]
    return line.update(x=times, hovertemplate="from %{x|%Y-%m-%d %H:%M}")


_MICROSECONDS: dict[TimeUnit, int] = {"seconds": 1_000_000, "milliseconds": 1_000, "microseconds": 1}
_LATEST = int(np.datetime64("3500-01-01", "us").astype(np.int64))
"""In microseconds. As far before 1970 is the year 440, which has four digits too."""


def _density(split: str, buckets: Sequence[tuple[float, float, float]]) -> go.Scatter:
    """Outline of a histogram as density. Splits differ in size and bucket boundaries; densities are comparable."""
    total = sum(count for _, _, count in buckets) or 1.0
    wide = [bucket for bucket in buckets if bucket[1] > bucket[0]]
    heights = [count / total / (high - low) for low, high, count in wide]
    return go.Scatter(
        x=[wide[0][0], *(low for low, _, _ in wide), wide[-1][1]], y=[0, *heights, 0], name=split,
        line={"shape": "hv", "width": 2, "color": _SPLIT_COLOURS[split]},
        mode="lines",
        hovertemplate="from %{x:.4g}: density %{y:.3g}",
    )  # fmt: skip
