"""Names of a model's variables, the same in every run: `<layer>/<variable>`, such as `head/hidden_0/kernel`."""

import re

import tensorflow as tf

ATTRIBUTE = "model_variables"
"""Attribute of checkpoints and exported models that holds the variables by name."""

_VALUE = re.compile(rf"(?:^|/){ATTRIBUTE}/(?P<name>[^/]+)/\.ATTRIBUTES/VARIABLE_VALUE$")


def named_variables(model: tf.keras.Model) -> dict[str, tf.Variable]:
    """The variables of a model by name. Of equal names within a layer, which hub modules may have, later ones get a
    number."""
    found: dict[str, tf.Variable] = {}
    seen = set()
    for layer in model.layers:
        for variable in layer.variables:
            if variable.ref() in seen:
                continue
            seen.add(variable.ref())
            name = f"{layer.name}/{variable.name.partition(':')[0].removeprefix(f'{layer.name}/')}"
            repeated = 0
            while (unique := f"{name}_{repeated}" if repeated else name) in found:
                repeated += 1
            found[unique] = variable
    return found


def name_of_key(key: str) -> str | None:
    """The name of the variable that a checkpoint's key stands for; None if it stands for something else, such as the
    state of an optimizer."""
    found = _VALUE.search(key)
    # TensorFlow escapes slashes and dots in the keys of mappings.
    return re.sub(r"\.([.S])", lambda escaped: "/" if escaped[1] == "S" else ".", found["name"]) if found else None
