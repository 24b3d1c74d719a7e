"""The reference of the pipeline file in Markdown, generated from the types that read the file."""

from typing import Any

from hubline.pipeline.load import json_schema

_HEAD = """\
# The pipeline file

Every key of the pipeline file. `make reference` generates this page and `pipeline/schema.json` from the types that read
the file. Relative paths are resolved against the folder of the file. `hubline check FILE` reports all errors in a file
at once.
"""


def reference() -> str:
    """One table per type, with the type, default and description of each key."""
    schema = json_schema()
    parts = [_HEAD, _table("Top level", schema["else"], schema)]
    parts += [_table("Top level with task: infer", schema["then"], schema)]
    parts += [_table(name, section, schema) for name, section in schema["$defs"].items()]
    return "\n".join(parts)


def _table(title: str, section: dict[str, Any], root: dict[str, Any]) -> str:
    required = section.get("required", ())
    rows = [
        f"| `{key}` | {_type(value)} | {_default(key, value, required, root)} | {_description(value, root)} |"
        for key, value in section["properties"].items()
        if value.get("type") != "null"  # the kind does not have this key
    ]
    if isinstance(others := section.get("additionalProperties"), dict):
        rows.append(f"| other keys | {_type(others)} |  |  |")
    lines = [
        f"## {title}",
        "",
        section["description"],
        "",
        "| key | type | default | description |",
        "|---|---|---|---|",
    ]
    return "\n".join([*lines, *rows, ""])


def _default(key: str, value: dict[str, Any], required: Any, root: dict[str, Any]) -> str:
    if key in required:
        return "*required*"
    default = value.get("default")
    if isinstance(default, dict) and "$ref" in value:
        own = _definition(value, root)["properties"]
        default = {name: item for name, item in default.items() if item != own[name].get("default")}
    return "" if default is None or default == [] else f"`{_yaml(default)}`"


def _description(value: dict[str, Any], root: dict[str, Any]) -> str:
    described = value if "description" in value or "$ref" not in value else _definition(value, root)
    examples = [f"`{_yaml(example)}`" for example in value.get("examples", ())]
    shown = f"Example{'s' * (len(examples) > 1)}: {', '.join(examples)}." if examples else ""
    return " ".join([*described.get("description", "").split(), *shown.split()])


def _definition(value: dict[str, Any], root: dict[str, Any]) -> dict[str, Any]:
    return root["$defs"][value["$ref"].rpartition("/")[2]]


def _type(value: dict[str, Any]) -> str:
    if "$ref" in value:
        name = value["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    several = value.get("anyOf", value.get("oneOf"))
    if several:
        return " or ".join(_type(branch) for branch in several if branch.get("type") != "null")
    if "const" in value:
        return f"`{_yaml(value['const'])}`"
    if "enum" in value:
        return ", ".join(f"`{choice}`" for choice in value["enum"])
    if not value:
        return "any value"
    match value["type"]:
        case "array":
            items = value["prefixItems"] if "prefixItems" in value else [value["items"]]
            return "list of " + ", ".join(dict.fromkeys(_type(item) for item in items))
        case "object":
            inner = value.get("additionalProperties") or next(iter(value["patternProperties"].values()))
            return f"mapping of names to {_type(inner)}"
        case kind:
            return kind + _bounds(value)


def _bounds(value: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    bounds = [f"{sign} {_yaml(value[key])}" for key, sign in signs.items() if key in value]
    return f" ({', '.join(bounds)})" if bounds else ""


def _yaml(value: Any) -> str:
    """A value as one line of YAML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_yaml(item)}" for key, item in value.items() if item is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_yaml, value)) + "]"
    return f"{value:g}" if isinstance(value, float) else str(value)
