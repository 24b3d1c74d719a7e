"""A TF1 module whose graphs for training and for inference share the variables of TensorFlow 2."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import tensorflow as tf

from hubline.core.errors import UserError
from hubline.trainer.adapters.tensorflow import AutoTrackable, GraphInitializer
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.hub_interface import offered
from hubline.trainer.module import Function
from hubline.trainer.operations import provide
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import InTraining, LoadedModule, open_module, read_saved_model
from hubline.trainer.tf1 import functions
from hubline.trainer.tf1.functions import Part, Variables
from hubline.trainer.tf1.graph import LOSSES, UPDATES, Graph, node_of
from hubline.trainer.tf1.limits import ON_ONE_DEVICE, check_trainable, trained_graph
from hubline.trainer.tf1.rewrite import SEED, rewrite
from hubline.trainer.tf1.variables import read_variables


def open_to_train(path: str, tuned: VariableSelection | None) -> LoadedModule:
    """Loads a module, in a form that can be trained if it is to be.

    Args:
        path: A folder with a SavedModel.
        tuned: The variables to train; None if the module stays frozen.

    Raises:
        UserError: if the folder contains no SavedModel that TensorFlow can load.
    """
    saved = read_saved_model(path)
    if tuned is None or saved.format == "TF2":
        return open_module(path)
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise UserError(f"{path}: {ON_ONE_DEVICE}")
    try:
        provide(saved.operations)
        return _opened(path, saved)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: TensorFlow cannot load this SavedModel: {error}") from error


class Root(AutoTrackable):
    """What the functions of a TF1 module read: variables, tables and files."""

    def __init__(
        self, variables: Variables, trainable: Collection[str], initializers: Sequence[GraphInitializer]
    ) -> None:
        """Args:
        variables: All variables by name.
        trainable: Names of those that can be trained.
        initializers: Fill the tables.
        """
        super().__init__()
        self.variables = list(variables.values())
        self.trainable_variables = [variable for name, variable in variables.items() if name in trainable]
        self.initializers = list(initializers)
        self.assets = [asset for initializer in initializers for asset in initializer.assets]


@dataclass(frozen=True, kw_only=True)
class TF1Module(LoadedModule):
    """A loaded TF1 module that can be trained."""

    saved: SavedModel
    graphs: Mapping[bool, Graph]
    """The rewritten graphs for training (true) and for inference (false)."""
    variables: Variables
    called: dict[str, functions.Run] = field(default_factory=dict)
    """Functions for inference by signature."""

    def run(
        self, signature: str | None, function: Function, tensors: Mapping[str, tf.Tensor], training: bool | None = None
    ) -> dict[str, tf.Tensor]:
        """Calls the graph for inference."""
        assert signature is not None  # TF1 modules have nothing else to call
        if signature not in self.called:
            part = _part(self.graphs[False], signature, function.outputs)
            self.called[signature] = functions.function(part, self.variables)
        given = [tensors[name] for name in sorted(function.inputs)]
        return dict(zip(function.outputs, self.called[signature](*given), strict=True))

    def in_training(
        self,
        signature: str | None,
        function: Function,
        tuned: VariableSelection,
        trained: Collection[str],
        outputs: Sequence[str],
    ) -> InTraining:
        """The graph for training, if there is one, with its update operations and regularization losses."""
        assert signature is not None
        chosen = trained_graph(self.saved.graph, self.saved.training_graph, signature, tuned.training_mode)
        check_trainable(chosen, signature)
        graph, losses = self.graphs[chosen.is_for_training], chosen.graph.listed(LOSSES)
        part = _part(graph, signature, outputs, chosen.updates(signature))
        call = functions.differentiable(part, self.variables, trained)
        penalties = functions.differentiable(Part(graph, {}, tuple(losses)), self.variables, trained)
        draws = len(part.feeds) - len(function.inputs)
        generator = tf.random.Generator.from_seed(_seed()) if draws else None

        def run(tensors: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            given = [tensors[name] for name in sorted(function.inputs)]
            seeds = tf.unstack(tf.random.split(generator.make_seeds()[:, 0], draws)) if generator else []
            return dict(zip(outputs, call(*given, *seeds), strict=True))

        return InTraining(run, [lambda: tf.add_n(penalties())] if losses else [], generator)


def _opened(path: str, saved: SavedModel) -> TF1Module:
    originals = {False: Graph(saved.graph)} | ({True: Graph(saved.training_graph)} if saved.training_graph else {})
    graphs = {is_for_training: _rewritten(graph.meta) for is_for_training, graph in originals.items()}
    trainable = {variable.name for variable in saved.variables if variable.trainable}
    updated = {name for graph in originals.values() for name in graph.written(graph.behind(graph.listed(UPDATES)))}
    variables = read_variables(path, list(originals.values()), trainable, updated - trainable)
    initializers = [_initializer(graph, path) for graph in graphs.values() if graph.initializers]
    return TF1Module(
        path=path,
        offer=offered(saved),
        loaded=Root(variables, trainable, initializers),
        saved=saved,
        graphs=graphs,
        variables=variables,
    )


def _rewritten(meta: Any) -> Graph:
    """A copy of a meta graph as TensorFlow's message, rewritten for TensorFlow 2."""
    copy = tf.compat.v1.MetaGraphDef.FromString(meta.SerializeToString())
    rewrite(copy.graph_def, f"hubline_{uuid4().hex}_")
    return Graph(copy)


def _part(graph: Graph, signature: str, outputs: Iterable[str], updates: Sequence[str] = ()) -> Part:
    """The part of a graph that computes outputs of a signature. It is fed the inputs, sorted by name, then seeds."""
    definition = graph.signatures[signature]
    infos = [definition.inputs[name] for name in sorted(definition.inputs)]
    inputs = {info.name: tf.TensorSpec(info.tensor_shape, tf.as_dtype(info.dtype)) for info in infos}
    fetches = tuple(definition.outputs[name].name for name in outputs)
    needed = graph.behind([*fetches, *updates], set(map(node_of, inputs)))
    seeds = {f"{name}:0": tf.TensorSpec([2], tf.int64) for name in sorted(needed) if name.startswith(SEED)}
    return Part(graph, inputs | seeds, fetches, tuple(updates))


def _initializer(graph: Graph, path: str) -> GraphInitializer:
    """Fills the tables of a graph, now and wherever an export is loaded."""
    feeds = {name: tf.TensorSpec([], tf.string) for name in graph.assets}
    run = functions.function(Part(graph, feeds, (), tuple(graph.initializers)), {})
    initializer = GraphInitializer(run, [f"{path}/assets/{name}" for name in graph.assets.values()])
    initializer.initialize()
    return initializer


def _seed() -> int:
    """A seed that follows from the global one."""
    return int(tf.random.uniform([], maxval=tf.int64.max, dtype=tf.int64))
