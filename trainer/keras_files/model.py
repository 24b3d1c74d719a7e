"""Loads Keras models, of Keras 2 and Keras 3, and takes their layers' outputs."""

import importlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import tensorflow as tf

from hubline.core import storage
from hubline.core.close_names import close_name
from hubline.core.errors import UserError, library_reason
from hubline.trainer.adapters.keras import regularization_losses
from hubline.trainer.adapters.tensorflow import is_resource
from hubline.trainer.keras_files.code import code_in, refuse_code
from hubline.trainer.keras_files.links import refuse_links
from hubline.trainer.keras_files.recognise import KerasFile, lambdas_in, objects_in, refuse_lambdas
from hubline.trainer.keras_files.reusable import Source, unique
from hubline.trainer.reaching_operations import refuse_reaching
from hubline.trainer.saved_model_loader import read_saved_model

_UNKNOWN = re.compile(r"(?:Unknown [\w ]+: ['\"]?|Could not locate \w+ ['\"]|Could not deserialize ['\"])([\w.>]+)")
_SUBCLASSED = (
    "the model is a subclass of keras.Model, which doesn't state its inputs; wrap it before saving: "
    "inputs = keras.Input(shape); keras.Model(inputs, model(inputs)).save('model.keras')"
)


def load(file: KerasFile, imports: Sequence[str], allow_lambda: bool, allow_operations: Sequence[str] = ()) -> Any:
    """Loads a model with the Keras that wrote it.

    Args:
        file: A file with a model.
        imports: Python modules with classes of the model.
        allow_lambda: Whether Python code in the file may run.
        allow_operations: Operations of a SavedModel that may reach beyond the model.

    Raises:
        UserError: if a module can't be imported, the model names other code, or Keras can't load the model.
    """
    keras = importlib.import_module("keras" if file.keras == 3 else "tf_keras")
    custom = _classes(imports, keras)
    if Path(file.path).is_dir():
        config = _config_of_saved_model(file.path)
        if not allow_lambda:
            refuse_lambdas(file.path, lambdas_in(config))
        refuse_code(file.path, code_in(objects_in(config)), imports)
        _refuse_reaching(file.path, allow_operations)
    else:
        refuse_links(file.path)
    try:
        return keras.models.load_model(file.path, custom_objects=custom, compile=False, safe_mode=not allow_lambda)
    except Exception as error:  # Keras, h5py and the model's own classes raise anything
        unknown = _UNKNOWN.search(str(error))
        if unknown is not None:
            raise UserError(f"{file.path}: {_importable(unknown[1], file.classes)}") from error
        raise UserError(f"{file.path}: Keras can't load the model: {library_reason(error)}") from error


def _refuse_reaching(path: str, allowed: Sequence[str]) -> None:
    try:
        refuse_reaching(read_saved_model(path), allowed)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _config_of_saved_model(path: str) -> list[Any]:
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata  # only Keras 2 writes these files

    metadata = SavedMetadata.FromString(storage.read_bytes(f"{path}/keras_metadata.pb"))
    return [json.loads(node.metadata) for node in metadata.nodes if node.metadata]


def _classes(imports: Sequence[str], keras: Any) -> dict[str, Any]:
    """The layers in the user's Python modules, whether they are registered with Keras or not."""
    found: dict[str, Any] = {}
    for name in imports:
        try:
            module = importlib.import_module(name)
        except Exception as error:  # the user's code raises anything
            raise UserError(f"--import {name}: can't be imported: {type(error).__name__}: {error}") from error
        layers = {key: each for key, each in vars(module).items() if isinstance(each, type)}
        found |= {key: each for key, each in layers.items() if issubclass(each, keras.layers.Layer)}
    return found


def _importable(name: str, modules: Mapping[str, str]) -> str:
    bare = name.rpartition(">")[2]
    module = next((modules[key] for key in (name, bare) if modules.get(key)), "")
    package = name.partition(">")[0]
    if package in ("keras_hub", "keras_nlp", "keras_cv"):
        return f"the class {bare} is part of {package}; install it: pip install {package.replace('_', '-')}"
    return (
        f"the class {bare} isn't Keras' own; say which Python module has it, to be found from the current folder or on "
        f"Python's path: --import {module or 'my_package.layers'}"
    )


def with_layers(model: Any, layers: Sequence[str]) -> Any:
    """The model that ends at some layers: with one output, or a dict of outputs by layer.

    Args:
        model: A functional or sequential model.
        layers: Names of layers.

    Raises:
        UserError: if there is no such layer, or its output isn't unique.
    """
    if not getattr(model, "inputs", None):
        raise UserError(_SUBCLASSED)
    outputs = {name: _output(model, name) for name in layers}
    return _models(model)(model.inputs, outputs if len(outputs) > 1 else next(iter(outputs.values())))


def _output(model: Any, name: str) -> Any:
    known = {layer.name: layer for layer in model.layers}
    outer = name if name in known else next((key for key, each in known.items() if name in _names(each)), None)
    if outer is None:
        near = close_name(name, known)
        hint = f"did you mean {near}?" if near else f"its layers are: {', '.join(known)}"
        raise UserError(f"--layer {name}: the model has no such layer; {hint}")
    if _names(known[outer]):
        which = "is" if outer == name else f"is inside {outer}, which is"
        raise UserError(
            f"--layer {name}: the layer {which} a model itself; save that as a file of its own: "
            f"model.get_layer('{outer}').save('{outer}.keras')"
        )
    try:
        return known[name].output
    except (AttributeError, ValueError) as error:
        raise UserError(f"--layer {name}: the layer has no single output: {library_reason(error)}") from error


def _names(layer: Any) -> list[str]:
    return [each.name for each in getattr(layer, "layers", ())]


def _models(model: Any) -> Any:
    """The class `Model` of the Keras that made a model."""
    keras = importlib.import_module("keras")
    return keras.Model if isinstance(model, keras.Model) else importlib.import_module("tf_keras").Model


def source_of(model: Any, keras: int) -> Source:
    """A Keras model as the source of a module, with its own names of inputs and outputs.

    Raises:
        UserError: if it doesn't state its inputs, or takes or returns other than dense tensors.
    """
    if not getattr(model, "inputs", None):
        raise UserError(_SUBCLASSED)
    inputs, outputs = (_structure(model, which) for which in ("input", "output"))
    specs = {name: _spec(name, tensor) for name, tensor in inputs.items()}
    is_single = len(inputs) == 1

    def call(given: Any, training: bool) -> Any:
        values = {next(iter(specs)): given} if is_single else given
        answers = model(_packed(model, {name: values[name] for name in specs}), training=training)
        is_by_name = isinstance(answers, Mapping) and len(outputs) > 1
        flat = [answers[name] for name in outputs] if is_by_name else tf.nest.flatten(answers)
        return flat[0] if len(flat) == 1 else dict(zip(outputs, flat, strict=True))

    variables, trainable = ([_variable(each) for each in some] for some in (model.weights, model.trainable_weights))
    names = [each.path if keras == 3 else each.name.partition(":")[0] for each in model.weights]
    return Source(
        call=call,
        inputs=next(iter(specs.values())) if is_single else specs,
        variables=dict(zip(unique(names), variables, strict=True)),
        trainable=trainable,
        regularization_losses=_regularization_losses(model, keras),
        resources=[each for each in tf.train.TrackableView(model).descendants() if is_resource(each)],
    )


def _structure(model: Any, which: str) -> dict[str, Any]:
    """The inputs or outputs of a model by name."""
    tensors = getattr(model, f"{which}s")
    structure = tensors[0] if len(tensors) == 1 else getattr(model, which)
    if isinstance(structure, Mapping):
        if all(not isinstance(each, Mapping | list | tuple) for each in structure.values()):
            return dict(structure)
        raise UserError(f"the model has nested {which}s; flatten them to a dict of tensors before saving")
    if len(tensors) == 1:
        return {tensors[0].name.partition(":")[0] if which == "input" else "default": tensors[0]}
    names = [each.name.partition(":")[0] for each in tensors] if which == "input" else model.output_names
    return dict(zip(unique(list(names)), tensors, strict=True))


def _packed(model: Any, values: Mapping[str, Any]) -> Any:
    """Inputs by name, in the model's order, in the structure that the model takes."""
    if len(model.inputs) == 1:
        structure = getattr(model, "input", None) if not _is_sequential(model) else None
        return dict(values) if isinstance(structure, Mapping) else next(iter(values.values()))
    return dict(values) if isinstance(model.input, Mapping) else list(values.values())


def _is_sequential(model: Any) -> bool:
    return any(each.__name__ == "Sequential" for each in type(model).__mro__)


def _spec(name: str, tensor: Any) -> tf.TensorSpec:
    spec = getattr(tensor, "type_spec", None)
    if getattr(tensor, "sparse", False) or not isinstance(spec, tf.TensorSpec | None):
        raise UserError(f"the input {name} of the model is sparse or ragged; a module takes dense tensors")
    return tf.TensorSpec(tensor.shape, tensor.dtype, name)


def _variable(weight: Any) -> tf.Variable:
    """The variable of TensorFlow behind a weight of Keras 2 or 3."""
    return weight if isinstance(weight, tf.Variable) else weight.value


def _regularization_losses(model: Any, keras: int) -> list[Any]:
    if keras == 2:
        return regularization_losses(model)
    regularized = [weight for weight in model.trainable_weights if getattr(weight, "regularizer", None)]
    return [partial(weight.regularizer, weight.value) for weight in regularized]
