"""How the cells of a column are read."""

from enum import Enum
from typing import Literal


class Kind(str, Enum):
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
            case Kind.FLOAT:
                return "float"
            case Kind.BYTES:
                return "bytes"
            case _:
                return "int64"


NUMBERS = (Kind.INTEGER, Kind.FLOAT)
