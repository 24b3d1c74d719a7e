"""Docstrings describe the arguments that a function has."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.rooms import ROOMS

ROOT = Path(__file__).parents[2]
FOLDERS = (*ROOMS, "benchmarks", "tests")


def described(docstring: str) -> set[str]:
    """Names under `Args:`; continuation lines are indented further."""
    section = re.search(r"^Args:\n((?:[ \t]+.*\n?|\n)*)", docstring, re.M)
    if section is None:
        return set()
    entries = re.findall(r"^( +)\**(\w+): ", section[1], re.M)
    indent = min((len(space) for space, _ in entries), default=0)
    return {name for space, name in entries if len(space) == indent}


def arguments(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs, *filter(None, (spec.vararg, spec.kwarg))]
    return {argument.arg for argument in named}


def unknown() -> Iterator[str]:
    for folder in FOLDERS:
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                    for name in described(ast.get_docstring(node) or "") - arguments(node):
                        yield f"{path.relative_to(ROOT)}: {node.name} has no argument {name}"


def test_entries_under_args_are_found() -> None:
    docstring = "Reads.\n\nArgs:\n    path: A file,\n        such as: this.\n    count: More.\n\nReturns:\n    x: y"
    assert described(docstring) == {"path", "count"}


@pytest.mark.slow
def test_every_described_argument_exists() -> None:
    assert list(unknown()) == []
