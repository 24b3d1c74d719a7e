"""Parses YAML, going on after errors whose meaning is clear."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from hubline.pipeline.yaml_text.causes import fault_of
from hubline.pipeline.yaml_text.fault import YamlFault

_MOST = 20
"""Faults that are mended in one file, so that the rest of the file is checked too."""


@dataclass(frozen=True)
class Parsed:
    """A text in YAML."""

    root: Node | None
    values: Any
    faults: tuple[YamlFault, ...]
    """Errors in lines whose meaning is clear; `root` and `values` are those of the mended lines."""


class NotYamlError(ValueError):
    """A text that can't be read as YAML."""

    def __init__(self, *faults: YamlFault) -> None:
        super().__init__("; ".join(fault.message for fault in faults))
        self.faults = faults


def parse(text: str, check: Callable[[Node | None], None]) -> Parsed:
    """Parses a text, mending lines whose meaning is clear.

    Args:
        text: The text.
        check: Called with the nodes before values are made of them.

    Raises:
        NotYamlError: with all faults up to one that can't be mended.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.allow_duplicate_keys = True  # these are reported together with the other errors
    faults: list[YamlFault] = []
    while True:
        root = None
        try:
            fault = _look_alikes(text)
            if fault is None:
                root = yaml.compose(text)
                check(root)
                fault = next(_keys_without_value(root, text), None)
            if fault is None:
                return Parsed(root, yaml.load(text), (*faults, *_repeated_keys(root)))
        except MarkedYAMLError as error:
            fault = fault_of(error, text)
        faults.append(fault)
        mended = fault.mend(text)
        if mended is None or len(faults) == _MOST:
            raise NotYamlError(*faults) from None
        text = mended


def _look_alikes(text: str) -> YamlFault | None:
    """The first line in which no-break spaces stand where YAML needs spaces."""
    for number, line in enumerate(text.splitlines()):
        if found := re.search(r"^ *\xa0|^[^#'\"]*:\xa0", line):
            said = "a no-break space (U+00A0), which looks like a space; type a space instead"
            return YamlFault(number, line.index("\xa0", found.start()), said, line.replace("\xa0", " "))
    return None


def _keys_without_value(node: Node | None, text: str) -> Iterator[YamlFault]:
    """Keys in braces that have no value because of `kind:numeric` or `0,5`."""
    for each in node.value if isinstance(node, SequenceNode) else ():
        yield from _keys_without_value(each, text)
    in_braces = isinstance(node, MappingNode) and node.flow_style
    before: Node | None = None
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if in_braces and isinstance(key, ScalarNode) and key.style is None and value.value == "":
            line = text.splitlines()[key.start_mark.line]
            fault = _space_fault(key, line) or _decimal_fault(key, before, line)
            yield from [fault] if fault else []
        before = value
        yield from _keys_without_value(value, text)


def _space_fault(key: ScalarNode, line: str) -> YamlFault | None:
    name, colon, value = key.value.partition(":")
    if not colon or not value or value.startswith("//"):
        return None
    column = key.start_mark.column
    mended = f"{line[:column]}{name}: {line[column + len(name) + 1 :]}"
    said = f"a space is missing after the colon; write {name}: {value}"
    return YamlFault(key.start_mark.line, column, said, mended)


def _decimal_fault(key: ScalarNode, before: Node | None, line: str) -> YamlFault | None:
    """A comma for a decimal point."""
    comma = key.start_mark.column - 1
    is_next = isinstance(before, ScalarNode) and before.end_mark.column == comma and key.value.isdecimal()
    if not is_next or not isinstance(before, ScalarNode) or not re.fullmatch(r"-?\d+", before.value):
        return None
    said = f"a decimal number has a point; write {before.value}.{key.value}"
    return YamlFault(key.start_mark.line, comma, said, f"{line[:comma]}.{line[comma + 1 :]}")


def _repeated_keys(node: Node | None) -> Iterator[YamlFault]:
    """Keys that a mapping has more than once."""
    for each in node.value if isinstance(node, SequenceNode) else ():
        yield from _repeated_keys(each)
    lines: dict[str, int] = {}
    for key, value in node.value if isinstance(node, MappingNode) else ():
        if isinstance(key, ScalarNode) and key.value in lines:
            said = f"duplicate key: '{key.value}' is already in line {lines[key.value] + 1}; remove one of them"
            yield YamlFault(key.start_mark.line, key.start_mark.column, said)
        elif isinstance(key, ScalarNode):
            lines[key.value] = key.start_mark.line
        yield from _repeated_keys(value)
