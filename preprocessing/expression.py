"""Comparisons of columns, such as `tips > 0.2 * fare`, parsed with Python's grammar."""

import ast
import math
import operator
from collections.abc import Callable
from typing import Any

_OPERATORS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}

_QUOTED = 'write a column whose name is not a plain word in double quotes, such as "fare amount" or "class"'


def columns_in(comparison: str) -> list[str]:
    """The columns in a comparison, in order.

    Raises:
        ValueError: if it is not a valid comparison; says what is wrong, and where.
    """
    found: list[str] = []

    def note(column: str) -> float:
        found.append(column)
        return math.nan  # NaN never causes a division by zero

    try:
        evaluate(comparison, note)
    except ZeroDivisionError:
        raise ValueError(f"'{comparison}' divides by zero") from None
    except (RecursionError, MemoryError, OverflowError):
        raise ValueError("the comparison is too long, or contains a number that is too large") from None
    if not found:
        raise ValueError(f"'{comparison}' names no column")
    return list(dict.fromkeys(found))


def evaluate(comparison: str, column: Callable[[str], Any]) -> Any:
    """Evaluates a comparison.

    Args:
        comparison: Two sides of <, <=, >, >=, == or !=, each made of numbers, column names, + - * / and parentheses.
            Names that are not plain words are in double quotes.
        column: Returns the values of a column: numbers, or objects with arithmetic such as `exact.Numbers`.

    Raises:
        ValueError: if it is anything else.
    """
    return _Comparison(" ".join(comparison.split("\n")).strip(), column).value()


class _Comparison:
    def __init__(self, text: str, column: Callable[[str], Any]) -> None:
        self._text = text
        self._column = column

    def value(self) -> Any:
        try:
            tree = ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            place = min(error.offset - 1, len(self._text)) if error.offset else len(self._text)
            raise self._fault("is not a comparison such as tips > 0.2 * fare", place, _QUOTED) from None
        except ValueError:  # for a null character
            place = max(self._text.find("\0"), 0)
            raise self._fault("is not a comparison such as tips > 0.2 * fare", place) from None
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
            raise ValueError(f"'{self._text}' is not one comparison, such as tips > 0.2 * fare")
        left, right = self._number(tree.left), self._number(tree.comparators[0])
        return self._operator(tree, tree.ops[0])(left, right)

    def _number(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
            if not math.isfinite(float(node.value)):
                raise OverflowError
            return node.value
        if isinstance(node, ast.Name):
            return self._column(self._source(node))  # as written, because Python normalizes names
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value:
            if not self._source(node).startswith('"'):
                raise self._fault(
                    "compares a string, but only numbers can be compared", self._place(node.col_offset), _QUOTED
                )
            return self._column(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            return -self._number(node.operand)
        if isinstance(node, ast.BinOp):
            return self._operator(node, node.op)(self._number(node.left), self._number(node.right))
        what = f"'{ast.unparse(node)}' is not a number, a column, or a sum, difference, product or quotient"
        raise ValueError(f"{what}; see character {self._place(node.col_offset) + 1} of '{self._text}'")

    def _operator(self, node: ast.expr, kind: ast.operator | ast.cmpop) -> Callable[[Any, Any], Any]:
        if type(kind) not in _OPERATORS:
            known = "use + - * / for arithmetic and <, <=, >, >=, == or != for comparison"
            raise self._fault("has an unsupported operator", self._place(node.col_offset), known)
        return _OPERATORS[type(kind)]

    def _source(self, node: ast.expr) -> str:
        return self._text[self._place(node.col_offset) : self._place(node.end_col_offset or 0)]

    def _place(self, byte: int) -> int:
        """Index of a character, from that of its first byte in UTF-8."""
        return len(self._text.encode()[:byte].decode())

    def _fault(self, what: str, place: int, right: str = "") -> ValueError:
        rest = self._text[place:]
        shown = f", before '{rest[:20]}{'…' if rest[20:] else ''}'" if rest else ", its end"
        return ValueError(f"'{self._text}' {what} (at character {place + 1}{shown}){f'; {right}' if right else ''}")
