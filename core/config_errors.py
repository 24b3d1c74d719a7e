"""Errors in a configuration, each with the location of the value that it refers to."""

from collections.abc import Iterable
from typing import TypeAlias

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

Location: TypeAlias = tuple[str | int, ...]
"""The keys and list indices that lead to a value."""

PlacedError: TypeAlias = tuple[Location, str]
"""A location, and a message."""


def raise_placed(title: str, errors: Iterable[PlacedError]) -> None:
    """Raises errors in a validator of a section; does nothing if there are none.

    Args:
        title: Name of the section's type.
        errors: Locations are relative to the section and contain only keys that the section has.

    Raises:
        ValidationError: pydantic adds the location of the section to each error.
    """
    details = [
        InitErrorDetails(type="value_error", loc=location, input=None, ctx={"error": ValueError(message)})
        for location, message in errors
    ]
    if details:
        raise ValidationError.from_exception_data(title, details)


def dotted(location: Location) -> str:
    """A location as a key, such as `data.split.train` or `training.augment[0]`."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).removeprefix(".")
