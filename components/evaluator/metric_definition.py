"""How a metric is configured in TFMA."""

from dataclasses import dataclass
from typing import Any

COUNTED: dict[str, Any] = {"dtype": "float64"}
"""Configuration of Keras' own metrics. Their default is float32, which stops counting at 2^24."""


@dataclass(frozen=True)
class MetricDefinition:
    """The Keras metric that TFMA computes, and its configuration."""

    class_name: str
    config: dict[str, Any]
    module: str = ""
    """Module of the class, unless it is TFMA's or Keras'."""
    by_class: bool = False
    """Whether the class has an argument `classes`, the number of classes."""
    from_centre: bool = False
    """Whether the class has an argument `centre`, a typical value of the labels."""

    @classmethod
    def of(
        cls, metric: type, *, by_class: bool = False, from_centre: bool = False, **config: Any
    ) -> "MetricDefinition":
        """Defines one of our own metrics with fixed arguments."""
        return cls(metric.__name__, config, metric.__module__, by_class, from_centre)
