"""How each room finds what it knows of a kind of label: by the kind's name, in one table."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

Part = TypeVar("Part")


@dataclass(frozen=True)
class LabelParts(Generic[Part]):
    """What one room knows of every kind of label."""

    name: str
    """The name of the part and the folder of its modules, for messages."""
    by_kind: Mapping[str, Part]

    def of(self, kind: str) -> Part:
        """The part of the label kind `kind`.

        Raises:
            NotImplementedError: if the kind has no such part.
        """
        if kind not in self.by_kind:
            raise NotImplementedError(
                f"label kind '{kind}' has no part '{self.name}'; docs/new-label-kind.md lists all"
            )
        return self.by_kind[kind]
