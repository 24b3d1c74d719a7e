"""Errors in YAML, and where the parser noticed them."""

from dataclasses import dataclass

from ruamel.yaml.error import MarkedYAMLError


@dataclass(frozen=True)
class YamlFault:
    """One error in the syntax of a file."""

    line: int
    """From 0."""
    column: int
    """From 0."""
    message: str
    """What is wrong and what would be right."""
    repaired: str | None = None
    """The line as it was meant, if that is clear."""

    def mend(self, text: str) -> str | None:
        """The text with the repaired line; None if there is none, or it changes nothing."""
        lines = text.splitlines()
        if self.repaired is None or lines[self.line] == self.repaired:
            return None
        return "\n".join([*lines[: self.line], self.repaired, *lines[self.line + 1 :], ""])


@dataclass(frozen=True)
class Stop:
    """Where a parser stopped."""

    lines: list[str]
    line: int
    column: int
    problem: str
    context: str
    opened: tuple[int, int] | None
    """Line and column of the construct that the parser was in."""

    @classmethod
    def of(cls, error: MarkedYAMLError, lines: list[str]) -> "Stop":
        mark, context = error.problem_mark or error.context_mark, error.context_mark
        return cls(
            lines,
            min(mark.line, len(lines) - 1) if mark else 0,
            mark.column if mark else 0,
            error.problem or "",
            error.context or "",
            (min(context.line, len(lines) - 1), context.column) if context else None,
        )

    @property
    def text(self) -> str:
        return self.lines[self.line]

    @property
    def suspects(self) -> list[int]:
        """The line, and the closest one above that says something: parsers notice some errors a line later."""
        above = (n for n in range(self.line - 1, -1, -1) if self.lines[n].strip() and not is_comment(self.lines[n]))
        return [self.line, *([found] if (found := next(above, None)) is not None else [])]


def closing(value: str) -> int | None:
    """Where the bracket that begins a value is closed."""
    depth = 0
    for number, char in enumerate(value):
        depth += (char in "[{") - (char in "]}")
        if depth == 0:
            return number
    return None


def is_comment(line: str) -> bool:
    """Whether a line is a comment only."""
    return line.lstrip().startswith("#")
