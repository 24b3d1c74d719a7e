"""What a run is given in place of what the pipeline file says: read, and held to what a run's form offers."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pipeline.config import AnyFile
from pipeline.kubeflow.parameters import Parameter, dumped, offered, with_changes
from pipeline.mistakes import nearest
from preprocessing.errors import UserError

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


def check(file: AnyFile, given: Mapping[str, Any], where: str) -> None:
    """Holds parameters to the form of a pipeline file.

    Args:
        file: The pipeline file.
        given: Values by the names of parameters.
        where: What they were given with, for the message.

    Raises:
        UserError: with all that is wrong.
    """
    parameters = {parameter.name: parameter for parameter in offered(file)}
    if mistakes := list(_mistakes(parameters, given)):
        raise UserError("\n".join(f"{where} {mistake}" for mistake in mistakes))
    try:
        with_changes(dumped(file), given)
    except UserError as error:
        raise UserError("\n".join(f"{where} {line}" for line in str(error).splitlines())) from None


def _mistakes(parameters: Mapping[str, Parameter], given: Mapping[str, Any]) -> Iterator[str]:
    for name, value in given.items():
        if name not in parameters:
            yield f"{name}: the pipeline has no such parameter; {nearest(name, parameters)}"
            continue
        said, type_ = _TYPES[parameters[name].type]
        is_bool_for_number = isinstance(value, bool) and parameters[name].type != "BOOLEAN"
        if not isinstance(value, type_) or is_bool_for_number:
            yield f"{name}: takes {said}; got {json.dumps(value, default=str)}"
