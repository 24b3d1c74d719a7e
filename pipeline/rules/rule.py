"""The form of a rule that spans sections of the pipeline file."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias, TypeVar, get_args

from hubline.core.config_errors import PlacedError

Rule: TypeAlias = Callable[..., Iterable[PlacedError]]
"""A function with one parameter for each section that it reads, named after the section. It yields errors by their
location in the file."""


_R = TypeVar("_R", bound=Rule)
_FOR_PARTS: set[Rule] = set()


def holds_for_parts(rule: _R) -> _R:
    """Marks a rule that never complains about something absent, so that it also holds for what is valid of a section
    with errors."""
    _FOR_PARTS.add(rule)
    return rule


def errors_of(
    rules: Iterable[Rule], sections: Mapping[str, Any], parts: Mapping[str, Any] | None = None
) -> Iterator[PlacedError]:
    """Errors of each rule whose sections are all available.

    A section that the task or the file doesn't have is None. Only rules whose parameter may be None are asked then.

    Args:
        rules: The rules.
        sections: The valid sections by name.
        parts: What is valid of the sections with errors.
    """
    for rule in rules:
        known = {**(parts or {}), **sections} if rule in _FOR_PARTS else sections
        parameters = inspect.signature(rule).parameters
        if all(name in known and _takes(parameter, known[name]) for name, parameter in parameters.items()):
            yield from rule(**{name: known[name] for name in parameters})


def _takes(parameter: inspect.Parameter, section: Any) -> bool:
    return section is not None or type(None) in get_args(parameter.annotation)
