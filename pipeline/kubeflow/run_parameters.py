"""Reads and validates run parameters, which override the pipeline file."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.kubeflow.escaping import filled_in
from hubline.pipeline.kubeflow.parameter_definitions import OVERRIDES, Parameter, dumped, offered, with_changes

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


def check(file: AnyFile, given: Mapping[str, Any], where: str, folder: str) -> dict[str, Any]:
    """Validates run parameters.

    Args:
        file: The pipeline file.
        given: Values by parameter name.
        where: Where the parameters come from, for messages.
        folder: Folder of the file, for relative paths.

    Returns:
        All run parameters: the given values, with absolute paths, or else those of the file.

    Raises:
        UserError: lists all errors.
    """
    parameters = {parameter.name: parameter for parameter in offered(file)}
    mistakes = [*_mistakes(parameters, given), *filled_in(given, "", by_kubernetes=True)]
    if mistakes:
        raise UserError("\n".join(f"{where} {mistake}" for mistake in mistakes))
    try:
        changed = with_changes(dumped(file), given, folder)
    except UserError as error:
        raise UserError("\n".join(f"{where} {line}" for line in str(error).splitlines())) from None
    # Overrides may add or remove fields that have a parameter, so the parameters of the original file are kept.
    said = {parameter.name: parameter.default for parameter in offered(changed)}
    every = {name: said.get(name, parameter.default) for name, parameter in parameters.items()}
    return every | {OVERRIDES: _absolute(given.get(OVERRIDES, {}), dumped(changed))}


def _absolute(overrides: Mapping[str, Any], values: Any) -> dict[str, Any]:
    """Overrides with texts as in the changed file, in which paths are absolute."""

    def at(key: str) -> Any:
        found = values
        for step in key.split("."):
            found = found.get(step) if isinstance(found, Mapping) else None
        return found

    return {
        key: found if isinstance(value, str) and isinstance(found := at(key), str) else value
        for key, value in overrides.items()
    }


def _mistakes(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        if name not in parameters:
            yield f"{name}: the pipeline has no such parameter; {nearest(name, parameters)}"
            continue
        said, type_ = _TYPES[parameters[name].type]
        is_bool_for_number = isinstance(value, bool) and parameters[name].type != "BOOLEAN"
        if not isinstance(value, type_) or is_bool_for_number:
            yield f"{name}: takes {said}; got {json.dumps(value, default=str)}"
