"""Likely causes of a YAML parser's errors."""

import re
from collections.abc import Callable

from ruamel.yaml.error import MarkedYAMLError

from hubline.pipeline.yaml_text import quoting
from hubline.pipeline.yaml_text.fault import Stop, YamlFault, closing, is_comment
from hubline.pipeline.yaml_text.quoting import KEY


def fault_of(error: MarkedYAMLError, text: str) -> YamlFault:
    """The likely cause of a parser's error; otherwise the parser's own words."""
    at = Stop.of(error, text.splitlines() or [""])
    found = next((fault for cause in _CAUSES if (fault := cause(at))), None)
    return found or YamlFault(at.line, at.column, " ".join(filter(None, (at.context, at.problem))))


def _tab(at: Stop) -> YamlFault | None:
    indented = [number for number, line in enumerate(at.lines) if re.match(r" *\t", line)]
    if at.line not in indented and "'\\t'" not in at.problem:
        return None
    others = len(set(indented) - {at.line})
    more = f", and {others} more line{'s have' if others > 1 else ' has'} one" if others else ""
    return YamlFault(at.line, at.column, f"a tab indents this line{more}; YAML takes spaces only")


def _no_space(at: Stop) -> YamlFault | None:
    for number in at.suspects:
        line = at.lines[number]
        if found := re.fullmatch(rf"(\s*(?:- +)*({KEY}|\"[^\"]*\"|'[^']*')):((?!//)[^\s:].*)", line):
            said = f"a space is missing after the colon; write {found[2]}: {found[3]}"
            return YamlFault(number, len(found[1]), said, f"{found[1]}: {found[3]}")
    return None


def _no_colon(at: Stop) -> YamlFault | None:
    if at.opened and at.context.startswith("while parsing a flow"):
        return None
    for number in at.suspects:
        if found := re.fullmatch(rf"(\s*(?:- +)*)({KEY})\s*=\s*(\S.*)", at.lines[number]):
            right = f"{found[2]}: {found[3]}"
            said = f"a colon and a space separate a key from its value; write {right}"
            return YamlFault(number, len(found[1]), said, f"{found[1]}{right}")
        if found := re.fullmatch(rf"(\s*)({KEY})(?: +([^\s:#]+))?\s*", at.lines[number]):
            right = f"{found[2]}:{' ' + found[3] if found[3] else ''}"
            return YamlFault(number, len(found[1]), f"a colon is missing; write {right}", f"{found[1]}{right}")
    return None


def _open_quote(at: Stop) -> YamlFault | None:
    if at.opened and "quoted scalar" in at.context and "escape" not in at.problem:
        line, column = at.opened
        return YamlFault(line, column, f"the quote {at.lines[line][column]} that begins here is not closed")
    for number in at.suspects[::-1]:  # the quote of the next text closed it
        for found in re.finditer(r"(?:^|[\s\[{,])([\"'])(?!.*\1)", at.lines[number]):
            if number < at.line or "quote" in at.context:
                return YamlFault(number, found.start(1), f"the quote {found[1]} that begins here is not closed")
    return None


def _escape(at: Stop) -> YamlFault | None:
    if "escape character" not in at.problem or at.opened is None:
        return None
    return YamlFault(
        *at.opened, "a backslash in double quotes begins an escape; use single quotes, or write each backslash twice"
    )


def _open_bracket(at: Stop) -> YamlFault | None:
    if at.opened is None or not at.context.startswith("while parsing a flow"):
        return None
    line, column = at.opened
    if "stream end" in at.problem:
        line, column = _unclosed(at.lines) or at.opened
    bracket = at.lines[line][column : column + 1]
    if bracket not in ("[", "{"):
        if at.problem.endswith("','"):
            return YamlFault(at.line, at.column, "a value is missing before this comma; remove the comma")
        return None
    closing = "]" if bracket == "[" else "}"
    if at.line > line or "stream end" in at.problem:
        rest = at.lines[line]
        mended = f"{rest.rstrip()}{closing}" if "#" not in rest and not rest.rstrip().endswith((",", bracket)) else None
        return YamlFault(line, column, f"the {bracket} that begins here is not closed; add {closing}", mended)
    said = f"'{closing}' or ',' is missing before this, or a text with {closing} or ',' needs quotes"
    return YamlFault(line, at.column, said)


def _closed_twice(at: Stop) -> YamlFault | None:
    found = re.search(r"found '([\]}])'", at.problem)
    if not found:
        return None
    opening = "[" if found[1] == "]" else "{"
    mended = f"{at.text[: at.column]}{at.text[at.column + 1 :]}"
    return YamlFault(at.line, at.column, f"this {found[1]} closes no {opening}; remove it", mended)


def _list_after_key(at: Stop) -> YamlFault | None:
    if "sequence entries are not allowed" not in at.problem:
        return None
    return YamlFault(at.line, at.column, "a list with dashes begins on a line of its own; or write [a, b]")


def _second_document(at: Stop) -> YamlFault | None:
    if "another document" not in at.problem:
        return None
    return YamlFault(at.line, at.column, "a second document begins here; a pipeline file is one document, without ---")


def _indentation(at: Stop) -> YamlFault | None:
    if not any(said in at.problem for said in ("mapping values are not allowed", "<block end>")):
        return None
    own = _indent(at.text)
    levels: list[int] = []
    for number in range(at.line - 1, -1, -1):
        line = at.lines[number]
        if line.strip() and not is_comment(line) and (not levels or _indent(line) < levels[-1]):
            levels.append(_indent(line))
    if not levels:
        return None
    said = f"indented by {_spaces(own)}"
    if own > levels[0]:
        return YamlFault(at.line, own, f"{said}, and the line above, by {_spaces(levels[0])}, already has a value")
    if own in levels:
        kind = "an item of a list" if at.text.lstrip().startswith("- ") else "a key"
        other = "keys" if kind != "a key" else "items of a list (-)"
        return YamlFault(at.line, own, f"{kind} among {other}; indent this line differently")
    fits = " or ".join(map(str, sorted(levels)))
    return YamlFault(at.line, own, f"{said}, which fits no line above: those are indented by {fits}")


_CAUSES: tuple[Callable[[Stop], YamlFault | None], ...] = (
    _tab,
    _second_document,
    _escape,
    quoting.bracket,
    quoting.special,
    _no_space,
    _open_quote,
    quoting.quote_within,
    quoting.colon_in_text,
    _closed_twice,
    _open_bracket,
    _list_after_key,
    _no_colon,
    _indentation,
)


def _unclosed(lines: list[str]) -> tuple[int, int] | None:
    """Line and column of the last bracket that is opened in a line and not closed there."""
    for number in range(len(lines) - 1, -1, -1):
        for found in reversed(list(re.finditer(r"[\[{]", lines[number]))):
            if closing(lines[number][found.start() :]) is None:
                return number, found.start()
    return None


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip(" "))


def _spaces(count: int) -> str:
    return f"{count} space{'' if count == 1 else 's'}"
