"""Descriptions of a section's keys: the docstrings below its attributes.

pydantic could collect them (`use_attribute_docstrings`), but then reads the source of every class on import, which
costs each process more than a second. Only the schema, the reference page and error messages need them.
"""

import ast
import inspect
import textwrap
from functools import cache
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema


@cache
def descriptions(section: type[BaseModel]) -> dict[str, str]:
    """Descriptions of the fields of a class, including those of its base classes."""
    inherited = [descriptions(base) for base in section.__bases__ if issubclass(base, BaseModel) and base != BaseModel]
    own = _attribute_docstrings(section)
    return {name: text for found in (*reversed(inherited), own) for name, text in found.items()}


def _attribute_docstrings(section: type) -> dict[str, str]:
    tree = ast.parse(textwrap.dedent(inspect.getsource(section))).body[0]
    assert isinstance(tree, ast.ClassDef)
    found = {}
    for above, below in zip(tree.body, tree.body[1:], strict=False):
        match above, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(text))):
                found[name] = inspect.cleandoc(text)
    return found


class DescribedJsonSchema(GenerateJsonSchema):
    """Generates a JSON schema in which every key has its description."""

    def model_schema(self, schema: Any) -> dict[str, Any]:
        generated = super().model_schema(schema)
        section = schema["cls"]
        for name, text in descriptions(section).items():
            field = section.model_fields.get(name)
            key = field and (field.alias or name)
            if key in generated.get("properties", {}):
                generated["properties"][key].setdefault("description", text)
        for found in generated.get("properties", {}).values():
            if "const" in found:
                found.setdefault("description", "The value that selects this type.")
        return generated
