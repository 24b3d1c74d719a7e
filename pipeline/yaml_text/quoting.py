"""Texts that need quotes in YAML."""

import re

from hubline.pipeline.yaml_text.fault import Stop, YamlFault, closing

KEY = r"[A-Za-z_][\w.-]*"
_ENTRY = re.compile(rf"(?P<lead>\s*(?:- +)*(?:{KEY}|'[^']*'|\"[^\"]*\"):\s+|\s*(?:- +)+)(?P<value>\S.*)")
"""A line of a block with a value: a key and its value, or an item of a list."""

_SPECIAL = {
    "*": "begins an alias",
    "&": "begins an anchor",
    "!": "begins a tag",
    "@": "is reserved",
    "`": "is reserved",
    "%": "is reserved",
    "|": "begins a text of several lines",
    ">": "begins a text of several lines",
}


def special(at: Stop) -> YamlFault | None:
    """A text that begins with a character that YAML uses itself."""
    starts = [at.opened] if at.opened and at.context.startswith("while scanning a") else []
    for line, column in [*starts, (at.line, at.column)]:
        text = at.lines[line]
        char = text[column : column + 1]
        if char in _SPECIAL and (char not in "|>" or "block scalar" in at.context):
            return _to_quote(line, text, column, _value_from(text, column), f"'{char}' {_SPECIAL[char]} in YAML")
    return None


def bracket(at: Stop) -> YamlFault | None:
    """A text that begins with a bracket, and goes on after it is closed."""
    found = _ENTRY.fullmatch(at.text)
    if not found or found["value"][0] not in "[{" or at.column <= found.start("value"):
        return None
    value = _value_from(at.text, found.start("value"))
    closed = closing(value)
    if closed is None or not value[closed + 1 :].strip() or value[closed + 1] in "]}":
        return None
    what = "a list" if value[0] == "[" else "a mapping"
    return _to_quote(at.line, at.text, found.start("value"), value, f"'{value[0]}' begins {what} in YAML")


def quote_within(at: Stop) -> YamlFault | None:
    """A text that begins with a quoted part, or has a quote in quotes."""
    found = re.match(r".*?(?:^|[:\-,{\[] +)(?P<value>(['\"]).*)", at.text)
    is_after = "expected" in at.problem or "cannot start any token" in at.problem
    if not found or at.column <= found.start("value") or not is_after:
        return None
    start = found.start("value")
    value = _value_from(at.text, start)
    if value.count(value[0]) < 2 or re.fullmatch(r"'[^']*'|\"[^\"]*\"", value):
        return None
    said = f"a text that begins with a {value[0]} ends at the next one"
    where = re.match(r"\s*(?:- +)?.*\bwhere:\s*$", at.text[:start])
    what = "the whole comparison" if where else "the whole text"
    inner = value[1:-1] if value[-1] == value[0] and value.count(value[0]) % 2 else value  # 'don't'
    return _to_quote(at.line, at.text, start, value, said, f"put {what} in quotes: {_quoted(inner)}")


def colon_in_text(at: Stop) -> YamlFault | None:
    """A plain text with a colon and a space in it."""
    found = _ENTRY.fullmatch(at.text)
    if "mapping values" not in at.problem or not found or at.column <= found.start("value"):
        return None
    value = _value_from(at.text, found.start("value"))
    return _to_quote(at.line, at.text, found.start("value"), value, "': ' separates a key from its value in YAML")


def _to_quote(line: int, text: str, column: int, value: str, why: str, right: str = "") -> YamlFault:
    right = right or f"put the text in quotes: {_quoted(value)}"
    mended = f"{text[:column]}{right.partition(': ')[2]}{text[column + len(value) :]}"
    return YamlFault(line, column, f"{why}; {right}", mended)


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    return f'"{value}"' if '"' not in value and "\\" not in value else "'" + value.replace("'", "''") + "'"


def _value_from(text: str, column: int) -> str:
    """The value that begins at a column, without a comment; in brackets, up to a comma or the closing bracket."""
    value = re.sub(r"\s+#.*$", "", text[column:]).rstrip()
    return re.split(r",\s|[\]}]\s*,|[\]}]+$", value)[0].rstrip() if _in_flow(text[:column]) else value


def _in_flow(before: str) -> bool:
    return sum(map(before.count, "[{")) > sum(map(before.count, "]}"))
