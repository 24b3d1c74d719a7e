"""A frozen graph: one GraphDef with the weights as constants, as TF1 programs and the C API load it."""

from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.adapters.tensorflow import freeze
from hubline.trainer.export_format import SERVING

INPUT, INITIALIZER = "examples", "init_tables"
"""The placeholder for serialized tf.Examples, and the operation to run once before the first prediction. Outputs are
operations with the names of the SavedModel's outputs."""

_KEYS = (tf.string, tf.int64, tf.int32)
_VALUES = (tf.int64, tf.string, tf.int32, tf.float32)


def frozen_graph(model: Any) -> bytes:
    """The serialized GraphDef of the signature `SERVING` of a loaded SavedModel.

    Tables can't be constants. The graph has them empty, with their contents as constants, and `INITIALIZER` fills them.

    Raises:
        UserError: if the model holds something that a graph can't contain.
    """
    function = model.signatures[SERVING]
    frozen = freeze(function)
    definition = frozen.graph.as_graph_def()
    _refuse_unfilled_tables(definition)
    captured = {inner.name: outer for outer, inner in function.graph.captures}
    fed = [each for each in frozen.inputs if each.dtype == tf.resource]
    outputs = dict(zip(sorted(function.structured_outputs), frozen.outputs, strict=True))
    with tf.init_scope():
        contents = [_contents(captured[each.name]) for each in fed]
    with tf.Graph().as_default() as graph:
        examples = tf.compat.v1.placeholder(tf.string, [None], name=INPUT)
        tables = [_table(*each) for each in contents]
        given = {each.name: table for each, (table, _) in zip(fed, tables, strict=True)}
        names = [each.name for each in outputs.values()]
        inputs = {f"{INPUT}:0": examples} | given
        found = tf.graph_util.import_graph_def(definition, input_map=inputs, return_elements=names, name="model")
        for name, tensor in zip(outputs, found, strict=True):
            tf.identity(tensor, name=name)
        tf.group(*(filled for _, filled in tables), name=INITIALIZER)
    try:
        return graph.as_graph_def().SerializeToString(deterministic=True)
    except ValueError as error:
        raise UserError("export.frozen_graph: the model exceeds 2 GiB, the size of a GraphDef; remove it") from error


def answers(frozen: bytes, records: Sequence[bytes], outputs: Sequence[str]) -> Mapping[str, np.ndarray]:
    """The outputs of a frozen graph for serialized tf.Examples, as a TF1 program computes them."""
    definition = tf.compat.v1.GraphDef.FromString(frozen)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.compat.v1.import_graph_def(definition, name="")
        session.run(INITIALIZER)
        return session.run({name: f"{name}:0" for name in outputs}, {f"{INPUT}:0": list(records)})


def _contents(table: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Keys and values of a table, given its handle."""
    for keys, values in product(_KEYS, _VALUES):
        try:
            return tf.raw_ops.LookupTableExportV2(table_handle=table, Tkeys=keys, Tvalues=values)
        except tf.errors.InvalidArgumentError:  # keys or values of another type, or no table
            continue
    raise UserError(f"export.frozen_graph: the model reads {table}, which a frozen graph can't contain; remove it")


def _table(keys: tf.Tensor, values: tf.Tensor) -> tuple[tf.Tensor, tf.Operation]:
    """A table in the current graph, and the operation that fills it."""
    table = tf.raw_ops.HashTableV2(key_dtype=keys.dtype, value_dtype=values.dtype, use_node_name_sharing=True)
    return table, tf.raw_ops.InitializeTableV2(table_handle=table, keys=keys.numpy(), values=values.numpy())


def _refuse_unfilled_tables(definition: Any) -> None:
    """Raises a UserError if the graph has tables of its own, as TF1 modules do: what fills them isn't in the graph."""
    nodes = [*definition.node, *(node for function in definition.library.function for node in function.node_def)]
    if own := sorted({node.op for node in nodes if "HashTable" in node.op}):
        raise UserError(
            f"export.frozen_graph: a TF1 module has tables of its own ({', '.join(own)}), which can't be frozen; "
            "remove frozen_graph"
        )
