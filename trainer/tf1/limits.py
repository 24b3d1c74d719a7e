"""Which graph of a TF1 module is trained, and what prevents it. `hubline check` asks, so no TensorFlow is used."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hubline.core.errors import UserError
from hubline.trainer.saved_model import usual_signature
from hubline.trainer.tf1.graph import LOSSES, Graph
from hubline.trainer.tf1.rewrite import ON_REFERENCES, STATELESS, is_random

ON_ONE_DEVICE = "a TF1 module can be trained on one device only; set training.devices.count: 1 and training.workers: 1"
_SHOWN = 5
"""Names in a message."""


@dataclass(frozen=True)
class TrainedGraph:
    """The graph that runs in training."""

    graph: Graph
    is_for_training: bool
    """Whether this is the graph with the tag `train`, whose update operations run."""

    def updates(self, signature: str) -> list[str]:
        """The update operations that run with a signature."""
        return self.graph.updates(signature) if self.is_for_training else []


def trained_graph(inference: Any, training: Any | None, signature: str, training_mode: bool | None) -> TrainedGraph:
    """The graph to train: the one with the tag `train`, unless there is none or `training_mode` is false.

    Args:
        inference: MetaGraphDef for inference.
        training: MetaGraphDef with the tag `train`, if any.
        signature: The signature that is called.
        training_mode: As in the pipeline file.

    Raises:
        UserError: if `training_mode` is true and there is no such graph.
    """
    graph = None if training is None or training_mode is False else Graph(training)
    if graph is not None and signature in graph.signatures:
        return TrainedGraph(graph, is_for_training=True)
    if training_mode:
        lacks = "there is none" if graph is None else f"that graph has no signature '{signature}'"
        raise UserError(f"training_mode needs a graph with the tag `train`, but {lacks}; remove training_mode")
    return TrainedGraph(Graph(inference), is_for_training=False)


def check_module(inference: Any, training: Any | None, signature: str | None, training_mode: bool | None) -> None:
    """Checks that TensorFlow 2 can train a module.

    Args:
        inference: MetaGraphDef for inference.
        training: MetaGraphDef with the tag `train`, if any.
        signature: The signature that is called, if it is named. One that doesn't exist is another error.
        training_mode: As in the pipeline file.

    Raises:
        UserError: with the reason why it can't.
    """
    signatures = Graph(inference).signatures
    name = signature or usual_signature(signatures)
    if name in signatures:
        check_trainable(trained_graph(inference, training, name, training_mode), name)


def check_trainable(trained: TrainedGraph, signature: str) -> None:
    """Checks that TensorFlow 2 can train a graph.

    Raises:
        UserError: with the reason why it can't.
    """
    graph, inputs = trained.graph, trained.graph.inputs(signature)
    forward = graph.behind(graph.outputs(signature), inputs)
    updating = graph.behind(trained.updates(signature), inputs)
    drawing = {name for name in forward if is_random(graph.nodes[name].op)}
    _refuse(
        f"its update operations need inputs that the signature '{signature}' doesn't have",
        graph.placeholders(updating) - inputs,
    )
    _refuse("its regularization losses depend on its inputs", graph.placeholders(graph.behind(graph.listed(LOSSES))))
    unsaved = set(graph.variables_in(forward | updating)) - graph.variables.keys()
    _refuse("it has variables that it doesn't save", unsaved)
    _refuse(
        "loops or conditionals contain variables of the old type (reference variables)",
        {name for name in forward | updating if graph.nodes[name].op in ON_REFERENCES},
    )
    if graph.has_control_flow(forward):
        # Their gradients come from a second run of the graph, which must compute the same.
        _refuse("random numbers are drawn inside a loop", drawing & graph.in_loops)
        unseeded = {name for name in drawing if graph.nodes[name].op not in STATELESS}
        _refuse("it has loops or conditionals, and random operations that can't be given a seed", unseeded)
        changed = graph.written(updating) & set(graph.variables_in(forward))
        _refuse("it has loops or conditionals, and its update operations change variables that it reads", changed)


def _refuse(reason: str, nodes: Collection[str]) -> None:
    if nodes:
        some = sorted(nodes)
        more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
        raise UserError(f"the module can't be trained: {reason}: {', '.join(some[:_SHOWN])}{more}")
