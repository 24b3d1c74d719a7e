"""The interface for observers of a run's steps, such as the terminal."""

from typing import Protocol

from hubline.pipeline.result import Step


class Listener(Protocol):
    """Observes steps. An exception ends the run."""

    def planned(self, steps: list[str]) -> None:
        """Called once with the ids of all steps, in order."""

    def started(self, step: str) -> None:
        """Called when a step starts."""

    def finished(self, step: Step) -> None:
        """Called when a step is done or its cached result was reused."""
