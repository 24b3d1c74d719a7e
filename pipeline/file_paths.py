"""Paths and URLs in a pipeline file, with their locations."""

from collections.abc import Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel

from hubline.core.config_base import PATH_TYPES, unescape
from hubline.pipeline.config import AnyFile, InferFile
from hubline.pipeline.diagnostics import Location
from hubline.trainer.config.user_function import UserFunction


def key_of(file: AnyFile, url: str) -> str | None:
    """Key of the path in a file that a URL belongs to, such as `data.examples`; None if there is none."""
    keys = {".".join(map(str, location)): _shared(path, url) for location, path in paths_of(file)}
    key = max(keys, key=lambda name: keys[name], default=None)
    bucket = "/".join(url.split("/")[:3])
    return key if key is not None and keys[key] >= len(bucket) else None


def _shared(path: str, url: str) -> int:
    """Number of characters at the start that two paths share."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(path, url, strict=False)))


def paths_of(file: AnyFile) -> Iterator[tuple[Location, str]]:
    """All paths in a pipeline file, with their locations."""
    for name in type(file).model_fields:
        if name != "kubeflow":  # `api` refers to this machine
            yield from _paths_in(getattr(file, name), (name,))
    if file.kubeflow.state:
        yield ("kubeflow", "state"), file.kubeflow.state
    if not isinstance(file, InferFile):
        for split, pattern in file.data.patterns.items():
            if pattern.startswith("/") and not pattern.startswith(file.data.examples.rstrip("/")):
                yield ("data", "split", split), unescape(pattern)


def _paths_in(value: Any, location: Location) -> Iterator[tuple[Location, str]]:
    """Values of all path fields in a section and its nested sections."""
    if isinstance(value, dict):
        for name, each in value.items():
            yield from _paths_in(each, (*location, name))
    elif isinstance(value, tuple):
        for place, each in enumerate(value):
            yield from _paths_in(each, (*location, place))
    elif isinstance(value, BaseModel) and not (isinstance(value, UserFunction) and not _is_here(value)):
        for name, field in type(value).model_fields.items():
            each, key = getattr(value, name), (*location, field.alias or name)
            if (
                isinstance(each, str)
                and _is_path(field.annotation, field.metadata)
                and each not in _words(field.annotation)
            ):
                yield key, unescape(each)
            else:
                yield from _paths_in(each, key)


def _is_here(function: UserFunction) -> bool:
    """Whether a function's module is in its folder on this machine, rather than in the image."""
    module = function.module.partition(".")[0]
    return any(Path(function.folder, name).exists() for name in (module, f"{module}.py"))


def _is_path(annotation: Any, metadata: Any) -> bool:
    """Whether a field's type is or includes `FilePath` or `FilePattern`."""
    if any(each in PATH_TYPES for each in metadata):
        return True
    return any(
        _is_path(each, getattr(each, "__metadata__", ())) for each in get_args(annotation) if not isinstance(each, str)
    )


def _words(annotation: Any) -> set[str]:
    """Literal values that a field's type accepts."""
    found: set[str] = set()
    for each in get_args(annotation):
        found |= {each} if isinstance(each, str) else _words(each)
    return found
