"""Types of `data.where` and `data.take`."""

from typing import Annotated, Any, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field

from hubline.core.config_base import Section
from hubline.preprocessing.expression import columns_of_condition

MOST_TAKEN = 10_000_000
"""Limit on a number of records to take, which are chosen in memory; a share has no limit."""


class Records(Section):
    """A number of records."""

    records: int = Field(ge=1, le=MOST_TAKEN)
    """Number of records of all splits together."""


class ShareOfRecords(Section):
    """A share of the records."""

    share: float = Field(gt=0.0, lt=1.0)
    """Share of the records of each split."""


def _bare_records(value: Any) -> Any:
    """Reads a bare number as a number of records."""
    return {"records": value} if isinstance(value, int) and not isinstance(value, bool) else value


AnyTake: TypeAlias = Records | ShareOfRecords
Take = Annotated[
    AnyTake,
    BeforeValidator(_bare_records, json_schema_input_type=Annotated[int, Field(ge=1)] | Records | ShareOfRecords),
]
"""How many records to take: a number, `{records: 1000}`, or `{share: 0.1}`."""


def _readable(condition: str) -> str:
    if not columns_of_condition(condition):
        raise ValueError(f"'{condition}' names no column")
    return condition


Where = Annotated[str, AfterValidator(_readable)]
"""A condition on the columns of a record."""


class Selection(Section):
    """Which records are ingested."""

    where: Where | None = None
    """The condition that records must meet."""
    take: Take | None = None
    """How many of these to take."""
