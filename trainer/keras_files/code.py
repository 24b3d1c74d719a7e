"""Python code that loading a Keras model would run, found in its configuration without loading it.

Keras imports any module that a configuration names, and calls functions in it with arguments from the file; the safe
mode of Keras 2 stops Lambda layers alone (https://nvd.nist.gov/vuln/detail/CVE-2025-1550 describes the kind).
"""

import builtins
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hubline.core.errors import UserError

_KERAS = ("keras", "tf_keras")
_OF_FUNCTIONS = {"activations", "initializers", "regularizers", "constraints", "losses", "metrics"}
"""Parts of Keras whose functions compute with tensors alone; others download and write files."""
_OPERATION_LAYERS = ("TFOpLambda", "SlicingOpLambda")
_REACHING = {
    "io", "raw_ops", "data", "saved_model", "summary", "debugging", "train", "keras", "lookup", "compat", "config",
    "distribute", "test", "sysconfig", "autograph", "profiler", "experimental", "feature_column", "estimator", "tpu",
    "py_function", "numpy_function", "load_op_library", "load_library", "print", "function", "init_scope",
}  # fmt: skip
"""Parts of TensorFlow's API whose functions reach files, processes or Python."""


def code_in(objects: Iterable[Mapping[str, Any]]) -> tuple[str, ...]:
    """What a model's serialized objects name outside Keras.

    Returns:
        `module:name`, or `tf.name` for a function of TensorFlow that reaches beyond a computation.
    """
    return tuple(dict.fromkeys(filter(None, map(_code, objects))))


def _code(each: Mapping[str, Any]) -> str | None:
    name, module, config = str(each["class_name"]), str(each.get("module") or ""), each.get("config")
    top, inner = module.partition(".")[0], config if isinstance(config, Mapping) else {}
    if name in _OPERATION_LAYERS:
        function = str(inner.get("function", ""))
        return f"tf.{function}" if function.partition(".")[0] in _REACHING else None
    if name == "__typespec__":
        module, name = str(inner.get("module") or ""), str(inner.get("spec_name"))
        return None if module.partition(".")[0] in ("", "tensorflow", *_KERAS) else f"{module}:{name}"
    if name == "function":
        name = str(config)
        is_own = module in ("", "builtins") or (top in _KERAS and not _OF_FUNCTIONS.isdisjoint(module.split(".")))
    else:
        is_own = top in ("", "builtins", *_KERAS)
    if module == "builtins" and name in vars(builtins):
        is_own = False
    return None if is_own else f"{module}:{name}"


def refuse_code(source: str, code: Sequence[str], imports: Sequence[str]) -> None:
    """Refuses a model that names code which the user hasn't named.

    Raises:
        UserError: naming the code, and for a class the option that allows its module.
    """
    for found in code:
        module, _, name = found.partition(":")
        if name and any(f"{module}.".startswith(f"{each}.") for each in imports):
            continue
        about = f"{source}: the model names {found}, which isn't Keras' own; loading the model would run it as you"
        if not name or module.partition(".")[0] in ("builtins", *_KERAS):
            raise UserError(f"{about}; build such a part from Keras' layers")
        raise UserError(f"{about}; if that is your code, say so: --import {module}")
