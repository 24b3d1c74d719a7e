"""Reads `saved_model.pb` without TensorFlow, which `hubline check` must not import."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from google.protobuf.message import DecodeError

from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.trainer.adapters.tensorboard import meta_graph_pb2, types_pb2, variable_pb2
from hubline.trainer.config.model import VariableSelection

_SHOWN = 40
"""Variable names in a message."""


class Variable(Section):
    name: str
    dtype: str
    shape: tuple[int | None, ...] | None
    trainable: bool


@dataclass(frozen=True)
class SavedModel:
    """A SavedModel, represented by its meta graph."""

    graph: Any
    """The MetaGraphDef to load; of several, the one for inference."""
    training_graph: Any | None = None
    """The MetaGraphDef with the tag `train` of a TF1 module, if it has one."""

    @classmethod
    def parse(cls, content: bytes, path: str) -> "SavedModel":
        """Parses the content of a `saved_model.pb`.

        Raises:
            UserError: if it is not a SavedModel; the message contains `path`.
        """
        try:
            graphs = [meta_graph_pb2.MetaGraphDef.FromString(graph) for graph in _graphs(content)]
        except (DecodeError, IndexError) as error:
            raise UserError(f"{path}: not a SavedModel: {error}") from error
        if not graphs:
            raise UserError(f"{path}: not a SavedModel: there is no graph in it")
        of_training = [graph for graph in graphs if set(graph.meta_info_def.tags) == {"train"}]
        inference = min(graphs, key=lambda graph: _order(frozenset(graph.meta_info_def.tags)))
        return cls(inference, next((graph for graph in of_training if graph is not inference), None))

    @property
    def format(self) -> Literal["TF1", "TF2"]:
        """TF2 if it contains objects and functions, TF1 if it is a graph alone."""
        return "TF2" if self.graph.HasField("object_graph_def") else "TF1"

    @property
    def tags(self) -> tuple[str, ...]:
        """Tags of the meta graph."""
        return tuple(self.graph.meta_info_def.tags)

    @cached_property
    def variables(self) -> tuple[Variable, ...]:
        """The variables in the module's order, trainable ones first."""
        found = self._of_objects() if self.format == "TF2" else self._of_collections()
        return tuple(sorted(found, key=lambda variable: not variable.trainable))

    @property
    def operations(self) -> frozenset[str]:
        """The operations in its graph and functions, excluding its own functions."""
        graph = self.graph.graph_def
        nodes = [graph.node, *(function.node_def for function in graph.library.function)]
        own = {function.signature.name for function in graph.library.function}
        return frozenset(node.op for some in nodes for node in some) - own

    def _of_objects(self) -> list[Variable]:
        """The variables that a reusable SavedModel lists, or else all that the module contains."""
        nodes = self.graph.object_graph_def.nodes
        listed, trainable = self._listed("variables"), self._listed("trainable_variables")
        everything = [number for number, node in enumerate(nodes) if node.WhichOneof("kind") == "variable"]
        numbers = dict.fromkeys([*(trainable or ()), *(listed or everything)])
        return [
            Variable(
                name=_name(nodes[number].variable.name),
                dtype=dtype_name(nodes[number].variable.dtype),
                shape=shape_of(nodes[number].variable.shape),
                trainable=nodes[number].variable.trainable if trainable is None else number in trainable,
            )
            for number in numbers
        ]

    def _listed(self, name: str) -> list[int] | None:
        """Node ids of the variables in a list attribute of the module; None if there is no such attribute."""
        nodes = self.graph.object_graph_def.nodes
        found = [child.node_id for child in nodes[0].children if child.local_name == name]
        if not found:
            return None
        items = [child for child in nodes[found[0]].children if child.local_name.isdecimal()]
        numbers = [child.node_id for child in sorted(items, key=lambda child: int(child.local_name))]
        return [number for number in numbers if nodes[number].WhichOneof("kind") == "variable"]

    def _of_collections(self) -> list[Variable]:
        trainable = {variable.variable_name for variable in self._collection("trainable_variables")}
        nodes = {node.name: node for node in self.graph.graph_def.node}
        found = []
        for variable in self._collection("variables"):
            name = _name(variable.variable_name)
            attributes: Mapping[str, Any] = nodes[name].attr if name in nodes else {}
            found.append(
                Variable(
                    name=name,
                    dtype=dtype_name(attributes["dtype"].type) if attributes else "unknown",
                    shape=shape_of(attributes["shape"].shape) if attributes else None,
                    trainable=variable.variable_name in trainable,
                )
            )
        return found

    def _collection(self, name: str) -> list[Any]:
        collections = self.graph.collection_def
        values = collections[name].bytes_list.value if name in collections else ()
        return [variable_pb2.VariableDef.FromString(value) for value in values]


def usual_signature(names: Collection[str]) -> str | None:
    """The signature to call if none is named; None if that isn't clear."""
    for usual in ("default", "serving_default"):
        if usual in names:
            return usual
    return next(iter(names)) if len(names) == 1 else None


def to_train(variables: tuple[Variable, ...], tuned: VariableSelection) -> tuple[str, ...]:
    """Names of the variables to train.

    Raises:
        UserError: if the module has nothing to train, or `tuned` selects variables that don't exist.
    """
    names = tuple(dict.fromkeys(variable.name for variable in variables if variable.trainable))
    if not names:
        raise UserError("the module can't be trained: it has no trainable variables")
    absent = tuned.matches_none(names)
    if absent:
        # Moving averages and the like have plausible names, but gradients don't reach them.
        fixed = tuned.matches_none([variable.name for variable in variables])
        sort = "trainable variable" if set(absent) - set(fixed) else "variable"
        raise UserError(
            f"no {sort} of the module has {' or '.join(map(repr, absent))} in its name; those that can be trained are: "
            f"{', '.join(names[:_SHOWN])}{f' and {len(names) - _SHOWN} more' if len(names) > _SHOWN else ''}"
        )
    layers = tuned.layers(names)
    if tuned.last is not None and tuned.last > len(layers):
        raise UserError(f"`last` is {tuned.last}, but the module has {len(layers)} layers: {', '.join(layers)}")
    return tuned.chosen(names)


def _order(tags: frozenset[str]) -> tuple[bool, ...]:
    """Hub modules store their inference graph under the empty tag set, other SavedModels under "serve"."""
    return bool(tags), tags != {"serve"}, "train" in tags, "serve" not in tags, "tpu" in tags, "gpu" in tags


def _graphs(content: bytes) -> Iterator[bytes]:
    """The serialized meta graphs. In the message SavedModel they are field 2; field 1 is a number."""
    view, at = memoryview(content), 0
    while at < len(view):
        key, at = _varint(view, at)
        number, at = _varint(view, at)
        if key == (2 << 3 | 2):
            if at + number > len(view):
                raise DecodeError("it is cut off")
            yield bytes(view[at : at + number])
            at += number
        elif key != 1 << 3:
            raise DecodeError("its bytes are something else")


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    value, shift = 0, 0
    while True:
        value |= (view[at] & 0x7F) << shift
        at += 1
        if view[at - 1] < 0x80:
            return value, at
        shift += 7


def _name(name: str) -> str:
    return name.partition(":")[0]


def dtype_name(number: int) -> str:
    """For example `float32` for DT_FLOAT."""
    name = types_pb2.DataType.Name(number).removeprefix("DT_").removesuffix("_REF").lower()
    return {"float": "float32", "double": "float64", "half": "float16"}.get(name, name)


def shape_of(shape: Any) -> tuple[int | None, ...] | None:
    return None if shape.unknown_rank else tuple(None if dim.size < 0 else dim.size for dim in shape.dim)
