"""Parameters that a run offers on the dashboard, and their application to the pipeline file."""

import json
from collections.abc import Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from hubline.core.descriptions import descriptions
from hubline.core.errors import UserError
from hubline.pipeline.config import FILES, AnyFile, InferFile
from hubline.pipeline.kubeflow.reach import mounts, unreachable
from hubline.pipeline.validate import InvalidFile, validate
from hubline.trainer.backbones.config import Builder

Type = Literal["STRING", "NUMBER_INTEGER", "NUMBER_DOUBLE", "BOOLEAN", "STRUCT"]

OVERRIDES = "overrides"
"""Parameter for all other settings, by dotted keys of the pipeline file."""


@dataclass(frozen=True)
class Parameter:
    """A run parameter."""

    name: str
    key: tuple[str, ...]
    """Key of the pipeline file that it sets."""
    type: Type
    default: Any
    """Value in the file."""
    description: str


def offered(file: AnyFile) -> list[Parameter]:
    """The run parameters, in the order of the file, followed by `OVERRIDES`."""
    return [*_offered(file), Parameter(OVERRIDES, (), "STRUCT", {}, _OVERRIDES)]


_OVERRIDES = 'Anything else of the pipeline file, by dotted keys: {"training.seed": 3, "model.head.dropout": 0.5}.'


def _offered(file: AnyFile) -> Iterator[Parameter]:
    yield _of(file, "data_examples", "data", "examples")
    if file.data.window is not None:
        yield _of(file, "data_window", "data", "window")
    for hub in file.hubs:
        yield _of(file, f"hub_{hub}", "hubs", hub, "handle")
    if isinstance(file, InferFile):
        return
    yield _of(file, "epochs", "training", "epochs")
    yield _of(file, "batch_size", "training", "batch_size")
    yield _of(file, "learning_rate", "training", "optimizer", "learning_rate")
    for metric, threshold in file.evaluation.thresholds.items():
        for bound in ("at_least", "at_most", "no_worse_than_serving_by"):
            if getattr(threshold, bound) is not None:
                yield _of(file, f"{metric}_{bound}", "evaluation", "thresholds", metric, bound)
    yield _of(file, "push", "serving", "push")


def _of(file: AnyFile, name: str, *key: str) -> Parameter:
    holder: Any = file
    for step in key[:-1]:
        holder = holder[step] if isinstance(holder, Mapping) else getattr(holder, step)
    assert isinstance(holder, BaseModel)
    field, default = type(holder).model_fields[key[-1]], getattr(holder, key[-1])
    annotation = field.annotation
    type_: Type = "STRING"
    if isinstance(default, bool):
        type_ = "BOOLEAN"
    elif isinstance(default, int) and annotation is not float and "float" not in str(annotation):
        type_ = "NUMBER_INTEGER"
    elif isinstance(default, int | float):
        type_ = "NUMBER_DOUBLE"
    description = f"{'.'.join(key)}: {descriptions(type(holder)).get(key[-1], '').replace(chr(10), ' ')}"
    return Parameter(name, key, type_, default, description)


def dumped(file: AnyFile) -> dict[str, Any]:
    """Serializes a pipeline file as JSON with absolute paths, for `with_changes`.

    Of `kubeflow`, it contains only what steps need. The rest is in the package already; it would enlarge the workflow
    and expose a webhook's URL.
    """
    shared = mounts(file)
    volumes = [each.model_dump() for each in file.kubeflow.placement("Pin").volumes if each.path in shared]
    kubeflow = {"state": file.kubeflow.state, "every_step": {"volumes": volumes}}
    # Values set to their default are kept: an empty `thresholds` and a missing one differ.
    values = json.loads(file.model_dump_json(by_alias=True, exclude_unset=True)) | {"kubeflow": kubeflow}
    for name, backbone in ({} if isinstance(file, InferFile) else file.backbones).items():
        if isinstance(backbone, Builder):
            values["backbones"][name]["folder"] = backbone.folder  # defaults to the pipeline file's folder
    return values


def with_changes(values: Mapping[str, Any], given: Mapping[str, Any], folder: str = "") -> AnyFile:
    """Applies run parameters to a pipeline file, and validates the result.

    Args:
        values: The file, as `dumped` returns it.
        given: Run parameters, by name.
        folder: Folder of the file, for relative paths; empty if there is none, as on the cluster.

    Raises:
        UserError: lists all errors in the parameters.
    """
    task = values.get("task", "train")
    parameters = {parameter.name: parameter for parameter in offered(FILES[task].model_validate(values))}
    changed = deepcopy(dict(values))
    named: dict[tuple[str, ...], str] = {}
    for name, value in given.items():
        if name == OVERRIDES:
            changes = {tuple(key.split(".")): (f"{OVERRIDES}.{key}", each) for key, each in value.items()}
        else:
            changes = {parameters[name].key: (name, value)}
        for key, (said, each) in changes.items():
            if key[0] == "kubeflow":
                raise UserError(f"{said}: is fixed when the file is compiled; change it in the file instead")
            _set(changed, key, each, said)
            named[key] = said
    try:
        file = validate(changed, folder)
    except InvalidFile as invalid:
        errors = [f"{_said(location, named)}: {message}" for location, message in invalid.errors]
        raise UserError("\n".join(errors)) from None
    if faults := [f"{_said(place, named)}: {fault}" for place, fault in unreachable(file)]:
        raise UserError("\n".join(faults))
    return file


def _set(values: dict[str, Any], key: tuple[str, ...], value: Any, said: str) -> None:
    for depth, step in enumerate(key[:-1], 1):
        values = values.setdefault(step, {})
        if not isinstance(values, dict):
            raise UserError(f"{said}: {'.'.join(key[:depth])} is {values!r}, which has no keys")
    # The backend passes every number as a float.
    values[key[-1]] = int(value) if isinstance(value, float) and value.is_integer() else value


def _said(place: tuple[str | int, ...], named: Mapping[tuple[str, ...], str]) -> str:
    """The parameter that an error refers to, or the key of the file."""
    steps = tuple(map(str, place))
    return next((name for key, name in named.items() if steps[: len(key)] == key), ".".join(steps))
