"""How the cells of a column are read."""

from dataclasses import dataclass
from enum import Enum
from typing import Literal

Decimal = Literal[".", ","]


class CellType(str, Enum):
    """Type of a column's cells; values are those of `--type`."""

    INTEGER = "int64"
    FLOAT = "float"
    CURRENCY = "currency"
    PERCENT = "percent"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"

    @property
    def stored(self) -> Literal["int64", "float", "bytes"]:
        """Type of such cells in a tf.Example."""
        match self:
            case CellType.FLOAT | CellType.CURRENCY | CellType.PERCENT:
                return "float"
            case CellType.BYTES:
                return "bytes"
            case _:
                return "int64"


NUMBERS = (CellType.INTEGER, CellType.FLOAT)
AMOUNTS = (*NUMBERS, CellType.CURRENCY, CellType.PERCENT)

NAMES = {kind.value: kind for kind in CellType} | {
    "integer": CellType.INTEGER,
    "number": CellType.FLOAT,
    "text": CellType.BYTES,
    "bool": CellType.BOOLEAN,
    "date": CellType.TIMESTAMP,
}
"""Types by their names in `--type`."""

ORDERS = ("YMD", "DMY", "MDY")
"""Orders of year, month and day."""


@dataclass(frozen=True)
class Reading:
    """A type, and the notation of its cells."""

    kind: CellType
    decimal: Decimal = "."
    """Decimal separator of numbers. The other one, a space or an apostrophe may group digits by thousands."""
    date: str = "YMD"
    """Notation of dates: an order of `ORDERS`, or a format of `strptime`."""
