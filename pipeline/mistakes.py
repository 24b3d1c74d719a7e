"""Mistakes in a pipeline file: what each says and where it stands."""

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from preprocessing.errors import UserError

Location = tuple[str | int, ...]
Schema = Mapping[str, Any]


@dataclass(frozen=True)
class Mistake:
    """One mistake: the file, the line (from 1) and the key it stands at, and what was wrong and would be right."""

    file: str
    line: int
    key: str
    message: str

    def __str__(self) -> str:
        """One line, in the form `file:line: key: message` that editors and terminals make clickable."""
        return ": ".join(part for part in (f"{self.file}:{self.line}", self.key, self.message) if part)


class PipelineFileError(UserError):
    """A pipeline file has mistakes; `mistakes` holds all of them, in the order of their lines."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(sorted(mistakes, key=lambda mistake: (mistake.line, mistake.key)))
        super().__init__("\n".join(map(str, self.mistakes)))

    @property
    def as_dicts(self) -> list[dict[str, str | int]]:
        """The mistakes for machines: `file`, `line`, `key`, `message`."""
        return [asdict(mistake) for mistake in self.mistakes]


def nearest(name: str, known: Iterable[str]) -> str:
    """`did you mean 'x'?` with the nearest known name, and the known names."""
    known = list(known)
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean '{close[0]}'? " if close else ""
    return f"{meant}known here: {', '.join(known)}"


def explain(error: Mapping[str, Any], schema: Schema) -> str:
    """What was wrong and what would be right, for one of pydantic's errors.

    Args:
        error: An item of `ValidationError.errors()`.
        schema: The JSON schema of the whole file, by alias; its descriptions and examples say what would be right.
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
        case "literal_error":
            expected = [choice.strip("'") for choice in error["ctx"]["expected"].replace(" or ", ", ").split(", ")]
            return f"{error['input']!r} is not known here; {nearest(str(error['input']), expected)}"
        case "model_type" | "dict_type" | "model_attributes_type":
            keys = ", ".join(at.get("properties", {}))
            wanted = f"a mapping with the keys {keys}" if keys else "a mapping of names"
            return f"must be {wanted}; got {_shown(error['input'])}"
        case "string_pattern_mismatch":
            return f"{error['input']!r} does not have the form {error['ctx']['pattern']}{_right(at)}"
        case _:
            got = "" if isinstance(error["input"], dict) else f"; got {_shown(error['input'])}"
            # In YAML's words, not Python's.
            said = _lower(error["msg"]).replace("tuple", "list").replace("dictionary", "mapping")
            return f"{said}{got}{_right(at)}"


def _shown(value: Any) -> str:
    return "nothing" if value is None else repr(value)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _right(schema: Schema) -> str:
    """The description and an example of what belongs at a place."""
    description = str(schema.get("description", "")).replace("\n", " ").rstrip(".")
    examples = schema.get("examples", ())
    parts = ([_lower(description)] if description else []) + [f"such as {example}" for example in examples[:1]]
    return f" ({', '.join(parts)})" if parts else ""


def _subschema(schema: Schema, location: Location) -> Schema:
    """The part of a JSON schema that describes a place; empty where the schema does not say."""
    at: Schema = schema
    for step in location:
        candidates = [_follow(branch, step, schema) for branch in _branches(at, schema)]
        at = next((candidate for candidate in candidates if candidate), {})
    merged = dict(at)
    for branch in _branches(at, schema):
        merged = {**branch, **merged}
    return merged


def _branches(at: Schema, root: Schema) -> list[Schema]:
    """A schema with its references followed, and the alternatives it offers."""
    if "$ref" in at:
        return _branches(root["$defs"][at["$ref"].rpartition("/")[2]], root)
    alternatives = [branch for key in ("anyOf", "oneOf", "allOf") for branch in at.get(key, ())]
    return [found for branch in alternatives for found in _branches(branch, root)] or [at]


def _follow(branch: Schema, step: str | int, root: Schema) -> Schema:
    if isinstance(step, int):
        prefix = branch.get("prefixItems", ())
        return prefix[step] if step < len(prefix) else branch.get("items", {})
    if step in branch.get("properties", {}):
        return branch["properties"][step]
    if isinstance(branch.get("additionalProperties"), dict):
        return branch["additionalProperties"]
    return next(iter(branch.get("patternProperties", {}).values()), {})
