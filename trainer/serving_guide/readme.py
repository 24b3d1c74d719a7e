"""Writes `README.md` beside an exported SavedModel. Imports no TensorFlow."""

import html
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2

from hubline.core import storage
from hubline.trainer.serving_guide.interface import README, Interface

REQUESTS, ANSWERS = "requests", "answers"
"""Folders of requests and answers in the folder of a version."""

_LONGEST_TEXT, _MOST_VALUES = 80, 12
"""Longer texts and lists are shortened in the README."""


def write_readme(folder: str, interface: Interface) -> None:
    """Writes the README of an exported model, whose requests and answers are in the folder already."""
    examples = [
        {"asked": each, "request": _shown(f"{folder}/{each.request}"), "answer": _shown(f"{folder}/{each.answer}")}
        for each in interface.requests
    ]
    text = _template().render(interface=interface, examples=examples, columns=sorted(interface.columns.items()))
    storage.write_text(f"{folder}/{README}", text)


def remove_example(folder: str) -> None:
    """Removes the example, its requests and its answers from the folder of an exported model."""
    interface = Interface.read(folder)
    if interface is None:
        return
    bare = interface.without_example()
    for name in (REQUESTS, ANSWERS):
        storage.remove_tree(f"{folder}/{name}")
    bare.write(folder)
    write_readme(folder, bare)


def _shown(path: str) -> str:
    text = json.dumps(shortened(json.loads(storage.read_bytes(path))), ensure_ascii=False)
    return text.replace("`", "\\u0060")  # would end the code block; in JSON, this is the same character


def shortened(value: Any) -> Any:
    """JSON with its long texts and lists cut, which then end with an ellipsis."""
    if isinstance(value, str) and len(value) > _LONGEST_TEXT:
        return f"{value[:_LONGEST_TEXT]}…"
    if isinstance(value, list):
        return [shortened(each) for each in value[:_MOST_VALUES]] + ["…"] * (len(value) > _MOST_VALUES)
    return {name: shortened(each) for name, each in value.items()} if isinstance(value, dict) else value


def _cell(value: Any) -> str:
    """A value as code in a cell of a table in Markdown."""
    escaped = html.escape(" ".join(str(value).split()) or str(value)).replace("|", "&#124;").replace("`", "&#96;")
    return f"<code>{escaped.replace('*', '&#42;').replace('_', '&#95;')}</code>"


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"cell": _cell}
    return environment.get_template("README.md.j2")
