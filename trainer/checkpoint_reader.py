"""Reads the variables of any TensorFlow checkpoint by name: of TF1, of TF2, and of a SavedModel."""

import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from hubline.core import storage
from hubline.core.config_base import has_wildcards, is_remote
from hubline.core.errors import UserError, library_reason
from hubline.trainer.adapters.tensorflow import parse_object_graph
from hubline.trainer.checkpoint_files import files_of
from hubline.trainer.variable_names import name_of_key

_OBJECT_GRAPH, _VALUE = "_CHECKPOINTABLE_OBJECT_GRAPH", "/.ATTRIBUTES/VARIABLE_VALUE"


class CheckpointReader:
    """The variables of a checkpoint.

    Names are those of the model for Hubline's own checkpoints and exports, and otherwise the names that the variables
    had. If a TF2 checkpoint has several of one name, or none, the path through its objects is the name.
    """

    def __init__(self, prefix: str, path: str) -> None:
        """Opens a checkpoint on a local disk.

        Args:
            prefix: Path of its files without `.index`.
            path: The same as the user knows it, for messages.

        Raises:
            UserError: if it can't be read.
        """
        self.path = path
        try:
            self._reader = tf.train.load_checkpoint(prefix)
            self._shapes: Mapping[str, list[int]] = self._reader.get_variable_to_shape_map()
            dtypes = self._reader.get_variable_to_dtype_map()
            full_names = self._full_names()
        except Exception as error:  # the reader raises IndexError, ValueError and others if the file is damaged
            raise UserError(f"{path}: the checkpoint can't be read: {library_reason(error)}") from error
        self.format: Literal["TF1", "TF2"] = "TF1" if full_names is None else "TF2"
        self._keys = dict(sorted(_names(self._shapes, full_names).items()))
        self.specs = {name: tf.TensorSpec(self._shapes[key], dtypes[key], name) for name, key in self._keys.items()}
        """Spec of each variable by name."""

    def values(self, name: str) -> np.ndarray:
        """The values of a variable.

        Raises:
            UserError: if the file is damaged.
        """
        try:
            return self._reader.get_tensor(self._keys[name])
        except Exception as error:
            raise UserError(f"{self.path}: '{name}' can't be read: {library_reason(error)}") from error

    def _full_names(self) -> dict[str, str] | None:
        """The names of the variables by key; None in a checkpoint of TF1, whose keys are names."""
        if _OBJECT_GRAPH not in self._shapes:
            return None
        nodes = parse_object_graph(self._reader.get_tensor(_OBJECT_GRAPH)).nodes
        return {each.checkpoint_key: each.full_name for node in nodes for each in node.attributes}


def _names(shapes: Mapping[str, Any], full_names: Mapping[str, str] | None) -> dict[str, str]:
    """The keys of variables by name."""
    if full_names is None:
        return {key: key for key in shapes}
    repeated = Counter(full_names.values())

    def name(key: str) -> str:
        full = full_names.get(key, "")
        return name_of_key(key) or (full if full and repeated[full] == 1 else key.removesuffix(_VALUE))

    return {name(key): key for key in shapes if key.endswith(_VALUE)}


@contextmanager
def open_checkpoint(prefix: str) -> Iterator[CheckpointReader]:
    """Opens a checkpoint wherever it is stored.

    Raises:
        UserError: if it can't be read.
    """
    if not is_remote(prefix) and not has_wildcards(prefix):
        yield CheckpointReader(prefix, prefix)
        return
    # TensorFlow's reader takes brackets in a path for a glob pattern.
    with tempfile.TemporaryDirectory() as scratch:
        for file in files_of(prefix):
            storage.copy(file, f"{scratch}/{file.rpartition('/')[2]}")
        yield CheckpointReader(f"{scratch}/{prefix.rpartition('/')[2]}", prefix)
