"""Where the dashboard of Kubeflow Pipelines shows the report of a run.

The address of the page itself is known only once the step has run: the backend adds a random part to it, and the
dashboard asks its own server for it. So the link is that of the run, with the step and the output to open there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hubline.core.config_base import Section

_HTML = "system.HTML"


class ReportPlace(Section):
    """The output that holds the report, and the page of the run that shows it."""

    step: str
    """The step, or the pod that several steps share."""
    output: str
    link: str | None = None
    """The page of the run; None where the address of the dashboard is unknown."""

    @classmethod
    def find(cls, outputs: Iterable[tuple[str, Mapping[str, Any]]]) -> "ReportPlace | None":
        """The place of the report, or None where no step of the pipeline makes one.

        Args:
            outputs: Each step with its outputs, as `outputDefinitions` of a pipeline spec has them.
        """
        for step, definitions in outputs:
            for output, definition in definitions.get("artifacts", {}).items():
                if definition["artifactType"]["schemaTitle"] == _HTML:
                    return cls(step=step, output=output)
        return None

    def at(self, link: str | None) -> "ReportPlace":
        """The same place on the page of a run."""
        return self.model_copy(update={"link": link})

    def __str__(self) -> str:
        """For people who have the link already."""
        return f"step {self.step}, output {self.output}"
