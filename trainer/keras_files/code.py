"""Python code and files that loading a Keras model would run or read, found in its configuration without loading it.

Keras imports any module that a configuration names, and calls functions in it with arguments from the file; the safe
mode of Keras 2 stops Lambda layers alone (https://nvd.nist.gov/vuln/detail/CVE-2025-1550 describes the kind). So only
those parts of Keras pass whose classes compute with tensors alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hubline.core.config_base import Section
from hubline.core.errors import UserError

_KERAS = ("keras", "tf_keras")
_OF_FUNCTIONS = {"activations", "constraints", "initializers", "losses", "metrics", "regularizers"}
"""Parts of Keras whose functions compute with tensors alone; others download, read and write files."""
_OF_CONFIGURATIONS = ("deserialize", "deserialize_keras_object", "get", "serialize", "serialize_keras_object")
"""Functions there that make objects of configurations."""
_OF_CLASSES = _OF_FUNCTIONS | {
    "dtype_policies", "engine", "layers", "mixed_precision", "models", "ops", "optimizers", "quantizers", "random",
}  # fmt: skip
"""Parts of Keras whose classes do."""
_OF_APPLICATIONS = ("LayerScale",)
"""Layers that keras.applications defines; the other public names there are functions, which download weights."""
_REACHING_LAYERS = {
    "ClassMethod", "FlaxLayer", "InstanceMethod", "InstanceProperty", "JaxLayer", "ModuleWrapper", "ReloadedLayer",
    "TFSMLayer", "TorchModuleWrapper",
}  # fmt: skip
"""Layers that load other files, unpickle, or call any method that the file names."""
_VOCABULARIES = ("initial_vocabulary", "vocabulary", "vocabulary_file")
"""Settings of Keras' layers and feature columns that are words, or the path of a file with them."""
_OPERATION_LAYERS = ("SlicingOpLambda", "TFOpLambda")
_OF_TENSORFLOW = {
    "__operators__", "audio", "bitwise", "dtypes", "image", "linalg", "math", "nn", "quantization", "ragged", "random",
    "sets", "signal", "sparse", "strings",
}  # fmt: skip
"""Parts of TensorFlow's API whose functions compute with tensors alone."""
_REACHING_FUNCTIONS = {
    "custom_gradient", "device", "function", "grad_pass_through", "init_scope", "load_library", "load_op_library",
    "numpy_function", "print", "py_function", "recompute_grad",
}  # fmt: skip
"""Functions at the top of TensorFlow's API that reach files, processes or Python."""
_SPECS = ("IndexedSlicesSpec", "RaggedTensorSpec", "SparseTensorSpec", "TensorSpec")


class Code(Section):
    """A part of a model that loading shouldn't run."""

    name: str
    """As the file names it, such as `os:popen` or `tf.io.write_file`."""
    module: str = ""
    """Python module that a user can allow; empty if nothing allows the part."""
    is_file: bool = False
    """Whether the part is the path of a file."""


def code_in(objects: Iterable[Mapping[str, Any]]) -> tuple[Code, ...]:
    """What a model's serialized objects name beyond layers and functions of Keras that compute with tensors."""
    found = (code for each in objects for code in (_code(each), _file(each)) if code is not None)
    return tuple({each.name: each for each in found}.values())


def _code(each: Mapping[str, Any]) -> Code | None:
    name, module, config = str(each["class_name"]), str(each.get("module") or ""), each.get("config")
    if name in _OPERATION_LAYERS:
        return _operation(config if isinstance(config, Mapping) else {})
    if name == "__typespec__":
        return _spec(each, config if isinstance(config, Mapping) else {})
    rooms = _OF_CLASSES
    if name == "function":
        name, rooms = str(config), _OF_FUNCTIONS
    return None if _computes(module, name, rooms) else _named(module, name)


def _computes(module: str, name: str, rooms: set[str]) -> bool:
    """Whether a name is a part of Keras that computes with tensors alone."""
    if name in _REACHING_LAYERS:
        return False
    if module == "":
        return True  # Keras looks such a name up among its own layers, and those that the user registered
    top, *rest = module.split(".")
    if not name.isidentifier():
        return False
    if rooms is _OF_FUNCTIONS:
        is_own = module == "builtins" or (top in _KERAS and not rooms.isdisjoint(rest))
        return is_own and name not in _OF_CONFIGURATIONS
    if top not in _KERAS or not name[0].isupper():
        return False
    return not rest or not rooms.isdisjoint(rest) or ("applications" in rest and name in _OF_APPLICATIONS)


def _operation(config: Mapping[str, Any]) -> Code | None:
    function = str(config.get("function", ""))
    room, dot, _ = function.partition(".")
    computes = room in _OF_TENSORFLOW if dot else room not in _REACHING_FUNCTIONS
    return None if computes else Code(name=f"tf.{function}")


def _spec(each: Mapping[str, Any], config: Mapping[str, Any]) -> Code | None:
    """Keras reads the names beside the configuration; files of others have them inside."""
    for names in (each, config):
        module, name = str(names.get("module") or ""), str(names.get("spec_name") or "")
        if (module and module.partition(".")[0] not in ("tensorflow", *_KERAS)) or (name and name not in _SPECS):
            return _named(module, name)
    return None


def _named(module: str, name: str) -> Code:
    can_be_users = module.partition(".")[0] not in ("", "builtins", "tensorflow", *_KERAS)
    return Code(name=f"{module}:{name}" if module else name, module=module if can_be_users else "")


def _file(each: Mapping[str, Any]) -> Code | None:
    config = each.get("config")
    settings = config if isinstance(config, Mapping) else {}
    path = next((settings[key] for key in _VOCABULARIES if isinstance(settings.get(key), str)), None)
    return None if path is None else Code(name=path, is_file=True)


def refuse_code(source: str, code: Sequence[Code], imports: Sequence[str]) -> None:
    """Refuses a model that names code which the user hasn't named, or files.

    Raises:
        UserError: naming the code or the file, and for a class of the user's own the option that allows its module.
    """
    for found in code:
        if found.module and any(f"{found.module}.".startswith(f"{each}.") for each in imports):
            continue
        if found.is_file:
            raise UserError(
                f"{source}: the model names the file {found.name}, which loading would read; build the layer with the "
                "words themselves: vocabulary=[…]"
            )
        about = f"{source}: the model names {found.name}, which isn't a part of Keras that computes with tensors alone"
        if not found.module:
            raise UserError(f"{about}; loading could run it as you: build the model from other layers")
        raise UserError(f"{about}; loading would run it as you. If that is your code, say so: --import {found.module}")
