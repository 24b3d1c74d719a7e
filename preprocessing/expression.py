"""Comparisons of columns, such as `tips > 0.2 * fare`, and conditions made of them, parsed with Python's grammar."""

import ast
import math
import operator
from collections.abc import Callable
from functools import reduce
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

    _try(comparison, "comparison", lambda: evaluate(comparison, note))
    if not found:
        raise ValueError(f"'{comparison}' names no column")
    return list(dict.fromkeys(found))


def columns_of_condition(condition: str) -> dict[str, type[float] | type[str]]:
    """The columns in a condition, in order, with what each holds: numbers or texts.

    Raises:
        ValueError: if it is not a valid condition; says what is wrong, and where.
    """
    found: dict[str, type[float] | type[str]] = {}

    def note(column: str, what: type[float] | type[str]) -> Any:
        if found.setdefault(column, what) is not what:
            raise ValueError(f"'{condition}' compares '{column}' with a number and with a text")
        return what("nan")

    _try(condition, "condition", lambda: holds(condition, lambda name: note(name, float), lambda name: note(name, str)))
    return found


def _try(text: str, what: str, evaluation: Callable[[], Any]) -> None:
    try:
        evaluation()
    except ZeroDivisionError:
        raise ValueError(f"'{text}' divides by zero") from None
    except (RecursionError, MemoryError, OverflowError):
        raise ValueError(f"the {what} is too long, or contains a number that is too large") from None


def holds(condition: str, number: Callable[[str], Any], text: Callable[[str], Any]) -> Any:
    """Evaluates a condition.

    Args:
        condition: Comparisons as in `evaluate`, possibly chained (`0 < a < b`), and of columns with texts in single
            quotes by == or !=, joined by `and`, `or`, `not` and parentheses.
        number: Returns the values of a column of numbers, as for `evaluate`.
        text: Returns the values of a column of texts.

    Raises:
        ValueError: if it is anything else.
    """
    return _Condition(" ".join(condition.split("\n")).strip(), number, text).value()


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
        tree = self._tree("comparison such as tips > 0.2 * fare")
        if not isinstance(tree, ast.Compare) or len(tree.ops) != 1:
            raise ValueError(f"'{self._text}' is not one comparison, such as tips > 0.2 * fare")
        left, right = self._number(tree.left), self._number(tree.comparators[0])
        return self._operator(tree, tree.ops[0])(left, right)

    def _tree(self, what: str) -> ast.expr:
        try:
            return ast.parse(self._text, mode="eval").body
        except SyntaxError as error:
            place = min(error.offset - 1, len(self._text)) if error.offset else len(self._text)
            raise self._fault(f"is not a {what}", place, _QUOTED) from None
        except ValueError:  # for a null character
            raise self._fault(f"is not a {what}", max(self._text.find("\0"), 0)) from None

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


class _Condition(_Comparison):
    def __init__(self, text: str, number: Callable[[str], Any], texts: Callable[[str], Any]) -> None:
        super().__init__(text, number)
        self._texts = texts

    def value(self) -> Any:
        return self._holds(self._tree("condition such as fare > 0 and company == 'Flash Cab'"))

    def _holds(self, node: ast.expr) -> Any:
        if isinstance(node, ast.BoolOp):
            join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
            return reduce(join, map(self._holds, node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return self._holds(node.operand) ^ True
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            pairs = zip(node.ops, sides, sides[1:], strict=False)
            return reduce(operator.and_, (self._compared(node, *pair) for pair in pairs))
        known = "compare columns, as in fare > 0, and join comparisons by and, or, not"
        raise self._fault("has a part that is no comparison", self._place(node.col_offset), known)

    def _compared(self, node: ast.expr, kind: ast.cmpop, left: ast.expr, right: ast.expr) -> Any:
        if not (self._is_text(left) or self._is_text(right)):
            return self._operator(node, kind)(self._number(left), self._number(right))
        constant, column = (left, right) if self._is_text(left) else (right, left)
        name = self._named(column)
        if name is None or not isinstance(kind, ast.Eq | ast.NotEq):
            known = "write a column == or != a text in single quotes"
            raise self._fault("compares a text with something else", self._place(constant.col_offset), known)
        return self._operator(node, kind)(self._texts(name), ast.literal_eval(constant))

    def _is_text(self, node: ast.expr) -> bool:
        return isinstance(node, ast.Constant) and isinstance(node.value, str) and self._source(node).startswith("'")

    def _named(self, node: ast.expr) -> str | None:
        """The column that is named; None if this is no column."""
        if isinstance(node, ast.Name):
            return self._source(node)
        is_quoted = isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value != ""
        return str(ast.literal_eval(node)) if is_quoted and not self._is_text(node) else None
