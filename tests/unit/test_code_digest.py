"""Digests of code: what changes them and what doesn't."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from hubline.core import code_digest as code_digests
from hubline.core.bytecode_digest import bytecode_digest
from hubline.core.code_digest import code_digest, content_digest

SOURCE = '''\
"""A module."""

import os.path
from functools import cache

LIMITS = {"low", "high", "none"}
"""What can be asked for."""


@cache
def outer(first, *rest, scale=2.0, **options):
    """Adds things up.

    Args:
        first: A number.
    """
    total = first * scale  # the first counts twice
    zero = 0

    def add(value):
        """Adds one."""
        nonlocal total
        total = total + value + zero
        return total

    squares = [number * number for number in rest if number not in {"a", "b", "c"}]
    for each in squares:
        if each > zero: continue
        add(each)
    try:
        import json as text
        found = text.dumps(options)
    except ValueError as error:
        raise KeyError(str(error)) from error
    assert found
    return add(zero), os.path.join("a", found), lambda more: more + total


class Thing:
    """A thing."""

    size: int = 3
    """Its size."""

    def grow(self, by: int = 1) -> "Thing":
        super().__init__()
        grown = self.size + by
        match grown:
            case 1 | 2 as small:
                return small
            case [head, *tail]:
                return tail
        return lambda: (grown, __class__)
'''


def digest(source: str) -> str:
    return bytecode_digest(ast.parse(source))


def replaced(old: str, new: str) -> str:
    assert old in SOURCE
    return SOURCE.replace(old, new)


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    "same",
    [
        pytest.param(replaced('"""A module."""', '"""Another sentence."""'), id="docstring of a module"),
        pytest.param(replaced('"""A module."""', ""), id="no docstring of a module"),
        pytest.param(replaced("Adds things up.", "Sums."), id="docstring of a function"),
        pytest.param(replaced('        """Adds one."""\n', ""), id="no docstring of a nested function"),
        pytest.param(replaced('    """A thing."""\n\n', ""), id="no docstring of a class"),
        pytest.param(replaced('"""Its size."""', '"""How large it is."""'), id="docstring of an attribute"),
        pytest.param(replaced('"""What can be asked for."""\n', ""), id="no docstring of a constant"),
        pytest.param(replaced("  # the first counts twice", ""), id="comment"),
        pytest.param("# A licence.\n\n\n" + SOURCE, id="lines above"),
        pytest.param(
            replaced("total + value + zero", "(\n            total\n            + value + zero\n        )"), id="lines"
        ),
        pytest.param(
            replaced("if each > zero: continue", "if (each > zero):\n            continue"), id="branch on a line"
        ),
        pytest.param(ast.unparse(ast.parse(SOURCE)), id="all formatting and comments"),
        pytest.param(replaced('"low"', "'low'"), id="quotes"),
        pytest.param(replaced("squares", "products"), id="local"),
        pytest.param(replaced("number", "x"), id="variable of a comprehension"),
        pytest.param(replaced("each", "a"), id="variable of a loop"),
        pytest.param(replaced("error", "wrong"), id="caught exception"),
        pytest.param(replaced("zero", "nothing"), id="captured local, further on in the alphabet"),
        pytest.param(replaced("total", "aaa"), id="captured local, first in the alphabet"),
        pytest.param(replaced("grown", "a"), id="captured local of a method"),
        pytest.param(replaced("text", "j"), id="local name of an import"),
        pytest.param(replaced("small", "little"), id="name in a pattern"),
        pytest.param(replaced("tail", "others"), id="name of the rest in a pattern"),
    ],
)
def test_words_leave_the_digest_alone(same: str) -> None:
    assert same != SOURCE
    assert digest(same) == digest(SOURCE)


@pytest.mark.both_stacks
@pytest.mark.parametrize(
    "other",
    [
        pytest.param(replaced('"high"', '"higher"'), id="member of a set"),
        pytest.param(replaced('{"a", "b", "c"}', '{"a", "b"}'), id="member of a constant set in a comprehension"),
        pytest.param(replaced("first * scale", "first / scale"), id="operator"),
        pytest.param(replaced("2.0", "2"), id="type of a number"),
        pytest.param(replaced("zero = 0", "zero = False"), id="type of a constant"),
        pytest.param(replaced("total + value + zero", "total + value - zero"), id="nested function"),
        pytest.param(replaced("more + total", "total + more"), id="lambda"),
        pytest.param(replaced("total + value + zero", "zero + value + total"), id="which captured local"),
        pytest.param(replaced("number * number", "number + number"), id="comprehension"),
        pytest.param(replaced("scale=2.0", "scale=3.0"), id="default of a parameter"),
        pytest.param(replaced("by: int = 1", "by: int = 2"), id="default of a method's parameter"),
        pytest.param(replaced("scale", "factor"), id="name of a parameter"),
        pytest.param(replaced("@cache\n", ""), id="decorator"),
        pytest.param(replaced("size: int = 3", "size: int = 4"), id="value in a class"),
        pytest.param(replaced("size: int", "size: float"), id="annotation in a class"),
        pytest.param(replaced("size", "width"), id="name of an attribute"),
        pytest.param(replaced("class Thing:", "class Thing(Exception):"), id="base class"),
        pytest.param(replaced("    assert found\n", ""), id="assert"),
        pytest.param(replaced("assert found", "assert not found"), id="condition of an assert"),
        pytest.param(replaced("KeyError", "TypeError"), id="global"),
        pytest.param(replaced("os.path.join", "os.path.joins"), id="attribute"),
        pytest.param(replaced("import json as text", "import pickle as text"), id="import"),
        pytest.param(replaced('"a", found', '"b", found'), id="string"),
        pytest.param(replaced("        nonlocal total\n", ""), id="scope of a name"),
        pytest.param(replaced("case 1 | 2", "case 1 | 3"), id="pattern"),
        pytest.param(replaced("outer", "external"), id="name of a function"),
        pytest.param(SOURCE + "print(LIMITS)\n", id="statement more"),
    ],
)
def test_changed_code_changes_the_digest(other: str) -> None:
    assert other != SOURCE
    assert digest(other) != digest(SOURCE)


def test_a_block_of_docstring_alone_is_one_that_does_nothing() -> None:
    assert digest('def f():\n    """Says."""') == digest("def f():\n    pass") == digest('def f():\n    "Says more."')


@pytest.mark.both_stacks
def test_a_digest_is_the_same_in_every_process() -> None:
    program = (
        "import ast, sys\nfrom hubline.core.bytecode_digest import bytecode_digest\n"
        "print(bytecode_digest(ast.parse(sys.stdin.read())))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", program],
            input=SOURCE,
            capture_output=True,
            text=True,
            check=True,
            env=os.environ | {"PYTHONHASHSEED": seed},
        ).stdout.strip()
        for seed in ("1", "2", "3")
    }
    assert printed == {digest(SOURCE)}


@pytest.mark.both_stacks
def test_all_of_our_code_has_a_digest_that_its_formatting_does_not_change() -> None:
    for source in Path(code_digests.__file__).parent.glob("*.py"):
        text = source.read_text()
        assert digest(ast.unparse(ast.parse(text))) == digest(text), source


SOURCES = {
    "__init__": "",
    "step": "import json\nfrom probe import near\ndef f():\n    from probe.deep.far import x",
    "near": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from probe import types",
    "other": "",
    "types": "",
    "deep/__init__": "",
    "deep/far": "x = 1",
}


@pytest.fixture
def edit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Adds a line to a module of the package `probe`, and clears the caches of this process."""

    def write(name: str, more: str) -> None:
        path = tmp_path / "probe" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{SOURCES[name]}\n{more}")
        code_digests.forget()

    for name in SOURCES:
        write(name, "")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(code_digests, "PACKAGE", "probe")
    return write


def test_code_digest_follows_imports_of_ours_and_no_others(edit: Callable[[str, str], None]) -> None:
    before = code_digest("probe.step")
    counted = {"near", "deep/far", "deep/__init__", "__init__", "step"}
    for name in SOURCES:
        edit(name, "changed = True")
        assert (code_digest("probe.step") != before) == (name in counted), name
        edit(name, "# changed")
        assert code_digest("probe.step") == before, name
    assert "probe" not in sys.modules, "a module is looked at without being imported"
    with pytest.raises(ModuleNotFoundError, match=r"probe\.none"):
        code_digest("probe.none")


def test_content_digest_leaves_out_what_moves_files_and_the_rest_of_the_stack(
    edit: Callable[[str, str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(code_digests, "PLUMBING", frozenset({"probe.near"}))
    before, whole = content_digest("probe.step", "tensorflow"), code_digest("probe.step")
    edit("near", "changed = True")
    assert content_digest("probe.step", "tensorflow") == before and code_digest("probe.step") != whole
    edit("deep/far", "changed = True")
    assert content_digest("probe.step", "tensorflow") != before
    assert content_digest("probe.step", "tensorflow") != content_digest("probe.step", "apache-beam")
