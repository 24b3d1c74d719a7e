"""Where the Kubeflow Pipelines dashboard shows a run's report.

The URL of the page itself is not known before the step has run: the backend adds a random part, which the dashboard
requests from its own server. So the link is to the run, along with the step and output to open there.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from hubline.core.config_base import Section

_HTML = "system.HTML"


class ReportPlace(Section):
    """Output that contains the report, and the run's page."""

    step: str
    """Name of the step, or of the pod that several steps share."""
    output: str
    link: str | None = None
    """URL of the run's page; None if the dashboard's URL is unknown."""

    @classmethod
    def find(cls, outputs: Iterable[tuple[str, Mapping[str, Any]]]) -> "ReportPlace | None":
        """Finds the report among the outputs; None if no step creates one.

        Args:
            outputs: Each step with its `outputDefinitions` from the pipeline spec.
        """
        for step, definitions in outputs:
            for output, definition in definitions.get("artifacts", {}).items():
                if definition["artifactType"]["schemaTitle"] == _HTML:
                    return cls(step=step, output=output)
        return None

    def at(self, link: str | None) -> "ReportPlace":
        """A copy with the page of a run."""
        return self.model_copy(update={"link": link})

    def __str__(self) -> str:
        """For readers who have the link already."""
        return f"step {self.step}, output {self.output}"
