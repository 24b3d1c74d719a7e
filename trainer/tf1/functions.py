"""Parts of a TF1 graph as functions of TensorFlow 2."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeAlias

import tensorflow as tf

from hubline.trainer.tf1.graph import Graph, node_of

Variables: TypeAlias = Mapping[str, tf.Variable]
"""By node name."""

Run: TypeAlias = Callable[..., list[tf.Tensor]]
"""Maps the tensors that feed a part to its fetches."""

Gradients: TypeAlias = dict[str, tf.Tensor | tf.IndexedSlices | None]

_CONTEXTS = ("while_context", "cond_context")
"""Collections that describe loops and conditionals."""


@dataclass(frozen=True)
class Part:
    """A part of a rewritten graph."""

    graph: Graph
    feeds: Mapping[str, tf.TensorSpec]
    """The tensors that the caller provides, in order."""
    fetches: tuple[str, ...]
    """The tensors to return."""
    updates: tuple[str, ...] = ()
    """Operations that run in addition."""

    @property
    def nodes(self) -> set[str]:
        """The nodes that are needed, including those that feed the part."""
        return self.graph.behind([*self.fetches, *self.updates], {*map(node_of, self.feeds)})


def function(part: Part, variables: Variables) -> Run:
    """A part as a function. Gradients reach its variables unless it contains loops or conditionals.

    Args:
        part: The part.
        variables: The graph's variables, and maybe others.
    """
    needed = part.nodes
    own = {name: variables[name] for name in part.graph.variables_in(needed)}
    given = {node_of(feed) for feed in part.feeds} | own.keys()
    graph_def = _subgraph(part.graph, needed - given, given)
    built: dict[tuple[int, ...], Run] = {}

    def run(*fed: tf.Tensor) -> list[tf.Tensor]:
        # A variable that a strategy distributes has a handle for each replica.
        handles = {f"{name}:0": variable.handle for name, variable in own.items()}
        key = tuple(map(id, handles.values()))
        if key not in built:
            with tf.init_scope():
                built[key] = _imported(graph_def, part, handles)
        return built[key](*fed)

    return run


def differentiable(part: Part, variables: Variables, to_train: Collection[str]) -> Run:
    """A part as a function with gradients for some variables.

    Args:
        part: The part.
        variables: The graph's variables.
        to_train: Names of the variables that need gradients.
    """
    forward = function(part, variables)
    trained = {name: variables[name] for name in part.graph.variables_in(part.nodes) if name in to_train}
    if part.graph.has_control_flow(part.graph.behind(part.fetches, {*map(node_of, part.feeds)})):
        return _with_gradients(part, forward, variables, trained)

    def run(*fed: tf.Tensor) -> list[tf.Tensor]:
        for variable in trained.values():
            variable.read_value()  # a tape doesn't see that the function reads a variable through its handle
        return forward(*fed)

    return run


def _imported(graph_def: tf.compat.v1.GraphDef, part: Part, handles: Mapping[str, tf.Tensor]) -> Run:
    """A part as a function of TensorFlow.

    Args:
        graph_def: The nodes of the part, without those that are given.
        part: The part.
        handles: Handles of the variables, by the tensors that they replace.
    """
    taken = {node_of(each) for node in graph_def.node for each in node.input}
    updates = [node_of(update) for update in part.updates]

    def body(*fed: tf.Tensor) -> list[tf.Tensor]:
        graph = tf.compat.v1.get_default_graph()
        given = dict(zip(part.feeds, fed, strict=True)) | {name: graph.capture(each) for name, each in handles.items()}
        computed = [name for name in part.fetches if name not in given]
        found = tf.graph_util.import_graph_def(
            graph_def,
            input_map={name: tensor for name, tensor in given.items() if node_of(name) in taken},
            return_elements=[*computed, *updates],
            name="part",
            producer_op_list=part.graph.meta.meta_info_def.stripped_op_list,  # a newer TensorFlow may have written it
        )
        by_name, run_too = given | dict(zip(computed, found, strict=False)), found[len(computed) :]
        graph.control_outputs.extend(run_too)  # they run even if the outputs are not used
        with tf.control_dependencies(run_too):
            return [tf.identity(by_name[name]) for name in part.fetches]

    # `tf.function` would add control dependencies that cross the borders of loops.
    return tf.compat.v1.wrap_function(body, list(part.feeds.values()))


def _subgraph(graph: Graph, names: Collection[str], given: Collection[str]) -> tf.compat.v1.GraphDef:
    """The nodes with some names, and the functions of the graph.

    Args:
        graph: The graph.
        names: Names of nodes.
        given: Nodes that are replaced by tensors; waiting for them would fail.
    """
    graph_def = tf.compat.v1.GraphDef(versions=graph.meta.graph_def.versions, library=graph.meta.graph_def.library)
    for node in graph.meta.graph_def.node:
        if node.name in names:
            copy = graph_def.node.add()
            copy.CopyFrom(node)
            copy.attr.pop("_class", None)  # colocation with nodes that are left out
            inputs = [each for each in copy.input if not each.startswith("^") or node_of(each) not in given]
            del copy.input[:]
            copy.input.extend(inputs)
    return graph_def


def _with_gradients(part: Part, forward: Run, variables: Variables, trained: Variables) -> Run:
    """A part with loops or conditionals, which TensorFlow 2 can't differentiate: a second function computes gradients,
    and for that runs the part again."""
    of_outputs, assembled = _differentiated(part, trained)
    backward = function(of_outputs, variables)

    def run(*fed: tf.Tensor) -> list[tf.Tensor]:
        @tf.custom_gradient
        def joined() -> tuple[list[tf.Tensor], Callable]:
            for variable in trained.values():
                variable.read_value()  # tells TensorFlow which variables have gradients

            def gradients(*of_outputs: tf.Tensor, variables: list[tf.Variable]) -> tuple[list, list]:
                found = assembled(backward(*fed, *of_outputs))
                by_handle = {id(variable.handle): found[name] for name, variable in trained.items()}
                return [], [by_handle[id(variable.handle)] for variable in variables]

            return forward(*fed), gradients

        return joined() if trained else forward(*fed)

    return run


def _differentiated(part: Part, trained: Variables) -> tuple[Part, Callable[[list[tf.Tensor]], Gradients]]:
    """The part that computes gradients, which is also fed the gradients of the fetches; and a function that assembles
    the gradients by variable from what that part returns."""
    meta = tf.compat.v1.MetaGraphDef(graph_def=part.graph.meta.graph_def)
    meta.meta_info_def.stripped_op_list.CopyFrom(part.graph.meta.meta_info_def.stripped_op_list)
    for name in _CONTEXTS:
        if name in part.graph.meta.collection_def:
            meta.collection_def[name].CopyFrom(part.graph.meta.collection_def[name])
    with _loops_of_tf1(), tf.Graph().as_default() as graph:
        tf.compat.v1.train.import_meta_graph(meta)
        outputs = [graph.get_tensor_by_name(name) for name in part.fetches]
        of_outputs = [tf.compat.v1.placeholder(output.dtype, output.shape) for output in outputs]
        handles = [graph.get_tensor_by_name(f"{name}:0") for name in trained]
        found = dict(zip(trained, tf.compat.v1.gradients(outputs, handles, of_outputs), strict=True))
        graph_def = graph.as_graph_def()
    tensors = {name: _tensors_of(gradient) for name, gradient in found.items()}
    feeds = {tensor.name: tf.TensorSpec(tensor.shape, tensor.dtype) for tensor in of_outputs}

    def assembled(flat: list[tf.Tensor]) -> Gradients:
        each = iter(flat)
        parts = {name: [next(each) for _ in some] for name, some in tensors.items()}
        return {name: _gradient(some, trained[name]) for name, some in parts.items()}

    fetches = tuple(tensor.name for some in tensors.values() for tensor in some)
    return Part(Graph(tf.compat.v1.MetaGraphDef(graph_def=graph_def)), {**part.feeds, **feeds}, fetches), assembled


def _tensors_of(gradient: tf.Tensor | tf.IndexedSlices | None) -> list[tf.Tensor]:
    if gradient is None:
        return []
    return [gradient.values, gradient.indices] if isinstance(gradient, tf.IndexedSlices) else [gradient]


def _gradient(tensors: list[tf.Tensor], variable: tf.Variable) -> tf.Tensor | tf.IndexedSlices | None:
    if len(tensors) < 2:
        return tensors[0] if tensors else None
    return tf.IndexedSlices(*tensors, dense_shape=tf.constant(variable.shape.as_list()))


@contextmanager
def _loops_of_tf1() -> Iterator[None]:
    """Builds the gradients of loops as loops of TF1. TensorFlow can only set this for the whole process."""
    was_enabled = tf.compat.v1.control_flow_v2_enabled()
    tf.compat.v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if was_enabled:
            tf.compat.v1.enable_control_flow_v2()
