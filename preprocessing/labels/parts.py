"""Tables in which each subpackage looks up its part of a kind of label by the kind's name."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class LabelParts(Generic[Part]):
    """One subpackage's part of every kind of label."""

    name: str
    """Name of the part and the folder of its modules, for messages."""
    by_kind: Mapping[str, Part]

    def of(self, kind: str) -> Part:
        """The part for a kind of label.

        Raises:
            NotImplementedError: if the kind has no such part.
        """
        if kind not in self.by_kind:
            raise NotImplementedError(
                f"label kind '{kind}' has no part '{self.name}'; docs/new-label-kind.md lists the parts"
            )
        return self.by_kind[kind]
