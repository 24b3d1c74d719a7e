"""Validates the contents of a pipeline file: each section by its type, and sections together by the rules.

Everything that a user writes goes through `validate`: the file itself, and the run parameters that change it. A step
reads its own execution properties with the types alone.
"""

from collections.abc import Callable, Mapping
from datetime import date
from functools import cache, partial
from typing import Any, TypeAlias

from pydantic import BaseModel, ValidationError, create_model

from hubline.core.config_errors import Location, PlacedError
from hubline.core.descriptions import DescribedJsonSchema
from hubline.pipeline.config import FILES, AnyFile, PipelineFile
from hubline.pipeline.diagnostics import explain, meant, nearest, place_of, quote, without, without_echoes
from hubline.pipeline.labels.parts import RULES as OF_LABEL
from hubline.pipeline.rules import augment, beam, devices, export, features, infer, label, modules, pods, tune
from hubline.pipeline.rules.rule import Rule, errors_of

_TRAINING: tuple[Rule, ...] = (
    *features.RULES,
    *modules.RULES,
    *label.RULES,
    *augment.RULES,
    *devices.RULES,
    *export.RULES,
    *tune.RULES,
    *beam.RULES,
    *pods.RULES,
)


class InvalidFile(ValueError):
    """The contents have errors; `errors` are all of them."""

    def __init__(
        self,
        errors: list[PlacedError],
        sections: Mapping[str, Any] | None = None,
        parts: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__("; ".join(message for _, message in errors))
        self.errors = errors
        self.sections = sections or {}
        """The valid sections by name."""
        self.parts = parts or {}
        """What is valid of the others."""


Written: TypeAlias = Callable[[Location], str | None]


def _unknown(location: Location) -> str | None:
    return None


def validate(values: Mapping[Any, Any], folder: str, written: Written = _unknown) -> AnyFile:
    """The contents of a pipeline file in its types. Relative paths become absolute.

    Args:
        values: The contents.
        folder: Folder that relative paths are resolved against.
        written: Returns how the unquoted scalar at a location is written, for messages.

    Raises:
        InvalidFile: with all errors. Rules between sections are checked even if other sections have errors.
    """
    task = values.get("task", "train")
    if not isinstance(task, str) or task not in FILES:
        raise InvalidFile([(("task",), f"unknown task {task!r}; {nearest(str(task), FILES)}")])
    context = _context(folder, values)
    errors: list[PlacedError] = []
    parts: dict[str, Any] = {}
    try:
        file = FILES[task].model_validate(values, context=context)
        sections = {name: getattr(file, name) for name in FILES[task].model_fields}
    except ValidationError as error:
        found = without_echoes(meant(error.errors(), values))
        errors += [(place_of(each, values), _message(each, values, task, written)) for each in found]
        sections, parts = _valid(task, values, context)
    errors += errors_of(_rules(task, {**parts, **sections}), sections, parts)
    if not errors and isinstance(file, PipelineFile):
        errors += tune.trial_errors(file, values, partial(_checked, folder=folder))
    if errors:
        raise InvalidFile(errors, sections, parts)
    return file


def _checked(values: Mapping[Any, Any], folder: str) -> tuple[AnyFile | None, list[PlacedError]]:
    """A file in its types, or else its errors."""
    try:
        return validate(values, folder), []
    except InvalidFile as invalid:
        return None, invalid.errors


def _rules(task: str, sections: Mapping[str, Any]) -> tuple[Rule, ...]:
    if task == "infer":
        return (*infer.RULES, *beam.RULES_TO_INFER, *pods.RULES)
    return (*_TRAINING, *OF_LABEL.of(sections["label"].kind).rules) if "label" in sections else _TRAINING


def _message(error: Mapping[str, Any], values: Mapping[Any, Any], task: str, written: Written) -> str:
    value = error["input"]
    is_scalar = value is None or isinstance(value, bool | date)
    text = written(place_of(error, values)) if error["type"] == "string_type" and is_scalar else None
    return quote(text, value) if text else explain(error, json_schema_of(task))


def _valid(task: str, values: Mapping[Any, Any], context: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The sections of an invalid file that are valid by themselves, and what is valid of the others."""
    sections: dict[str, Any] = {}
    parts: dict[str, Any] = {}
    for name in FILES[task].model_fields:
        written = {name: values[name]} if name in values else {}
        for _ in range(_MOST_ROUNDS):
            try:
                read = getattr(_alone(task, name).model_validate(written, context=context), name)
            except ValidationError as error:
                places = [_invalid_at(each, written) for each in meant(error.errors(), written)]
                if (name,) in places:
                    break
                written = without(written, places)
            else:
                (sections if written.get(name) == values.get(name) else parts)[name] = read
                break
    return sections, parts


def _invalid_at(error: Mapping[str, Any], values: Any) -> Location:
    """What is to be left out because of an error: of something missing, all that lacks it."""
    place = place_of(error, values)
    return place[:-1] if error["type"] in ("missing", "union_tag_not_found", "union_tag_invalid") else place


_MOST_ROUNDS = 5
"""Rounds of leaving out what is invalid; what is left may have errors that the first ones hid."""


@cache
def _alone(task: str, name: str) -> type[BaseModel]:
    """A model with a single section of the file."""
    field = FILES[task].model_fields[name]
    fields: Any = {name: (field.annotation, field)}
    return create_model(name, **fields)


def _context(folder: str, values: Mapping[Any, Any]) -> dict[str, Any]:
    """What the types need to know of other sections, to check the names that refer to them.

    Args:
        folder: Folder that relative paths are resolved against.
        values: The pipeline file.
    """
    names = {
        section: [str(name) for name in found] if isinstance(found := values.get(section, absent), Mapping) else None
        for section, absent in (("features", None), ("hubs", {}), ("backbones", {}))
    }
    return {"folder": folder, **names}


@cache
def json_schema_of(task: str) -> dict[str, Any]:
    """JSON schema of a file with the given task, by alias."""
    return FILES[task].model_json_schema(by_alias=True, schema_generator=DescribedJsonSchema)
