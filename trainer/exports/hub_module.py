"""Fine-tuned hub modules as modules of their own.

Such a module is the original one with other values in its checkpoint: its functions, graphs for training,
regularization losses, signatures and assets are the same files. It can be used and trained as the original can.
"""

import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core import storage
from hubline.core.errors import RunError
from hubline.trainer.adapters.tensorflow import parse_object_graph
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import open_module, read_saved_model
from hubline.trainer.tf1.graph import Graph
from hubline.trainer.variables import variables_of

_CHECKPOINT, _OBJECTS, _VALUE = "variables/variables", "_CHECKPOINTABLE_OBJECT_GRAPH", "VARIABLE_VALUE"


def write_module(original: str, trained: Sequence[tf.Variable], output: str) -> None:
    """Writes a hub module with other values of its variables.

    Args:
        original: The module's folder.
        trained: The variables in the order of `variables_of`, or by their names for a TF1 module.
        output: A new folder.

    Raises:
        RunError: if the variables are not those of the module.
    """
    with storage.on_disk(original) as folder, tempfile.TemporaryDirectory() as made:
        reader = tf.train.load_checkpoint(f"{folder}/{_CHECKPOINT}")
        new = _values(folder, reader, trained)
        names = sorted(reader.get_variable_to_shape_map())
        for name in new:
            _refuse_others(name, reader, new[name])
        tensors = [new[name] if name in new else tf.constant(reader.get_tensor(name)) for name in names]
        for file in storage.files_below(folder):
            if not file.startswith("variables/"):
                storage.copy(f"{folder}/{file}", f"{made}/{file}")
        storage.make_folder(f"{made}/variables")
        prefix, whole = f"{made}/{_CHECKPOINT}", [""] * len(names)
        tf.raw_ops.SaveV2(prefix=prefix, tensor_names=names, shape_and_slices=whole, tensors=tensors)
        storage.copy_tree(made, output)


def _values(folder: str, reader: Any, trained: Sequence[tf.Variable]) -> dict[str, tf.Tensor]:
    """The values by their keys in the checkpoint."""
    saved = read_saved_model(folder)
    if saved.format == "TF1":
        return _values_of_tf1(saved, reader, trained)
    loaded = open_module(folder).loaded
    original, keys = variables_of(loaded), _keys(loaded, reader.get_tensor(_OBJECTS))
    if [_name(one) for one in original] != [_name(one) for one in trained]:
        raise RunError(f"{folder}: its variables are not those that were trained")
    return {keys[one.ref()]: tf.convert_to_tensor(value) for one, value in zip(original, trained, strict=True)}


def _values_of_tf1(saved: SavedModel, reader: Any, trained: Sequence[tf.Variable]) -> dict[str, tf.Tensor]:
    """The same for a TF1 module, whose checkpoint has the partitions of a variable under one key."""
    graphs = [Graph(meta) for meta in (saved.graph, saved.training_graph) if meta is not None]
    parts = {name: one.save_slice_info_def for graph in graphs for name, one in graph.variables.items()}
    found: dict[str, np.ndarray] = {}
    for variable in trained:
        part = parts[_name(variable)]
        if not part.full_name:
            found[_name(variable)] = variable.numpy()
            continue
        whole = found.setdefault(part.full_name, reader.get_tensor(part.full_name))
        whole[tuple(slice(at, at + size) for at, size in zip(part.var_offset, part.var_shape, strict=True))] = variable
    return {key: tf.constant(value) for key, value in found.items()}


def _keys(loaded: Any, object_graph: bytes) -> Mapping[Any, str]:
    """The key of each variable of a loaded TF2 module in its checkpoint, whose graph of objects is the module's."""
    nodes, seen, waiting = parse_object_graph(object_graph).nodes, {0}, [(0, loaded)]
    keys: dict[Any, str] = {}
    for number, owner in waiting:
        if isinstance(owner, tf.Variable):
            keys |= {owner.ref(): each.checkpoint_key for each in nodes[number].attributes if each.name == _VALUE}
        children = tf.train.TrackableView.children(owner)
        for child in nodes[number].children:
            if child.local_name in children and child.node_id not in seen:
                seen.add(child.node_id)
                waiting.append((child.node_id, children[child.local_name]))
    return keys


def _refuse_others(name: str, reader: Any, tensor: tf.Tensor) -> None:
    """Raises a RunError if a value doesn't fit the checkpoint."""
    shapes, dtypes = reader.get_variable_to_shape_map(), reader.get_variable_to_dtype_map()
    if name not in shapes or list(tensor.shape) != shapes[name] or tensor.dtype != dtypes[name]:
        raise RunError(f"the trained variable {name}, {tensor.dtype.name} {list(tensor.shape)}, is not in the module")


def _name(variable: tf.Variable) -> str:
    return variable.name.partition(":")[0]
