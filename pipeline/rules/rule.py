"""The form of a rule that spans sections of the pipeline file."""

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from hubline.core.config_errors import PlacedError

Rule: TypeAlias = Callable[..., Iterable[PlacedError]]
"""A function with one parameter for each section that it reads, named after the section. It yields errors by their
location in the file."""


def errors_of(rules: Iterable[Rule], sections: Mapping[str, Any]) -> Iterator[PlacedError]:
    """Errors of each rule whose sections are all available."""
    for rule in rules:
        names = inspect.signature(rule).parameters.keys()
        if names <= sections.keys():
            yield from rule(**{name: sections[name] for name in names})
