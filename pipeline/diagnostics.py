"""Errors in a pipeline file: their messages and positions."""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any

from hubline.core.close_names import close_name
from hubline.core.config_errors import Location
from hubline.core.errors import UserError

Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Diagnostic:
    """One error: its file, line (from 1) and key, what is wrong and what would be right. The line is 0 if the value was
    given on the command line."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """One line in the form `file:line: key: message`, which editors and terminals make clickable."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        return ": ".join(part for part in (place, self.key, self.message) if part)


class PipelineFileError(UserError):
    """A pipeline file has errors; `mistakes` contains all of them, in line order."""

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(sorted(diagnostics, key=lambda diagnostic: (diagnostic.line, diagnostic.key)))
        super().__init__("\n".join(map(str, self.diagnostics)))

    @property
    def as_dicts(self) -> list[dict[str, str | int]]:
        """The errors in machine-readable form: `file`, `line`, `key`, `message`."""
        return [asdict(diagnostic) for diagnostic in self.diagnostics]


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` with the closest known name, and all known names."""
    known = list(known)
    close = close_name(name, known)
    meant = f"did you mean '{close}'? " if close else ""
    return f"{meant}known here: {', '.join(known)}"


def without_echoes(errors: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Leaves out missing keys that are there under a mistyped name, which has an error of its own."""
    errors = list(errors)
    unknown = [error["loc"] for error in errors if error["type"] == "extra_forbidden"]

    def is_mistyped(error: Mapping[str, Any]) -> bool:
        *place, name = error["loc"]
        beside = [str(other[-1]) for other in unknown if list(other[:-1]) == place]
        return error["type"] == "missing" and any(close_name(other, [name]) for other in beside)

    return [error for error in errors if not is_mistyped(error)]


def meant(errors: Iterable[Mapping[str, Any]], values: Any, depth: int = 0) -> list[Mapping[str, Any]]:
    """For values that several types could take, keeps only the errors of the closest type.

    Args:
        errors: `ValidationError.errors()`. If a type was one of several, its name is a step of the location.
        values: The validated values.
        depth: Number of leading steps in the locations whose types are already chosen.
    """
    found: list[Mapping[str, Any]] = []
    places: dict[Location, dict[str | int, list[Mapping[str, Any]]]] = defaultdict(lambda: defaultdict(list))
    for error in errors:
        location, in_file = error["loc"], _in_file(error, values)
        number = next((number for number in range(depth, len(location)) if not in_file[number]), None)
        if number is None:
            found.append(error)
        else:
            places[location[:number]][location[number]].append(error)
    for place, by_type in places.items():
        found += meant(_nearest_type(len(place) + 1, by_type.values()), values, len(place) + 1)
    return found


def _nearest_type(depth: int, by_type: Iterable[list[Mapping[str, Any]]]) -> list[Mapping[str, Any]]:
    """The fewest errors, preferring errors within the value to an error about its type as a whole."""

    def is_type_error(error: Mapping[str, Any]) -> bool:
        is_inside = error["type"] in ("value_error", "union_tag_invalid", "union_tag_not_found")
        return len(error["loc"]) == depth and not is_inside

    return min(by_type, key=lambda errors: (any(map(is_type_error, errors)), len(errors)))


def place_of(error: Mapping[str, Any], values: Any) -> Location:
    """Position of an error in the file: its location without the names of types."""
    steps = zip(error["loc"], _in_file(error, values), strict=True)
    place = tuple(step for step, there in steps if there)
    return (*place, "kind") if error["type"].startswith("union_tag") else place


def without(values: Any, places: Iterable[Location]) -> Any:
    """A copy of nested values that lacks what is at some places."""
    steps: dict[Any, list[Location]] = defaultdict(list)
    for place in places:
        if place:
            steps[place[0]].append(place[1:])
    if isinstance(values, Mapping):
        return {
            key: without(value, steps.get(str(key), ()))
            for key, value in values.items()
            if () not in (inner := steps.get(str(key), [])) and ("[key]",) not in inner
        }
    if isinstance(values, list):
        pairs = enumerate(values)
        return [without(value, steps.get(number, ())) for number, value in pairs if () not in steps.get(number, [])]
    return values


def _in_file(error: Mapping[str, Any], values: Any) -> list[bool]:
    """Which steps of an error's location exist in the values. A missing key counts as existing."""
    found = []
    for step in error["loc"]:
        inside: Mapping[Any, Any] = dict(enumerate(values)) if isinstance(values, list) else {}
        if isinstance(values, Mapping):
            inside = {str(key): value for key, value in values.items()}
        found.append(step in inside or step == "[key]")
        values = inside.get(step, values)
    if error["type"] == "missing":
        found[-1] = True
    return found


def explain(error: Mapping[str, Any], schema: Schema) -> str:
    """What is wrong and what would be right, for one pydantic error.

    Args:
        error: An item of `ValidationError.errors()`.
        schema: JSON schema of the whole file, by alias; its descriptions and examples say what would be right.
    """
    location: Location = error["loc"]
    at = _subschema(schema, location)
    match error["type"]:
        case "extra_forbidden":
            parent = _subschema(schema, location[:-1])
            return f"unknown key; {nearest(str(location[-1]), parent.get('properties', {}))}"
        case "missing":
            return f"missing{_right(at)}"
        case "value_error":
            return str(error["ctx"]["error"])
        case "union_tag_not_found":
            return f"missing; known here: {', '.join(_tags(at))}"
        case "union_tag_invalid":
            tag = error["ctx"]["tag"]
            return f"{tag!r} is not known here; {nearest(tag, _tags(at))}"
        case "none_required":
            return f"leave it out{_right(at)}"
        case "literal_error":
            expected = [choice.strip("'") for choice in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            return f"{error['input']!r} is not known here; {nearest(str(error['input']), expected)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            keys = ", ".join(at.get("properties", {}))
            wanted = f"a mapping with the keys {keys}" if keys else "a mapping of names"
            if tags := _tags(at):
                wanted = f"a mapping with a kind: {', '.join(tags)}"
            return f"must be {wanted}; got {_shown(error['input'])}"
        case "string_pattern_mismatch":
            return f"{error['input']!r} does not have the form {error['ctx']['pattern']}{_right(at)}"
        case _:
            got = "" if isinstance(error["input"], dict) else f"; got {_shown(error['input'])}"
            if hint := _number_hint(error):
                return f"{hint}{got}"
            # In YAML's terms rather than Python's.
            message = _lower(error["msg"]).replace("tuple", "list").replace("dictionary", "mapping")
            return f"{message}{got}{_right(at)}"


def _number_hint(error: Mapping[str, Any]) -> str | None:
    """What a text that should be a number was meant to be."""
    value = error["input"]
    if error["type"] not in ("int_parsing", "float_parsing") or not isinstance(value, str):
        return None
    if found := re.fullmatch(r"([-+]?\d+(?:\.\d+)?)\s*%", value):
        return f"must be a number without a percent sign: {found[1]} % is {float(found[1]) / 100:g}"
    bare = re.sub(r"(?<=\d)[_ ,](?=\d{3}\b)", "", value.strip().rstrip(",;")).replace(",", ".")
    return f"must be a number; write {bare}" if re.fullmatch(r"[-+]?\d+(\.\d+)?", bare) else None


def quote(text: str | None, value: Any) -> str:
    """The message about a string that YAML reads as something else."""
    others = {bool: "a truth value", type(None): "nothing", date: "a date", datetime: "a time"}
    return f"YAML reads {text} as {others.get(type(value), value)}, and this is a text; quote it: '{text}'"


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _right(schema: Schema) -> str:
    """Description and example of the expected value."""
    description = str(schema.get("description", "")).replace("\n", " ").rstrip(".")
    examples = schema.get("examples", ())
    parts = ([_lower(description)] if description else []) + [f"such as {example}" for example in examples[:1]]
    return f" ({', '.join(parts)})" if parts else ""


def _subschema(schema: Schema, location: Location) -> Schema:
    """The part of a JSON schema that describes a location; empty if there is none."""
    at: Schema = schema
    for step in location:
        candidates = [_named(at, step), *(_follow(branch, step, schema) for branch in _branches(at, schema))]
        at = next((candidate for candidate in candidates if candidate), at)
    merged = dict(at)
    for branch in _branches(at, schema):
        merged = {**branch, **merged}
    return merged


def _branches(at: Schema, root: Schema) -> list[Schema]:
    """A schema with its references resolved, and its alternatives."""
    if "$ref" in at:
        return _branches(root["$defs"][at["$ref"].rpartition("/")[2]], root)
    alternatives = [branch for key in ("anyOf", "oneOf", "allOf") for branch in at.get(key, ())]
    return [found for branch in alternatives for found in _branches(branch, root)] or [at]


def _tags(at: Schema) -> Mapping[str, str]:
    """The types among which a value's `kind` decides, by kind. Other types may be possible besides."""
    unions = [at, *at.get("anyOf", ())]
    return next((one["discriminator"]["mapping"] for one in unions if "discriminator" in one), {})


def _named(at: Schema, name: str | int) -> Schema:
    """The alternative that a step of a location names: by its tag, or by its own name."""
    tagged = _tags(at).get(str(name))
    types = [{"$ref": tagged}] if tagged else [*at.get("anyOf", ())]
    return next((one for one in types if tagged or one.get("$ref", "").endswith(f"/{name}")), {})


def _follow(branch: Schema, step: str | int, root: Schema) -> Schema:
    if isinstance(step, int):
        prefix = branch.get("prefixItems", ())
        return prefix[step] if step < len(prefix) else branch.get("items", {})
    if step in branch.get("properties", {}):
        return branch["properties"][step]
    if isinstance(branch.get("additionalProperties"), dict):
        return branch["additionalProperties"]
    return next(iter(branch.get("patternProperties", {}).values()), {})
