"""How the cells of a column are read."""

from enum import Enum
from typing import Literal


class CellType(str, Enum):
    """How the cells of a column are read; values are those of `--type`."""

    INTEGER = "int64"
    FLOAT = "float"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"

    @property
    def stored(self) -> Literal["int64", "float", "bytes"]:
        """Type of such cells in a tf.Example."""
        match self:
            case CellType.FLOAT:
                return "float"
            case CellType.BYTES:
                return "bytes"
            case _:
                return "int64"


NUMBERS = (CellType.INTEGER, CellType.FLOAT)
