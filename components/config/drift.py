"""Type of `data.drift`."""

from typing import Annotated, Literal

from pydantic import Field

from hubline.core.config_base import Section


class Drift(Section):
    """How far the training split may drift from the baseline."""

    policy: Literal["report", "fail"] = "report"
    """`report` lists drifted columns in the report; `fail` also stops the run before training."""
    max_distance: float = Field(default=0.1, ge=0.0, le=1.0)
    """Largest allowed distance per column, from 0 (same distribution) to 1 (no values in common). The same limit
    applies to the change in the fraction of missing values."""
    columns: dict[str, Annotated[float, Field(ge=0.0, le=1.0)]] = Field(default={}, examples=[{"age": 0.2}])
    """Limits for individual columns, in place of `max_distance`. A column that no feature or label reads is compared
    only if it is listed here."""
