"""Type of `data.bad_records`."""

from typing import Literal

from pydantic import Field

from hubline.core.config_base import Section


class BadRecords(Section):
    """How to treat records that cannot be read, violate the feature or label contract, or fail to decode."""

    policy: Literal["fail", "quarantine"] = "fail"
    """`fail` stops the run at the first bad record; `quarantine` sets bad records aside with the reason for each and
    continues."""
    max_fraction: float = Field(default=0.01, ge=0.0, le=1.0)
    """With `quarantine`, the largest fraction of all records that may be bad. The run stops when more are."""
