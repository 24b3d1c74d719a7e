"""Reads the variables of a TF1 module."""

from collections.abc import Collection, Sequence

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.tf1.graph import Graph


def read_variables(
    path: str, graphs: Sequence[Graph], trainable: Collection[str], updated: Collection[str]
) -> dict[str, tf.Variable]:
    """One variable for each name in the graphs, with its value from the checkpoint.

    Args:
        path: The module's folder.
        graphs: The graphs that share the variables.
        trainable: Names of the variables that can be trained.
        updated: Names of the other variables that update operations change.

    Raises:
        UserError: if the checkpoint lacks a variable.
    """
    definitions = {name: one for graph in graphs for name, one in graph.variables.items()}
    if not definitions:
        return {}
    checkpoint = tf.train.load_checkpoint(f"{path}/variables/variables")
    found = {}
    for name, definition in definitions.items():
        part = definition.save_slice_info_def
        stored = part.full_name or name
        if not checkpoint.has_tensor(stored):
            raise UserError(f"{path}: the module's checkpoint lacks the variable '{stored}'")
        value = checkpoint.get_tensor(stored)
        if part.full_name:
            value = value[tuple(slice(at, at + size) for at, size in zip(part.var_offset, part.var_shape, strict=True))]
        is_average = name in updated and np.issubdtype(value.dtype, np.floating)
        found[name] = tf.Variable(value, name=name, trainable=name in trainable, **_OF_REPLICAS if is_average else {})
    return found


_OF_REPLICAS = {
    "synchronization": tf.VariableSynchronization.ON_READ,
    "aggregation": tf.VariableAggregation.MEAN,
}
"""For moving averages: each replica updates its own, and their mean is saved."""
