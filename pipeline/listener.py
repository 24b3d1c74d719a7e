"""Who hears of the steps of a run, such as the terminal."""

from typing import Protocol

from hubline.pipeline.result import Step


class Listener(Protocol):
    """Hears of each step. What it raises ends the run."""

    def planned(self, steps: list[str]) -> None:
        """The steps of the run, in their order."""

    def started(self, step: str) -> None:
        """A step begins."""

    def finished(self, step: Step) -> None:
        """A step is done, or its earlier result was taken."""
