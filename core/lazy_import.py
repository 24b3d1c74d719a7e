"""TensorFlow and TF Transform, imported on first use: a pipeline file is read and checked without them."""

from importlib import import_module
from typing import TYPE_CHECKING, Any


class _Module:
    """Stands in for a module until one of its attributes is used."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        return getattr(import_module(self._name), attribute)


if TYPE_CHECKING:
    import tensorflow as tf
    import tensorflow_transform as tft
else:
    tf, tft = _Module("tensorflow"), _Module("tensorflow_transform")

__all__ = ["tf", "tft"]
