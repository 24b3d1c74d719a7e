"""Writes what was suggested as a pipeline file for people to read."""

from __future__ import annotations

import io
import re
import textwrap
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node
from ruamel.yaml.representer import RoundTripRepresenter

from hubline.pipeline.init.column_profile import Data
from hubline.pipeline.init.kinds import shown
from hubline.pipeline.init.suggest import Suggestion, described


def text_of(suggestion: Suggestion, data: Data, examples: str, name: str) -> str:
    """The pipeline file.

    Args:
        suggestion: What it says.
        data: What was seen.
        examples: `data.examples`.
        name: `name`.
    """
    column = next(column for column in data.columns if column.name == suggestion.label.settings["from"])
    return _template().render(
        suggestion=suggestion,
        seen=seen(data),
        label_seen=described(column),
        total=f"{data.total:,}" if data.is_whole else f"about {data.total:,}",
        examples=examples,
        name=name,
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": as_yaml, "shown": shown, "wrapped": _wrapped}
    return environment.get_template("pipeline.yaml.j2")


def seen(data: Data) -> str:
    """How much was looked at, in words."""
    files = f"{data.files:,} file{'s' if data.files > 1 else ''}"
    if data.is_whole:
        return f"all {data.records:,} records of {files}"
    return f"a sample of {data.records:,} records, of about {data.total:,} in {files}"


def name_of(folder: Path) -> str:
    """A name for a pipeline by its folder's."""
    return re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:63] or "pipeline"


def _wrapped(comment: str, prefix: str) -> str:
    """A comment in lines of at most 120 characters, each but the first with a prefix."""
    lines = textwrap.wrap(comment, 120 - len(prefix), break_long_words=False, break_on_hyphens=False)
    return f"\n{prefix}".join(lines)


class _Representer(RoundTripRepresenter):
    """Quotes texts that ruamel would write in a way that it does not read: with line breaks, or signs at the front."""


def _text(representer: _Representer, text: str) -> Node:
    is_plain = text.isprintable() and (text[:1].isalnum() or text.startswith(("/", ".")))
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Representer.add_representer(str, _text)


def as_yaml(value: Any) -> str:
    """A value as YAML in one line."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.default_flow_style = True
    yaml.width = 1 << 20
    out = io.StringIO()
    # In a mapping: a word alone would come with the mark of a document's end, a pair in a list without its braces.
    yaml.dump({"value": value}, out)
    return out.getvalue().strip().removeprefix("{value: ").removesuffix("}")
