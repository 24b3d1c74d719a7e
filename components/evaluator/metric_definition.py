"""How TFMA is asked for a metric."""

from dataclasses import dataclass
from typing import Any

COUNTED: dict[str, Any] = {"dtype": "float64"}
"""The configuration of Keras' own metrics: by default they count in float32, which stops at 2^24."""


@dataclass(frozen=True)
class Definition:
    """The Keras metric that TFMA computes, and its configuration."""

    class_name: str
    config: dict[str, Any]
    module: str = ""
    """The module of the class, if it is not TFMA's or Keras'."""
    by_class: bool = False
    """Whether the class takes the number of classes as `classes`."""
    from_centre: bool = False
    """Whether the class takes a number amid the true ones as `centre`."""

    @classmethod
    def of(cls, metric: type, *, by_class: bool = False, from_centre: bool = False, **config: Any) -> "Definition":
        """The definition of one of our own metrics, with the arguments that it always gets."""
        return cls(metric.__name__, config, metric.__module__, by_class, from_centre)
