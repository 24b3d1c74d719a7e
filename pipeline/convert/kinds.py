"""How the cells of a column are read."""

from enum import Enum
from typing import Literal


class Kind(str, Enum):
    """How the cells of a column are read, by the names that `--type` takes."""

    INTEGER = "int64"
    FLOAT = "float"
    BYTES = "bytes"
    BOOLEAN = "boolean"
    TIMESTAMP = "timestamp"

    @property
    def stored(self) -> Literal["int64", "float", "bytes"]:
        """What such cells become in a tf.Example."""
        match self:
            case Kind.FLOAT:
                return "float"
            case Kind.BYTES:
                return "bytes"
            case _:
                return "int64"


NUMBERS = (Kind.INTEGER, Kind.FLOAT)
