"""Checks whether the pods of a run can access the paths in a pipeline file."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, get_args

from pydantic import BaseModel

from hubline.core.config_base import PATH_TYPES, is_remote, unescape
from hubline.core.config_errors import Location
from hubline.pipeline.config import AnyFile, InferFile
from hubline.pipeline.kubeflow.config import STEPS
from hubline.trainer.backbones.config import Builder

_DOWNLOADED = ("s3://", "minio://")
"""Schemes that only KFP's launcher handles, for artifacts. Steps cannot read them, except to fetch modules."""


def unreachable(file: AnyFile) -> Iterator[tuple[Location, str]]:
    """Paths that the pods of a run cannot access: the location of each in the file, and a fix."""
    everywhere = mounts(file)
    for location, path in _paths(file):
        if path.startswith(_DOWNLOADED) and location[0] != "hubs":
            yield (
                location,
                f"{path}: TensorFlow reads gs:// and folders; mount the bucket as a volume, and name its folder",
            )
        if is_remote(path) or any(PurePosixPath(path).is_relative_to(mount) for mount in everywhere):
            continue
        where = f"the volumes that every step mounts: {', '.join(sorted(everywhere))}" if everywhere else "no volume"
        what = "on this machine, and not on the cluster" if path.startswith("/") else "relative, and not on the cluster"
        yield location, f"{path}: {what}; name a bucket, or mount a volume in kubeflow.every_step (now: {where})"


def mounts(file: AnyFile) -> set[str]:
    """Folders that every step mounts."""
    return set.intersection(*({each.path for each in file.kubeflow.placement(step).volumes} for step in STEPS))


def _paths(file: AnyFile) -> Iterator[tuple[Location, str]]:
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
    elif isinstance(value, BaseModel) and not (isinstance(value, Builder) and not _is_here(value)):
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


def _is_here(builder: Builder) -> bool:
    """Whether a function's module is in its folder on this machine, rather than in the image."""
    module = builder.module.partition(".")[0]
    return any(Path(builder.folder, name).exists() for name in (module, f"{module}.py"))


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
