"""Rewrites the GraphDef of a TF1 module so that TensorFlow 2 can run and differentiate it. Needs no TensorFlow."""

from collections.abc import Iterator, Sequence
from typing import Any

from hubline.trainer.adapters.tensorboard import types_pb2
from hubline.trainer.tf1.graph import node_of

STATELESS = {
    "RandomUniform": "StatelessRandomUniform",
    "RandomStandardNormal": "StatelessRandomNormal",
    "TruncatedNormal": "StatelessTruncatedNormal",
    "RandomUniformInt": "StatelessRandomUniformInt",
    "Multinomial": "StatelessMultinomial",
}
"""Random operations, and those that draw from the same distribution by a given seed."""

ON_REFERENCES = ("RefEnter", "RefExit", "RefIdentity", "RefMerge", "RefNextIteration", "RefSelect", "RefSwitch")
"""Operations on reference variables that have no counterpart for resource variables here."""

SEED = "hubline_seed_"
"""Prefix of the placeholders that seed random operations: int64 [2]."""

_REFERENCES = ("Variable", "VariableV2")
_ON_HANDLES = {
    "Assign": "AssignVariableOp",
    "AssignAdd": "AssignAddVariableOp",
    "AssignSub": "AssignSubVariableOp",
    **{f"Scatter{how}": f"ResourceScatter{how}" for how in ("Add", "Sub", "Mul", "Div", "Min", "Max", "Update")},
}
"""Operations on reference variables, and those on resource variables."""

_TABLES = ("HashTableV2", "MutableHashTableV2", "MutableDenseHashTableV2", "MutableHashTableOfTensorsV2")
_OLD_TABLES = {name.removesuffix("V2") for name in _TABLES} | {
    *("LookupTableFind", "LookupTableInsert", "LookupTableSize", "LookupTableExport", "LookupTableImport"),
    *("InitializeTable", "InitializeTableFromTextFile"),
}
"""Operations on tables that are references to strings. Those with V2 at the end take the same inputs."""


def is_random(op: str) -> bool:
    """Whether an operation draws new numbers in each run."""
    return op in STATELESS or op.startswith(("Random", "Parameterized", "Stateful"))


def rewrite(graph_def: Any, name: str) -> None:
    """Rewrites a GraphDef in place.

    - Reference variables and tables become resources.
    - Random operations take a seed; see `SEED`.
    - Tables and functions get names of their own, as one process holds several graphs.

    Args:
        graph_def: The GraphDef.
        name: A prefix for the names that no other graph has.
    """
    _use_resources(graph_def)
    _take_seeds(graph_def)
    functions = {function.signature.name for function in graph_def.library.function}
    for node in _all_nodes(graph_def):
        node.attr.pop("_output_shapes", None)  # of the old types
        node.attr.pop("_class", None)  # may refer to nodes that are not imported
        node.op = f"{node.op}V2" if node.op in _OLD_TABLES else node.op
        if node.op in _TABLES:
            node.attr["shared_name"].s = name.encode() + (node.attr["shared_name"].s or node.name.encode())
            node.attr["use_node_name_sharing"].b = True  # else TensorFlow gives each copy another name in loading
            node.device = "/device:CPU:0"
        _rename_functions(node, functions, name)
    for function in graph_def.library.function:
        function.signature.name = name + function.signature.name
    for gradient in graph_def.library.gradient:
        gradient.function_name, gradient.gradient_func = name + gradient.function_name, name + gradient.gradient_func


def _all_nodes(graph_def: Any) -> Iterator[Any]:
    yield from graph_def.node
    for function in graph_def.library.function:
        yield from function.node_def


def _rename_functions(node: Any, functions: set[str], name: str) -> None:
    node.op = name + node.op if node.op in functions else node.op
    for value in node.attr.values():
        for called in [value.func] if value.HasField("func") else value.list.func:
            called.name = name + called.name if called.name in functions else called.name


def _use_resources(graph_def: Any) -> None:
    nodes = {node.name: node for node in graph_def.node}
    variable_of = _references(nodes)
    read: set[str] = set()
    for node in nodes.values():
        for place, given in enumerate(list(node.input)):
            source = node_of(given)
            if source not in variable_of or given.startswith("^"):
                continue
            if place == 0 and node.op in _ON_HANDLES:
                handle, *after = _handle(source, variable_of)
                _set_inputs(node, [handle, *node.input[1:], *after])
                _convert(node, _ON_HANDLES[node.op], {"T": "dtype"})
                for unknown in ("use_locking", "validate_shape"):
                    node.attr.pop(unknown, None)
            else:
                node.input[place] = f"{source}/hubline_read"
                read.add(source)
    for source in sorted(read):
        node = graph_def.node.add(name=f"{source}/hubline_read", op="ReadVariableOp")
        node.input.extend(_handle(source, variable_of))
        node.attr["dtype"].type = nodes[variable_of[source]].attr["dtype"].type
    for node in nodes.values():
        node.op = "VarHandleOp" if node.op in _REFERENCES else node.op


def _handle(source: str, variable_of: dict[str, str]) -> list[str]:
    """The inputs of an operation on the variable that `source` refers to: after the assignment, if it is one."""
    variable = variable_of[source]
    return [variable] if source == variable else [variable, f"^{source}"]


def _references(nodes: dict[str, Any]) -> dict[str, str]:
    """The reference variable by each node that outputs a reference to it: the variable itself, or an assignment."""
    found = {name: name for name, node in nodes.items() if node.op in _REFERENCES}
    assignments = [node for node in nodes.values() if node.op in _ON_HANDLES]
    grows = bool(found)
    while grows:  # an assignment may take the output of another one
        new = {node.name: found[source] for node in assignments if (source := node_of(node.input[0])) in found}
        grows = not new.keys() <= found.keys()
        found |= new
    return found


def _take_seeds(graph_def: Any) -> None:
    for number, node in enumerate([node for node in graph_def.node if node.op in STATELESS]):
        seed = graph_def.node.add(name=f"{SEED}{number}", op="Placeholder")
        seed.attr["dtype"].type = types_pb2.DT_INT64
        seed.attr["shape"].shape.dim.add(size=2)
        inputs, place = list(node.input), 2 if node.op == "Multinomial" else 1
        _set_inputs(node, [*inputs[:place], seed.name, *inputs[place:]])
        _convert(node, STATELESS[node.op], {"Tout": "dtype"})
        node.attr["Tseed"].type = types_pb2.DT_INT64
        for unknown in ("seed", "seed2"):
            node.attr.pop(unknown, None)


def _convert(node: Any, op: str, attributes: dict[str, str]) -> None:
    node.op = op
    for old, new in attributes.items():
        if old in node.attr:
            node.attr[new].CopyFrom(node.attr[old])
            del node.attr[old]


def _set_inputs(node: Any, inputs: Sequence[str]) -> None:
    del node.input[:]
    node.input.extend(inputs)
