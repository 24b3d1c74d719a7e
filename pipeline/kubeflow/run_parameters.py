"""What a run is given in place of what the pipeline file says: read, and held to what a run's form offers."""

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
    """Parameters from a command line, `name=value` each; values other than texts are in JSON.

    Raises:
        UserError: where one is not of the form, or is given twice.
    """
    types = {parameter.name: parameter.type for parameter in offered(file)}
    given: dict[str, Any] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise UserError(f"--parameter {text}: is name=value, such as epochs=3")
        if name in given:
            raise UserError(f"--parameter {name}: is given twice")
        given[name] = value if types.get(name) == "STRING" else _of_json(value)
    return given


def _of_json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def check(file: AnyFile, given: Mapping[str, Any], where: str, folder: str) -> dict[str, Any]:
    """Holds parameters to the form of a pipeline file.

    Args:
        file: The pipeline file.
        given: Values by the names of parameters.
        where: What they were given with, for the message.
        folder: The folder of the file, from which relative paths count.

    Returns:
        Every parameter of the form: what is given, its paths absolute, or else what the file says.

    Raises:
        UserError: with all that is wrong.
    """
    parameters = {parameter.name: parameter for parameter in offered(file)}
    mistakes = [*_mistakes(parameters, given), *filled_in(given, "", by_kubernetes=True)]
    if mistakes:
        raise UserError("\n".join(f"{where} {mistake}" for mistake in mistakes))
    try:
        changed = with_changes(dumped(file), given, folder)
    except UserError as error:
        raise UserError("\n".join(f"{where} {line}" for line in str(error).splitlines())) from None
    # The form has the fields of the file as it is: an override may add or remove what one changes.
    said = {parameter.name: parameter.default for parameter in offered(changed)}
    every = {name: said.get(name, parameter.default) for name, parameter in parameters.items()}
    return every | {OVERRIDES: _absolute(given.get(OVERRIDES, {}), dumped(changed))}


def _absolute(overrides: Mapping[str, Any], values: Any) -> dict[str, Any]:
    """Overrides, with texts as the changed file has them: paths are absolute there."""

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
