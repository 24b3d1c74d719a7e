"""What clients need to know about an exported model: the content of `inputs.json`. Imports no TensorFlow."""

from typing import Any, Literal

from hubline.core import json_text, storage
from hubline.core.config_base import Section
from hubline.trainer.module import Tensor

FILE, README = "inputs.json", "README.md"
"""Names in the folder of a version: for programs and for people."""


class Column(Section):
    """A raw column of the records that the model reads."""

    input: str
    """Name in the signature `predict`."""
    dtype: Literal["float32", "int64", "string"]
    is_list: bool
    """Whether a record has a list of values, shape [batch, n] in `predict`, and not one, shape [batch]."""
    length: int | None = None
    """Number of values in the list; None for any number."""
    is_required: bool
    """Whether every record needs a value."""
    missing: float | int | str | None = None
    """Stands for a missing value in `predict`, and fills shorter lists at the end. The word NaN stands for the number,
    which JSON lacks. None if the column is required. In a tf.Example, the column is left out instead."""
    value: Any = None
    """Value in the example's request to `predict`, as JSON."""
    is_left_out: bool = False
    """Whether the example has no value, so that `value` is `missing`, and its tf.Example lacks the column."""


class Signature(Section):
    """A function that clients call."""

    method: Literal["predict", "classify", "regress"]
    """The verb in the URL, and the method of TensorFlow Serving's gRPC service."""
    inputs: dict[str, Tensor]
    outputs: dict[str, Tensor]


class Request(Section):
    """A request about the example, and the model's answer, as files beside `inputs.json`."""

    signature: str
    form: Literal["rows", "columns", "examples"]
    """Key of the records in the request: `instances` (rows), `inputs` (columns) or `examples`."""
    request: str
    answer: str


class Interface(Section):
    """The signatures of an exported model, the columns that it reads, and requests with their answers."""

    signatures: dict[str, Signature]
    columns: dict[str, Column]
    requests: tuple[Request, ...] = ()

    @classmethod
    def read(cls, folder: str) -> "Interface | None":
        """The interface of an exported model; None if an older Hubline exported it."""
        path = f"{folder}/{FILE}"
        return cls.model_validate_json(storage.read_bytes(path)) if storage.exists(path) else None

    def write(self, folder: str) -> None:
        """Writes `inputs.json`."""
        storage.write_text(f"{folder}/{FILE}", json_text.dumps(self.model_dump(), indent=2) + "\n")

    def without_example(self) -> "Interface":
        """The interface without values of the example."""
        bare = {
            name: each.model_copy(update={"value": None, "is_left_out": False}) for name, each in self.columns.items()
        }
        return self.model_copy(update={"columns": bare, "requests": ()})
