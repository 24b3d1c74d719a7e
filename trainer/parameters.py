"""Numbers of parameters of a model."""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import TypeAdapter

from hubline.core import storage
from hubline.core.config_base import Section

FILE = "assets.extra/parameters.json"
"""File in the folder of an exported model."""

_OF_FEATURES = ("embedded_", "linear_", "sequence_")


class ParameterCount(Section):
    """Parameters of a part of the model."""

    part: str
    """`hubs.<name>`, `backbones.<name>`, `features` for their embeddings and linear weights, or `head`."""
    trainable: int
    """Parameters that the last phase of the training trained."""
    frozen: int
    """All others, such as those of frozen modules and moving averages of batch normalization."""


_COUNTS = TypeAdapter(tuple[ParameterCount, ...])


def counted(layers: Iterable[Any], modules: Mapping[str, str]) -> tuple[ParameterCount, ...]:
    """The parameters of Keras layers by part, in order of appearance.

    Args:
        layers: The layers of a model.
        modules: The part that each hub module and backbone is, by name of its layer.
    """
    found: dict[str, tuple[int, int]] = {}
    for layer in layers:
        everything, trainable = (
            sum(math.prod(variable.shape) for variable in variables)
            for variables in (layer.variables, layer.trainable_variables)
        )
        if everything:
            part = modules.get(layer.name) or ("features" if layer.name.startswith(_OF_FEATURES) else "head")
            before = found.get(part, (0, 0))
            found[part] = before[0] + trainable, before[1] + everything - trainable
    return tuple(ParameterCount(part=part, trainable=one, frozen=other) for part, (one, other) in found.items())


def write(folder: str, counts: tuple[ParameterCount, ...]) -> None:
    """Stores the numbers with an exported model."""
    storage.write_bytes(f"{folder}/{FILE}", _COUNTS.dump_json(counts))


def read(folder: str) -> tuple[ParameterCount, ...]:
    """The numbers of an exported model; empty for a foreign or older one."""
    if not storage.exists(path := f"{folder}/{FILE}"):
        return ()
    with storage.open_binary(path) as file:
        return _COUNTS.validate_json(file.read())
