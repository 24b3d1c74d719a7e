"""Objects of known classes as JSON, which contains data only: reading it runs no code.

A pickle would run whatever code it contains, and cached files may come from someone else.
"""

import base64
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from hubline.core.adapters.tfx_bsl import SKETCHES

_SKETCHES = {kind.__name__: kind for kind in SKETCHES}
_AS_THEY_ARE = (str, int, float, bool, type(None))


def dump(value: Any, classes: Iterable[type]) -> bytes:
    """Serializes a value to JSON.

    Args:
        value: Numbers, strings, bytes, lists, tuples, dictionaries, arrays, tfx_bsl sketches and `classes`.
        classes: Further classes; their objects are stored by their fields.

    Raises:
        TypeError: if the value contains anything else.
    """
    return json.dumps(_encoded(value, {kind: _name(kind) for kind in classes})).encode()


def load(content: bytes, classes: Iterable[type]) -> Any:
    """Inverse of `dump`.

    Raises:
        ValueError: if the content has another format.
    """
    try:
        return _decoded(json.loads(content), {_name(kind): kind for kind in classes})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not what is kept here: {error}") from error


def _encoded(value: Any, names: Mapping[type, str]) -> Any:
    kind = type(value)
    if kind in _AS_THEY_ARE:
        return value
    if kind is list:
        return [_encoded(item, names) for item in value]
    if kind is tuple:
        return {"tuple": [_encoded(item, names) for item in value]}
    if kind is bytes:
        return {"bytes": _text(value)}
    if kind in (dict, Counter):
        pairs = [[_encoded(key, names), _encoded(item, names)] for key, item in value.items()]
        return {"counts" if kind is Counter else "dict": pairs}
    if isinstance(value, np.generic):
        return {"number": value.dtype.str, "bytes": _text(value.tobytes())}
    if kind is np.ndarray and value.dtype.kind in "biuf":
        return {"array": value.dtype.str, "shape": value.shape, "bytes": _text(value.tobytes())}
    if kind.__name__ in _SKETCHES and kind is _SKETCHES[kind.__name__]:
        return {"sketch": kind.__name__, "bytes": _text(value.__getstate__())}
    if kind not in names:
        raise TypeError(f"no way to keep a {_name(kind)}")
    fields = {
        name: _encoded(getattr(value, name), names) for name in sorted(_fields(kind, value)) if hasattr(value, name)
    }
    return {"object": names[kind], "fields": fields}


def _decoded(value: Any, kinds: Mapping[str, type]) -> Any:
    if isinstance(value, list):
        return [_decoded(item, kinds) for item in value]
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_decoded(value["tuple"], kinds))
    if "dict" in value or "counts" in value:
        pairs = value["counts" if "counts" in value else "dict"]
        found = {_decoded(key, kinds): _decoded(item, kinds) for key, item in pairs}
        return Counter(found) if "counts" in value else found
    if "number" in value:
        return np.frombuffer(_bytes(value), _dtype(value["number"]))[0]
    if "array" in value:
        return np.frombuffer(_bytes(value), _dtype(value["array"])).reshape(value["shape"]).copy()
    if "sketch" in value:
        kind: Any = _SKETCHES[value["sketch"]]
        sketch = kind.__new__(kind)
        sketch.__setstate__(_bytes(value))
        return sketch
    if "object" in value:
        kind = kinds[value["object"]]
        made = kind.__new__(kind)
        for name in value["fields"].keys() & (_fields(kind, made) or value["fields"].keys()):
            object.__setattr__(made, name, _decoded(value["fields"][name], kinds))
        return made
    return _bytes(value)


def _fields(kind: type, value: Any) -> set[str]:
    """Names of an object's fields."""
    slots = {name for base in kind.__mro__ for name in getattr(base, "__slots__", ())}
    return slots | set(getattr(value, "__dict__", ()))


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"


def _dtype(text: str) -> np.dtype:
    found = np.dtype(text)
    if found.kind not in "biuf":
        raise ValueError(f"not numbers: {text}")
    return found


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bytes(value: Mapping[str, Any]) -> bytes:
    return base64.b64decode(value["bytes"], validate=True)
