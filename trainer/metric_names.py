"""Names of metrics. A name means the same in training, in the evaluation and in thresholds."""

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, TypeAlias

from pydantic import AfterValidator, WithJsonSchema

from hubline.core.close_names import close_name


@dataclass(frozen=True)
class Family:
    """Properties of a metric, or of all metrics whose names differ only in a number or a class."""

    range: tuple[float, float] = (0.0, 1.0)
    lower_is_better: bool = False


TOP = "top_<k>_accuracy"
OF_CLASS = ("precision(<class>)", "recall(<class>)", "f1(<class>)", "auc(<class>)", "pr_auc(<class>)", "iou(<class>)")

FAMILIES: dict[str, Family] = {
    "accuracy": Family(),
    "cross_entropy": Family((0.0, math.inf), lower_is_better=True),
    "auc": Family(),
    "pr_auc": Family(),
    TOP: Family(),
    "precision": Family(),
    "recall": Family(),
    "f1": Family(),
    "micro_f1": Family(),
    "macro_precision": Family(),
    "macro_recall": Family(),
    "macro_f1": Family(),
    "binary_accuracy": Family(),
    "exact_match": Family(),
    "rmse": Family((0.0, math.inf), lower_is_better=True),
    "mae": Family((0.0, math.inf), lower_is_better=True),
    "r2": Family((-math.inf, 1.0)),
    "mean_iou": Family(),
    "iou_50": Family(),
    "pixel_accuracy": Family(),
} | {family: Family() for family in OF_CLASS}
"""All metrics. `<k>` stands for a number, and `<class>` for the name of a class."""


@dataclass(frozen=True)
class MetricName:
    """A metric's name, and its parts."""

    text: str
    family: str
    """Key of `FAMILIES`, if the name is known."""
    k: int | None = None
    """For `TOP`, the number of classes that count."""
    of: str | None = None
    """The class that the metric is about, for the families `OF_CLASS`."""

    @classmethod
    def parse(cls, text: str) -> "MetricName":
        """Splits a name, known or not."""
        if found := re.fullmatch(r"top_([1-9][0-9]*)_accuracy", text):
            return cls(text, TOP, k=int(found[1]))
        if found := re.fullmatch(r"(\w+)\((.+)\)", text, re.DOTALL):
            return cls(text, f"{found[1]}(<class>)", of=found[2])
        return cls(text, text)

    @property
    def score(self) -> str:
        """The score that is averaged or of one class, such as `f1` of `macro_f1` and of `f1(cat)`."""
        return self.family.removesuffix("(<class>)").removeprefix("macro_").removeprefix("micro_")

    @property
    def is_macro(self) -> bool:
        """Whether scores of classes are averaged, rather than their counts added up."""
        return self.family.startswith("macro_")

    def index(self, classes: Sequence[str]) -> int | None:
        """Position of the class that the metric is about; None if it is about all classes."""
        return None if self.of is None else list(classes).index(self.of)


def family_of(metric: str) -> Family:
    """The properties of a metric whose name is known."""
    return FAMILIES[MetricName.parse(metric).family]


def lower_is_better(metric: str) -> bool:
    """Whether lower values are better, of a known metric or of the `loss`."""
    return metric == "loss" or family_of(metric).lower_is_better


def class_fault(metric: str, classes: Sequence[str]) -> str | None:
    """Why a known metric does not exist for these classes, or None."""
    name = MetricName.parse(metric)
    if name.k is not None and name.k >= len(classes):
        return f"{metric} is 1 for every model, as there are only {len(classes)} classes; use a smaller number"
    if name.of is not None and name.of not in classes:
        shown = ", ".join(classes[:_SHOWN]) + (f" and {len(classes) - _SHOWN} more" if len(classes) > _SHOWN else "")
        return f"{metric}: there is no class '{name.of}'; the classes are: {shown}"
    return None


def class_faults(metrics: Iterable[str], classes: Sequence[str]) -> list[str]:
    """Why some of the metrics do not exist for these classes."""
    return [fault for metric in metrics if (fault := class_fault(metric, classes)) is not None]


_SHOWN = 20
"""Classes listed in a message."""


_OTHER_NAMES = {
    "acc": "accuracy",
    "average_precision": "pr_auc",
    "f1_score": "f1",
    "iou": "mean_iou",
    "log_loss": "cross_entropy",
    "loss": "cross_entropy",
    "mean_absolute_error": "mae",
    "mean_squared_error": "rmse",
    "mse": "rmse",
    "roc_auc": "auc",
    "r_squared": "r2",
}
"""Names that other libraries give to the same or the closest metric."""


def _known(metric: str) -> str:
    if MetricName.parse(metric).family not in FAMILIES:
        close = _OTHER_NAMES.get(metric) or close_name(metric, FAMILIES)
        meant = f"did you mean '{close}'? " if close else ""
        raise ValueError(f"'{metric}' is not a metric; {meant}the metrics are: {', '.join(FAMILIES)}")
    return metric


_FIXED = [family for family in FAMILIES if "<" not in family]
_BY_CLASS = "|".join(family.partition("(")[0] for family in OF_CLASS)
Metric: TypeAlias = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": _FIXED},
                {"type": "string", "pattern": rf"^(top_[1-9][0-9]*_accuracy|({_BY_CLASS})\(.+\))$"},
            ]
        }
    ),
]
"""A metric's name."""


def _watched(monitor: str) -> str:
    prefix, _, metric = monitor.partition("val_")
    if prefix or not metric:
        raise ValueError(f"'{monitor}' must be val_loss, or val_ followed by a metric, such as val_accuracy")
    return monitor if metric == "loss" else f"val_{_known(metric)}"


def metric_of(monitor: str) -> str | None:
    """The metric that is monitored; None for the loss."""
    name = monitor.removeprefix("val_")
    return None if name == "loss" else name


Monitor: TypeAlias = Annotated[str, AfterValidator(_watched), WithJsonSchema({"type": "string", "pattern": "^val_.+$"})]
"""`val_` and `loss` or a metric of the validation split."""
