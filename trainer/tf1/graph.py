"""The graph of a TF1 module: what its nodes need, and what its collections list. Needs no TensorFlow."""

from collections import defaultdict
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import Any

from hubline.trainer.adapters.tensorboard import meta_graph_pb2, variable_pb2

UPDATES, LOSSES = "update_ops", "regularization_losses"
"""Collections of operations and of tensors."""

VARIABLE_OPS = ("VarHandleOp", "VariableV2", "Variable")
_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
_CONTROL_FLOW = ("Enter", "RefEnter", "Switch", "RefSwitch")
_ASSETS = "saved_model_assets"
_INITIALIZER_SIGNATURE = "__saved_model_init_op"
_INITIALIZERS = ("saved_model_main_op", "legacy_init_op", "table_initializer")


class Graph:
    """A meta graph. Tensors are named `node:0`, operations `node`."""

    def __init__(self, meta: Any) -> None:
        """Indexes a MetaGraphDef: TensorFlow's message, or TensorBoard's copy of it."""
        self.meta = meta
        self.nodes = {node.name: node for node in meta.graph_def.node}

    @property
    def signatures(self) -> dict[str, Any]:
        """SignatureDefs by name."""
        return {name: one for name, one in self.meta.signature_def.items() if not name.startswith("__")}

    @cached_property
    def variables(self) -> dict[str, Any]:
        """VariableDefs by name, in the module's order."""
        values = [*self._bytes("variables"), *self._bytes("trainable_variables")]
        parsed = [variable_pb2.VariableDef.FromString(value) for value in values]
        return {node_of(each.variable_name): each for each in parsed}

    @cached_property
    def trainable(self) -> frozenset[str]:
        """Names of the trainable variables."""
        parsed = [variable_pb2.VariableDef.FromString(value) for value in self._bytes("trainable_variables")]
        return frozenset(node_of(each.variable_name) for each in parsed)

    @property
    def initializers(self) -> list[str]:
        """The operations that fill the tables; none if there are no tables."""
        names = self._initializers
        return names if any(self.nodes[name].op != "NoOp" for name in self.behind(names)) else []

    @property
    def _initializers(self) -> list[str]:
        if _INITIALIZER_SIGNATURE in self.meta.signature_def:
            return [info.name for info in self.meta.signature_def[_INITIALIZER_SIGNATURE].outputs.values()]
        return next(filter(None, map(self.listed, _INITIALIZERS)), [])

    @property
    def assets(self) -> dict[str, str]:
        """File names in the folder of assets, by the tensor that takes the path."""
        # TensorFlow 1 wrote them to a collection.
        packed = self.meta.collection_def[_ASSETS].any_list.value if _ASSETS in self.meta.collection_def else ()
        files = self.meta.asset_file_def or [meta_graph_pb2.AssetFileDef.FromString(each.value) for each in packed]
        return {asset.tensor_info.name: asset.filename for asset in files}

    def listed(self, collection: str) -> list[str]:
        """The operations or tensors in a collection, each once."""
        collections = self.meta.collection_def
        return list(dict.fromkeys(collections[collection].node_list.value)) if collection in collections else []

    def updates(self, signature: str) -> list[str]:
        """The update operations that run with a signature.

        Those that only need inputs of other signatures are left out, as TensorFlow Hub's own library did.
        """
        own = self.inputs(signature)
        reached, by_others = self._beyond(own), self._beyond(self.placeholders(self.nodes) - own)
        return [one for one in self.listed(UPDATES) if node_of(one) in reached or node_of(one) not in by_others]

    def inputs(self, signature: str) -> set[str]:
        """The nodes that a signature feeds."""
        return {node_of(name) for name in tensor_names(self.signatures[signature].inputs.values())}

    def outputs(self, signature: str) -> list[str]:
        """The tensors that a signature returns."""
        return tensor_names(self.signatures[signature].outputs.values())

    def behind(self, names: Iterable[str], given: Collection[str] = ()) -> set[str]:
        """The nodes that some tensors or operations need, including their own.

        Args:
            names: The tensors or operations.
            given: Nodes whose outputs are given, so that what they need is not needed.
        """
        found: set[str] = set()
        open_ = [node_of(name) for name in names]
        while open_:
            name = open_.pop()
            if name not in found and name in self.nodes:
                found.add(name)
                open_ += () if name in given else map(node_of, self.nodes[name].input)
        return found

    def placeholders(self, nodes: Iterable[str]) -> set[str]:
        """The placeholders among some nodes that need a value."""
        return {name for name in nodes if self.nodes[name].op in _PLACEHOLDERS}

    def variables_in(self, nodes: Collection[str]) -> list[str]:
        """The variables among some nodes, in the order of the graph."""
        return [name for name, node in self.nodes.items() if name in nodes and node.op in VARIABLE_OPS]

    def written(self, nodes: Iterable[str]) -> set[str]:
        """The variables that some nodes assign to."""
        return {self._target(name) for name in nodes if _assigns(self.nodes[name].op)}

    def has_control_flow(self, nodes: Iterable[str]) -> bool:
        """Whether loops or conditionals of TF1 are among some nodes."""
        return any(self.nodes[name].op in _CONTROL_FLOW for name in nodes)

    @cached_property
    def in_loops(self) -> frozenset[str]:
        """The nodes inside loops."""
        entries = [name for name, node in self.nodes.items() if node.op in ("Enter", "RefEnter")]
        exits = {name for name, node in self.nodes.items() if node.op in ("Exit", "RefExit")}
        return frozenset(self._beyond(entries, exits) - exits)

    @cached_property
    def _readers(self) -> dict[str, list[str]]:
        """The nodes that take an output of each node."""
        found = defaultdict(list)
        for name, node in self.nodes.items():
            for given in node.input:
                found[node_of(given)].append(name)
        return found

    def _beyond(self, names: Iterable[str], ends: Collection[str] = ()) -> set[str]:
        """The nodes that depend on some nodes, including these; those beyond `ends` are left out."""
        found: set[str] = set()
        open_ = list(names)
        while open_:
            name = open_.pop()
            if name not in found:
                found.add(name)
                open_ += () if name in ends else self._readers.get(name, ())
        return found

    def _target(self, name: str) -> str:
        """The variable that an assignment changes, perhaps through another assignment."""
        while self.nodes[name].op not in VARIABLE_OPS and self.nodes[name].input:
            name = node_of(self.nodes[name].input[0])
        return name

    def _bytes(self, collection: str) -> list[bytes]:
        collections = self.meta.collection_def
        return list(collections[collection].bytes_list.value) if collection in collections else []


def node_of(name: str) -> str:
    """The node of a tensor, an operation, or an input of a node."""
    return name.removeprefix("^").partition(":")[0]


def tensor_names(infos: Iterable[Any]) -> list[str]:
    """The tensors of some TensorInfos."""
    found = []
    for info in infos:
        if info.WhichOneof("encoding") == "coo_sparse":
            parts = info.coo_sparse
            found += [parts.indices_tensor_name, parts.values_tensor_name, parts.dense_shape_tensor_name]
        elif info.WhichOneof("encoding") == "composite_tensor":
            found += tensor_names(info.composite_tensor.components)
        else:
            found.append(info.name)
    return found


def _assigns(op: str) -> bool:
    return op.startswith(("Assign", "Scatter", "ResourceScatter")) and op != "ScatterNd"
