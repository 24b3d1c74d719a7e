"""Arrays in the JSON of TensorFlow Serving's REST API.

Binary values are objects with the single key `b64`. NaN and infinities are the words NaN and Infinity, which JSON lacks
and TensorFlow Serving takes and gives.
"""

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson

BINARY_SUFFIX = "_bytes"
"""Outputs whose names end like this are given in Base64."""


def as_rows(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to a request of rows: `predictions`, one for each row. The arrays have the shape [batch, ...]."""
    arrays = {name: plain(name, array) for name, array in outputs.items()}
    if len(arrays) == 1:
        return {"predictions": next(iter(arrays.values()))}
    count = min(array.shape[0] for array in outputs.values())
    return {"predictions": [{name: values[row] for name, values in arrays.items()} for row in range(count)]}


def as_columns(outputs: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """The answer to a request of columns: `outputs` by name, or the only one."""
    arrays = {name: plain(name, array) for name, array in outputs.items()}
    return {"outputs": arrays if len(arrays) != 1 else next(iter(arrays.values()))}


def plain(name: str, array: np.ndarray) -> Any:
    """An array, or nested lists if it contains strings or a number that is not finite."""
    if array.dtype.kind in "OSU":
        return _texts(array.tolist(), name.endswith(BINARY_SUFFIX))
    if array.dtype.kind not in "biu" and array.dtype not in (np.float32, np.float64):
        array = array.astype(np.float32)  # bfloat16 and float16
    return np.require(array, requirements="C") if array.ndim else array[()]


def _texts(value: Any, are_binary: bool) -> Any:
    if isinstance(value, list):
        return [_texts(each, are_binary) for each in value]
    if not are_binary:
        try:
            return value.decode()
        except UnicodeDecodeError:
            pass
    return {"b64": base64.b64encode(value).decode()}


def dumps(value: Any) -> bytes:
    """JSON of arrays and plain values; float32 numbers have as few digits as tell them apart."""
    if _is_finite(value):
        return orjson.dumps(value, option=orjson.OPT_SERIALIZE_NUMPY)
    return json.dumps(value, default=_numbers).encode()


def _is_finite(value: Any) -> bool:
    if isinstance(value, np.ndarray | np.generic):
        return value.dtype.kind != "f" or bool(np.isfinite(value).all())
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_is_finite, value.values()))
    return not isinstance(value, list) or all(map(_is_finite, value))


def _numbers(value: Any) -> Any:
    """Nested lists of an array for `json`, which writes float32 numbers with the digits of float64."""
    if isinstance(value, np.ndarray | np.generic):
        shortest = np.vectorize(float, otypes=[object])
        return shortest(value.astype(str)).tolist() if value.dtype.kind == "f" else value.tolist()
    raise TypeError(f"{type(value).__name__} has no JSON")
