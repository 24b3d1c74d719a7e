"""Digest of what Python source code does, regardless of comments, docstrings, formatting and names of local variables.

The source is compiled. The digest covers bytecode, names of globals and attributes, constants and parameters of every
function, class and comprehension. Statements such as `assert` are code like any other.
"""

import ast
import hashlib
import re
from collections.abc import Iterator
from types import CodeType
from typing import Any

_LOCATION = {"lineno": 1, "col_offset": 0, "end_lineno": 1, "end_col_offset": 0}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
_NAME_FIELDS: dict[type[ast.AST], str] = {
    ast.Name: "id",
    ast.arg: "arg",
    ast.FunctionDef: "name",
    ast.AsyncFunctionDef: "name",
    ast.ClassDef: "name",
    ast.ExceptHandler: "name",
    ast.alias: "asname",
    ast.MatchAs: "name",
    ast.MatchStar: "name",
    ast.MatchMapping: "rest",
}
"""Field of each syntax node that names a variable."""
_MARK = "\N{LATIN LETTER RETROFLEX CLICK}"
"""Delimits the numbers of names: a letter, so that names stay valid, and one that no source contains."""
_NUMBER = re.compile(rf"{_MARK}\d{{6}}{_MARK}")
# Names known to the compiler itself: it mangles double underscores in classes, and `super` implies `__class__`.
_FIXED = re.compile(r"super|__.*")


def bytecode_digest(tree: ast.Module) -> str:
    """SHA-256 of a module's bytecode; the same in every process of one Python version.

    Args:
        tree: The module's syntax tree, which is modified.
    """
    _Normalizer().visit(tree)
    code = compile(tree, "<source>", "exec", dont_inherit=True, optimize=0)
    return hashlib.sha256(repr(_described(code)).encode(errors="surrogatepass")).hexdigest()


class _Normalizer:
    """Rewrites a syntax tree so that equivalent sources compile to the same bytecode.

    - Bare strings, such as docstrings, are removed.
    - All nodes get the same location: CPython keeps or drops jumps and NOPs depending on source lines.
    - Names in functions get a number in the order of appearance: CPython orders captured variables by name.
    """

    def __init__(self) -> None:
        self._numbers: dict[str, int] | None = None
        """By name, within the current outermost function; None outside functions."""

    def visit(self, node: ast.AST) -> None:
        outermost = self._numbers is None and isinstance(node, _FUNCTIONS)
        if not outermost:
            self._name(node)  # a nested function's name is a variable of the outer function
        if outermost:
            self._numbers = {}
        if "lineno" in node._attributes:
            node.__dict__.update(_LOCATION)
        for field in node._fields:
            value = getattr(node, field, None)
            if isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    value[:] = _without_strings(value)
                for child in value:
                    if isinstance(child, ast.AST):
                        self.visit(child)
            elif isinstance(value, ast.AST):
                self.visit(value)
        if outermost:
            self._numbers = None

    def _name(self, node: ast.AST) -> None:
        if self._numbers is None:
            return
        if isinstance(node, ast.Global | ast.Nonlocal):
            node.names = [self._numbered(name) for name in node.names]
        elif isinstance(node, ast.alias) and node.asname is None and node.name != "*":
            node.asname = self._numbered(node.name) if "." not in node.name else None
        elif (field := _NAME_FIELDS.get(type(node))) and (name := getattr(node, field)):
            setattr(node, field, self._numbered(name))

    def _numbered(self, name: str) -> str:
        assert self._numbers is not None
        if _FIXED.fullmatch(name):
            return name
        return f"{_MARK}{self._numbers.setdefault(name, len(self._numbers)):06d}{_MARK}{name}"


def _without_strings(body: list[Any]) -> Iterator[ast.stmt]:
    """The statements of a block without bare strings; `pass` if nothing is left."""
    kept = [node for node in body if not _is_bare_string(node)]
    yield from kept or [ast.Pass(**_LOCATION)]


def _is_bare_string(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _described(code: CodeType) -> tuple[Any, ...]:
    """What matters of a code object: everything but line numbers and the names of variables other than parameters."""
    parameters = code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4) + bool(code.co_flags & 8)
    return (
        _plain(code.co_name),
        code.co_code,
        getattr(code, "co_exceptiontable", b""),  # since Python 3.11
        code.co_flags,
        (code.co_argcount, code.co_posonlyargcount, code.co_kwonlyargcount),
        [_plain(name) for name in code.co_varnames[:parameters]],
        [_plain(name) for name in code.co_names],
        [_constant(constant) for constant in code.co_consts],
    )


def _plain(name: str) -> str:
    return _NUMBER.sub("", name)


def _constant(value: Any) -> Any:
    """A constant in a form whose `repr` includes its type and doesn't depend on the hash seed."""
    if isinstance(value, CodeType):
        return _described(value)
    if isinstance(value, str):  # qualified names, and names of parameters with annotations or defaults
        return _plain(value)
    if isinstance(value, tuple):
        return tuple(map(_constant, value))
    if isinstance(value, frozenset):
        return "frozenset", sorted(repr(_constant(each)) for each in value)
    return value
