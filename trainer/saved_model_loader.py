"""Loads and calls hub modules."""

import inspect as python_inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import tensorflow as tf

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.trainer.adapters.tensorflow import concrete_functions
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.module import Function, Module, Tensor, plain
from hubline.trainer.operations import provide
from hubline.trainer.saved_model import SavedModel

TRAINING = "training"
"""Argument that tells a module whether it is being trained, by the convention of reusable SavedModels."""


class Trace:
    """One of the ways in which a module's `__call__` was traced."""

    def __init__(self, concrete: Any, signature: python_inspect.Signature) -> None:
        """Reads a concrete function of a module with the given call signature."""
        positional, named = self._structure = concrete.structured_input_signature
        parameters = signature.parameters.values()
        names = [each.name for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
        names += [f"argument_{number}" for number in range(len(names), len(positional))]
        self._arguments = dict(zip(names, positional, strict=False)) | named
        self._defaults = {each.name: each.default for each in parameters if each.default is not each.empty}
        self._outputs = concrete.structured_outputs
        needed = [key for key, value in self._arguments.items() if _has_tensors(value) and not self._has_default(key)]
        # A single input is named after its tensor; several inputs are named after their arguments.
        label = {key: (getattr(self._arguments[key], "name", None) or "inputs") for key in needed if len(needed) == 1}
        by_argument = {key: names_of(value, label.get(key, key)) for key, value in self._arguments.items()}
        structure = [by_argument[key] for key in names[: len(positional)]], {key: by_argument[key] for key in named}
        self._leaves = list(zip(tf.nest.flatten(structure), tf.nest.flatten(self._structure), strict=True))

    @property
    def is_for_training(self) -> bool:
        """Whether the trace is for training only."""
        return self._arguments.get(TRAINING) is True

    @property
    def has_training_argument(self) -> bool:
        """Whether the training argument is a tensor, to be set at each call."""
        return _has_tensors(self._arguments.get(TRAINING))

    @property
    def unusual(self) -> int:
        """Number of arguments with values other than their defaults."""
        return sum(
            plain(value) != plain(self._defaults.get(key))
            for key, value in self._arguments.items()
            if key != TRAINING and not _has_tensors(value)
        )

    @property
    def function(self) -> Function:
        """The interface of the trace."""
        told = {key: value for key, value in self._arguments.items() if key != TRAINING}
        inputs = {name: leaf for name, leaf in self._leaves if isinstance(leaf, tf.TypeSpec) and name != TRAINING}
        literals = {key: value for key, value in told.items() if value is not None and not _has_tensors(value)}
        defaults = {key: self._defaults[key] for key, value in told.items() if key in inputs and self._has_default(key)}
        return Function(
            inputs=_tensors(inputs),
            outputs=_tensors(by_name(self._outputs, "default")),
            arguments={key: plain(value) for key, value in (literals | defaults).items()},
        )

    def call(self, module: Any, tensors: Mapping[str, Any], training: bool | None) -> Any:
        """Calls the module with the arguments of the trace.

        Args:
            module: The traced module.
            tensors: Inputs by name; missing ones take their defaults.
            training: Value of the training argument; None for the traced value.
        """
        given = {**self._defaults, **tensors}
        if self.has_training_argument:
            given[TRAINING] = bool(training)
        flat = [given[name] if isinstance(leaf, tf.TypeSpec) else leaf for name, leaf in self._leaves]
        if training is not None:
            flat = [training if name == TRAINING else leaf for (name, _), leaf in zip(self._leaves, flat, strict=True)]
        positional, named = tf.nest.pack_sequence_as(self._structure, flat)
        return module(*positional, **named)

    def _has_default(self, key: str) -> bool:
        return isinstance(self._defaults.get(key), bool | int | float | str | list | tuple)


Run: TypeAlias = Callable[[Mapping[str, Any]], dict[str, Any]]
"""Maps inputs to outputs, both by name."""


@dataclass(frozen=True)
class InTraining:
    """A module while it is trained."""

    run: Run
    regularization_losses: Sequence[Callable[[], tf.Tensor]] = ()
    generator: tf.random.Generator | None = None
    """The source of its random numbers, if that is known."""


@dataclass(frozen=True)
class LoadedModule:
    """A loaded module, ready to be called."""

    path: str
    offer: Module
    loaded: Any
    """The object that TensorFlow loaded."""
    traces: tuple[Trace, ...] = ()
    """The traces of `offer.calls`, in the same order."""
    can_train: bool = False
    """Whether the module can be called in training mode."""

    def run(
        self, signature: str | None, function: Function, tensors: Mapping[str, Any], training: bool | None = None
    ) -> dict[str, Any]:
        """Calls the module.

        Args:
            signature: The signature to call; None for the module itself.
            function: The callable, from `offer`.
            tensors: Inputs by name.
            training: Whether the module itself runs in training mode; None for the traced mode.

        Returns:
            Outputs by their names in `offer`.
        """
        if signature is not None:
            return by_name(self.loaded.signatures[signature](**tensors), "default")
        trace = self.traces[self.offer.calls.index(function)]
        return by_name(trace.call(self.loaded, tensors, training), "default")

    def in_training(
        self,
        signature: str | None,
        function: Function,
        tuned: VariableSelection,
        trained: Collection[str],
        outputs: Sequence[str],
    ) -> InTraining:
        """The module while it is trained.

        Args:
            signature: The signature to call; None for the module itself.
            function: The callable, from `offer`.
            tuned: How it is trained.
            trained: Names of the variables to train.
            outputs: The outputs that are used.

        Raises:
            UserError: if the module can't be trained in this way.
        """
        if tuned.training_mode and not self.can_train:
            raise UserError("training_mode: the module has no training mode; remove training_mode")
        training = True if tuned.uses_training_mode and self.can_train else None
        run = partial(self.run, signature, function, training=training)
        return InTraining(run, list(getattr(self.loaded, "regularization_losses", ())))


def open_module(path: str) -> LoadedModule:
    """Loads a module.

    Args:
        path: A folder with a SavedModel: TF2, or a TF1 hub module.

    Raises:
        UserError: if the folder contains no SavedModel that TensorFlow can load.
    """
    saved = read_saved_model(path)
    tags = saved.tags if saved.format == "TF1" else None
    try:
        provide(saved.operations)
        loaded = tf.saved_model.load(path, tags=None if tags is None else list(tags))
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except (tf.errors.OpError, OSError, ValueError, RuntimeError, KeyError) as error:
        raise UserError(f"{path}: TensorFlow cannot load this SavedModel: {error}") from error
    traces = _traces(loaded) if saved.format == "TF2" else ()
    inference = ordered(traces)
    offer = Module(
        format=saved.format,
        tags=tags,
        calls=tuple(trace.function for trace in inference),
        signatures={
            name: _signature(function) for name, function in loaded.signatures.items() if not name.startswith("__")
        },
        variables=saved.variables,
    )
    return LoadedModule(
        path, offer, loaded, inference, any(one.is_for_training or one.has_training_argument for one in traces)
    )


def ordered(traces: tuple[Trace, ...]) -> tuple[Trace, ...]:
    """The traces to call, those with default arguments first.

    If the module was also traced for training, only the inference traces count: they are what serving sees.
    """
    inference = [one for one in traces if not one.is_for_training] or traces
    return tuple(sorted(inference, key=lambda one: one.unusual))


def read_saved_model(path: str) -> SavedModel:
    """Reads the `saved_model.pb` in a folder.

    Raises:
        UserError: if there is none.
    """
    file = f"{path}/saved_model.pb"
    if not storage.exists(file):
        raise UserError(f"{path}: not a SavedModel: there is no saved_model.pb in it")
    with storage.open_binary(file) as content:
        return SavedModel.parse(content.read(), file)


def load_exported(path: str) -> Any:
    """Loads an exported model with the operations that its modules need.

    Raises:
        UserError: if there is no model, or the installed TensorFlow lacks operations.
    """
    saved = read_saved_model(path)
    try:
        provide(saved.operations)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    with storage.on_disk(path) as folder:
        return tf.saved_model.load(folder)


def _traces(loaded: Any) -> tuple[Trace, ...]:
    if not callable(loaded):
        return ()
    signature = python_inspect.signature(loaded.__call__)
    return tuple(Trace(concrete, signature) for concrete in concrete_functions(loaded))


def _signature(function: Any) -> Function:
    return Function(
        inputs=_tensors(by_name(function.structured_input_signature[1], "inputs")),
        outputs=_tensors(by_name(function.structured_outputs, "default")),
    )


def _has_tensors(value: Any) -> bool:
    return any(isinstance(leaf, tf.TypeSpec) for leaf in tf.nest.flatten(value))


def _tensors(specs: Mapping[str, Any]) -> dict[str, Tensor]:
    # In a TF1 graph, outputs are tensors rather than specs.
    return {
        name: tensor_of(spec) for name, spec in specs.items() if isinstance(spec, tf.TypeSpec) or tf.is_tensor(spec)
    }


def tensor_of(spec: Any) -> Tensor:
    """For other than dense tensors, such as a RaggedTensorSpec, the type name stands in for the dtype."""
    dtype = spec.dtype.name if isinstance(spec, tf.TensorSpec | tf.Tensor) else type(spec).__name__.removesuffix("Spec")
    shape = tf.TensorShape(getattr(spec, "shape", None))
    return Tensor(dtype=dtype, shape=None if shape.rank is None else tuple(shape.as_list()))


def by_name(structure: Any, name: str) -> dict[str, Any]:
    """The tensors of a module's inputs or outputs, by the names that inspection shows and `output` refers to.

    Args:
        structure: A tensor, a mapping or a list, possibly nested.
        name: Name of a single tensor. Items of a list are numbered after it; items of a mapping keep their keys, joined
            by `/` if nested.
    """
    return dict(zip(tf.nest.flatten(names_of(structure, name)), tf.nest.flatten(structure), strict=True))


def names_of(structure: Any, name: str, nested: bool = False) -> Any:
    """The same structure with the names of `by_name` in place of its tensors."""
    if isinstance(structure, Mapping):
        return {
            key: names_of(value, f"{name}/{key}" if nested else str(key), nested=True)
            for key, value in structure.items()
        }
    flat = tf.nest.flatten(structure)
    names = [name] if len(flat) == 1 else [f"{name}_{number}" for number in range(len(flat))]
    return tf.nest.pack_sequence_as(structure, names)
