"""Types of raw columns."""

from typing import Literal, TypeAlias

ColumnType: TypeAlias = Literal["int", "float", "bytes"]
"""Type of a raw column: int64, float32, or bytes (texts and encoded images)."""
