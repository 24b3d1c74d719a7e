"""Tensors in the JSON of TensorFlow Serving's REST API, as rows or columns.

https://www.tensorflow.org/tfx/serving/api_rest describes the forms. Binary values are objects with the single key
`b64`. NaN and infinities are the words NaN and Infinity, which JSON lacks and TensorFlow Serving takes and gives.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
import tensorflow as tf

from hubline.core import json_arrays
from hubline.core.json_arrays import dumps
from hubline.serving.errors import Code, RequestError, invalid
from hubline.serving.signature import Arrays, Signature

_MOST_DIMENSIONS = 32
"""NumPy 1's bound."""


def parse(body: bytes) -> dict[str, Any]:
    """The object in the body of a request.

    Raises:
        RequestError: if the body contains none.
    """
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError:
        try:
            found = json.loads(body)  # takes NaN and Infinity
            json.dumps(found, ensure_ascii=False).encode()  # fails for half of a surrogate pair, which is no character
        except (ValueError, RecursionError) as error:
            raise invalid(f"JSON Parse error: {error}") from error
    if not isinstance(found, dict):
        raise invalid("the request must be a JSON object")
    return found


def inputs_of(request: Mapping[str, Any], signature: Signature) -> tuple[Arrays, bool]:
    """The inputs of a predict request, and whether they are rows.

    Raises:
        RequestError: if the request doesn't fit the signature.
    """
    if ("instances" in request) == ("inputs" in request):
        raise invalid("the request must have either 'instances' (rows) or 'inputs' (columns)")
    if "instances" in request:
        columns = _of_rows(request["instances"], signature)
    else:
        columns = _named(request["inputs"], signature)
    inputs = {name: _array(name, values, signature.inputs[name]) for name, values in columns.items()}
    signature.check(inputs)
    return inputs, "instances" in request


def _of_rows(instances: Any, signature: Signature) -> dict[str, list[Any]]:
    if not isinstance(instances, list) or not instances:
        raise invalid("'instances' must be a list with at least one row")
    if not all(_is_row(each) for each in instances):
        (name,) = _only_input(signature)
        return {name: instances}
    names = instances[0].keys()
    for number, row in enumerate(instances):
        if row.keys() != names:
            raise invalid(f"'instances': row {number} (counted from 0) has other names than row 0")
    return _known({name: [row[name] for row in instances] for name in names}, signature)


def _is_row(instance: Any) -> bool:
    return isinstance(instance, dict) and not _is_binary(instance)


def _named(inputs: Any, signature: Signature) -> dict[str, Any]:
    if isinstance(inputs, dict) and not _is_binary(inputs):
        return _known(inputs, signature)
    (name,) = _only_input(signature)
    return {name: inputs}


def _only_input(signature: Signature) -> list[str]:
    if len(signature.inputs) != 1:
        names = ", ".join(f"'{name}'" for name in sorted(signature.inputs))
        raise invalid(f"signature '{signature.name}' has several inputs, so values need names: {names}")
    return list(signature.inputs)


def _known(columns: dict[str, Any], signature: Signature) -> dict[str, Any]:
    """Checks the names before values are read."""
    signature.check_names(columns)
    return columns


def _array(name: str, values: Any, spec: tf.TensorSpec) -> np.ndarray:
    """Values as an array of the input's dtype.

    Raises:
        RequestError: if they have another type or no shape.
    """
    if spec.dtype == tf.string:
        return _strings(name, values)
    try:
        array = np.array(values)
    except ValueError:
        raise invalid(f"input '{name}': its lists have different lengths") from None
    wanted = np.dtype(spec.dtype.as_numpy_dtype)
    if not array.size:
        return array.astype(wanted)
    is_fitting = {
        "b": array.dtype.kind == "b",
        "i": array.dtype.kind in "iu",
        "u": array.dtype.kind in "iu",
    }.get(wanted.kind, array.dtype.kind in "iuf")
    if not is_fitting:
        raise invalid(f"input '{name}': its values must be of type {spec.dtype.name}")
    if wanted.kind in "iu":
        bounds = np.iinfo(wanted)
        if array.min() < bounds.min or array.max() > bounds.max:
            raise invalid(f"input '{name}': a value is no {spec.dtype.name}")
    return array.astype(wanted)


def _strings(name: str, values: Any) -> np.ndarray:
    flat: list[bytes] = []
    shape = _collect(name, values, flat)
    array = np.empty(len(flat), object)
    array[:] = flat
    return array.reshape(shape)


def _collect(name: str, value: Any, flat: list[bytes], depth: int = 0) -> tuple[int, ...]:
    """Appends the strings in nested lists; returns their shape."""
    if isinstance(value, list):
        if depth == _MOST_DIMENSIONS:
            raise invalid(f"input '{name}': its lists are nested more than {_MOST_DIMENSIONS} times")
        shapes = {_collect(name, each, flat, depth + 1) for each in value}
        if len(shapes) > 1:
            raise invalid(f"input '{name}': its lists have different lengths")
        return (len(value), *next(iter(shapes), ()))
    flat.append(bytes_of(name, value))
    return ()


def bytes_of(name: str, value: Any) -> bytes:
    """A string, or Base64 in an object with the key `b64`.

    Raises:
        RequestError: if the value is neither.
    """
    if isinstance(value, str):
        return value.encode()
    if _is_binary(value) and isinstance(value["b64"], str):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except binascii.Error as error:
            raise invalid(f"input '{name}': its value is not Base64: {error}") from None
    raise invalid(f'input \'{name}\': its values must be strings, or objects such as {{"b64": "…"}}')


def _is_binary(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == {"b64"}


def response(outputs: Arrays, as_rows: bool) -> bytes:
    """The body of an answer: `predictions`, one for each row, or `outputs` by column.

    Raises:
        RequestError: if rows are wanted, and an output has no row for each example.
    """
    if not as_rows:
        return dumps(json_arrays.as_columns(outputs))
    lengths = {array.shape[0] if array.ndim else None for array in outputs.values()}
    if len(lengths) != 1 or None in lengths:
        raise RequestError(
            Code.INVALID_ARGUMENT, "the outputs have no row for each example; send the request with 'inputs' (columns)"
        )
    return dumps(json_arrays.as_rows(outputs))
