"""The nodes of a SavedModel's graph and functions, which of them are run, and where their inputs come from."""

from collections.abc import Iterator
from typing import Any, TypeAlias

from hubline.trainer.adapters.tensorboard import meta_graph_pb2

Scope: TypeAlias = str | None
"""The name of a function; None is the graph itself."""

Origin: TypeAlias = tuple[Scope, str]
"""A node, or an input of a function, by scope and name."""


_TF1_ASSETS = "saved_model_assets"
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")


class Scopes:
    """A MetaGraphDef."""

    def __init__(self, meta_graph: Any) -> None:
        graph = meta_graph.graph_def
        self._meta_graph = meta_graph
        self._objects = meta_graph.object_graph_def
        self._captured = {name: of.bound_inputs for name, of in self._objects.concrete_functions.items()}
        self._functions = {function.signature.name: function for function in graph.library.function}
        self._nodes: dict[Scope, dict[str, Any]] = {None: {node.name: node for node in graph.node}}
        self._nodes |= {name: {node.name: node for node in of.node_def} for name, of in self._functions.items()}
        self._asset_files = [*meta_graph.asset_file_def, *_assets_of_tf1(meta_graph)]
        self._assets = {_node(asset.tensor_info.name) for asset in self._asset_files}

    def nodes(self) -> Iterator[tuple[Scope, Any]]:
        """All nodes, with their scopes."""
        for scope, nodes in self._nodes.items():
            for node in nodes.values():
                yield scope, node

    def run(self) -> Iterator[tuple[Scope, Any]]:
        """The nodes that a signature, a callable or an initializer runs, as opposed to those that save and restore."""
        waiting: list[tuple[Scope, str]] = [(None, name) for name in self._roots()]
        waiting += [(name, node) for name in self._captured for node in self._nodes.get(name, ())]
        seen = set(waiting)
        while waiting:
            scope, name = waiting.pop()
            node = self._nodes[scope].get(name)
            if node is None:  # an input of the function
                continue
            yield scope, node
            found = {(scope, _node(source)) for source in node.input}
            found |= {(function, inner) for function in self._called(node) for inner in self._nodes[function]}
            waiting += found - seen
            seen |= found

    @property
    def asset_files(self) -> list[str]:
        """Names of the asset files, as the SavedModel states them."""
        return [asset.filename for asset in self._asset_files]

    def origins(self, scope: Scope, tensor: str) -> set[Origin]:
        """Where a tensor comes from, through identities and calls."""
        waiting: list[Origin] = [(scope, _node(tensor))]
        seen: set[Origin] = set()
        found: set[Origin] = set()
        while waiting:
            at = waiting.pop()
            if at in seen:
                continue
            seen.add(at)
            scope, name = at
            node = self._nodes[scope].get(name)
            if node is None:
                sources = list(self._passed(scope, name))
                # TensorFlow Serving takes what the graph passes to a function, Python what the function has captured.
                found |= {at} if not sources or scope in self._captured else set()
            elif node.op == "Identity":
                sources = [(scope, _node(node.input[0]))]
            elif node.op == "ReadVariableOp":
                sources = self._assigned(scope, node.input[0])
                found |= set() if sources else {at}
            else:
                sources = []
                found.add(at)
            waiting += sources
        return found

    def is_asset(self, scope: Scope, name: str) -> bool:
        """Whether an origin is a file in the SavedModel's own folder."""
        if scope is None:
            return name in self._assets and self._nodes[None][name].op in ("Const", "Placeholder")
        place = self._position(scope, name)
        bound = (
            self._objects.concrete_functions[scope].bound_inputs if scope in self._objects.concrete_functions else ()
        )
        # Captured objects are the last inputs of a function.
        number = None if place is None else place - (len(self._functions[scope].signature.input_arg) - len(bound))
        if number is None or not 0 <= number < len(bound):
            return False
        return self._objects.nodes[bound[number]].WhichOneof("kind") == "asset"

    def _roots(self) -> Iterator[str]:
        """Nodes of the graph that are run by name."""
        for signature in self._meta_graph.signature_def.values():
            for tensor in signature.outputs.values():
                yield from map(_node, _names(tensor))
        for collection in self._meta_graph.collection_def.values():
            yield from map(_node, collection.node_list.value)

    def _called(self, node: Any) -> Iterator[str]:
        """Functions that a node refers to."""
        if node.op in self._functions:
            yield node.op
        for value in node.attr.values():
            for function in (value.func, *value.list.func):
                if function.name in self._functions:
                    yield function.name

    def _assigned(self, scope: Scope, variable: str) -> list[Origin]:
        """The values that are assigned to a variable."""
        nodes = self._nodes[scope].values()
        assignments = [node for node in nodes if node.op == "AssignVariableOp" and node.input[0] == variable]
        return [(scope, _node(node.input[1])) for node in assignments]

    def _passed(self, function: Scope, name: str) -> Iterator[Origin]:
        """What the callers of a function pass for one of its inputs."""
        place = None if function is None else self._position(function, name)
        if place is None:
            return
        for scope, node in self.nodes():
            if function in set(self._called(node)):
                is_call = node.op == function or node.op in _CALLS
                # Others, such as If and While, pass their inputs in ways of their own: the origin is the node itself.
                yield scope, _node(node.input[place]) if is_call and place < len(node.input) else node.name

    def _position(self, function: str, name: str) -> int | None:
        names = [argument.name for argument in self._functions[function].signature.input_arg]
        return names.index(name) if name in names else None


def _assets_of_tf1(meta_graph: Any) -> list[Any]:
    """The asset files that TF1 programs list in a collection."""
    if _TF1_ASSETS not in meta_graph.collection_def:
        return []
    listed = meta_graph.collection_def[_TF1_ASSETS].any_list.value
    return [meta_graph_pb2.AssetFileDef.FromString(asset.value) for asset in listed]


def _names(tensor: Any) -> Iterator[str]:
    """Names of the dense tensors of which a tensor in a signature consists."""
    match tensor.WhichOneof("encoding"):
        case "name":
            yield tensor.name
        case "coo_sparse":
            sparse = tensor.coo_sparse
            yield from (sparse.values_tensor_name, sparse.indices_tensor_name, sparse.dense_shape_tensor_name)
        case "composite_tensor":
            for component in tensor.composite_tensor.components:
                yield from _names(component)


def _node(tensor: str) -> str:
    """The node of a tensor's or a control input's name, such as `^start`, `read:0` or `read:value:0`."""
    return tensor.removeprefix("^").partition(":")[0]
