"""Which versions in a serving folder answer."""

from dataclasses import dataclass


@dataclass(frozen=True)
class VersionPolicy:
    """Which of the versions in a serving folder answer."""

    latest: int | None = 1
    """How many of the newest; None for all."""
    fixed: tuple[int, ...] = ()
    """These versions instead."""

    def choose(self, found: list[int]) -> list[int]:
        """The versions to serve of those in the folder, which are in ascending order."""
        if self.fixed:
            return [version for version in found if version in self.fixed]
        return found if self.latest is None else found[-self.latest :]
