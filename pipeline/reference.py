"""The reference of the pipeline file as Markdown, from the same types that read it."""

from typing import Any

from hubline.pipeline.load import json_schema

_HEAD = """\
# The pipeline file

Every key, from the types that read it (`make reference` writes this page and `pipeline/schema.json` again). Relative
paths count from the file's folder. `hubline check FILE` names every mistake in a file at once.
"""


def reference() -> str:
    """A section for each mapping of the file, with a row for each key: what it takes, its default, what it means."""
    schema = json_schema()
    parts = [_HEAD, _table("The whole file", schema["else"], schema)]
    parts += [_table("The whole file with task: infer", schema["then"], schema)]
    parts += [_table(name, section, schema) for name, section in schema["$defs"].items()]
    return "\n".join(parts)


def _table(title: str, section: dict[str, Any], root: dict[str, Any]) -> str:
    required = section.get("required", ())
    rows = [
        f"| `{key}` | {_takes(value)} | {_default(key, value, required)} | {_meaning(value)} |"
        for key, value in section["properties"].items()
        if value.get("type") != "null"  # a key that this kind does not have
    ]
    lines = [f"## {title}", "", section["description"], "", "| key | takes | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*lines, *rows, ""])


def _default(key: str, value: dict[str, Any], required: Any) -> str:
    if key in required:
        return "*required*"
    default = value.get("default")
    return "" if default is None or default == [] else f"`{_yaml(default)}`"


def _meaning(value: dict[str, Any]) -> str:
    meaning = " ".join(value.get("description", "").split())
    examples = "".join(f" Such as `{_yaml(example)}`." for example in value.get("examples", ()))
    return meaning + examples


def _takes(value: dict[str, Any]) -> str:
    """What may stand there, in words."""
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    several = value.get("anyOf", value.get("oneOf"))
    if several:
        return " or ".join(_takes(branch) for branch in several if branch.get("type") != "null")
    if "const" in value:
        return f"`{value['const']}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    match value["type"]:
        case "array":
            items = value["prefixItems"] if "prefixItems" in value else [value["items"]]
            return "a list of " + ", ".join(dict.fromkeys(_takes(item) for item in items))
        case "object":
            inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
            return f"by name, {_takes(inner)}"
        case kind:
            return {"integer": "integer", "number": "number", "string": "text", "boolean": "true or false"}[
                kind
            ] + _bounds(value)


def _bounds(value: dict[str, Any]) -> str:
    words = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return "".join(f" {sign} {value[key]:g}" for key, sign in words.items() if key in value)


def _yaml(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items() if item is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
