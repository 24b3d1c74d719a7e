"""Standard-conforming JSON."""

import json
from typing import Any

from pydantic_core import to_jsonable_python


def dumps(value: Any, indent: int | None = None) -> str:
    """JSON text of plain values, with null for NaN and infinities: JSON has no such numbers (RFC 8259)."""
    return json.dumps(to_jsonable_python(value, inf_nan_mode="null"), allow_nan=False, indent=indent)
