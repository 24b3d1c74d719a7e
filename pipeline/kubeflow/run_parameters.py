"""Reads and validates run parameters, which override the pipeline file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hubline.core.config_errors import PlacedError
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import PipelineFileError, nearest
from hubline.pipeline.kubeflow.escaping import filled_in
from hubline.pipeline.kubeflow.parameter_definitions import (
    OVERRIDES,
    InvalidParameters,
    Parameter,
    dumped,
    offered,
    with_changes,
)

if TYPE_CHECKING:
    from hubline.pipeline.load import Source

_TYPES: Mapping[str, tuple[str, type | tuple[type, ...]]] = {
    "STRING": ("text", str),
    "NUMBER_INTEGER": ("an integer", int),
    "NUMBER_DOUBLE": ("a number", (int, float)),
    "BOOLEAN": ("true or false", bool),
    "STRUCT": ('a mapping, such as {"training.seed": 3}', Mapping),
}


def read(file: AnyFile, texts: Sequence[str]) -> dict[str, Any]:
    """Parses `name=value` options. Values of parameters that are not strings are JSON.

    Raises:
        UserError: if an option is malformed or a parameter is set twice.
    """
    types = {parameter.name: parameter.type for parameter in offered(file)}
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--parameter {text}: must be NAME=VALUE, such as epochs=3")
        if name in given:
            raise UserError(f"--parameter {name}: is set twice")
        given[name] = value if types.get(name) == "STRING" else _of_json(value)
    return given


def _of_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check(file: AnyFile, given: Mapping[str, Any], folder: str, for_cluster: bool = True) -> dict[str, Any]:
    """Validates run parameters.

    Args:
        file: The pipeline file.
        given: Values by parameter name.
        folder: Folder of the file, for relative paths.
        for_cluster: Whether pods must be able to access all paths.

    Returns:
        All run parameters: the given values, with absolute paths, or else those of the file.

    Raises:
        InvalidParameters: with all errors.
    """
    parameters = {parameter.name: parameter for parameter in offered(file)}
    if errors := [*_type_errors(parameters, given), *filled_in(given, by_kubernetes=True)]:
        raise InvalidParameters(errors)
    changed = with_changes(dumped(file), given, folder, for_cluster)
    # Overrides may add or remove fields that have a parameter, so the parameters of the original file are kept.
    values = {parameter.name: parameter.default for parameter in offered(changed)}
    every = {name: values.get(name, parameter.default) for name, parameter in parameters.items()}
    return every | {OVERRIDES: _absolute(given.get(OVERRIDES, {}), dumped(changed))}


def of_options(file: AnyFile, texts: Sequence[str], folder: str) -> dict[str, Any]:
    """All run parameters, with those that `--parameter` sets.

    Raises:
        UserError: with all errors.
    """
    try:
        return check(file, read(file, texts), folder)
    except InvalidParameters as error:
        raise UserError("\n".join(f"--parameter {line}" for line in str(error).splitlines())) from None


def of_schedule(file: AnyFile, source: "Source", for_cluster: bool = True) -> dict[str, Any]:
    """The run parameters that the file's schedule sets, with absolute paths.

    Raises:
        PipelineFileError: with all errors, each at its line.
    """
    given = file.kubeflow.schedule.parameters if file.kubeflow.schedule else {}
    if not given:
        return {}
    try:
        every = check(file, given, source.folder, for_cluster)
    except InvalidParameters as invalid:
        at = ("kubeflow", "schedule", "parameters")
        raise PipelineFileError(
            source.diagnostic((*at, *place), message) for place, message in invalid.errors
        ) from None
    return {name: every[name] for name in given}


def _absolute(overrides: Mapping[str, Any], values: Any) -> dict[str, Any]:
    """Overrides with paths as in the changed file, in which they are absolute."""

    def at(key: str) -> Any:
        found = values
        for step in key.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    return {key: _with_texts_of(at(key), value) for key, value in overrides.items()}


def _with_texts_of(read: Any, value: Any) -> Any:
    """A value as the user gave it, with texts as they were read."""
    if isinstance(value, str) and isinstance(read, str):
        return read
    if isinstance(value, Mapping) and isinstance(read, Mapping):
        # `dumped` adds the folder that defaults to the file's.
        added = {key: read[key] for key in read.keys() - value.keys()}
        return {key: _with_texts_of(read.get(key), each) for key, each in value.items()} | added
    if isinstance(value, list) and isinstance(read, list) and len(read) == len(value):
        return [_with_texts_of(*pair) for pair in zip(read, value, strict=True)]
    return value


def _type_errors(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> Iterator[PlacedError]:
    for name, value in given.items():
        if name not in parameters:
            yield (name,), f"the pipeline has no such parameter; {nearest(name, parameters)}"
            continue
        expected, type_ = _TYPES[parameters[name].type]
        is_bool_for_number = isinstance(value, bool) and parameters[name].type != "BOOLEAN"
        if not isinstance(value, type_) or is_bool_for_number:
            yield (name,), f"takes {expected}; got {json.dumps(value, default=str)}"
