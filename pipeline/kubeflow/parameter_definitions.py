"""Parameters that a run offers on the dashboard, and their application to the pipeline file."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from hubline.core.config_errors import Location, PlacedError, dotted
from hubline.core.descriptions import descriptions
from hubline.core.errors import UserError
from hubline.pipeline.config import FILES, AnyFile, InferFile, PipelineFile
from hubline.pipeline.kubeflow.reach import mounts, unreachable
from hubline.pipeline.settings import assign, location_of
from hubline.pipeline.validate import InvalidFile, validate
from hubline.trainer.backbones.config import Builder
from hubline.trainer.config.losses import CustomLoss

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
    """The run parameters, in the order of the file, followed by `OVERRIDES`. Of several with the same name, such as the
    thresholds of `f1(a b)` and `f1(a_b)`, only the first is offered."""
    by_name: dict[str, Parameter] = {}
    for parameter in _offered(file):
        by_name.setdefault(parameter.name, parameter)
    return [*by_name.values(), Parameter(OVERRIDES, (), "STRUCT", {}, _OVERRIDES)]


_OVERRIDES = 'Anything else of the pipeline file, by dotted keys: {"training.seed": 3, "model.head.dropout": 0.5}.'


def _offered(file: AnyFile) -> Iterator[Parameter]:
    yield _of(file, "data_examples", "data", "examples")
    if file.data.window is not None:
        yield _of(file, "data_window", "data", "window")
    for hub in file.hubs:
        yield _of(file, f"hub_{hub}", "hubs", hub, "handle")
    if isinstance(file, InferFile):
        return
    length = next(key for key in ("epochs", "steps", "examples") if getattr(file.training, key) is not None)
    yield _of(file, length, "training", length)
    yield _of(file, "batch_size", "training", "batch_size")
    if isinstance(file.training.optimizer.learning_rate, float):  # a schedule has several rates
        yield _of(file, "learning_rate", "training", "optimizer", "learning_rate")
    for metric, threshold in file.evaluation.thresholds.items():
        for bound in ("at_least", "at_most", "no_worse_than_serving_by"):
            if getattr(threshold, bound) is not None:
                name = re.sub(r"\W+", "_", metric, flags=re.ASCII).strip("_")
                yield _of(file, f"{name}_{bound}", "evaluation", "thresholds", metric, bound)
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
    kubeflow: dict[str, Any] = {"state": file.kubeflow.state, "every_step": {"volumes": volumes}}
    if has_workers(file):
        kubeflow["training"] = {"kind": file.kubeflow.training.kind}
    steps = {name: {"workers": placement.workers} for name, placement in file.kubeflow.steps.items()}
    if spread := {name: step for name, step in steps.items() if step["workers"] > 1}:
        kubeflow["steps"] = spread
    # Values set to their default are kept: an empty `thresholds` and a missing one differ.
    values = json.loads(file.model_dump_json(by_alias=True, exclude_unset=True)) | {"kubeflow": kubeflow}
    for name, backbone in ({} if isinstance(file, InferFile) else file.backbones).items():
        if isinstance(backbone, Builder):
            values["backbones"][name]["folder"] = backbone.folder  # defaults to the pipeline file's folder
    if isinstance(file, PipelineFile) and isinstance(file.training.loss, CustomLoss):
        values["training"]["loss"]["folder"] = file.training.loss.folder
    return values


def has_workers(file: AnyFile) -> bool:
    """Whether several workers train the model, in pods of their own."""
    return not isinstance(file, InferFile) and file.training.workers > 1


class InvalidParameters(UserError):
    """Run parameters have errors; `errors` are all of them, each with the location of a parameter's value. An error
    with the empty location follows from several parameters."""

    def __init__(self, errors: Iterable[PlacedError]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(": ".join(filter(None, (dotted(place), message))) for place, message in self.errors))


def with_changes(
    values: Mapping[str, Any], given: Mapping[str, Any], folder: str = "", for_cluster: bool = True
) -> AnyFile:
    """Applies run parameters to a pipeline file, and validates the result like a file.

    Args:
        values: The file, as `dumped` returns it.
        given: Run parameters, by name. `OVERRIDES` are applied last.
        folder: Folder of the file, for relative paths; empty if there is none, as on the cluster.
        for_cluster: Whether pods must be able to access all paths.

    Raises:
        InvalidParameters: with all errors.
    """
    changed = deepcopy(dict(values))
    errors: list[PlacedError] = []
    set_by: dict[Location, Location] = {}
    for parameter, key, value in _changes(values, given):
        if error := _set(changed, key, value):
            errors.append((parameter, error))
        else:
            set_by[key] = parameter
    try:
        file = validate(changed, folder)
        found = [*unreachable(file), *_other_pods(values, file)] if for_cluster else []
    except InvalidFile as invalid:
        found = invalid.errors
    errors += [_at_parameter(error, set_by) for error in found]
    if errors:
        raise InvalidParameters(errors)
    return file


def _changes(values: Mapping[str, Any], given: Mapping[str, Any]) -> Iterator[tuple[Location, Location, Any]]:
    """Each value with the location of its parameter and the key of the file that it sets.

    A run has a value for every parameter. A value that equals the file's changes nothing: the file may leave that key
    to a default, which depends on other keys that the run changes.
    """
    parameters = {each.name: each for each in offered(FILES[values.get("task", "train")].model_validate(values))}
    for name, value in given.items():
        if name != OVERRIDES and value != parameters[name].default:
            yield (name,), parameters[name].key, value
    for key, value in given.get(OVERRIDES, {}).items():
        yield (OVERRIDES, key), location_of(key), value


def _set(values: dict[str, Any], key: Location, value: Any) -> str | None:
    """Sets a value; returns an error if that is impossible."""
    if key[0] in ("beam", "kubeflow"):
        return "is fixed when the file is compiled; change it in the file instead"
    return assign(values, key, with_integers(value))


def with_integers(value: Any) -> Any:
    """Converts whole floats to int; the KFP API returns every number as a float."""
    if isinstance(value, Mapping):
        return {key: with_integers(each) for key, each in value.items()}
    if isinstance(value, list):
        return [with_integers(each) for each in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _other_pods(values: Mapping[str, Any], file: AnyFile) -> Iterator[PlacedError]:
    """An error if the run would need other pods than the package has."""
    fixed = values.get("training", {}).get("workers", 1)
    if not isinstance(file, InferFile) and file.training.workers != fixed:
        yield (
            ("training", "workers"),
            f"is fixed when the file is compiled, because it decides which pods there are (now: {fixed}); "
            "change it in the file instead",
        )


def _at_parameter(error: PlacedError, set_by: Mapping[Location, Location]) -> PlacedError:
    """An error in the file, at the parameter that caused it."""
    location, message = error
    for length in range(len(location), 0, -1):
        if parameter := set_by.get(location[:length]):
            return (*parameter, *location[length:]), message
    message = ": ".join(filter(None, (dotted(location), message)))
    within = [parameter for key, parameter in set_by.items() if key[: len(location)] == location]
    if len(within) == 1:
        return within[0], message
    return (), f"{message} (changed by {', '.join(map(dotted, within))})" if within else message
