"""Comparisons of columns, such as `tips > 0.2 * fare`, read with Python's own grammar."""

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


def columns_in(comparison: str) -> list[str]:
    """The columns that a comparison names, in their order.

    Raises:
        ValueError: where it is not one: says what is wrong with it.
    """
    found: list[str] = []

    def note(column: str) -> float:
        found.append(column)
        return math.nan  # which nothing makes zero, to divide by

    try:
        evaluate(comparison, note)
    except ZeroDivisionError:
        raise ValueError(f"'{comparison}' divides by zero") from None
    except (RecursionError, MemoryError, OverflowError):
        raise ValueError("the comparison is too long, or a number in it too great") from None
    if not found:
        raise ValueError(f"'{comparison}' names no column")
    return list(dict.fromkeys(found))


def evaluate(comparison: str, column: Callable[[str], Any]) -> Any:
    """What a comparison comes to.

    Args:
        comparison: Two sides of <, <=, >, >=, == or !=, each of numbers, names of columns, + - * / and brackets.
        column: The values of a column, numbers or anything that calculates like them, such as a tensor.

    Raises:
        ValueError: where it is anything else.
    """
    try:
        tree = ast.parse(comparison.strip(), mode="eval").body
    except (SyntaxError, ValueError):  # of a null character
        raise ValueError(f"'{comparison}' is not a comparison such as tips > 0.2 * fare") from None
    if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
        raise ValueError(f"'{comparison}' is not one comparison, such as tips > 0.2 * fare")
    sides = tree.left, tree.comparators[0]
    left, right = (_number(side, column) for side in sides)
    return _operator(tree.ops[0])(left, right)


def _number(node: ast.expr, column: Callable[[str], Any]) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        return float(node.value)
    if isinstance(node, ast.Name):
        return column(node.id)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_number(node.operand, column)
    if isinstance(node, ast.BinOp):
        return _operator(node.op)(_number(node.left, column), _number(node.right, column))
    raise ValueError(f"'{ast.unparse(node)}' is not a number, a column, or a sum, difference, product or quotient")


def _operator(node: ast.operator | ast.cmpop) -> Callable[[Any, Any], Any]:
    if type(node) not in _OPERATORS:
        raise ValueError("a comparison calculates with + - * / and compares with <, <=, >, >=, == or !=")
    return _OPERATORS[type(node)]
