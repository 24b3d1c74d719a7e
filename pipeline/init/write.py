"""Writes a suggestion as a commented pipeline file."""

from __future__ import annotations

import io
import re
import tempfile
import textwrap
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from ruamel.yaml import YAML
from ruamel.yaml.nodes import Node
from ruamel.yaml.representer import RoundTripRepresenter

from hubline.core import storage
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.init.column_profile import DataProfile
from hubline.pipeline.init.feature import described
from hubline.pipeline.init.kinds import shown
from hubline.pipeline.init.suggest import Suggestion
from hubline.pipeline.load import read


def text_of(suggestion: Suggestion, data: DataProfile, examples: str, name: str) -> str:
    """The text of the pipeline file.

    Args:
        suggestion: Contents of the file.
        data: Profile of the data.
        examples: Value of `data.examples`.
        name: Value of `name`.
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


def refuse_unreadable(text: str, output: Path) -> None:
    """Checks, before a pipeline file is written, that it is one.

    Args:
        text: Its text.
        output: Its place.

    Raises:
        PipelineFileError: if it has errors.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "pipeline.yaml")
        storage.write_text(str(file), text)
        try:
            errors = read(file, base=output.absolute().parent).diagnostics
        except PipelineFileError as error:
            errors = error.diagnostics
    if errors:
        note = "hubline init would write this, and did not, because it isn't valid; please report it"
        raise PipelineFileError(replace(each, file=str(output), message=f"{each.message} ({note})") for each in errors)


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    environment.filters |= {"yaml": as_yaml, "shown": shown, "wrapped": _wrapped}
    return environment.get_template("pipeline.yaml.j2")


def seen(data: DataProfile) -> str:
    """How much was read, in words."""
    files = f"{data.files:,} file{'s' if data.files > 1 else ''}"
    if data.is_whole:
        return f"all {data.records:,} records of {files}"
    return f"a sample of {data.records:,} records, of about {data.total:,} in {files}"


def name_of(folder: Path) -> str:
    """A pipeline name from the folder's name."""
    return re.sub(r"[^a-z0-9]+", "-", folder.name.lower()).strip("-")[:63] or "pipeline"


def _wrapped(comment: str, prefix: str) -> str:
    """Wraps a comment at 120 characters; all lines but the first get the prefix."""
    lines = textwrap.wrap(comment, 120 - len(prefix), break_long_words=False, break_on_hyphens=False)
    return f"\n{prefix}".join(lines)


class _Representer(RoundTripRepresenter):
    """Quotes strings that ruamel would write but not read: with line breaks, or leading punctuation."""


def _text(representer: _Representer, text: str) -> Node:
    is_plain = text.isprintable() and (text[:1].isalnum() or text.startswith(("/", ".")))
    return representer.represent_scalar("tag:yaml.org,2002:str", text, style=None if is_plain else '"')


_Representer.add_representer(str, _text)


def as_yaml(value: Any) -> str:
    """A value as one line of YAML."""
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.default_flow_style = True
    yaml.width = 1 << 20
    out = io.StringIO()
    # In a mapping: a bare word would get a document end mark, a pair in a list would lose its braces.
    yaml.dump({"value": value}, out)
    return out.getvalue().strip().removeprefix("{value: ").removesuffix("}")
