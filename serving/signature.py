"""Signatures of a served model."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.serving.errors import invalid, of_model

Arrays = dict[str, np.ndarray]

CLASSIFY, PREDICT, REGRESS = (
    tf.saved_model.CLASSIFY_METHOD_NAME,
    tf.saved_model.PREDICT_METHOD_NAME,
    tf.saved_model.REGRESS_METHOD_NAME,
)
DEFAULT = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


@dataclass(frozen=True, eq=False)
class Signature:
    """A function of a model that clients can call."""

    name: str
    method: str
    """The method name in the SavedModel, by which TensorFlow Serving tells which requests the signature answers."""
    inputs: Mapping[str, tf.TensorSpec]
    outputs: Collection[str]
    call: Callable[..., Mapping[str, tf.Tensor]]

    def check(self, given: Mapping[str, np.ndarray]) -> None:
        """Checks names, dtypes and shapes of inputs.

        Raises:
            RequestError: if they don't fit the signature.
        """
        self.check_names(given)
        for name, spec in self.inputs.items():
            array = given[name]
            if tf.as_dtype(array.dtype) != spec.dtype and not (spec.dtype == tf.string and array.dtype.kind in "OSU"):
                raise invalid(f"input '{name}': its dtype is {spec.dtype.name}, not {array.dtype.name}")
            if not spec.shape.is_compatible_with(array.shape):
                raise invalid(f"input '{name}': its shape is {spec.shape}, not {list(array.shape)}")

    def check_names(self, given: Collection[str]) -> None:
        """Checks that every input is given, and nothing else.

        Raises:
            RequestError: otherwise.
        """
        if set(given) != set(self.inputs):
            raise invalid(
                f"signature '{self.name}' takes the inputs {_listed(self.inputs)}; the request has {_listed(given)}"
            )

    def run(self, inputs: Mapping[str, np.ndarray]) -> Arrays:
        """Calls the model with inputs that `check` has accepted; returns the outputs by name.

        Raises:
            RequestError: if the model fails.
        """
        try:
            tensors = {name: tf.constant(array, self.inputs[name].dtype) for name, array in inputs.items()}
            return {name: output.numpy() for name, output in self.call(**tensors).items()}
        except (tf.errors.OpError, ValueError) as error:
            raise of_model(error) from error

    @property
    def is_batched(self) -> bool:
        """Whether the first dimension of every input is the number of examples."""
        return all(spec.shape.rank and spec.shape[0] is None for spec in self.inputs.values())


def signature_of(signatures: Mapping[str, Signature], name: str, method: str | None = None) -> Signature:
    """The signature with a name, `serving_default` if the name is empty.

    Args:
        signatures: The signatures of a model.
        name: The requested name.
        method: The method name that the request needs; None for any.

    Raises:
        RequestError: if there is none, or it doesn't answer such requests.
    """
    name = name or DEFAULT
    if name not in signatures:
        raise invalid(f"the model has no signature '{name}', only {_listed(signatures)}")
    found = signatures[name]
    if method is not None and found.method != method:
        raise invalid(f"signature '{name}' answers {found.method or 'no'} requests, not {method}")
    return found


def chosen(outputs: Arrays, names: Collection[str]) -> Arrays:
    """The outputs with the given names, all if there are none.

    Raises:
        RequestError: if an output doesn't exist.
    """
    if unknown := set(names) - outputs.keys():
        raise invalid(f"the model has no output {_listed(unknown)}, only {_listed(outputs)}")
    return {name: outputs[name] for name in names or outputs}


def _listed(names: Collection[str] | Mapping[str, Any]) -> str:
    return ", ".join(f"'{name}'" for name in sorted(names)) or "none"
